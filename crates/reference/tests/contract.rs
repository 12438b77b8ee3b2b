//! What the float U-Net promises beyond its numbers: errors for bad arguments, the same bits again.

use diffuser_model::build_graph::parameters;
use diffuser_model::config::UnetConfig;
use diffuser_model::graph::{Op, TensorId, TensorInfo};
use diffuser_model::rewrite::Rewrites;
use diffuser_model::weights::Weights;
use diffuser_reference::{Embedding, FloatUnet, Observer};

fn unet(classes: Option<usize>) -> FloatUnet {
    let text = format!(
        r#"{{"sample_size": [4, 8], "block_out_channels": [4, 8], "norm_num_groups": 2, "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "attention_head_dim": null, "num_class_embeds": {}}}"#,
        classes.map_or("null".into(), |n| n.to_string())
    );
    let config = UnetConfig::from_json(&text).unwrap();
    FloatUnet::new(&config, &Weights::random(&parameters(&config).unwrap(), 5)).unwrap()
}

fn sample() -> Vec<f32> {
    (0..4 * 8 * 3).map(|i| (i as f32 * 0.7).sin()).collect()
}

#[test]
fn bad_arguments_are_errors() {
    let (plain, classes) = (unet(None), unet(Some(3)));
    let text = |r: Result<Embedding, diffuser_model::error::Error>| r.unwrap_err().to_string();
    assert_eq!(
        text(plain.embedding(1.0, Some(0))),
        "class 0; expected none, as the model has no classes"
    );
    assert_eq!(
        text(classes.embedding(1.0, None)),
        "no class; expected one of 0 to 2"
    );
    assert_eq!(
        text(classes.embedding(1.0, Some(3))),
        "class 3; expected one of 0 to 2"
    );
    assert_eq!(
        text(plain.embedding(f64::NAN, None)),
        "time step NaN; expected a finite number"
    );

    let mut embedding = plain.embedding(1.0, None).unwrap();
    let message = plain
        .evaluate(&sample()[1..], &embedding, &mut ())
        .unwrap_err()
        .to_string();
    assert_eq!(message, "sample of 95 values; expected 4 x 8 x 3");
    embedding.projections[2].pop();
    let message = plain
        .evaluate(&sample(), &embedding, &mut ())
        .unwrap_err()
        .to_string();
    assert_eq!(message, "embedding of another network");
}

#[test]
fn weights_of_another_network_are_refused() {
    let config = |channels| {
        let text = format!(
            r#"{{"sample_size": 4, "block_out_channels": [{channels}], "norm_num_groups": 2,
            "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}}"#
        );
        UnetConfig::from_json(&text).unwrap()
    };
    let weights = Weights::random(&parameters(&config(8)).unwrap(), 1);
    let message = FloatUnet::new(&config(16), &weights)
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("tensor `time_embedding.linear_1.weight`: shape [32, 8], expected"),
        "{message}"
    );
}

/// All tensors of an evaluation.
#[derive(Default, PartialEq, Debug)]
struct All(Vec<(TensorId, Vec<f32>)>);

impl Observer for All {
    fn tensor(&mut self, id: TensorId, data: &[f32]) {
        self.0.push((id, data.to_vec()));
    }
}

#[test]
fn reused_memory_and_threads_change_nothing() {
    let unet = unet(Some(2));
    let embedding = unet.embedding(500.0, Some(1)).unwrap();
    let mut first = All::default();
    let output = unet.evaluate(&sample(), &embedding, &mut first).unwrap();
    assert_eq!(first.0[0], (0, sample()));
    assert_eq!(first.0[unet.graph().output], (unet.graph().output, output));
    // other data in between, so that the buffers hold something else
    let other = unet.embedding(3.0, Some(0)).unwrap();
    unet.evaluate(&vec![9.0; sample().len()], &other, &mut ())
        .unwrap();
    for threads in [1, 2] {
        let unet = unet_with(threads);
        let mut again = All::default();
        unet.evaluate(&vec![-9.0; sample().len()], &other, &mut ())
            .unwrap();
        unet.evaluate(&sample(), &embedding, &mut again).unwrap();
        assert_eq!(first, again, "{threads} threads");
    }
}

