//! Quantised models survive their file, and damaged files are refused in one line.

mod common;

use diffuser_model::quantised::{ConvWeights, NodeParams, QuantisedModel, WeightBits};
use diffuser_model::rewrite::Rewrites;
use diffuser_model::scale::scale_to_f64;
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::{calibrate, quantise};

fn quantised(method: &str) -> QuantisedModel {
    let pipeline = common::pipeline();
    let calibration = calibrate(
        &pipeline,
        &common::scheduler(),
        common::settings(),
        &|_, _| {},
    )
    .expect("calibrates");
    quantise(
        &pipeline,
        &calibration,
        &*methods::by_name(method).expect("known"),
        Residual::default(),
    )
    .expect("quantises")
}

#[test]
fn every_method_round_trips() {
    for method in methods::all() {
        let model = quantised(method.name());
        let bytes = model.to_bytes().expect("serialises");
        assert_eq!(
            QuantisedModel::from_bytes(&bytes, "test").expect("reads"),
            model
        );
        assert!(
            model.to_bytes().expect("serialises") == bytes,
            "the same model, the same bytes"
        );
        let rows = model.intervals.len();
        assert_eq!(
            rows,
            if method.name().starts_with("dynamic-step") {
                5
            } else {
                1
            }
        );
    }
}

#[test]
fn calibration_does_not_depend_on_threads() {
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a pool");
    assert_eq!(
        one.install(|| quantised("dynamic-step")),
        quantised("dynamic-step")
    );
}

#[test]
fn every_class_and_time_step_can_be_prepared() {
    let model = quantised("dynamic-step");
    for class in 0..3 {
        let steps = model
            .prepare(&[0, 1, 499, 999], Some(class))
            .expect("prepares");
        assert_eq!(steps.len(), 4);
        assert_eq!(steps[0].nodes.len(), model.graph.nodes.len());
    }
    assert_ne!(
        model.prepare(&[500], Some(0)),
        model.prepare(&[500], Some(1))
    );
    let error = model
        .prepare(&[0], Some(3))
        .expect_err("there are three classes");
    assert_eq!(error.to_string(), "class 3: the model has 3 classes");
    assert!(model.prepare(&[0], None).is_err());
}

/// The file's header as text, and the rest.
fn split(bytes: &[u8]) -> (String, Vec<u8>) {
    let n = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    (
        String::from_utf8(bytes[8..8 + n].to_vec()).expect("UTF-8"),
        bytes[8 + n..].to_vec(),
    )
}

fn join(header: &str, data: &[u8]) -> Vec<u8> {
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        data,
    ]
    .concat()
}

#[test]
fn damaged_files_are_refused_in_one_line() {
    let good = quantised("dynamic-step").to_bytes().expect("serialises");
    let (header, data) = split(&good);
    let replaced = |from: &str, to: &str| {
        assert!(header.contains(from), "the header has no {from}");
        join(&header.replacen(from, to, 1), &data)
    };
    let longer = [good.as_slice(), &[0]].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "not a safetensors file"),
        (
            "truncated",
            good[..good.len() - 1].to_vec(),
            "not a safetensors file",
        ),
        ("longer", longer, "not a safetensors file"),
        (
            "header length",
            [&u64::MAX.to_le_bytes(), &good[8..]].concat(),
            "not a safetensors file",
        ),
        (
            "format",
            replaced("diffuser-quantised", "diffuser-quantifi."),
            "not a quantised model",
        ),
        (
            "major version",
            replaced(r#"\"1.0\""#, r#"\"9.0\""#),
            "format version `9.0` is not known; this program reads 1.0, 2.0, 3.0",
        ),
        (
            "metadata",
            replaced("calibrated", "calibratec"),
            "metadata `diffuser-quantised`",
        ),
        (
            "missing tensor",
            replaced("conv_in.weight", "conv_im.weight"),
            "conv_in.weight` is missing",
        ),
    ];
    for (name, bytes, want) in cases {
        let error = QuantisedModel::from_bytes(&bytes, "file")
            .expect_err(name)
            .to_string();
        assert!(
            error.starts_with("file: ") && error.contains(want),
            "{name}: {error}"
        );
        assert!(!error.contains('\n'), "{name}: {error}");
    }
}

