//! Where memories are too small: tensors in bands of rows, streams that wait in DDR.

mod common;

use common::model::random_model;
use common::runner::{check, check_batch, source, steps};
use diffuser_compiler::{Target, compile};
use diffuser_isa::Op;
use diffuser_model::sampling::Sampler;

/// A memory for each of which less is there than one tensor takes: streams, operands, both.
#[test]
fn tensors_that_do_not_fit_go_through_in_bands() {
    let model = random_model(
        r#"{"sample_size": [16, 8], "block_out_channels": [9, 18, 27], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 9, "attention_head_dim": 9, "downsample_padding": 1}"#,
        11,
        false,
    );
    // one of 16 x 8 pixels and 18 channels takes 384 words, two as an operand 160 rows
    for (stream, operand, images) in [(300, 8192, 1), (32_768, 72, 1), (300, 72, 1), (380, 80, 2)] {
        let target = Target {
            stream,
            operand,
            ..Target::SMALL
        };
        let compiled = check_batch(&model, &target, Sampler::Ddpm, None, images);
        let convs = compiled.program.iter();
        let bands = convs.filter(|d| matches!(d.op, Op::Conv(c) if c.add_sums));
        assert!(bands.count() > 5);
        for &(memory, words) in &compiled.taken {
            assert!(words <= target.words(memory), "{memory} {words}");
        }
    }
    // blocks that resample, whose shortcuts are streams resampled
    let model = random_model(
        r#"{"sample_size": 12, "block_out_channels": [9, 18], "layers_per_block": 1,
        "in_channels": 1, "out_channels": 1,
        "down_block_types": ["ResnetDownsampleBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "ResnetUpsampleBlock2D"],
        "downsample_type": "resnet", "upsample_type": "resnet", "add_attention": false,
        "norm_num_groups": 9, "downsample_padding": 0}"#,
        12,
        true,
    );
    let target = Target {
        stream: 340,
        operand: 100,
        state: 80,
        ..Target::SMALL
    };
    check_batch(&model, &target, Sampler::Ddim, None, 1);
}

#[test]
fn streams_that_do_not_fit_wait_in_ddr() {
    let model = random_model(
        r#"{"sample_size": [12, 8], "block_out_channels": [9, 18, 27], "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 9, "attention_head_dim": 9, "downsample_padding": 1}"#,
        10,
        false,
    );
    let stores = |target: &Target| {
        let made = steps(&model, Sampler::Ddim, 1, None);
        let source = source(&model, &made);
        let compiled = compile(&source, target).ok()?;
        let stores = compiled.program.iter();
        let stores = stores.filter(|d| matches!(d.op, Op::Store(s) if s.space == 2));
        Some((stores.count(), compiled.taken))
    };
    assert_eq!(stores(&Target::SMALL).expect("it fits").0, 0);
    let smaller = |stream| Target {
        stream,
        ..Target::SMALL
    };
    let fits = |stream: &usize| stores(&smaller(*stream)).is_some();
    let least = (100..Target::SMALL.stream).step_by(50).find(fits);
    let least = least.expect("it fits somewhere");
    let most_at_once = (least..Target::SMALL.stream)
        .step_by(50)
        .find(|&stream| stores(&smaller(stream)).is_some_and(|(stores, _)| stores == 0));
    let most_at_once = most_at_once.expect("it fits without");
    assert!(10 * least < 8 * most_at_once, "{least} {most_at_once}");
    for stream in [least, (least + most_at_once) / 2] {
        let target = smaller(stream);
        assert!(stores(&target).expect("it fits").0 > 0);
        check(&model, &target, Sampler::Ddim, None);
    }
}