fn unet_with(threads: usize) -> FloatUnet {
    unet(Some(2)).with_threads(threads)
}

#[test]
fn time_and_class_reach_the_output() {
    let unet = unet(Some(2));
    let output = |t, class| {
        unet.evaluate(&sample(), &unet.embedding(t, Some(class)).unwrap(), &mut ())
            .unwrap()
    };
    let base = output(10.0, 0);
    assert_ne!(base, output(10.5, 0));
    assert_ne!(base, output(10.0, 1));
    assert!(base.iter().all(|x| x.is_finite()));
}

/// Every tensor of a rewritten network is that of the network, to the rounding of `f32`; what is upsampled
/// later is the same before.
#[test]
fn phases_change_nothing() {
    for (config, phases) in [
        (
            r#""up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]"#,
            2,
        ),
        (
            r#""up_block_types": ["ResnetUpsampleBlock2D", "UpBlock2D", "UpBlock2D"]"#,
            2,
        ),
        (
            r#""up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"], "upsample_type": "resnet""#,
            2,
        ),
    ] {
        let text = format!(
            r#"{{"sample_size": [12, 8], "block_out_channels": [4, 6, 8], "norm_num_groups": 2,
            "layers_per_block": 1, "attention_head_dim": null,
            "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D"], {config}}}"#
        );
        let config = UnetConfig::from_json(&text).unwrap();
        let weights = Weights::random(&parameters(&config).unwrap(), 7);
        let networks = [None, Some(1)].map(|phases_from| {
            let rewrites = Rewrites {
                phases_from,
                ..Rewrites::NONE
            };
            FloatUnet::with_rewrites(&config, &weights, rewrites).unwrap()
        });
        let [plain, rewritten] = &networks;
        let is_phases = |op: &Op| matches!(op, Op::Conv(c) if c.phases);
        let nodes = rewritten.graph().nodes.iter();
        assert_eq!(nodes.filter(|n| is_phases(&n.op)).count(), phases);
        assert!(rewritten.graph().macs() < plain.graph().macs());
        let sample: Vec<f32> = (0..12 * 8 * 3).map(|i| (i as f32 * 0.7).sin()).collect();
        let [plain, rewritten] = networks.each_ref().map(|n| {
            let mut all = All::default();
            let embedding = n.embedding(30.0, None).unwrap();
            n.evaluate(&sample, &embedding, &mut all).unwrap();
            all.0
        });
        let mut compared = 0;
        for ((id, a), (other, b)) in plain.iter().zip(&rewritten) {
            assert_eq!(id, other);
            if a.len() != b.len() {
                assert_eq!(a.len(), 4 * b.len());
                continue;
            }
            let largest = a.iter().fold(0f32, |m, x| m.max(x.abs()));
            for (x, y) in a.iter().zip(b) {
                assert!((x - y).abs() <= 2e-5 * largest, "tensor {id}: {x}, {y}");
            }
            compared += 1;
        }
        assert_eq!(compared, plain.len() - phases);
    }
}

