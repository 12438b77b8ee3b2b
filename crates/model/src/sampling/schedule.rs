//! How much of the image is left at each training time step.

use std::f64::consts::FRAC_PI_2;

use super::config::{BetaSchedule, SchedulerConfig};

/// `alpha_bar[t]`, the product of `1 - beta` up to training time step `t`: `x_t = sqrt(alpha_bar)
/// x0 + sqrt(1 - alpha_bar) eps` (arXiv:2006.11239, eq. 4).
///
/// Betas, alphas and `alpha_bar` are rounded to `f32` where diffusers does that, since those are
/// the numbers a model was trained with: with a beta of 0.999 the rounding alone moves `1 - beta`
/// by a hundred-thousandth. Everything that follows from `alpha_bar` is `f64`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    alpha_bar: Vec<f64>,
}

impl Schedule {
    /// The schedule of a configuration.
    #[must_use]
    pub fn new(config: &SchedulerConfig) -> Self {
        let mut product = 1.0;
        let mut alpha_bar: Vec<f64> = betas(config)
            .into_iter()
            .map(|beta| {
                product *= f64::from(1.0 - beta);
                f64::from(product as f32)
            })
            .collect();
        if config.rescale_betas_zero_snr {
            rescale_to_zero_snr(&mut alpha_bar);
        }
        Self { alpha_bar }
    }

    /// `alpha_bar` of every training time step, never increasing, in `0..=1`.
    #[must_use]
    pub fn alpha_bar(&self) -> &[f64] {
        &self.alpha_bar
    }
}

fn betas(config: &SchedulerConfig) -> Vec<f32> {
    if let Some(betas) = &config.trained_betas {
        return betas.iter().map(|&beta| beta as f32).collect();
    }
    let steps = config.num_train_timesteps;
    let (start, end) = (config.beta_start, config.beta_end);
    let between = |start: f64, end: f64, i: u32| {
        start + (end - start) * f64::from(i) / f64::from(steps.max(2) - 1)
    };
    let beta = |i: u32| match config.beta_schedule {
        BetaSchedule::Linear => between(start, end, i) as f32,
        BetaSchedule::ScaledLinear => {
            let root = between(start.sqrt(), end.sqrt(), i) as f32;
            root * root
        }
        BetaSchedule::SquaredCosine => {
            let f = |i: u32| {
                let t = f64::from(i) / f64::from(steps);
                let cosine = libm::cos((t + 0.008) / 1.008 * FRAC_PI_2);
                cosine * cosine
            };
            (1.0 - f(i + 1) / f(i)).min(0.999) as f32
        }
    };
    (0..steps).map(beta).collect()
}

/// Shifts and scales `sqrt(alpha_bar)` so that the last is zero and the first stays
/// (arXiv:2305.08891, algorithm 1). With a single time step there is nothing to scale by, and it
/// becomes zero.
fn rescale_to_zero_snr(alpha_bar: &mut [f64]) {
    let (first, last) = (alpha_bar[0].sqrt(), alpha_bar[alpha_bar.len() - 1].sqrt());
    let scale = if first > last {
        first / (first - last)
    } else {
        0.0
    };
    for a in alpha_bar {
        let root = (a.sqrt() - last) * scale;
        *a = f64::from((root * root) as f32);
    }
}
