//! DDPM, DDIM and DPM-Solver++ as lists of steps.
//!
//! In the papers' symbols: `a` is alpha bar of the time step, `a_prev` that of the one it leads
//! to, `eta` and `sigma` as in DDIM, `lambda` and `h` as in DPM-Solver++.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SamplingError;
use super::config::{
    FinalSigma, PredictionType, SchedulerClass, SchedulerConfig, Spacing, Variance,
};
use super::schedule::Schedule;
use super::timesteps::timesteps;

/// Which sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sampler {
    /// Ancestral sampling (arXiv:2006.11239).
    #[serde(rename = "ddpm")]
    Ddpm,
    /// Denoising diffusion implicit models (arXiv:2010.02502).
    #[serde(rename = "ddim")]
    Ddim,
    /// DPM-Solver++ 2M, midpoint (arXiv:2211.01095, algorithm 2).
    #[serde(rename = "dpmsolver++")]
    DpmSolver,
}

impl Sampler {
    /// Every sampler.
    pub const ALL: [Self; 3] = [Self::Ddpm, Self::Ddim, Self::DpmSolver];

    /// The sampler of a saved scheduler.
    #[must_use]
    pub const fn of(class: SchedulerClass) -> Self {
        match class {
            SchedulerClass::Ddpm => Self::Ddpm,
            SchedulerClass::Ddim => Self::Ddim,
            SchedulerClass::DpmSolver => Self::DpmSolver,
        }
    }

    /// Its name, `ddpm`, `ddim` or `dpmsolver++`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Ddim => "ddim",
            Self::DpmSolver => "dpmsolver++",
        }
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Sampler {
    type Err = SamplingError;

    fn from_str(name: &str) -> Result<Self, SamplingError> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| SamplingError::Setting {
                what: "name",
                value: format!("`{name}`"),
                expected: "`ddpm`, `ddim` or `dpmsolver++`".into(),
            })
    }
}

/// What a user chooses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplerOptions {
    /// Which sampler.
    pub sampler: Sampler,
    /// Evaluations of the network, from 1 to the number of training time steps.
    pub steps: u32,
    /// DDIM's `eta` in `0..=1`: 0 adds no noise, 1 adds as much as DDPM. Zero for the others.
    pub eta: f64,
    /// Which time steps, where not those of the configuration.
    pub spacing: Option<Spacing>,
}

/// One evaluation of the network and the update after it; see [`crate::sampling`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplerStep {
    /// Training time step, the network's input beside the state.
    pub timestep: u32,
    /// Predicted image from state and output: `a`, `b`.
    pub x0: [f64; 2],
    /// Magnitude that the predicted image is clipped to.
    pub clip: Option<f64>,
    /// Predicted noise from state and output, never from the clipped image: `c`, `d`.
    pub eps: [f64; 2],
    /// Next state from state, `x0`, `eps`, the previous step's `x0` and noise: `p`, `q`, `r`, `u`,
    /// `w`.
    pub next: [f64; 5],
}

/// The steps of a sampler, first to last, each with finite coefficients.
///
/// # Errors
/// [`SamplingError::Setting`] where the options do not fit the schedule,
/// [`SamplingError::Coefficient`] where a step divides by zero, as when noise is predicted and
/// nothing is left of the image.
pub fn plan(
    config: &SchedulerConfig,
    options: &SamplerOptions,
) -> Result<Vec<SamplerStep>, SamplingError> {
    let train = config.num_train_timesteps;
    if !(1..=train).contains(&options.steps) {
        return Err(SamplingError::Setting {
            what: "number of steps",
            value: options.steps.to_string(),
            expected: format!("1..={train}, the model's training time steps being {train}"),
        });
    }
    let eta_limit = if options.sampler == Sampler::Ddim {
        1.0
    } else {
        0.0
    };
    if !(0.0..=eta_limit).contains(&options.eta) {
        return Err(SamplingError::Setting {
            what: "eta",
            value: options.eta.to_string(),
            expected: format!("0..={eta_limit} with {}", options.sampler),
        });
    }
    let schedule = Schedule::new(config);
    let spacing = options.spacing.unwrap_or(config.timestep_spacing);
    let steps = match options.sampler {
        Sampler::Ddpm => ddpm(config, schedule.alpha_bar(), spacing, options.steps)?,
        Sampler::Ddim => ddim(
            config,
            schedule.alpha_bar(),
            spacing,
            options.steps,
            options.eta,
        )?,
        Sampler::DpmSolver => dpm_solver(config, schedule.alpha_bar(), spacing, options.steps)?,
    };
    steps.iter().try_for_each(SamplerStep::check_finite)?;
    Ok(steps)
}

