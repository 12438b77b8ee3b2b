//! Compiled programs give the engine's bits: every stream of every step, the state, the pixels.

mod common;

use common::model::{Kind, random_model, random_model_of};
use common::runner::{check, check_batch, check_in_order, prepared, references, source, steps};
use common::simulate::check_simulated;
use diffuser_compiler::{Options, Target, compile, compile_with};
use diffuser_isa::Op;
use diffuser_model::rewrite::Rewrites;
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

/// Of two levels, one goes down by a convolution: what that reads is spread over the banks, and nothing else.
#[test]
fn operands_of_a_stride_of_two_are_spread() {
    let model = random_model(
        r#"{"sample_size": [16, 32], "block_out_channels": [6, 18], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 3, "add_attention": false, "downsample_padding": 1}"#,
        3,
        false,
    );
    for target in [Target::SMALL, Target::ZU9EG] {
        let (compiled, _) = prepared(&model, &target, (Sampler::Ddim, 1), None, 1);
        let mut found = 0;
        for d in compiled.program {
            match d.op {
                Op::Conv(c) => assert_eq!(c.spread, c.stride == 1, "{c:?}"),
                Op::Prep(p) if p.spread => {
                    assert_eq!((p.kind, p.width, p.height), (1, 32, 16));
                    found += 1;
                }
                _ => {}
            }
        }
        assert_eq!(found, 1);
    }
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

#[test]
fn four_levels_down_to_one_pixel() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [8, 8, 16, 24], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 4, "attention_head_dim": 8, "downsample_padding": 1}"#,
        5,
        false,
    );
    check(&model, &Target::SMALL, Sampler::Ddim, None);
    check(&model, &Target::ZU9EG, Sampler::DpmSolver, None);
}

#[test]
fn attention_at_every_level_with_heads_of_three_channels() {
    let model = random_model(
        r#"{"sample_size": [4, 6], "block_out_channels": [9, 21], "layers_per_block": 1,
        "in_channels": 2, "out_channels": 2,
        "down_block_types": ["AttnDownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D"],
        "norm_num_groups": 3, "attention_head_dim": 3, "downsample_padding": 1}"#,
        6,
        true,
    );
    check(&model, &Target::SMALL, Sampler::Ddpm, None);
    check(&model, &Target::ZU9EG, Sampler::Ddim, None);
}

#[test]
fn no_middle_block() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [12, 20], "layers_per_block": 1,
        "down_block_types": ["ResnetDownsampleBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "ResnetUpsampleBlock2D"], "mid_block_type": null,
        "norm_num_groups": 4, "downsample_padding": 0}"#,
        7,
        false,
    );
    check(&model, &Target::SMALL, Sampler::Ddpm, None);
    check(&model, &Target::ZU9EG, Sampler::DpmSolver, None);
}

#[test]
fn middle_attention_without_a_norm() {
    // `UNetMidBlock2D` leaves the norm out here: Q, K and V read a quantised stream
    let model = random_model(
        r#"{"sample_size": 4, "block_out_channels": [32, 64], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"], "num_class_embeds": 2,
        "norm_num_groups": 8, "attention_head_dim": 24, "downsample_padding": 0,
        "resnet_time_scale_shift": "scale_shift"}"#,
        8,
        false,
    );
    check(&model, &Target::SMALL, Sampler::Ddim, Some(1));
    check(&model, &Target::ZU9EG, Sampler::Ddpm, Some(0));
}

#[test]
fn weights_that_do_not_fit_are_loaded_in_every_pass() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [32, 96], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 8, "attention_head_dim": 32, "downsample_padding": 0}"#,
        9,
        true,
    );
    // memories as small as they may be: weights, parameters, streams and operands are tight
    let tight = Target {
        weight: 400,
        param: 420,
        affine: 192,
        ..Target::SMALL
    };
    check(&model, &tight, Sampler::Ddpm, None);
    let loads = |target: &Target| {
        let (compiled, _) = prepared(&model, target, (Sampler::Ddim, 1), None, 1);
        let program = compiled.program.iter();
        let weights = |d: &&diffuser_isa::Descriptor| match d.op {
            Op::Load(l) => [0, 5].contains(&l.space),
            _ => false,
        };
        let body = program.skip_while(|d| !d.common.first);
        body.filter(weights).count()
    };
    assert!(loads(&tight) > 30, "{}", loads(&tight));
    // where all weights fit, they stay
    let roomy = Target {
        weight: 1 << 15,
        ..Target::ZU9EG
    };
    assert_eq!(loads(&roomy), 0);
}

