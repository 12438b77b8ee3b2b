//! Many images in one program, in memories that are nearly too small for them.

mod common;

use common::model::{Kind, random_model_of};
use common::runner::{check_batch, steps};
use diffuser_compiler::{Options, Source, Target, compile_with};
use diffuser_isa::Op;
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::Sampler;

/// Sums that are made again, of streams that a run of convolutions makes part by part for all images in turns: what they
/// kept at first is of no use, and must not lie over the sums of another image.
#[test]
fn images_take_turns_over_few_sums() {
    let config = r#"{"sample_size": 8, "block_out_channels": [16, 24], "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 8, "downsample_padding": 0}"#;
    let kind = Kind {
        four: 0,
        planes: 0,
        shortcuts: false,
        rewrites: Rewrites {
            phases_from: Some(1),
            split_from: None,
        },
    };
    let model = random_model_of(config, 41, kind);
    let images = 6;
    let fits = |target: &Target| {
        let (steps, sampling) = steps(&model, Sampler::Ddim, 1, None);
        let source = Source {
            graph: &model.graph,
            nodes: &model.nodes,
            steps: &steps,
            sampling: &sampling,
        };
        let options = Options {
            images,
            ..Options::default()
        };
        compile_with(&source, target, &options).is_ok()
    };
    for stream in [1200, 2000, 3200] {
        let of = |sums| Target {
            sums,
            stream,
            ..Target::SMALL
        };
        let tight = (72..600).step_by(24).map(of).find(fits);
        let tight = tight.expect("it fits");
        let compiled = check_batch(&model, &tight, Sampler::Ddim, None, images);
        let mut list = compiled.program.iter();
        let again = list.any(|d| matches!(&d.op, Op::Prep(p) if p.kind == 4 && p.resample == 0));
        assert!(again, "{tight:?}");
    }
}
