//! Samplers in integers against the same in `f64`, over whole trajectories.

use diffuser_model::noise::{Purpose, noise};
use diffuser_model::sampling::{
    BetaSchedule, PredictionType, Sampler, SamplerOptions, Schedule, SchedulerConfig, Spacing,
    advance_fixed, plan,
};

const ELEMENTS: usize = 64;
const OUTPUT_EXPONENT: i32 = 12;

fn real(fixed: &[i32]) -> Vec<f64> {
    fixed
        .iter()
        .map(|&v| f64::from(v) / f64::from(1 << 24))
        .collect()
}

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

/// Largest difference of the two trajectories, and deviation of the images they end in.
fn trajectory(config: &SchedulerConfig, options: &SamplerOptions) -> (f64, f64) {
    let schedule = Schedule::new(config);
    let mut fixed = noise(5, 0, Purpose::Start, ELEMENTS);
    let mut float = real(&fixed);
    let (mut fixed_x0, mut float_x0) = (vec![0i64; ELEMENTS], vec![0.0; ELEMENTS]);
    let mut worst: f64 = 0.0;
    for (i, step) in plan(config, options).unwrap().iter().enumerate() {
        // both read one quantised output, so that only the sampler's own roundings are measured
        let a = schedule.alpha_bar()[step.timestep as usize];
        let one = f64::from(1 << OUTPUT_EXPONENT);
        let gain = network(config.prediction_type, a) * one;
        let out: Vec<i16> = real(&fixed)
            .iter()
            .map(|x| (x * gain).round() as i16)
            .collect();
        let out_real: Vec<f64> = out.iter().map(|&v| f64::from(v) / one).collect();
        let added = step
            .adds_noise()
            .then(|| noise(5, 0, Purpose::Step(i as u32), ELEMENTS));
        let added_real = added.as_deref().map(real);

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
        let differences = real(&fixed)
            .into_iter()
            .zip(&float)
            .map(|(a, b)| (a - b).abs());
        worst = differences.fold(worst, f64::max);
    }
    let variance = float.iter().map(|x| x * x).sum::<f64>() / ELEMENTS as f64;
    (worst, variance.sqrt())
}

/// Without a step's feedback through the network, predicting noise is unstable: a state's error
/// grows with `1 / sqrt(alpha_bar)`. The two others lose four bits of 24 in 100 steps.
fn limit(prediction: PredictionType) -> f64 {
    match prediction {
        PredictionType::Epsilon => 2e-5,
        PredictionType::Velocity => 1.5e-6,
        PredictionType::Sample => 8e-7,
    }
}

#[test]
fn integers_follow_the_reals() {
    const SAMPLERS: [(Sampler, f64); 4] = [
        (Sampler::Ddpm, 0.0),
        (Sampler::Ddim, 0.0),
        (Sampler::Ddim, 0.7),
        (Sampler::DpmSolver, 0.0),
    ];
    for prediction_type in [
        PredictionType::Epsilon,
        PredictionType::Velocity,
        PredictionType::Sample,
    ] {
        for beta_schedule in [
            BetaSchedule::Linear,
            BetaSchedule::ScaledLinear,
            BetaSchedule::SquaredCosine,
        ] {
            for (spacing, clip) in Spacing::ALL.into_iter().flat_map(|s| [(s, 0.6), (s, 1e6)]) {
                for (sampler, eta) in SAMPLERS {
                    let config = SchedulerConfig {
                        prediction_type,
                        beta_schedule,
                        clip_sample_range: clip,
                        ..SchedulerConfig::default()
                    };
                    let options = SamplerOptions {
                        sampler,
                        steps: 100,
                        eta,
                        spacing: Some(spacing),
                    };
                    let (error, deviation) = trajectory(&config, &options);
                    let name = format!("{options:?}, {config:?}");
                    assert!(error < limit(prediction_type), "{error:e}: {name}");
                    // the images the network stands for, cut off or not
                    assert!(deviation > 0.3 && deviation < 0.7, "{deviation}: {name}");
                }
            }
        }
    }
}
