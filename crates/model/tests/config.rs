//! Configurations: what is read, what is refused and how it is said.

use diffuser_model::build_graph::{build_graph, build_graph_with, parameters};
use diffuser_model::config::{Block, Resampling, TimeShift, UnetConfig};
use diffuser_model::error::Error;
use diffuser_model::rewrite::Rewrites;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A small valid configuration with some fields changed.
fn with(changes: Value) -> Value {
    let mut config = json!({
        "_class_name": "UNet2DModel", "_diffusers_version": "0.35.1",
        "sample_size": 8, "block_out_channels": [8, 16], "norm_num_groups": 4, "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    });
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn build(changes: Value) -> Result<UnetConfig, Error> {
    let config = UnetConfig::from_value(&with(changes))?;
    build_graph(&config)?;
    Ok(config)
}

#[test]
fn defaults_are_those_of_diffusers() {
    let config = UnetConfig::from_json(r#"{"sample_size": 32}"#).unwrap();
    let expected = UnetConfig {
        sample_size: [32, 32],
        in_channels: 3,
        out_channels: 3,
        block_out_channels: vec![224, 448, 672, 896],
        layers_per_block: 2,
        down_block_types: vec![
            Block::Plain,
            Block::Attention,
            Block::Attention,
            Block::Attention,
        ],
        up_block_types: vec![
            Block::Attention,
            Block::Attention,
            Block::Attention,
            Block::Plain,
        ],
        downsample_type: Resampling::Conv,
        upsample_type: Resampling::Conv,
        downsample_padding: 1,
        mid_block: true,
        add_attention: true,
        attention_head_dim: Some(8),
        norm_num_groups: 32,
        attn_norm_num_groups: None,
        norm_eps: 1e-5,
        resnet_time_scale_shift: TimeShift::Default,
        time_embedding_dim: None,
        flip_sin_to_cos: true,
        freq_shift: 0.0,
        num_class_embeds: None,
    };
    assert_eq!(config, expected);
    build_graph(&config).unwrap();
}

#[test]
fn published_networks_have_their_size() {
    // google/ddpm-cifar10-32 and google/ddpm-cat-256; counts by `diffusers`
    let cifar = r#"{"sample_size": 32, "block_out_channels": [128, 256, 256, 256], "attention_head_dim": null,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"], "downsample_padding": 0}"#;
    let cat = r#"{"sample_size": 256, "block_out_channels": [128, 128, 256, 256, 512, 512], "attention_head_dim": null,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"]}"#;
    for (text, count) in [
        (cifar, 35_746_307),
        (cat, 113_673_219),
        (r#"{"sample_size": 32}"#, 274_056_163),
    ] {
        let config = UnetConfig::from_json(text).unwrap();
        let listed: usize = parameters(&config).unwrap().iter().map(|p| p.count()).sum();
        assert_eq!(listed, count);
    }
}

#[test]
fn what_is_off_or_without_effect_is_accepted() {
    let changes = json!({
        "dropout": 0.1, "num_train_timesteps": 1000, "act_fn": "SiLU", "mid_block_scale_factor": 1.0,
        "class_embed_type": null, "center_input_sample": false, "time_embedding_type": "positional",
        "some_future_option": false, "another": null, "_name_or_path": "somewhere",
        "down_block_types": ["UNetResDownBlock2D", "UNetResAttnDownBlock2D"],
        "downsample_type": null,
    });
    assert_eq!(build(changes).unwrap(), build(json!({})).unwrap());
}

#[test]
fn refusals_name_field_value_and_expectation() {
    let cases = [
        (
            json!({"time_embedding_type": "fourier"}),
            "`time_embedding_type` is \"fourier\"; expected \"positional\"",
        ),
        (
            json!({"time_embedding_type": "learned"}),
            "`time_embedding_type` is \"learned\"",
        ),
        (
            json!({"center_input_sample": true}),
            "`center_input_sample` is true; expected false",
        ),
        (
            json!({"mid_block_scale_factor": 1.5}),
            "`mid_block_scale_factor` is 1.5; expected 1",
        ),
        (
            json!({"class_embed_type": "timestep"}),
            "`class_embed_type` is \"timestep\"; expected null",
        ),
        (
            json!({"class_embed_type": "identity"}),
            "`class_embed_type` is \"identity\"",
        ),
        (
            json!({"act_fn": "gelu"}),
            "`act_fn` is \"gelu\"; expected \"silu\" or \"swish\"",
        ),
        (
            json!({"mid_block_type": "Other"}),
            "`mid_block_type` is \"Other\"",
        ),
        (
            json!({"resnet_time_scale_shift": "spatial"}),
            "`resnet_time_scale_shift` is \"spatial\"",
        ),
        (
            json!({"downsample_type": "fir"}),
            "`downsample_type` is \"fir\"",
        ),
        (json!({"upsample_type": 3}), "`upsample_type` is 3"),
        (
            json!({"_class_name": "UNet2DConditionModel"}),
            "`_class_name` is \"UNet2DConditionModel\"",
        ),
        (
            json!({"down_block_types": ["SkipDownBlock2D", "DownBlock2D"]}),
            "`down_block_types` is \"SkipDownBlock2D\"; expected DownBlock2D, AttnDownBlock2D, ResnetDown",
        ),
        (
            json!({"up_block_types": ["UpBlock2D", "KUpBlock2D"]}),
            "`up_block_types` is \"KUpBlock2D\"",
        ),
        (
            json!({"up_block_types": ["UpBlock2D"]}),
            "`up_block_types` is of length 1; expected 2 names",
        ),
        (
            json!({"down_block_types": "DownBlock2D"}),
            "`down_block_types` is \"DownBlock2D\"; expected a list",
        ),
        (
            json!({"cross_attention_dim": 32}),
            "`cross_attention_dim` is 32; expected no such field",
        ),
        (json!({"sample_size": null}), "`sample_size` is null"),
        (
            json!({"sample_size": [8, 8, 8]}),
            "`sample_size` is [8,8,8]",
        ),
        (
            json!({"sample_size": [8, 9]}),
            "`sample_size` is [8,9]; expected multiples of 2",
        ),
        (
            json!({"sample_size": 1u64 << 40}),
            "`sample_size` is 1099511627776",
        ),
        (json!({"in_channels": 0}), "`in_channels` is 0"),
        (json!({"in_channels": -1}), "`in_channels` is -1"),
        (json!({"out_channels": 3.5}), "`out_channels` is 3.5"),
        (
            json!({"block_out_channels": [8, 0]}),
            "`block_out_channels` is [8,0]",
        ),
        (
            json!({"block_out_channels": []}),
            "`block_out_channels` is []",
        ),
        (
            json!({"block_out_channels": [1, 8], "norm_num_groups": 1}),
            "a first value of at least 2",
        ),
        (json!({"layers_per_block": 0}), "`layers_per_block` is 0"),
        (
            json!({"layers_per_block": 1e9}),
            "`layers_per_block` is 1000000000.0",
        ),
        (
            json!({"downsample_padding": 2}),
            "`downsample_padding` is 2; expected 0 or 1",
        ),
        (
            json!({"attention_head_dim": 32}),
            "`attention_head_dim` is 32; expected at most 16",
        ),
        (
            json!({"attention_head_dim": 0}),
            "`attention_head_dim` is 0",
        ),
        (
            json!({"norm_num_groups": null}),
            "`norm_num_groups` is null",
        ),
        (
            json!({"norm_num_groups": 3}),
            "`norm_num_groups` is 3; expected a divisor of 8, the channels of down",
        ),
        (
            json!({"attn_norm_num_groups": 5}),
            "`attn_norm_num_groups` is 5; expected a divisor of 16",
        ),
        (json!({"norm_eps": 0}), "`norm_eps` is 0; expected above 0"),
        (
            json!({"norm_eps": "small"}),
            "`norm_eps` is \"small\"; expected a number",
        ),
        (
            json!({"freq_shift": 4}),
            "`freq_shift` is 4; expected at least 0 and below 4",
        ),
        (
            json!({"flip_sin_to_cos": 1}),
            "`flip_sin_to_cos` is 1; expected true or false",
        ),
        (json!({"num_class_embeds": 0}), "`num_class_embeds` is 0"),
        (
            json!({"time_embedding_dim": 1 << 30}),
            "`time_embedding_dim` is 1073741824",
        ),
    ];
    for (changes, expected) in cases {
        let message = build(changes.clone())
            .expect_err(&changes.to_string())
            .to_string();
        assert!(
            message.starts_with(expected) || message.contains(expected),
            "{message}\nlacks {expected}"
        );
        assert!(!message.contains('\n'));
    }
}

#[test]
fn groups_must_divide_concatenations_too() {
    // blocks of 6 and 10 fit groups of 2, and so do all concatenations; of 4 and 10 with 4 groups, only the first
    build(json!({"block_out_channels": [6, 10], "norm_num_groups": 2, "attention_head_dim": null}))
        .unwrap();
    let changes =
        json!({"block_out_channels": [4, 10], "norm_num_groups": 4, "attention_head_dim": null});
    let message = build(changes).unwrap_err().to_string();
    assert!(
        message.contains("`norm_num_groups` is 4; expected a divisor of 10"),
        "{message}"
    );
}

#[test]
fn huge_networks_are_refused_without_being_built() {
    let wide = json!({"block_out_channels": [16384, 16384]});
    assert!(build(wide).unwrap_err().to_string().contains("parameters"));
    let large = json!({"sample_size": 4096, "block_out_channels": [128, 256]});
    let message = build(large).unwrap_err().to_string();
    assert!(
        message.contains("conv_in has 4096 x 4096 x 128"),
        "{message}"
    );
}

#[test]
fn hostile_json_is_an_error() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        "3",
        "null",
        "[]",
        "{",
        "{\"sample_size\": 1e999}",
        "\u{0}",
        deep.as_str(),
    ] {
        let message = UnetConfig::from_json(text).unwrap_err().to_string();
        assert!(message.len() < 300 && !message.contains('\n'), "{message}");
    }
    let long = json!({ "x".repeat(100_000): "y".repeat(100_000) });
    let message = UnetConfig::from_value(&with(long)).unwrap_err().to_string();
    assert!(message.len() < 400, "{message}");
}

fn any_config() -> impl Strategy<Value = UnetConfig> {
    let block = || {
        prop_oneof![
            Just(Block::Plain),
            Just(Block::Attention),
            Just(Block::Resnet)
        ]
    };
    let resampling = || prop_oneof![Just(Resampling::Conv), Just(Resampling::Resnet)];
    let levels = 1usize..=4;
    let shape = levels.prop_flat_map(move |n| {
        let all = n..=n;
        (
            proptest::collection::vec((1usize..=5).prop_map(|c| 4 * c), all.clone()),
            proptest::collection::vec(block(), all.clone()),
            proptest::collection::vec(block(), all),
            [1usize..=3, 1usize..=3].prop_map(move |size| size.map(|s| s << (n - 1))),
        )
    });
    let flags = proptest::array::uniform4(any::<bool>());
    let head = prop_oneof![Just(None), (1usize..=4).prop_map(Some)];
    let attention_groups = prop_oneof![Just(None), Just(Some(2))];
    let classes = prop_oneof![Just(None), (1usize..9).prop_map(Some)];
    let resamplings = (resampling(), resampling());
    (
        shape,
        1usize..=3,
        flags,
        head,
        attention_groups,
        classes,
        resamplings,
        1e-9f64..1.0,
        0.0f64..1.9,
    )
        .prop_map(
            |(shape, layers, flags, head, attention_groups, classes, resamplings, eps, shift)| {
                let (channels, down, up, sample_size) = shape;
                UnetConfig {
                    sample_size,
                    in_channels: 3,
                    out_channels: 1 + layers,
                    block_out_channels: channels,
                    layers_per_block: layers,
                    down_block_types: down,
                    up_block_types: up,
                    downsample_type: resamplings.0,
                    upsample_type: resamplings.1,
                    downsample_padding: usize::from(flags[0]),
                    mid_block: flags[1],
                    add_attention: flags[2],
                    attention_head_dim: head,
                    norm_num_groups: 4,
                    attn_norm_num_groups: attention_groups,
                    norm_eps: eps,
                    resnet_time_scale_shift: if flags[3] {
                        TimeShift::ScaleShift
                    } else {
                        TimeShift::Default
                    },
                    time_embedding_dim: classes.map(|c| 10 + c),
                    flip_sin_to_cos: flags[0] ^ flags[3],
                    freq_shift: shift,
                    num_class_embeds: classes,
                }
            },
        )
}

proptest! {
    #[test]
    fn json_round_trips(config in any_config()) {
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&UnetConfig::from_json(&text).unwrap(), &config);
        let read: UnetConfig = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, config);
    }

    #[test]
    fn every_configuration_gives_a_sound_graph(config in any_config()) {
        let graph = build_graph(&config).unwrap();
        checks::check(&graph, &config);
        prop_assert_eq!(graph, build_graph(&config).unwrap());
    }

    #[test]
    fn every_configuration_gives_a_sound_split_graph(config in any_config(), least in 1usize..40) {
        let with = |split_from| {
            let rewrites = Rewrites { split_from, ..Rewrites::NONE };
            (build_graph_with(&config, rewrites).unwrap(), rewrites)
        };
        let (whole, _) = with(None);
        let (graph, rewrites) = with(Some(least));
        checks::check(&graph, &config);
        prop_assert_eq!(graph.macs(), whole.macs());
        let parts = graph.nodes.iter().filter(|n| n.name.ends_with(".norm1.skip")).count();
        prop_assert_eq!(graph.nodes.len(), whole.nodes.len() + 2 * parts);
        let used = rewrites.used(&graph).split_from;
        prop_assert_eq!(used, (graph != whole).then_some(least));
    }

    #[test]
    fn any_field_of_any_kind_is_read_or_refused(field in 0usize..24, value in any_value()) {
        let names: Vec<String> = match build(json!({})).unwrap().to_value() {
            Value::Object(map) => map.keys().cloned().collect(),
            _ => unreachable!(),
        };
        let name = &names[field % names.len()];
        if let Err(error) = build(json!({ name: value })) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..20).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(Value::from)
    })
}

