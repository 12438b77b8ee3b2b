//! Shortcuts whose operands have two planes are convolved in bands of rows, which `prep` makes ahead of the array.

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
fn those_of_two_planes_go_in_bands() {
    let kind = Kind {
        shortcuts: true,
        ..Kind::default()
    };
    let model = random_model_of(BLOCKS, 51, kind);
    // 16 x 8 pixels of 24 channels in two planes take 192 rows, of 16 channels 128: bands of 96 at most
    let target = Target {
        operand: 384,
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