#[test]
fn a_minor_version_is_read() {
    let good = quantised("static-minmax").to_bytes().expect("serialises");
    let (header, data) = split(&good);
    let newer = join(&header.replacen(r#"\"1.0\""#, r#"\"1.7\""#, 1), &data);
    assert!(QuantisedModel::from_bytes(&newer, "file").is_ok());
}

/// The weights of a model's `n`th convolution.
fn conv(model: &mut QuantisedModel, n: usize) -> &mut ConvWeights {
    let mut convs = model.nodes.iter_mut().filter_map(|n| match n {
        NodeParams::Conv(c) => Some(c),
        _ => None,
    });
    convs.nth(n).expect("there are so many")
}

/// With 4-bit weights in the second convolution.
fn four_bits() -> QuantisedModel {
    let mut model = quantised("static-minmax");
    let conv = conv(&mut model, 1);
    conv.bits = WeightBits::Four;
    conv.weight.iter_mut().for_each(|w| *w /= 18);
    model
}

#[test]
fn weights_of_4_bits_round_trip_in_half_the_bytes() {
    let (wide, narrow) = (quantised("static-minmax"), four_bits());
    let [a, b] = [&wide, &narrow].map(|m| m.to_bytes().expect("serialises"));
    let read = QuantisedModel::from_bytes(&b, "file").expect("reads");
    assert_eq!(read, narrow);
    let weights = conv(&mut narrow.clone(), 1).weight.len();
    let data = |bytes: &[u8]| split(bytes).1.len();
    assert_eq!(data(&a) - data(&b), weights / 2);
    // a reader of 1.0 takes any minor version, so that this has to be a major one
    assert_eq!(
        [wide.format_version(), narrow.format_version()],
        ["1.0", "2.0"]
    );
    assert!(split(&a).0.contains(r#"\"1.0\""#) && split(&b).0.contains(r#"\"2.0\""#));
}

fn rewritten(rewrites: Rewrites) -> QuantisedModel {
    let pipeline = common::pipeline();
    let settings = diffuser_quant::CalibrationSettings {
        rewrites,
        ..common::settings()
    };
    let calibration = calibrate(&pipeline, &common::scheduler(), settings, &|_, _| {});
    let method = methods::by_name("static-minmax").expect("known");
    let seen = calibration.expect("calibrates");
    quantise(&pipeline, &seen, &*method, Residual::Eight).expect("quantises")
}

/// What a file was rewritten with is in it: without that its arrays are another network's.
#[test]
fn rewritten_networks_round_trip() {
    let [phases, blocks] = [Some(64), None].map(|phases_from| Rewrites {
        phases_from,
        split_from: phases_from.xor(Some(64)),
    });
    let both = Rewrites {
        split_from: Some(16),
        ..phases
    };
    // nothing of it in files that need it not
    let plain = quantised("static-minmax").to_bytes().expect("serialises");
    assert!(!split(&plain).0.contains("rewrites"));
    for (rewrites, version, json) in [
        (phases, "3.0", r#"{\"phases_from\":64}"#),
        (blocks, "4.0", r#"{\"split_from\":64}"#),
        (both, "4.0", r#"{\"phases_from\":64,\"split_from\":16}"#),
    ] {
        let model = rewritten(rewrites);
        let bytes = model.to_bytes().expect("serialises");
        let read = QuantisedModel::from_bytes(&bytes, "file").expect("reads");
        assert_eq!(read, model);
        assert_eq!(model.format_version(), version);
        assert!(split(&bytes).0.contains(&format!(r#"\"rewrites\":{json}"#)));
        let refused = |from: &str, to: &str| {
            let mut bytes = bytes.clone();
            let place = bytes.windows(from.len()).position(|w| w == from.as_bytes());
            let place = place.expect("it is there");
            bytes[place..][..from.len()].copy_from_slice(to.as_bytes());
            let error = QuantisedModel::from_bytes(&bytes, "file").expect_err("another network");
            let error = error.to_string();
            assert!(!error.contains('\n'), "{error}");
            error
        };
        // of more than 64 pixels there is none
        if rewrites.phases_from.is_some() {
            let error = refused(r#"phases_from\":64"#, r#"phases_from\":65"#);
            assert!(error.contains("upsamplers.0.conv.weight` is I8"), "{error}");
        }
        if rewrites.split_from.is_some() {
            let error = refused("split_from", "split_frOm");
            assert!(error.contains("unknown field `split_frOm`"), "{error}");
        }
        if rewrites == blocks {
            let error = refused(r#"split_from\":64"#, r#"split_from\":65"#);
            assert!(error.contains("` is missing"), "{error}");
        }
    }
}

/// Both parts have their columns of the weight and their channels of the norm, with steps and ranges of their own.
#[test]
fn parts_of_a_split_block_are_those_of_the_whole() {
    let everywhere = Rewrites {
        split_from: Some(1),
        ..Rewrites::NONE
    };
    let (whole, parts) = (rewritten(Rewrites::NONE), rewritten(everywhere));
    let node = |model: &QuantisedModel, name: &str| {
        let at = model.graph.nodes.iter().position(|n| n.name == name);
        at.unwrap_or_else(|| panic!("no {name}"))
    };
    let norm = |model: &QuantisedModel, name: &str| match &model.nodes[node(model, name)] {
        NodeParams::Norm { gamma, beta } => [gamma.clone(), beta.clone()],
        other => panic!("{other:?}"),
    };
    let conv = |model: &QuantisedModel, name: &str| match &model.nodes[node(model, name)] {
        NodeParams::Conv(c) => c.clone(),
        other => panic!("{other:?}"),
    };
    let block = "up_blocks.1.resnets.1";
    let [hidden, skip] =
        ["hidden", "skip"].map(|part| norm(&parts, &format!("{block}.norm1.{part}")));
    for (i, all) in norm(&whole, &format!("{block}.norm1")).iter().enumerate() {
        assert_eq!([hidden[i].as_slice(), &skip[i]].concat(), *all);
    }
    let all = conv(&whole, &format!("{block}.conv1"));
    let both = ["hidden", "skip"].map(|part| conv(&parts, &format!("{block}.conv1.{part}")));
    assert!(both[0].scale != both[1].scale && both[0].scale != all.scale);
    let real = |c: &ConvWeights, outputs: usize| -> Vec<f64> {
        let row = c.weight.len() / outputs;
        let step = |i: usize| scale_to_f64(c.scale[i / row]);
        let weights = c.weight.iter().enumerate();
        weights.map(|(i, &w)| f64::from(w) * step(i)).collect()
    };
    let outputs = all.scale.len();
    let inputs = all.weight.len() / outputs / 9;
    let half = inputs / 2;
    let want = real(&all, outputs);
    for (part, got) in both.iter().enumerate() {
        let columns = want
            .chunks_exact(inputs)
            .flat_map(|tap| &tap[part * half..][..half]);
        let got = real(got, outputs);
        let largest = got.iter().fold(0f64, |m, w| m.max(w.abs()));
        // a few steps of rounding with the error fed back
        for (w, x) in columns.zip(&got) {
            assert!((w - x).abs() < 0.05 * largest, "{part}: {w} {x}");
        }
    }
}

/// Readers of the versions before refuse it, so that their versions must not be in its file.
#[test]
fn the_least_weight_of_4_bits_is_of_a_version_of_its_own() {
    let mut model = four_bits();
    conv(&mut model, 1).weight[3] = -8;
    let bytes = model.to_bytes().expect("serialises");
    assert!(split(&bytes).0.contains(r#"\"5.0\""#));
    let read = QuantisedModel::from_bytes(&bytes, "file").expect("reads");
    assert_eq!(read, model);
    // with 8 bits -8 is a weight as any other
    let mut model = quantised("static-minmax");
    conv(&mut model, 1).weight[3] = -8;
    assert_eq!(model.format_version(), "1.0");
}

#[test]
fn values_out_of_range_are_refused() {
    let mut model = quantised("static-minmax");
    conv(&mut model, 0).weight[0] = -128;
    let bytes = model.to_bytes().expect("serialises");
    let error = QuantisedModel::from_bytes(&bytes, "file")
        .expect_err("-128 is no operand")
        .to_string();
    assert!(
        error.contains("holds -128, expected -127 to 127"),
        "{error}"
    );
}

/// The sampler's state is always in two planes; a file that says otherwise must not get further
/// than one that does not (its step would be that of a stream).
#[test]
fn gains_for_the_state_are_ignored() {
    use diffuser_model::graph::Graph;
    use diffuser_model::quantised::TensorTable;
    let good = quantised("static-minmax");
    let mut model = good.clone();
    let node = |n: &diffuser_model::graph::Node| n.inputs.contains(&Graph::INPUT);
    let operand = good
        .graph
        .nodes
        .iter()
        .find(|n| node(n))
        .expect("one")
        .output;
    model.tensors[operand] = TensorTable::Gain {
        gain: vec![1],
        zero_point: vec![0],
    };
    let bytes = model.to_bytes().expect("serialises");
    let read = QuantisedModel::from_bytes(&bytes, "file").expect("reads");
    assert_eq!(read, good);
    assert!(read.operand_step(operand, 0).planes);
}

/// Bytes of a file changed at a few places never make the reader panic, nor what it reads
/// unusable in another way than by an error.
#[test]
fn mutated_files_never_panic() {
    use diffuser_spec::philox::philox;
    let good = quantised("dynamic-step").to_bytes().expect("serialises");
    let header = 8 + u64::from_le_bytes(good[..8].try_into().expect("eight bytes")) as usize;
    let mut read = 0;
    for case in 0..600 {
        let mut bytes = good.clone();
        // half of the cases change the header, half the arrays
        let (from, len) = if case % 2 == 0 {
            (0, header)
        } else {
            (header, good.len() - header)
        };
        for i in 0..=case % 4 {
            let [place, value, ..] = philox([case, i, 0, 0], [3, 4]);
            bytes[from + place as usize % len] = value as u8;
        }
        if let Ok(model) = QuantisedModel::from_bytes(&bytes, "file") {
            read += 1;
            let _ = model.prepare(&[0, 500, u32::MAX], Some(1));
        }
    }
    assert!(read > 100, "most changes of arrays can be read: {read}");
}