/// What holds for every graph.
mod checks {
    use std::collections::HashSet;

    use diffuser_model::config::UnetConfig;
    use diffuser_model::graph::{Graph, Op, Resample, TensorKind};

    use super::parameters;

    pub fn check(graph: &Graph, config: &UnetConfig) {
        let mut made = HashSet::from([Graph::INPUT]);
        let mut names = HashSet::new();
        let mut used = HashSet::new();
        let mut projections = HashSet::new();
        assert_eq!(graph.tensors[Graph::INPUT].kind, TensorKind::Input);
        for node in &graph.nodes {
            assert!(names.insert(&node.name), "{} twice", node.name);
            assert!(
                node.inputs.iter().all(|i| made.contains(i)),
                "{} reads too early",
                node.name
            );
            let source = &graph.tensors[node.inputs[0]];
            let target = &graph.tensors[node.output];
            assert_eq!(node.name, target.name);
            let channels: usize = node.inputs.iter().map(|&i| graph.tensors[i].channels).sum();
            let kinds = |kind| node.inputs.iter().all(|&i| graph.tensors[i].kind == kind);
            let resized = |r: Option<Resample>| match r {
                None => [source.height, source.width],
                Some(Resample::Nearest2x) => [2 * source.height, 2 * source.width],
                Some(Resample::AveragePool2x) => [source.height / 2, source.width / 2],
            };
            let size = [target.height, target.width];
            match &node.op {
                Op::Norm(n) => {
                    assert!(kinds(TensorKind::Stream) && target.kind == TensorKind::Operand);
                    assert_eq!((target.channels, channels % n.groups), (channels, 0));
                    assert_eq!(n.channels.len(), channels);
                    assert_eq!(size, resized(n.resample));
                    for &i in &node.inputs {
                        let t = &graph.tensors[i];
                        assert_eq!([t.height, t.width], [source.height, source.width]);
                    }
                    used.extend([n.weight.as_str(), &n.bias]);
                    if let Some(p) = n.scale_shift {
                        assert!(projections.insert(p));
                        assert_eq!(graph.projections[p].outputs, 2 * channels);
                    }
                }
                Op::Quantise { resample } => {
                    assert!(
                        source.kind != TensorKind::Operand && target.kind == TensorKind::Operand
                    );
                    assert_eq!((target.channels, size), (channels, resized(*resample)));
                }
                Op::Resample(r) => {
                    assert!(kinds(TensorKind::Stream) && target.kind == TensorKind::Stream);
                    assert_eq!((target.channels, size), (channels, resized(Some(*r))));
                }
                Op::Attention(a) => {
                    assert!(kinds(TensorKind::Operand) && target.kind == TensorKind::Operand);
                    assert_eq!((node.inputs.len(), target.channels % a.heads), (3, 0));
                    assert!(
                        node.inputs
                            .iter()
                            .all(|&i| graph.tensors[i].len() == target.len())
                    );
                }
                Op::Conv(c) => {
                    assert!(kinds(TensorKind::Operand));
                    assert_eq!(
                        (c.input_channels.len(), c.output_channels),
                        (channels, target.channels)
                    );
                    let [top, left, bottom, right] = c.padding;
                    assert_eq!(
                        target.height,
                        (source.height + top + bottom - c.kernel) / c.stride + 1
                    );
                    assert_eq!(
                        target.width,
                        (source.width + left + right - c.kernel) / c.stride + 1
                    );
                    if let Some(r) = c.residual {
                        assert!(made.contains(&r) && graph.tensors[r].kind == TensorKind::Stream);
                        assert_eq!(graph.tensors[r].channels, target.channels);
                        assert_eq!([graph.tensors[r].height, graph.tensors[r].width], size);
                    }
                    used.insert(c.weight.as_str());
                    used.extend(c.bias.as_deref());
                    if let Some(p) = c.projection {
                        assert!(projections.insert(p));
                        assert_eq!(graph.projections[p].outputs, target.channels);
                    }
                }
            }
            assert!(made.insert(node.output));
        }
        assert_eq!(
            (made.len(), projections.len()),
            (graph.tensors.len(), graph.projections.len())
        );
        for id in (0..graph.tensors.len()).filter(|&id| id != graph.output) {
            assert!(
                graph.readers(id).next().is_some(),
                "nobody reads {}",
                graph.tensors[id].name
            );
        }
        let output = &graph.tensors[graph.output];
        assert_eq!([output.height, output.width], config.sample_size);
        assert_eq!(
            (output.channels, output.kind),
            (config.out_channels, TensorKind::Stream)
        );

        // all parameters but the embedding's are used, and all used ones are parameters
        used.extend(
            graph
                .projections
                .iter()
                .flat_map(|p| [p.weight.as_str(), &p.bias]),
        );
        let all = parameters(config).unwrap();
        let listed: HashSet<_> = all.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(listed.len(), all.len());
        let embedding =
            |n: &str| n.starts_with("time_embedding.") || n.starts_with("class_embedding.");
        let listed: HashSet<_> = listed.into_iter().filter(|n| !embedding(n)).collect();
        assert_eq!(listed, used);
    }
}
