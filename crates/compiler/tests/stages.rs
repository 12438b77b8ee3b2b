//! What each pass leaves of one small network.

mod common;

use common::model::{Kind, random_model_of};
use common::runner::{source, steps};
use diffuser_compiler::{Options, Stage, Target, stage};
use diffuser_model::sampling::Sampler;

#[test]
fn stages_of_a_small_network() {
    // the lower level has attention, and the upper one is made of it by upsampling
    let config = r#"{"sample_size": 8, "block_out_channels": [8, 16], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 4, "attention_head_dim": null, "downsample_padding": 0}"#;
    let model = random_model_of(config, 1, Kind::default());
    let made = steps(&model, Sampler::Ddpm, 2, None);
    let source = source(&model, &made);
    // small enough that loads wait for room
    let target = Target {
        weight: 200,
        param: 200,
        ..Target::SMALL
    };
    for pass in Stage::ALL {
        let text = stage(&source, &target, &Options::default(), pass).expect("it fits");
        insta::assert_snapshot!(pass.name(), text);
    }
}