#[test]
fn what_does_not_fit_is_named() {
    let model = random_model(PLAIN, 1, false);
    let error = |target: &Target| {
        let made = steps(&model, Sampler::Ddim, 1, None);
        let source = source(&model, &made);
        compile(&source, target).expect_err("too small").to_string()
    };
    let small = Target::SMALL;
    let messages = [
        error(&Target { stream: 6, ..small }),
        error(&Target {
            operand: 2,
            ..small
        }),
        error(&Target {
            weight: 10,
            ..small
        }),
        error(&Target { param: 8, ..small }),
        error(&Target { affine: 8, ..small }),
        error(&Target { sums: 8, ..small }),
        error(&Target { state: 4, ..small }),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn an_attention_has_as_many_keys_as_the_target_has_room_for() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [8], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
        "norm_num_groups": 2}"#,
        1,
        false,
    );
    let made = steps(&model, Sampler::Ddim, 1, None);
    let source = source(&model, &made);
    let of = |keys| {
        let target = Target {
            keys,
            ..Target::SMALL
        };
        compile(&source, &target).map(|_| ())
    };
    assert_eq!(of(64), Ok(()));
    assert_eq!(
        of(63).expect_err("too many").to_string(),
        "mid_block.attentions.0.attention: attention over 64 pixels, at most 63"
    );
}

/// Attention, resampling, concatenations, classes; a batch of two and of three, in memories that make streams
/// wait in DDR and sums come again.
#[test]
fn images_share_weights() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [16, 24], "layers_per_block": 2,
        "num_class_embeds": 5,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        "norm_num_groups": 8, "attention_head_dim": null, "downsample_padding": 0}"#,
        4,
        true,
    );
    let one = check_batch(&model, &Target::SMALL, Sampler::Ddpm, Some(3), 1);
    // the least that will do
    let fits = |target: &Target| {
        let made = steps(&model, Sampler::Ddpm, 1, Some(3));
        let source = source(&model, &made);
        let options = Options {
            images: 2,
            ..Options::default()
        };
        compile_with(&source, target, &options).is_ok()
    };
    let mut tight = Target {
        weight: 560,
        ..Target::SMALL
    };
    let streams = [800, 1100, 1400, 1700].map(|stream| Target { stream, ..tight });
    tight = *streams.iter().find(|t| fits(t)).expect("it fits");
    let sums = [150, 200, 250, 300, 350].map(|sums| Target { sums, ..tight });
    tight = *sums.iter().find(|t| fits(t)).expect("it fits");
    let two = check_batch(&model, &tight, Sampler::Ddpm, Some(3), 2);
    let count = |c: &diffuser_compiler::Compiled, f: fn(&Op) -> bool| {
        c.program.iter().filter(|d| f(&d.op)).count()
    };
    let waiting = |op: &Op| matches!(op, Op::Store(s) if s.space == 2);
    let again = |op: &Op| matches!(op, Op::Prep(p) if p.kind == 4 && p.resample == 0);
    assert!(count(&two, waiting) > 0 && count(&two, again) > 0);
    assert_eq!(count(&one, waiting) + count(&one, again), 0);
    let three = check_batch(&model, &Target::ZU9EG, Sampler::Ddim, Some(0), 3);
    // every weight once for all of them
    let small = Target {
        weight: 200,
        ..Target::ZU9EG
    };
    let loaded = |images| {
        let run = (Sampler::Ddim, 1);
        prepared(&model, &small, run, Some(0), images)
            .0
            .bytes_per_pass()
    };
    assert!(
        10 * loaded(2) < 12 * loaded(1),
        "{} {}",
        loaded(2),
        loaded(1)
    );
    assert_eq!(three.images, 3);
}

#[test]
fn images_of_different_classes() {
    let model = random_model(
        r#"{"sample_size": 8, "block_out_channels": [16, 24], "layers_per_block": 1,
        "num_class_embeds": 3, "resnet_time_scale_shift": "scale_shift",
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 8, "attention_head_dim": null, "downsample_padding": 0}"#,
        5,
        false,
    );
    let of = |class| steps(&model, Sampler::Ddpm, 2, Some(class));
    let all: Vec<_> = [2, 0].map(of).into();
    let source = |of| source(&model, of);
    let options = Options {
        images: 2,
        own_conditions: true,
    };
    let mut compiled = compile_with(&source(&all[0]), &Target::SMALL, &options).expect("it fits");
    let conditions: Vec<&[_]> = all.iter().map(|(steps, _)| &steps[..]).collect();
    let records = compiled.encode_records(&conditions, &all[0].1);
    compiled.records = records.expect("as many steps");
    // the second image of the first class is another than that of the second class
    let first = references(&source(&all[0]), 2);
    let second = references(&source(&all[1]), 2);
    let mut want = [first, second].into_iter().enumerate();
    let want: Vec<_> = want
        .by_ref()
        .map(|(image, mut images)| images.swap_remove(image))
        .collect();
    check_in_order(&compiled, &model.graph, &want);
    check_simulated(&compiled, &want);
    let shared = Options {
        own_conditions: false,
        ..options
    };
    let shared = compile_with(&source(&all[0]), &Target::SMALL, &shared).expect("it fits");
    assert_eq!(
        shared
            .encode_records(&conditions, &all[0].1)
            .expect_err("two")
            .to_string(),
        "steps of 2 images, the program has parameters of 1"
    );
}

