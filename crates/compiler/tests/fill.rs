//! Convolutions of skip connections fill the time in which deep layers wait for their weights.

mod common;

use common::model::{Kind, random_model_of};
use common::runner::{check_batch, prepared};
use common::simulate::simulate;
use diffuser_compiler::{Compiled, Target};
use diffuser_device::Options;
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::Sampler;

/// Weights of 4x4 pixels take longer to load than to use; 16x16 pixels have products for that time.
const DEEP: &str = r#"{"sample_size": 16, "block_out_channels": [64, 128, 128], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D", "UpBlock2D"],
    "norm_num_groups": 8, "add_attention": false, "downsample_padding": 1}"#;

/// Whole and split.
fn models(seed: u64, four: usize) -> [QuantisedModel; 2] {
    [Rewrites::NONE, Rewrites::SPLIT].map(|rewrites| {
        let kind = Kind {
            four,
            rewrites,
            ..Kind::default()
        };
        random_model_of(DEEP, seed, kind)
    })
}

/// Index of the first descriptor of a node.
fn first(compiled: &Compiled, name: &str) -> usize {
    let tag = compiled.names.iter().position(|n| n == name);
    let tag = tag.unwrap_or_else(|| panic!("no {name}")) as u32;
    let body = compiled.program.iter().position(|d| d.common.first);
    let of_node = |d: &diffuser_isa::Descriptor| {
        d.common.tag == tag && !matches!(d.op, diffuser_isa::Op::Load(_))
    };
    let body = body.expect("a loop");
    body + compiled.program[body..]
        .iter()
        .position(of_node)
        .expect("a descriptor")
}

#[test]
fn skips_are_convolved_while_weights_are_awaited() {
    let [_, model] = models(41, 2);
    for images in [1, 2] {
        let compiled = check_batch(&model, &Target::ZU9EG, Sampler::Ddim, None, images);
        let early = first(&compiled, "up_blocks.2.resnets.1.conv1.skip");
        assert!(
            early < first(&compiled, "up_blocks.0.resnets.1.conv2"),
            "{images}"
        );
    }
    // all weights lie in this one's memory: nothing is awaited
    let target = Target {
        weight: 1 << 14,
        ..Target::ZU9EG
    };
    let compiled = check_batch(&model, &target, Sampler::Ddim, None, 1);
    let late = first(&compiled, "up_blocks.2.resnets.1.conv1.skip");
    assert!(late > first(&compiled, "up_blocks.1.upsamplers.0.conv"));
}

#[test]
fn a_step_takes_less_time() {
    let step = |model: &QuantisedModel| {
        let [more, less] = [3, 2].map(|steps| {
            let (compiled, want) = prepared(model, &Target::ZU9EG, (Sampler::Ddim, steps), None, 1);
            let driver = simulate(&compiled, &[&want[0].start], Options::default());
            *driver.device().counters()
        });
        [
            more.cycles - less.cycles,
            more.stall_weight - less.stall_weight,
        ]
    };
    let [whole, split] = models(42, 0).map(|m| step(&m));
    assert!(
        split[0] < whole[0] && split[1] < whole[1],
        "{split:?} {whole:?}"
    );
}
