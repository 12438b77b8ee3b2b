//! Shortcuts are convolved in bands of rows, which `prep` makes ahead of the array.

mod common;

use common::model::{Kind, random_model_of};
use common::runner::check_batch;
use diffuser_compiler::{Compiled, Target};
use diffuser_isa::Op;
use diffuser_model::sampling::Sampler;

const BLOCKS: &str = r#"{"sample_size": [16, 8], "block_out_channels": [16, 24], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "norm_num_groups": 8, "add_attention": false, "downsample_padding": 1}"#;

/// Rows of the result of each convolution of a node, in their order, with rows of what is added.
fn bands(compiled: &Compiled, name: &str) -> Vec<(u32, u32, u32)> {
    let tag = compiled.names.iter().position(|n| n == name);
    let tag = tag.unwrap_or_else(|| panic!("no {name}")) as u32;
    let of_node = compiled.program.iter().filter(|d| d.common.tag == tag);
    of_node
        .filter_map(|d| match &d.op {
            Op::Conv(c) => Some((c.out_height, c.dest, c.residual_at)),
            _ => None,
        })
        .collect()
}

#[test]
fn operands_of_more_than_a_quarter_go_in_bands() {
    // 16 x 8 pixels of 24 channels take 96 rows a plane, of 16 channels 64: bands of a quarter at most
    for (planes, operand) in [(1, 192), (2, 384)] {
        check_bands(planes == 2, operand);
    }
}

fn check_bands(shortcuts: bool, operand: usize) {
    let kind = Kind {
        shortcuts,
        ..Kind::default()
    };
    let model = random_model_of(BLOCKS, 51, kind);
    let target = Target {
        operand,
        ..Target::SMALL
    };
    let [hidden, skip] =
        ["hidden", "skip"].map(|part| format!("up_blocks.1.resnets.0.conv_shortcut.{part}"));
    for images in [1, 2] {
        let compiled = check_batch(&model, &target, Sampler::Ddim, None, images);
        let found = bands(&compiled, &hidden);
        assert_eq!(found.len(), 2 * images, "{found:?}");
        assert!(found.iter().all(|band| band.0 == 8), "{found:?}");
        // a band is added where it lies
        let found = bands(&compiled, &skip);
        assert_eq!(found.len(), 2 * images, "{found:?}");
        assert!(found.iter().all(|band| band.1 == band.2), "{found:?}");
    }
    // there is room for more than one such operand
    let compiled = check_batch(&model, &Target::SMALL, Sampler::Ddim, None, 1);
    assert_eq!(bands(&compiled, &hidden).len(), 1);
}