#[test]
fn states_that_do_not_fit_live_in_ddr() {
    let model = random_model(PLAIN, 1, false);
    let target = Target {
        state: 60,
        ..Target::SMALL
    };
    for images in [1, 2] {
        let compiled = check_batch(&model, &target, Sampler::Ddim, None, images);
        assert_eq!(compiled.layout.state_in, compiled.layout.state_out);
    }
    let error = |sampler, images| {
        let made = steps(&model, sampler, 4, None);
        let source = source(&model, &made);
        let options = Options {
            images,
            ..Options::default()
        };
        let compiled = compile_with(&source, &target, &options);
        compiled.map(|_| ()).map_err(|e| e.to_string())
    };
    let message = "sampler: images of 64 pixels are sampled in bands, which only a sampler without noise \
                   and without the step before can do: ddim with eta 0";
    assert_eq!(error(Sampler::Ddpm, 1).expect_err("noise"), message);
    assert_eq!(error(Sampler::DpmSolver, 1).expect_err("previous"), message);
    assert_eq!(
        error(Sampler::Ddim, 0).expect_err("none"),
        "0 images in one program, 1 to 256 are possible"
    );
}

/// Both kinds of upsampling in phases, with norms that read sums of four descriptors, and weights of 4 bits.
#[test]
fn upsampling_convolutions_in_phases() {
    let config = |up: &str| {
        format!(
            r#"{{"sample_size": [12, 8], "block_out_channels": [9, 21, 40], "layers_per_block": 1,
            "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D"], {up},
            "norm_num_groups": 1, "add_attention": false, "downsample_padding": 0}}"#
        )
    };
    let resnet = config(
        r#""up_block_types": ["ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D", "UpBlock2D"]"#,
    );
    let plain = config(r#""up_block_types": ["UpBlock2D", "UpBlock2D", "UpBlock2D"]"#);
    for (seed, config, four) in [(11, plain, false), (12, resnet, true)] {
        let of = |phases_from| {
            let kind = Kind {
                four: if four { 2 } else { 0 },
                planes: 50,
                rewrites: Rewrites {
                    phases_from,
                    ..Rewrites::NONE
                },
                ..Kind::default()
            };
            random_model_of(&config, seed, kind)
        };
        // all, and the last alone
        for (least, expected) in [(1, 2), (96, 1)] {
            let model = of(Some(least));
            for target in [Target::SMALL, Target::ZU9EG] {
                check(&model, &target, Sampler::Ddim, None);
                let (compiled, _) = prepared(&model, &target, (Sampler::Ddim, 1), None, 1);
                let convs = compiled.program.iter().filter_map(|d| match d.op {
                    Op::Conv(c) if c.interleave => Some(c),
                    _ => None,
                });
                let convs: Vec<_> = convs.collect();
                assert!(convs.len() >= 4 * expected && convs.len().is_multiple_of(4));
                assert!(convs.iter().all(|c| c.kernel == 2 && c.sums));
                assert_eq!(
                    convs.iter().filter(|c| !c.add_sums).count() * 4,
                    convs.len()
                );
                let layers: std::collections::BTreeSet<_> =
                    convs.iter().map(|c| c.out_width).collect();
                assert_eq!(layers.len(), expected);
            }
        }
    }
}

/// Split blocks, some beside whole ones since groups reach over both streams; with attention and classes, in two planes, with weights
/// of 4 bits, in phases, several images in one program, and in bands of rows.
#[test]
fn split_blocks() {
    let config = |channels: &str, groups: usize, more: &str| {
        format!(
            r#"{{"sample_size": [12, 8], "block_out_channels": {channels}, "layers_per_block": 1,
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
            "norm_num_groups": {groups}, "attention_head_dim": 6, "downsample_padding": 1 {more}}}"#
        )
    };
    let classes = r#", "num_class_embeds": 3, "resnet_time_scale_shift": "scale_shift""#;
    let small = Target {
        stream: 300,
        operand: 72,
        ..Target::SMALL
    };
    for (config, blocks, class, four, images, targets) in [
        (
            config("[6, 12]", 6, ""),
            4,
            None,
            0,
            1,
            [Target::SMALL, Target::ZU9EG],
        ),
        (
            config("[12, 18]", 6, classes),
            2,
            Some(1),
            2,
            2,
            [Target::SMALL, Target::ZU9EG],
        ),
        (
            config("[18, 18]", 2, ""),
            4,
            None,
            1,
            1,
            [small, Target::ZU9EG],
        ),
    ] {
        let kind = Kind {
            four,
            planes: 30,
            shortcuts: four > 0,
            rewrites: Rewrites {
                phases_from: (images > 1).then_some(1),
                split_from: Some(1),
            },
        };
        let model = random_model_of(&config, 31, kind);
        let names = model.graph.nodes.iter().map(|n| &n.name);
        let split = names.filter(|n| n.ends_with(".conv1.skip")).count();
        assert_eq!(split, blocks, "{config}");
        for target in targets {
            check_batch(&model, &target, Sampler::Ddim, class, images);
        }
    }
}
