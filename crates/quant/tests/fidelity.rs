//! Integers stay near floats by every method; and files of the past give the same bits for ever.

mod common;

use std::path::Path;

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::graph::Op;
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::{QuantisedModel, TensorTable};
use diffuser_model::sampling::{SamplerOptions, plan};
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::{Calibration, calibrate, quantise};
use diffuser_reference::FloatUnet;

const STATE_ONE: f64 = (1 << 24) as f64;

/// Squared error and square of the network's output along the float trajectory, over steps.
fn output_error(pipeline: &Pipeline, model: &QuantisedModel) -> f64 {
    let float = FloatUnet::new(&pipeline.config, &pipeline.weights).expect("usable");
    let engine =
        Engine::new(model.graph.clone(), &model.nodes, KernelChoice::Scalar).expect("usable");
    let mut workspace = engine.workspace();
    let settings = common::settings();
    let options = SamplerOptions {
        sampler: settings.sampler,
        steps: settings.steps,
        eta: 0.0,
        spacing: None,
    };
    let steps = plan(&common::scheduler(), &options).expect("usable");
    let timesteps: Vec<u32> = steps.iter().map(|s| s.timestep).collect();
    let (mut error, mut power) = (0.0, 0.0);
    for image in 0..4 {
        let class = Some(image as usize % 3);
        let prepared = model.prepare(&timesteps, class).expect("prepares");
        // other noise than the calibration's
        let start = noise(77, image, Purpose::Start, model.graph.tensors[0].len());
        let mut x: Vec<f64> = start.iter().map(|&v| f64::from(v) / STATE_ONE).collect();
        let mut x0 = vec![0.0; x.len()];
        for (step, params) in steps.iter().zip(&prepared) {
            let sample: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            let embedding = float
                .embedding(step.timestep.into(), class)
                .expect("usable");
            let want = float
                .evaluate(&sample, &embedding, &mut ())
                .expect("usable");
            let state: Vec<i32> = x.iter().map(|&v| (v * STATE_ONE).round() as i32).collect();
            let got = engine
                .evaluate(&state, params, &mut workspace)
                .expect("fits");
            let unit = f64::from(-params.output_exponent).exp2();
            for (&g, &w) in got.iter().zip(&want) {
                error += (f64::from(g) * unit - f64::from(w)).powi(2);
                power += f64::from(w).powi(2);
            }
            let want: Vec<f64> = want.into_iter().map(f64::from).collect();
            step.advance(&mut x, &want, &mut x0, None).expect("fits");
        }
    }
    (error / power).sqrt()
}

fn calibrated(pipeline: &Pipeline) -> Calibration {
    calibrate(
        pipeline,
        &common::scheduler(),
        common::settings(),
        &|_, _| {},
    )
    .expect("calibrates")
}

#[test]
fn integers_are_near_floats() {
    let pipeline = common::pipeline();
    let calibration = calibrated(&pipeline);
    for method in methods::all() {
        let model =
            quantise(&pipeline, &calibration, &*method, Residual::Fifteen).expect("quantises");
        let error = output_error(&pipeline, &model);
        assert!(error < 0.015, "{}: {error}", method.name());
    }
}

/// Blocks that average 2x2 operands: these must hold what is averaged, which ranges further than the means.
#[test]
fn integers_are_near_floats_where_operands_are_averaged() {
    use diffuser_model::config::{Block, Resampling};
    let mut config = common::config();
    config.down_block_types = vec![Block::Resnet, Block::Attention];
    config.up_block_types = vec![Block::Attention, Block::Resnet];
    (config.downsample_type, config.upsample_type) = (Resampling::Resnet, Resampling::Resnet);
    let pipeline = common::pipeline_of(config);
    let calibration = calibrated(&pipeline);
    for method in methods::all() {
        let mut model =
            quantise(&pipeline, &calibration, &*method, Residual::Fifteen).expect("quantises");
        let error = output_error(&pipeline, &model);
        assert!(error < 0.0225, "{}: {error}", method.name());
        // and a file whose resampled stream has a unit of its own is refused
        let nodes = model.graph.nodes.iter();
        let mut outputs = nodes
            .filter(|n| matches!(n.op, Op::Resample(_)))
            .map(|n| n.output);
        let TensorTable::Stream { exponent } = &mut model.tensors[outputs.next().expect("one")]
        else {
            panic!("resampling makes a stream");
        };
        exponent[0] -= 1;
        let error = model.prepare(&[0], Some(0)).expect_err("refused");
        assert!(
            error.to_string().contains("expected its input's"),
            "{error}"
        );
    }
}

/// FNV-1a over the outputs of a few evaluations.
fn fingerprint(model: &QuantisedModel) -> u64 {
    let engine =
        Engine::new(model.graph.clone(), &model.nodes, KernelChoice::Scalar).expect("usable");
    let mut workspace = engine.workspace();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for (class, params) in
        [0, 2].map(|c| (c, model.prepare(&[0, 333, 999], Some(c)).expect("prepares")))
    {
        let state = noise(
            5,
            class as u64,
            Purpose::Start,
            model.graph.tensors[0].len(),
        );
        for step in &params {
            for v in engine.evaluate(&state, step, &mut workspace).expect("fits") {
                hash = v.to_le_bytes().iter().fold(hash, |h, &b| {
                    (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
                });
            }
        }
    }
    hash
}

/// Files of each version of the format, and what they give.
const FINGERPRINTS: &[(&str, u64)] = &[("v1.0.safetensors", 0x291f_9c8c_adec_d970)];

/// One file of each version of the format. `UPDATE_GOLDEN=1` writes the newest (only ever for a new
/// version: a file that exists is out there).
#[test]
fn files_of_every_version_give_the_same_bits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let method = methods::by_name("dynamic-step").expect("known");
        let model = quantise(
            &common::pipeline(),
            &calibrated(&common::pipeline()),
            &*method,
            Residual::Fifteen,
        )
        .expect("quantises");
        std::fs::create_dir_all(&folder).expect("writable");
        std::fs::write(
            folder.join("v1.0.safetensors"),
            model.to_bytes().expect("serialises"),
        )
        .expect("writable");
        panic!("written; its fingerprint is {:#018x}", fingerprint(&model));
    }
    for (file, want) in FINGERPRINTS {
        let model = QuantisedModel::load(&folder.join(file)).expect("reads");
        let got = fingerprint(&model);
        assert_eq!(got, *want, "{file}: {got:#018x}");
    }
}
