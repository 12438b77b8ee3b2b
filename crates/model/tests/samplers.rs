//! Samplers beyond what diffusers can be asked: limits, refusals, and what the papers promise.

use diffuser_model::sampling::{
    BetaSchedule, PredictionType, Sampler, SamplerOptions, SamplingError, Schedule,
    SchedulerConfig, Spacing, advance_fixed, plan,
};

fn options(sampler: Sampler, steps: u32) -> SamplerOptions {
    SamplerOptions {
        sampler,
        steps,
        eta: 0.0,
        spacing: None,
    }
}

fn cosine(prediction_type: PredictionType) -> SchedulerConfig {
    SchedulerConfig {
        beta_schedule: BetaSchedule::SquaredCosine,
        prediction_type,
        timestep_spacing: Spacing::Trailing,
        ..SchedulerConfig::default()
    }
}

#[test]
fn schedules_fall_from_one_to_zero() {
    for beta_schedule in [
        BetaSchedule::Linear,
        BetaSchedule::ScaledLinear,
        BetaSchedule::SquaredCosine,
    ] {
        for rescale_betas_zero_snr in [false, true] {
            for num_train_timesteps in [1, 2, 1000, 5000] {
                let config = SchedulerConfig {
                    beta_schedule,
                    rescale_betas_zero_snr,
                    num_train_timesteps,
                    ..SchedulerConfig::default()
                };
                let schedule = Schedule::new(&config);
                let a = schedule.alpha_bar();
                assert_eq!(a.len(), num_train_timesteps as usize);
                assert!(a[0] < 1.0 && a[a.len() - 1] >= 0.0, "{config:?}");
                assert!(a.windows(2).all(|pair| pair[0] >= pair[1]), "{config:?}");
                assert_eq!(a[a.len() - 1] == 0.0, rescale_betas_zero_snr);
            }
        }
    }
}

#[test]
fn names() {
    for sampler in Sampler::ALL {
        assert_eq!(sampler.to_string().parse::<Sampler>().unwrap(), sampler);
    }
    for spacing in Spacing::ALL {
        assert_eq!(spacing.to_string().parse::<Spacing>().unwrap(), spacing);
    }
    assert_eq!(
        "euler".parse::<Sampler>().unwrap_err().to_string(),
        "sampler: name is `euler`, expected `ddpm`, `ddim` or `dpmsolver++`"
    );
    assert_eq!(
        "even".parse::<Spacing>().unwrap_err().to_string(),
        "sampler: spacing is `even`, expected `leading`, `linspace`, `trailing` or `quadratic`"
    );
}

#[test]
fn options_that_do_not_fit() {
    let config = SchedulerConfig::default();
    for (options, error) in [
        (
            options(Sampler::Ddim, 0),
            "sampler: number of steps is 0, expected 1..=1000, the model's training time steps being 1000",
        ),
        (
            options(Sampler::Ddim, 1001),
            "sampler: number of steps is 1001, expected 1..=1000, the model's training time steps being 1000",
        ),
        (
            SamplerOptions {
                eta: 1.5,
                ..options(Sampler::Ddim, 9)
            },
            "sampler: eta is 1.5, expected 0..=1 with ddim",
        ),
        (
            SamplerOptions {
                eta: f64::NAN,
                ..options(Sampler::Ddim, 9)
            },
            "sampler: eta is NaN, expected 0..=1 with ddim",
        ),
        (
            SamplerOptions {
                eta: 0.5,
                ..options(Sampler::Ddpm, 9)
            },
            "sampler: eta is 0.5, expected 0..=0 with ddpm",
        ),
        (
            options(Sampler::DpmSolver, 1000),
            "sampler: number of steps is 1000, expected fewer: with leading spacing and offset 0 they would leave or repeat time steps among 1000",
        ),
    ] {
        assert_eq!(plan(&config, &options).unwrap_err().to_string(), error);
    }
    // every time step clipped away
    let config = SchedulerConfig {
        lambda_min_clipped: Some(1e9),
        ..config
    };
    for spacing in Spacing::ALL {
        let options = SamplerOptions {
            spacing: Some(spacing),
            ..options(Sampler::DpmSolver, 1)
        };
        assert!(matches!(
            plan(&config, &options),
            Err(SamplingError::Setting { .. })
        ));
    }
}

#[test]
fn noise_cannot_be_predicted_from_where_no_image_is_left() {
    let config = SchedulerConfig {
        rescale_betas_zero_snr: true,
        ..cosine(PredictionType::Epsilon)
    };
    let error = plan(&config, &options(Sampler::Ddim, 10)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sampler: coefficient a at time step 999 is inf, expected a finite one: the schedule leaves \
         no image or no noise there, which this prediction type and sampler divide by"
    );
    let config = SchedulerConfig {
        prediction_type: PredictionType::Velocity,
        ..config
    };
    plan(&config, &options(Sampler::Ddim, 10)).unwrap();
}

#[test]
fn all_coefficients_of_every_full_plan_fit_integers() {
    for prediction in [
        PredictionType::Epsilon,
        PredictionType::Velocity,
        PredictionType::Sample,
    ] {
        for sampler in Sampler::ALL {
            let steps = plan(&cosine(prediction), &options(sampler, 999)).unwrap();
            assert!(steps.iter().all(|step| step.to_fixed().is_ok()));
        }
    }
    // the largest coefficient there is in practice
    let step = plan(&cosine(PredictionType::Epsilon), &options(Sampler::Ddim, 1)).unwrap()[0];
    assert!((step.x0[0] - 20_291.0).abs() < 1.0, "{}", step.x0[0]);
    let mut wide = step;
    wide.next[1] = -65_537.0;
    assert_eq!(
        wide.to_fixed().unwrap_err().to_string(),
        "sampler: coefficient q at time step 999 is -65537, expected a magnitude of at most 65536"
    );
    wide.next[1] = f64::NAN;
    assert!(wide.to_fixed().is_err());
    wide.next[1] = 0.0;
    wide.clip = Some(1e7);
    assert!(wide.to_fixed().unwrap_err().to_string().contains("clip"));
}

