//! Compiled programs give the engine's bits: every stream of every step, the state, the pixels.

mod common;

use common::model::random_model;
use common::runner::check;
use diffuser_compiler::Target;
use diffuser_model::sampling::Sampler;

/// One level, no attention: convolutions, norms, a shortcut over a concatenation.
const PLAIN: &str = r#"{"sample_size": 8, "block_out_channels": [8], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
    "norm_num_groups": 2, "add_attention": false}"#;

#[test]
fn one_level() {
    let model = random_model(PLAIN, 1, false);
    check(&model, &Target::SMALL, Sampler::Ddim, None);
    check(&model, &Target::ZU9EG, Sampler::Ddpm, None);
}

#[test]
fn two_levels_with_attention_and_odd_channels() {
    let model = random_model(
        r#"{"sample_size": [6, 10], "block_out_channels": [6, 18], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 3, "attention_head_dim": 5, "downsample_padding": 1}"#,
        2,
        true,
    );
    check(&model, &Target::SMALL, Sampler::DpmSolver, None);
    check(&model, &Target::ZU9EG, Sampler::Ddim, None);
}

#[test]
fn three_levels_that_resample_by_residual_blocks() {
    let model = random_model(
        r#"{"sample_size": 12, "block_out_channels": [9, 18, 27], "layers_per_block": 1,
        "in_channels": 1, "out_channels": 1,
        "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"],
        "downsample_type": "resnet", "upsample_type": "resnet",
        "norm_num_groups": 9, "attention_head_dim": 9, "downsample_padding": 0,
        "resnet_time_scale_shift": "scale_shift"}"#,
        3,
        false,
    );
    check(&model, &Target::SMALL, Sampler::Ddim, None);
    check(&model, &Target::ZU9EG, Sampler::Ddpm, None);
}

#[test]
fn class_conditional_with_four_channels() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [16, 24], "layers_per_block": 2,
        "in_channels": 4, "out_channels": 4, "num_class_embeds": 5,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        "norm_num_groups": 8, "attention_head_dim": null, "downsample_padding": 0}"#,
        4,
        true,
    );
    check(&model, &Target::SMALL, Sampler::Ddpm, Some(3));
    check(&model, &Target::ZU9EG, Sampler::Ddim, Some(0));
}