/// Time step `i` is followed by the next of the list, the last by the image.
fn ddpm(
    config: &SchedulerConfig,
    alpha_bar: &[f64],
    spacing: Spacing,
    steps: u32,
) -> Result<Vec<SamplerStep>, SamplingError> {
    let train = config.num_train_timesteps;
    let times = timesteps(spacing, train, train, steps, config.steps_offset, false)?;
    let step = |(i, &t): (usize, &u32)| {
        let a = alpha_bar[t as usize];
        let a_prev = times.get(i + 1).map_or(1.0, |&t| alpha_bar[t as usize]);
        let alpha = a / a_prev;
        let beta = 1.0 - alpha;
        // eq. 7: mean and variance of the posterior q(x_prev | x, x0)
        let q = a_prev.sqrt() * beta / (1.0 - a);
        let p = alpha.sqrt() * (1.0 - a_prev) / (1.0 - a);
        let variance = match config.variance_type {
            _ if t == 0 => 0.0,
            Variance::FixedSmall => (1.0 - a_prev) / (1.0 - a) * beta,
            // diffusers adds this noise to the very image where the last time step is not zero
            Variance::FixedLarge => beta,
        };
        let clip = config.clip_sample.then_some(config.clip_sample_range);
        SamplerStep {
            clip,
            eps: [0.0; 2],
            next: [p, q, 0.0, 0.0, variance.sqrt()],
            ..SamplerStep::predictions(config.prediction_type, t, a)
        }
    };
    Ok(times.iter().enumerate().map(step).collect())
}

fn ddim(
    config: &SchedulerConfig,
    alpha_bar: &[f64],
    spacing: Spacing,
    steps: u32,
    eta: f64,
) -> Result<Vec<SamplerStep>, SamplingError> {
    let train = config.num_train_timesteps;
    let times = timesteps(spacing, train, train, steps, config.steps_offset, false)?;
    let last = if config.set_alpha_to_one {
        1.0
    } else {
        alpha_bar[0]
    };
    let step = |(i, &t): (usize, &u32)| {
        let a = alpha_bar[t as usize];
        // diffusers goes down by T / steps, which is not always where the next step begins
        let t_prev = match spacing {
            Spacing::Quadratic => times.get(i + 1).copied(),
            _ => t.checked_sub(train / steps),
        };
        let a_prev = t_prev.map_or(last, |t| alpha_bar[t as usize]);
        // eq. 16, then eq. 12
        let sigma = eta * ((1.0 - a_prev) / (1.0 - a) * (1.0 - a / a_prev)).sqrt();
        let direction = (1.0 - a_prev - sigma * sigma).max(0.0).sqrt();
        SamplerStep {
            clip: config.clip_sample.then_some(config.clip_sample_range),
            next: [0.0, a_prev.sqrt(), direction, 0.0, sigma],
            ..SamplerStep::predictions(config.prediction_type, t, a)
        }
    };
    Ok(times.iter().enumerate().map(step).collect())
}

