//! A small random pipeline.

use diffuser_model::build_graph::parameters;
use diffuser_model::config::UnetConfig;
use diffuser_model::import::Pipeline;
use diffuser_model::sampling::{Sampler, SchedulerConfig};
use diffuser_model::weights::{Tensor, Weights};
use diffuser_quant::{CalibrationSettings, Rounding};
use diffuser_spec::philox::philox;

/// Two levels, attention, classes, 8x8 pixels.
pub fn config() -> UnetConfig {
    let json = serde_json::json!({
        "_class_name": "UNet2DModel",
        "sample_size": 8, "in_channels": 3, "out_channels": 3, "layers_per_block": 1,
        "block_out_channels": [8, 12], "norm_num_groups": 4, "attention_head_dim": 6,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "num_class_embeds": 3,
    });
    UnetConfig::from_value(&json).expect("a valid configuration")
}

/// The small pipeline.
pub fn pipeline() -> Pipeline {
    pipeline_of(config())
}

/// Weights of about the size that keeps activations near one.
pub fn pipeline_of(config: UnetConfig) -> Pipeline {
    let expected = parameters(&config).expect("valid");
    let mut counter = 0;
    let mut uniform = || {
        counter += 1;
        f64::from(philox([counter, 0, 0, 0], [7, 7])[0]) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    let tensors = expected
        .iter()
        .map(|p| {
            let fan_in: usize = p.shape[1..].iter().product();
            let norm_scale = p.name.contains("norm") && p.name.ends_with("weight");
            let data = (0..p.count())
                .map(|_| {
                    if norm_scale {
                        1.0 + 0.3 * uniform()
                    } else {
                        1.7 * uniform() / (fan_in.max(4) as f64).sqrt()
                    }
                })
                .map(|x| x as f32)
                .collect();
            (
                p.name.clone(),
                Tensor {
                    shape: p.shape.clone(),
                    data,
                },
            )
        })
        .collect();
    Pipeline {
        weights: Weights::from_tensors(tensors, &expected).expect("all parameters"),
        config,
        scheduler: None,
        class_names: vec!["a".into(), "b".into(), "c".into()],
    }
}

pub fn settings() -> CalibrationSettings {
    CalibrationSettings {
        sampler: Sampler::Ddim,
        steps: 5,
        images: 24,
        seed: 1,
        rounding: Rounding::ErrorFeedback,
        rewrites: diffuser_model::rewrite::Rewrites::NONE,
    }
}

/// The scheduler of a model that came without one.
pub fn scheduler() -> SchedulerConfig {
    SchedulerConfig::default()
}
