//! Samplers in integers against the same in `f64`, over whole trajectories.

use diffuser_model::noise::{Purpose, noise};
use diffuser_model::sampling::{
    BetaSchedule, PredictionType, Sampler, SamplerOptions, SamplerStep, Schedule, SchedulerConfig,
    Spacing, advance_fixed, plan,
};

const ELEMENTS: usize = 64;
const OUTPUT_EXPONENT: i32 = 12;
/// One unit of the state.
const UNIT: f64 = 1.0 / (1 << 24) as f64;
/// Largest error of a rounded coefficient.
const COEFFICIENT_ERROR: f64 = 0.5 / (1u64 << 32) as f64;

/// What the best network says where images are normal with deviation 1/2: a multiple of the state.
fn network(prediction: PredictionType, a: f64) -> f64 {
    let (alpha, sigma) = (a.sqrt(), (1.0 - a).sqrt());
    let variance = 0.25 * a + 1.0 - a;
    let (x0, eps) = (0.25 * alpha / variance, sigma / variance);
    match prediction {
        PredictionType::Epsilon => eps,
        PredictionType::Velocity => alpha * eps - sigma * x0,
        PredictionType::Sample => x0,
    }
}

/// Largest error that roundings can have caused, carried from step to step.
#[derive(Default)]
struct Bound {
    x: f64,
    x0_previous: f64,
}

impl Bound {
    /// A sum of products, each factor with its magnitude and error, rounded at the end.
    fn form(terms: &[(f64, f64, f64)]) -> f64 {
        let term = |&(c, size, error): &(f64, f64, f64)| c.abs() * error + COEFFICIENT_ERROR * size;
        UNIT / 2.0 + terms.iter().map(term).sum::<f64>()
    }

    /// The state's own error passes through all forms; adding up its coefficients with their signs
    /// keeps the bound near what happens, where `a x + b out` nearly cancels.
    fn advance(&mut self, step: &SamplerStep, size: f64, x0_size: f64) {
        const OUT: f64 = 8.0;
        const NOISE: f64 = 6.3;
        let ([a, b], [c, d], [p, q, r, u, w]) = (step.x0, step.eps, step.next);
        let x0 = Self::form(&[(a, size, 0.0), (b, OUT, 0.0)]);
        let eps = Self::form(&[(c, size, 0.0), (d, OUT, 0.0)]);
        let through = if step.clip.is_some() {
            // a clipped element does not carry its error on
            (p + r * c).abs().max((p + q * a + r * c).abs())
        } else {
            (p + q * a + r * c).abs()
        };
        let terms = [
            (p, size, 0.0),
            (q, x0_size, x0),
            (r, OUT, eps),
            (u, x0_size, self.x0_previous),
            (w, NOISE, 0.0),
        ];
        let next = Self::form(&terms) + through * self.x;
        self.x0_previous = x0 + a.abs() * self.x;
        self.x = next;
    }
}

fn trajectory(config: &SchedulerConfig, options: &SamplerOptions) -> (f64, f64) {
    let schedule = Schedule::new(config);
    let steps = plan(config, options).unwrap();
    let real = |v: &[i32]| v.iter().map(|&v| f64::from(v) * UNIT).collect::<Vec<f64>>();
    let mut fixed = noise(5, 0, Purpose::Start, ELEMENTS);
    let mut float = real(&fixed);
    let (mut fixed_x0, mut float_x0) = (vec![0i64; ELEMENTS], vec![0.0; ELEMENTS]);
    let mut bound = Bound::default();
    let mut worst: f64 = 0.0;
    for (i, step) in steps.iter().enumerate() {
        // both sides read one quantised output: only the sampler's own roundings are measured
        let a = schedule.alpha_bar()[step.timestep as usize];
        let gain = network(config.prediction_type, a) * f64::from(1 << OUTPUT_EXPONENT);
        let out: Vec<i16> = real(&fixed)
            .iter()
            .map(|x| (x * gain).round() as i16)
            .collect();
        let out_real: Vec<f64> = out
            .iter()
            .map(|&v| f64::from(v) / f64::from(1 << OUTPUT_EXPONENT))
            .collect();
        let added = noise(5, 0, Purpose::Step(i as u32), ELEMENTS);
        let added = step.adds_noise().then_some(added);
        let added_real = added.as_deref().map(real);
        let size = float.iter().fold(0.0, |size: f64, x| size.max(x.abs()));

        step.advance(&mut float, &out_real, &mut float_x0, added_real.as_deref())
            .unwrap();
        advance_fixed(
            step.timestep,
            &step.to_fixed().unwrap(),
            &mut fixed,
            &out,
            OUTPUT_EXPONENT,
            &mut fixed_x0,
            added.as_deref(),
        )
        .unwrap();

        let x0_size = float_x0.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        bound.advance(step, size, x0_size.max(8.0));
        let differences = real(&fixed)
            .into_iter()
            .zip(&float)
            .map(|(a, b)| (a - b).abs());
        let error = differences.fold(0.0, f64::max);
        let name = || format!("step {i}, {options:?}, {config:?}");
        assert!(
            error <= bound.x,
            "{error:e} beyond {:e}: {}",
            bound.x,
            name()
        );
        worst = worst.max(error);
    }
    let size = float.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    assert!(
        size > 0.3 && size < 30.0,
        "no trajectory to speak of: {size}, {options:?}, {config:?}"
    );
    (worst, bound.x)
}

#[test]
fn integers_follow_the_reals() {
    use BetaSchedule::{Linear, ScaledLinear, SquaredCosine};
    for prediction_type in [
        PredictionType::Epsilon,
        PredictionType::Velocity,
        PredictionType::Sample,
    ] {
        for beta_schedule in [Linear, ScaledLinear, SquaredCosine] {
            for spacing in Spacing::ALL {
                for clip_sample in [true, false] {
                    for (sampler, eta) in [
                        (Sampler::Ddpm, 0.0),
                        (Sampler::Ddim, 0.0),
                        (Sampler::Ddim, 0.7),
                        (Sampler::DpmSolver, 0.0),
                    ] {
                        let config = SchedulerConfig {
                            prediction_type,
                            beta_schedule,
                            clip_sample,
                            ..SchedulerConfig::default()
                        };
                        let options = SamplerOptions {
                            sampler,
                            steps: 100,
                            eta,
                            spacing: Some(spacing),
                        };
                        let (worst, bound) = trajectory(&config, &options);
                        println!(
                            "{prediction_type:?} {beta_schedule:?} {spacing} {clip_sample} \
                             {sampler} {eta}: {worst:e} {bound:e}"
                        );
                    }
                }
            }
        }
    }
}