fn dpm_solver(
    config: &SchedulerConfig,
    alpha_bar: &[f64],
    spacing: Spacing,
    steps: u32,
) -> Result<Vec<SamplerStep>, SamplingError> {
    let train = config.num_train_timesteps;
    // with no image left lambda is infinite; diffusers puts the smallest half float there
    let a_at = |t: u32| {
        let a = alpha_bar[t as usize];
        let terminal = config.rescale_betas_zero_snr && t == train - 1;
        if terminal {
            1.0 / f64::from(1 << 24)
        } else {
            a
        }
    };
    let lambda_of = |a: f64| 0.5 * (libm::log(a) - libm::log(1.0 - a));
    let low = config.lambda_min_clipped.unwrap_or(f64::NEG_INFINITY);
    let last = (0..train).filter(|&t| lambda_of(a_at(t)) >= low).count() as u32;
    let times = timesteps(spacing, train, last, steps, config.steps_offset, true)?;
    let end = match config.final_sigmas_type {
        FinalSigma::Zero => 1.0,
        FinalSigma::SigmaMin => a_at(0),
    };
    let count = times.len();
    let few = config.lower_order_final && count < 15;
    let euler_at_end = few || config.euler_at_final || config.final_sigmas_type == FinalSigma::Zero;
    let step = |(i, &t): (usize, &u32)| {
        let a = a_at(t);
        let a_next = times.get(i + 1).map_or(end, |&t| a_at(t));
        // alpha_t (1 - exp(-h)), with exp(-h) = (sigma_t / alpha_t) / (sigma_s / alpha_s)
        let p = ((1.0 - a_next) / (1.0 - a)).sqrt();
        let q = a_next.sqrt() - p * a.sqrt();
        // (1 / 2) / r_0 = h / (2 h_0), zero in order 1
        let first_order = config.solver_order == 1 || i == 0 || (i + 1 == count && euler_at_end);
        let d = if first_order {
            0.0
        } else {
            let (h, h0) = (
                lambda_of(a_next) - lambda_of(a),
                lambda_of(a) - lambda_of(a_at(times[i - 1])),
            );
            h / (2.0 * h0)
        };
        SamplerStep {
            eps: [0.0; 2],
            next: [p, q * (1.0 + d), 0.0, -q * d, 0.0],
            ..SamplerStep::predictions(config.prediction_type, t, a)
        }
    };
    Ok(times.iter().enumerate().map(step).collect())
}

impl SamplerStep {
    /// Predicted image and noise from `x = sqrt(a) x0 + sqrt(1 - a) eps` and the network's output.
    fn predictions(prediction: PredictionType, timestep: u32, a: f64) -> Self {
        let (alpha, sigma) = (a.sqrt(), (1.0 - a).sqrt());
        let (x0, eps) = match prediction {
            PredictionType::Epsilon => ([1.0 / alpha, -sigma / alpha], [0.0, 1.0]),
            PredictionType::Velocity => ([alpha, -sigma], [sigma, alpha]),
            PredictionType::Sample => ([0.0, 1.0], [1.0 / sigma, -alpha / sigma]),
        };
        Self {
            timestep,
            x0,
            clip: None,
            eps,
            next: [0.0; 5],
        }
    }

    /// Whether the step reads noise.
    #[must_use]
    pub fn adds_noise(&self) -> bool {
        self.next[4] != 0.0
    }

    /// Coefficients with their names, in the order of the forms.
    pub(super) fn coefficients(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let values = self.x0.into_iter().chain(self.eps).chain(self.next);
        ["a", "b", "c", "d", "p", "q", "r", "u", "w"]
            .into_iter()
            .zip(values)
    }

    fn check_finite(&self) -> Result<(), SamplingError> {
        match self.coefficients().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((coefficient, value)) => Err(SamplingError::Coefficient {
                coefficient,
                timestep: self.timestep,
                value: value.to_string(),
                reason: "expected a finite one: the schedule leaves no image or no noise there, \
                         which this prediction type and sampler divide by",
            }),
        }
    }
}