/// Every block is split whose groups allow it; what leaves it, and all that comes behind, is that of the network to the
/// rounding of `f32`, and so is what a part reads: its channels of the whole operand.
#[test]
fn split_blocks_change_nothing() {
    // channels, groups, and how many of the four blocks over a skip have groups that lie in one stream each
    for (channels, groups, split) in [
        ([6, 12], 6, 4),
        ([12, 12], 12, 4),
        ([4, 8], 2, 2),
        ([8, 12], 4, 2),
        ([6, 12], 3, 2),
        ([7, 14], 1, 0),
    ] {
        let text = format!(
            r#"{{"sample_size": [6, 8], "block_out_channels": {channels:?}, "norm_num_groups": {groups},
            "layers_per_block": 1, "attention_head_dim": null, "num_class_embeds": 2,
            "resnet_time_scale_shift": {:?},
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"]}}"#,
            if groups == 2 {
                "scale_shift"
            } else {
                "default"
            }
        );
        let config = UnetConfig::from_json(&text).unwrap();
        let weights = Weights::random(&parameters(&config).unwrap(), 11);
        let tensors = [None, Some(1)].map(|split_from| {
            let rewrites = Rewrites {
                split_from,
                ..Rewrites::NONE
            };
            let unet = FloatUnet::with_rewrites(&config, &weights, rewrites).unwrap();
            let mut all = All::default();
            let embedding = unet.embedding(30.0, Some(1)).unwrap();
            let sample: Vec<f32> = (0..6 * 8 * 3).map(|i| (i as f32 * 0.7).sin()).collect();
            unet.evaluate(&sample, &embedding, &mut all).unwrap();
            let named = (unet.graph().tensors.iter().zip(all.0)).map(|(t, (_, v))| (t.clone(), v));
            let named: Vec<(TensorInfo, Vec<f32>)> = named.collect();
            (named, unet.graph().macs())
        });
        let [(whole, macs), (parts, same_macs)] = tensors;
        assert_eq!(macs, same_macs);
        let of = |name: &str| {
            let found = whole.iter().find(|(t, _)| t.name == name);
            found.unwrap_or_else(|| panic!("no {name}"))
        };
        let (mut found, mut all) = (0, 0);
        for (tensor, got) in &parts {
            let name = &tensor.name;
            // what is the sum of both parts is called after the stream that is added last
            let (of_whole, first) = if let Some(norm) = name.strip_suffix(".norm1.hidden") {
                (of(&format!("{norm}.norm1")), 0)
            } else if let Some(norm) = name.strip_suffix(".norm1.skip") {
                let whole = of(&format!("{norm}.norm1"));
                (whole, whole.0.channels - tensor.channels)
            } else if let Some(conv) = name.strip_suffix(".conv1.hidden") {
                found += 1;
                (of(&format!("{conv}.conv1")), 0)
            } else if name.ends_with(".conv1.skip") || name.contains(".conv_shortcut.") {
                continue;
            } else {
                (of(name), 0)
            };
            let (info, want) = of_whole;
            let want = want
                .chunks_exact(info.channels)
                .flat_map(|pixel| &pixel[first..first + tensor.channels]);
            let largest = got.iter().fold(0f32, |m, x| m.max(x.abs()));
            for (x, y) in got.iter().zip(want) {
                assert!((x - y).abs() <= 4e-5 * largest, "{name}: {x}, {y}");
            }
            all += 1;
        }
        assert_eq!(found, split, "{channels:?} in {groups} groups");
        assert!(all > parts.len() / 2);
    }
}

/// Node by node is the same as at once, to the bit; and no more is held than is said.
#[test]
fn an_evaluation_may_go_node_by_node() {
    let unet = unet(Some(3));
    let embedding = unet.embedding(11.0, Some(2)).unwrap();
    let whole = unet.evaluate(&sample(), &embedding, &mut ()).unwrap();
    let mut evaluation = unet.start(&sample(), embedding).unwrap();
    let graph = unet.graph();
    let mut most = 0;
    for node in 0..graph.nodes.len() {
        unet.step(&mut evaluation, node);
        // again: the same
        let made = evaluation.tensor(graph.nodes[node].output).to_vec();
        unet.step(&mut evaluation, node);
        assert_eq!(evaluation.tensor(graph.nodes[node].output), made);
        let held = (0..graph.tensors.len()).map(|id| evaluation.tensor(id).len());
        most = most.max(held.sum());
        unet.release(&mut evaluation, node);
    }
    assert_eq!(evaluation.tensor(graph.output), whole);
    assert_eq!(most, unet.most_values());
}
