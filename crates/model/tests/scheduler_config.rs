//! Scheduler configurations as people have them: read, written, refused.

use diffuser_model::sampling::{
    BetaSchedule, FinalSigma, PredictionType, SchedulerClass, SchedulerConfig, Spacing, Variance,
};

#[test]
fn early_ddpm_configuration() {
    // google/ddpm-cifar10-32
    let config = SchedulerConfig::from_json(
        r#"{
            "_class_name": "DDPMScheduler", "_diffusers_version": "0.1.1", "beta_end": 0.02,
            "beta_schedule": "linear", "beta_start": 0.0001, "clip_sample": true,
            "num_train_timesteps": 1000, "predict_epsilon": true, "tensor_format": "pt",
            "timestep_values": null, "trained_betas": null, "variance_type": "fixed_large"
        }"#,
    )
    .unwrap();
    let want = SchedulerConfig {
        variance_type: Variance::FixedLarge,
        ..SchedulerConfig::default()
    };
    assert_eq!(config, want);
}

#[test]
fn solver_configuration_with_an_infinity_that_is_no_json() {
    let config = SchedulerConfig::from_json(
        r#"{
            "_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++",
            "beta_schedule": "squaredcos_cap_v2", "euler_at_final": false,
            "final_sigmas_type": "sigma_min", "flow_shift": 1.0, "lambda_min_clipped": -Infinity,
            "note_": null, "prediction_type": "v_prediction", "solver_type": "midpoint",
            "use_karras_sigmas": false, "variance_type": null, "_a \" -Infinity": "-Infinity\\"
        }"#,
    )
    .unwrap();
    let want = SchedulerConfig {
        class: SchedulerClass::DpmSolver,
        beta_schedule: BetaSchedule::SquaredCosine,
        prediction_type: PredictionType::Velocity,
        timestep_spacing: Spacing::Linspace, // this class's default
        final_sigmas_type: FinalSigma::SigmaMin,
        ..SchedulerConfig::default()
    };
    assert_eq!(config, want);
}

#[test]
fn comes_back_as_it_was_written() {
    let config = SchedulerConfig {
        class: SchedulerClass::DpmSolver,
        num_train_timesteps: 3,
        beta_start: 0.1 + 0.2,
        beta_end: 0.7 - 1e-16,
        beta_schedule: BetaSchedule::ScaledLinear,
        trained_betas: Some(vec![0.1, 1.0 / 3.0, 5e-324]),
        prediction_type: PredictionType::Sample,
        timestep_spacing: Spacing::Quadratic,
        steps_offset: 1,
        set_alpha_to_one: false,
        clip_sample: false,
        clip_sample_range: 1.1,
        variance_type: Variance::FixedLarge,
        rescale_betas_zero_snr: true,
        solver_order: 1,
        lower_order_final: false,
        euler_at_final: true,
        final_sigmas_type: FinalSigma::SigmaMin,
        lambda_min_clipped: Some(-5.1),
    };
    for config in [config, SchedulerConfig::default()] {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<SchedulerConfig>(&text).unwrap(),
            config,
            "{text}"
        );
        assert_eq!(SchedulerConfig::from_json(&text).unwrap(), config);
    }
}

#[test]
fn what_is_not_supported_or_impossible_is_named() {
    for (field, error) in [
        (
            r#""_class_name": "PNDMScheduler""#,
            r#"`_class_name` is "PNDMScheduler", expected one of `DDPMScheduler`, `DDIMScheduler`, `DPMSolverMultistepScheduler`"#,
        ),
        (
            r#""num_train_timesteps": 0"#,
            "`num_train_timesteps` is 0, expected an integer in 1..=100000",
        ),
        (
            r#""num_train_timesteps": 100001"#,
            "`num_train_timesteps` is 100001, expected an integer in 1..=100000",
        ),
        (
            r#""num_train_timesteps": 1e3"#,
            "`num_train_timesteps` is 1000.0, expected an integer in 1..=100000",
        ),
        (
            r#""num_train_timesteps": -5"#,
            "`num_train_timesteps` is -5, expected an integer in 1..=100000",
        ),
        (
            r#""beta_start": 0"#,
            "`beta_start` is 0, expected a number between 0 and 1, both excluded",
        ),
        (
            r#""beta_end": 1.0"#,
            "`beta_end` is 1.0, expected a number between 0 and 1, both excluded",
        ),
        (
            r#""beta_end": NaN"#,
            r#"`beta_end` is "NaN", expected a number between 0 and 1, both excluded"#,
        ),
        (
            r#""beta_schedule": "sigmoid""#,
            r#"`beta_schedule` is "sigmoid", expected one of `linear`, `scaled_linear`, `squaredcos_cap_v2`"#,
        ),
        (
            r#""beta_schedule": 3"#,
            "`beta_schedule` is 3, expected a name",
        ),
        (
            r#""trained_betas": [0.1]"#,
            "`trained_betas` is a list of 1 entries, expected 1000, one per training time step",
        ),
        (
            r#""num_train_timesteps": 2, "trained_betas": [0.1, 2]"#,
            "`trained_betas[1]` is 2, expected a number between 0 and 1, both excluded",
        ),
        (
            r#""prediction_type": "flow_prediction""#,
            r#"`prediction_type` is "flow_prediction", expected one of `epsilon`, `v_prediction`, `sample`"#,
        ),
        (
            r#""variance_type": "learned_range""#,
            r#"`variance_type` is "learned_range", expected `fixed_small` or `fixed_large`"#,
        ),
        (
            r#""thresholding": true"#,
            "`thresholding` is true, expected false",
        ),
        (
            r#""use_karras_sigmas": true"#,
            "`use_karras_sigmas` is true, expected false",
        ),
        (
            r#""predict_epsilon": false"#,
            "`predict_epsilon` is false, expected true",
        ),
        (
            r#""algorithm_type": "sde-dpmsolver++""#,
            r#"`algorithm_type` is "sde-dpmsolver++", expected "dpmsolver++""#,
        ),
        (
            r#""solver_type": "heun""#,
            r#"`solver_type` is "heun", expected "midpoint""#,
        ),
        (
            r#""solver_order": 3"#,
            "`solver_order` is 3, expected an integer in 1..=2",
        ),
        (
            r#""clip_sample": "yes""#,
            r#"`clip_sample` is "yes", expected true or false"#,
        ),
        (
            r#""clip_sample_range": 0"#,
            "`clip_sample_range` is 0, expected a number above 0 and at most 1000000",
        ),
        (
            r#""lambda_min_clipped": Infinity"#,
            r#"`lambda_min_clipped` is "Infinity", expected a number or -Infinity"#,
        ),
        (
            r#""beta_stat": 0.1"#,
            "`beta_stat` is 0.1, expected no such field, or null or false",
        ),
        (
            r#""steps_offset": [1]"#,
            "`steps_offset` is [1], expected an integer in 0..=100000",
        ),
    ] {
        let got = SchedulerConfig::from_json(&format!("{{{field}}}")).unwrap_err();
        assert_eq!(got.to_string(), format!("scheduler config: {error}"));
    }
}

#[test]
fn texts_that_are_no_object() {
    for text in [
        "",
        "[1]",
        "{",
        "\"\\",
        "{\"\\",
        "-Infinity",
        "nul",
        "\u{0}",
        "\"\\é",
    ] {
        let error = SchedulerConfig::from_json(text).unwrap_err().to_string();
        assert!(error.starts_with("scheduler config: "), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in r#"[-{}\[\]":,\\a-cINInfityé0-9. ]{0,40}"#) {
        let _ = SchedulerConfig::from_json(&text);
    }
}