/// DDIM with eta 1 has DDPM's variance, and its mean where every time step is visited
/// (arXiv:2010.02502, section 4.1).
#[test]
fn ddim_with_eta_one_is_ddpm() {
    let config = SchedulerConfig {
        clip_sample: false,
        ..SchedulerConfig::default()
    };
    let ddpm = plan(&config, &options(Sampler::Ddpm, 1000)).unwrap();
    let eta = SamplerOptions {
        eta: 1.0,
        ..options(Sampler::Ddim, 1000)
    };
    let ddim = plan(&config, &eta).unwrap();
    for (ddpm, ddim) in ddpm.iter().zip(&ddim) {
        let (mut x, mut y) = ([0.7, -1.1], [0.7, -1.1]);
        let noise = Some([0.3, 1.9]);
        let noise = noise.as_ref().map(|n| n.as_slice());
        ddpm.advance(&mut x, &[0.4, -0.9], &mut [0.0; 2], noise)
            .unwrap();
        ddim.advance(&mut y, &[0.4, -0.9], &mut [0.0; 2], noise)
            .unwrap();
        for (x, y) in x.iter().zip(y) {
            assert!(
                (x - y).abs() < 1e-6 * (1.0 + x.abs()),
                "{}: {x} {y}",
                ddpm.timestep
            );
        }
    }
}

/// On data that are all one image the best prediction is exact at every step, and so is each
/// sampler that adds no noise at its end.
#[test]
fn every_sampler_finds_a_single_image() {
    const IMAGE: f64 = 0.37;
    for prediction in [
        PredictionType::Epsilon,
        PredictionType::Velocity,
        PredictionType::Sample,
    ] {
        for (sampler, eta) in [
            (Sampler::Ddpm, 0.0),
            (Sampler::Ddim, 0.0),
            (Sampler::Ddim, 0.8),
            (Sampler::DpmSolver, 0.0),
        ] {
            for spacing in [Spacing::Leading, Spacing::Linspace, Spacing::Quadratic] {
                let config = cosine(prediction);
                let options = SamplerOptions {
                    sampler,
                    steps: 17,
                    eta,
                    spacing: Some(spacing),
                };
                let schedule = Schedule::new(&config);
                let (mut x, mut x0) = ([1.3], [0.0]);
                for step in plan(&config, &options).unwrap() {
                    let a = schedule.alpha_bar()[step.timestep as usize];
                    let eps = (x[0] - a.sqrt() * IMAGE) / (1.0 - a).sqrt();
                    let out = match prediction {
                        PredictionType::Epsilon => eps,
                        PredictionType::Velocity => a.sqrt() * eps - (1.0 - a).sqrt() * IMAGE,
                        PredictionType::Sample => IMAGE,
                    };
                    step.advance(&mut x, &[out], &mut x0, Some(&[0.6])).unwrap();
                    assert!((x0[0] - IMAGE).abs() < 1e-6, "{options:?}: {}", x0[0]);
                }
                assert!((x[0] - IMAGE).abs() < 1e-6, "{options:?}: {}", x[0]);
            }
        }
    }
}

#[test]
fn buffers_must_match() {
    let steps = plan(&SchedulerConfig::default(), &options(Sampler::Ddpm, 10)).unwrap();
    let (first, last) = (&steps[0], &steps[9]);
    let mut x = [0.5; 4];
    for (got, error) in [
        (
            first.advance(&mut x, &[0.0; 3], &mut [0.0; 4], None),
            "sampler: network's output has 3 elements, expected 4 as the state has",
        ),
        (
            first.advance(&mut x, &[0.0; 4], &mut [0.0; 5], None),
            "sampler: previous image has 5 elements, expected 4 as the state has",
        ),
        (
            first.advance(&mut x, &[0.0; 4], &mut [0.0; 4], Some(&[0.0])),
            "sampler: noise has 1 elements, expected 4 as the state has",
        ),
        (
            first.advance(&mut x, &[0.0; 4], &mut [0.0; 4], None),
            "sampler: no noise given at time step 900, expected as many elements as the state has",
        ),
    ] {
        assert_eq!(got.unwrap_err().to_string(), error);
    }
    assert_eq!(x, [0.5; 4]);
    assert!(first.adds_noise() && !last.adds_noise());
    last.advance(&mut x, &[0.0; 4], &mut [0.0; 4], None)
        .unwrap();

    let fixed = first.to_fixed().unwrap();
    let advance = |exponent, noise: Option<&[i32]>| {
        advance_fixed(
            900,
            &fixed,
            &mut [9; 2],
            &[1; 2],
            exponent,
            &mut [0; 2],
            noise,
        )
    };
    advance(24, Some(&[0; 2])).unwrap();
    advance(-16, Some(&[0; 2])).unwrap();
    assert_eq!(
        advance(25, Some(&[0; 2])).unwrap_err().to_string(),
        "sampler: exponent of the network's output is 25, expected -16..=24"
    );
    assert_eq!(
        advance(0, None),
        Err(SamplingError::NoNoise { timestep: 900 })
    );
    assert!(advance(0, Some(&[0; 3])).is_err());
}
