//! Further networks, each with what no other has: levels, where attention stands, how it resamples, a batch.

use diffuser_compiler::Compiled;
use diffuser_isa::Op;
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::{PredictionType, Sampler, SchedulerConfig};

use crate::common::model::{Kind, random_model, random_model_of};
use crate::job::{network, network_by, network_on};
use crate::networks::check_job;
use crate::run::TARGET;

/// Bytes, products and bank conflicts are the simulator's, cycles nearly: the latencies of small layers are most of those.
fn check(config: &str, seed: u64, four: bool, sampler: Sampler, class: Option<usize>) {
    let (compiled, job) = network(&random_model(config, seed, four), sampler, 2, class);
    check_job(&compiled, &job, 4);
}

#[test]
fn three_levels_with_attention_at_the_first() {
    let config = r#"{"sample_size": [8, 4], "block_out_channels": [5, 10, 15], "layers_per_block": 1,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D"],
        "norm_num_groups": 5, "attention_head_dim": 5, "downsample_padding": 0}"#;
    check(config, 21, false, Sampler::DpmSolver, None);
}

#[test]
fn four_levels_down_to_one_pixel() {
    let config = r#"{"sample_size": 8, "block_out_channels": [8, 8, 12, 20], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 4, "attention_head_dim": 4, "downsample_padding": 1}"#;
    check(config, 22, true, Sampler::Ddim, None);
}

#[test]
fn scale_and_shift_of_a_class_with_attention_in_the_middle_alone() {
    let config = r#"{"sample_size": [4, 6], "block_out_channels": [7, 14], "layers_per_block": 2,
        "in_channels": 2, "out_channels": 2, "num_class_embeds": 3, "resnet_time_scale_shift": "scale_shift",
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 7, "attention_head_dim": 7, "downsample_padding": 1}"#;
    check(config, 23, false, Sampler::Ddpm, Some(2));
}

#[test]
fn no_middle_block() {
    let config = r#"{"sample_size": 6, "block_out_channels": [11, 22], "layers_per_block": 1,
        "in_channels": 1, "out_channels": 1, "mid_block_type": null,
        "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D"],
        "norm_num_groups": 11, "attention_head_dim": 11, "downsample_padding": 0}"#;
    check(config, 24, true, Sampler::Ddim, None);
}

/// A network that is rewritten, with shortcuts of two planes and every other layer of 4-bit weights.
fn check_rewritten(config: &str, seed: u64, rewrites: Rewrites) -> Compiled {
    let kind = Kind {
        four: 2,
        planes: 0,
        shortcuts: true,
        rewrites,
    };
    let model = random_model_of(config, seed, kind);
    let (compiled, job) = network(&model, Sampler::Ddim, 2, None);
    check_job(&compiled, &job, 2);
    compiled
}

#[test]
fn upsampling_in_phases() {
    let config = r#"{"sample_size": [12, 8], "block_out_channels": [9, 21], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 3, "add_attention": false, "downsample_padding": 0}"#;
    let rewrites = Rewrites {
        phases_from: Some(1),
        ..Rewrites::NONE
    };
    let compiled = check_rewritten(config, 25, rewrites);
    let convs = |f: fn(&Op) -> bool| compiled.program.iter().any(|d| f(&d.op));
    assert!(convs(|op| matches!(op, Op::Conv(c) if c.interleave)));
    assert!(convs(|op| matches!(op, Op::Conv(c) if c.spread)));
}

/// One block is whole, since its groups reach over both streams.
#[test]
fn split_blocks() {
    let config = r#"{"sample_size": [12, 8], "block_out_channels": [12, 18], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 6, "add_attention": false, "downsample_padding": 0}"#;
    let rewrites = Rewrites {
        split_from: Some(1),
        ..Rewrites::NONE
    };
    check_rewritten(config, 27, rewrites);
}

/// A batch of two: both read one set of weights, layer by layer, and each has a state and noise of its own.
#[test]
fn two_images_in_one_program() {
    let config = r#"{"sample_size": 8, "block_out_channels": [8, 12], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 2, "attention_head_dim": 6, "downsample_padding": 1}"#;
    let model = random_model(config, 11, false);
    let sampler = (Sampler::Ddpm, 2);
    let (compiled, job) = network_on(&model, sampler, None, &TARGET, 2).expect("it fits");
    let rtl = check_job(&compiled, &job, 2);
    let [first, second] = [0, 1].map(|image| &rtl.data[compiled.state_out(image)]);
    assert_ne!(first, second, "images of their own");
}

/// All coefficients of the samplers change from step to step: the network predicts the velocity, and steps look at the one before.
#[test]
fn five_steps_of_the_velocity() {
    let config = r#"{"sample_size": 4, "block_out_channels": [8], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
        "norm_num_groups": 4, "add_attention": false}"#;
    let scheduler = SchedulerConfig {
        prediction_type: PredictionType::Velocity,
        ..SchedulerConfig::default()
    };
    let model = random_model(config, 27, false);
    for sampler in [Sampler::DpmSolver, Sampler::Ddim] {
        let made = network_by(&model, &scheduler, (sampler, 5), None, &TARGET, 1);
        let (compiled, job) = made.expect("it fits");
        check_job(&compiled, &job, 4);
    }
}
