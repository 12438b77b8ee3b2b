//! Time steps and states against diffusers 0.35.1; `golden/make_schedulers.py` makes the values.

use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    checksums: Vec<Checksum>,
}

/// Of the time steps of every possible number of steps.
#[derive(Deserialize)]
struct Checksum {
    config: SchedulerConfig,
    checksum: u32,
    refused: u32,
}

#[derive(Deserialize)]
struct Case {
    config: SchedulerConfig,
    steps: u32,
    eta: f64,
    timesteps: Vec<u32>,
    states: Vec<[f64; 3]>,
}

/// The generator's state, network output and noise, rounded to `f32` as there.
fn wave(a: f64, b: f64, step: usize) -> [f64; 3] {
    [0.0, 1.0, 2.0].map(|j| f64::from((a * j + b * step as f64 + 0.5).cos() as f32))
}

fn near(name: &str, step: usize, got: &[f64; 3], want: &[f64; 3]) {
    let size = want.iter().fold(1.0, |size: f64, v| size.max(v.abs()));
    for (got, want) in got.iter().zip(want) {
        let error = (got - want).abs() / size;
        assert!(
            error < TOLERANCE,
            "{name}, step {step}: {got}, diffusers {want}, error {error:e}"
        );
    }
}

/// Relative to the largest element. diffusers rounds every operation to `f32`, and `1 - a / a_prev`
/// loses most of its digits near the image; all but one of the cases stay under `1e-5`.
const TOLERANCE: f64 = 1.5e-5;

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/schedulers.json")).unwrap()
}

#[test]
fn every_number_of_steps_has_the_time_steps_of_diffusers() {
    let checksums = golden().checksums;
    assert_eq!(checksums.len(), 18);
    for Checksum {
        config,
        checksum,
        refused,
    } in checksums
    {
        let (mut sum, mut errors) = (0u32, 0);
        for steps in 1..=config.num_train_timesteps {
            let sampler = Sampler::of(config.class);
            let options = SamplerOptions {
                sampler,
                steps,
                eta: 0.0,
                spacing: None,
            };
            match plan(&config, &options) {
                Ok(steps) => {
                    let add = |sum: u32, t: u32| sum.wrapping_mul(31).wrapping_add(t);
                    sum = steps.iter().map(|s| s.timestep).fold(sum, add);
                }
                Err(_) => errors += 1,
            }
        }
        assert_eq!((sum, errors), (checksum, refused), "{config:?}");
    }
}

#[test]
fn every_step_is_that_of_diffusers() {
    let cases = golden().cases;
    assert!(cases.len() > 150);
    for (number, case) in cases.iter().enumerate() {
        let sampler = Sampler::of(case.config.class);
        let name = format!(
            "case {number}, {sampler}, {} steps, {:?}",
            case.steps, case.config
        );
        let options = SamplerOptions {
            sampler,
            steps: case.steps,
            eta: case.eta,
            spacing: None,
        };
        let steps = plan(&case.config, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let timesteps: Vec<u32> = steps.iter().map(|s| s.timestep).collect();
        assert_eq!(timesteps, case.timesteps, "{name}");

        // each step from diffusers' state before it, and all of them in a row
        let start = wave(2.0, 0.0, 0);
        let (mut x0_forced, mut x0_free) = ([0.0; 3], [0.0; 3]);
        let mut free = start;
        for (i, (step, want)) in steps.iter().zip(&case.states).enumerate() {
            let (out, noise) = (wave(1.3, 0.7, i), wave(2.1, 0.9, i));
            let mut forced = if i == 0 { start } else { case.states[i - 1] };
            step.advance(&mut forced, &out, &mut x0_forced, Some(&noise))
                .unwrap();
            near(&name, i, &forced, want);
            step.advance(&mut free, &out, &mut x0_free, Some(&noise))
                .unwrap();
            near(&name, i, &free, want);
        }
    }
}
