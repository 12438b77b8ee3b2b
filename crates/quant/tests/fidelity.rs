//! Integers stay near floats by every method; and files of the past give the same bits for ever.

mod common;

use std::path::Path;

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::build_graph::build_graph_with;
use diffuser_model::graph::Op;
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::{NodeParams, QuantisedModel, TensorTable, WeightBits};
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::{SamplerOptions, plan};
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::{
    Calibration, CalibrationSettings, Rounding, calibrate, quantise, quantise_with,
};
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
    calibrated_with(pipeline, common::settings())
}

fn calibrated_with(pipeline: &Pipeline, settings: CalibrationSettings) -> Calibration {
    calibrate(pipeline, &common::scheduler(), settings, &|_, _| {}).expect("calibrates")
}

/// Settings with every upsampling convolution in phases.
fn in_phases() -> CalibrationSettings {
    CalibrationSettings {
        rewrites: Rewrites {
            phases_from: Some(1),
            ..Rewrites::NONE
        },
        ..common::settings()
    }
}

/// Quantised with so many bits in the convolutions that run in phases.
fn quantise_phases(pipeline: &Pipeline, seen: &Calibration, phases: WeightBits) -> QuantisedModel {
    let graph = build_graph_with(&pipeline.config, seen.settings.rewrites).expect("valid");
    let nodes = graph.nodes.iter();
    let bits: Vec<WeightBits> = nodes
        .map(|n| match &n.op {
            Op::Conv(c) if c.phases => phases,
            _ => WeightBits::Eight,
        })
        .collect();
    let method = methods::by_name("dynamic-step").expect("known");
    quantise_with(
        pipeline,
        seen,
        &*method,
        Residual::Fifteen,
        &bits,
        &|_, _| {},
    )
    .expect("quantises")
}

/// As near as without phases, however weights are rounded; 4 bits cost more, whether in phases or not.
#[test]
fn integers_are_near_floats_in_phases() {
    let pipeline = common::pipeline();
    for rounding in Rounding::ALL {
        let settings = CalibrationSettings {
            rounding,
            ..in_phases()
        };
        let seen = calibrated_with(&pipeline, settings);
        let errors = [WeightBits::Eight, WeightBits::Four].map(|bits| {
            let model = quantise_phases(&pipeline, &seen, bits);
            let phases = model.graph.nodes.iter().zip(&model.nodes);
            let phases = phases.filter(|(n, _)| matches!(&n.op, Op::Conv(c) if c.phases));
            let mut found = 0;
            for (_, params) in phases {
                let NodeParams::Conv(c) = params else {
                    panic!("a convolution has weights");
                };
                // steps and biases of their own
                let out = c.scale.len() / 4;
                assert_ne!(c.scale[..out], c.scale[out..2 * out]);
                assert_eq!(c.bits, bits);
                found += 1;
            }
            assert_eq!(found, 1);
            output_error(&pipeline, &model)
        });
        assert!(errors[0] < 0.015, "{rounding}: {errors:?}");
        assert!(
            (errors[0]..0.05).contains(&errors[1]),
            "{rounding}: {errors:?}"
        );
    }
}

/// As near with split blocks, in phases or not; one of the two is of the last level, which alone has 64 pixels.
#[test]
fn integers_are_near_floats_in_split_blocks() {
    let pipeline = common::pipeline();
    for (phases_from, split_from, blocks) in [(None, 1, 2), (None, 64, 1), (Some(1), 1, 2)] {
        let settings = CalibrationSettings {
            rewrites: Rewrites {
                phases_from,
                split_from: Some(split_from),
            },
            ..common::settings()
        };
        let seen = calibrated_with(&pipeline, settings);
        let errors = Residual::ALL.map(|residual| {
            let method = methods::by_name("dynamic-step").expect("known");
            let model = quantise(&pipeline, &seen, &*method, residual).expect("quantises");
            let names = model.graph.nodes.iter().map(|n| &n.name);
            assert_eq!(names.filter(|n| n.ends_with("conv1.skip")).count(), blocks);
            output_error(&pipeline, &model)
        });
        assert!(errors[2] < 0.015, "{split_from}: {errors:?}");
        assert!(errors.iter().all(|&e| e < 0.03), "{split_from}: {errors:?}");
    }
}

/// With 4 bits in all layers, layers that make up for those before them are nearer to the float network than layers
/// that do not, on other noise than the calibration's.
#[test]
fn layers_make_up_for_those_before_them() {
    let pipeline = common::pipeline();
    let settings = |rounding| CalibrationSettings {
        rounding,
        ..in_phases()
    };
    let graph = build_graph_with(&pipeline.config, in_phases().rewrites).expect("valid");
    let bits = vec![WeightBits::Four; graph.nodes.len()];
    let errors = [Rounding::ErrorFeedback, Rounding::Sequential].map(|rounding| {
        let seen = calibrated_with(&pipeline, settings(rounding));
        let method = methods::by_name("dynamic-step").expect("known");
        let model = quantise_with(
            &pipeline,
            &seen,
            &*method,
            Residual::Fifteen,
            &bits,
            &|_, _| {},
        )
        .expect("quantises");
        assert_eq!(model.provenance.rounding, rounding.name());
        output_error(&pipeline, &model)
    });
    assert!(errors[1] < 0.9 * errors[0], "{errors:?}");
}

/// Calibration sees the same values, whether an operand is upsampled before or behind it.
#[test]
fn calibration_sees_the_same_ranges_in_phases() {
    let pipeline = common::pipeline();
    let [plain, phases] =
        [common::settings(), in_phases()].map(|s| calibrated_with(&pipeline, s).statistics);
    for (plain, phases) in plain.iter().flatten().zip(phases.iter().flatten()) {
        let near = |a: f32, b: f32| (a - b).abs() <= 1e-4 * a.abs().max(1.0);
        assert!(near(plain.min, phases.min) && near(plain.max, phases.max));
    }
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
const FINGERPRINTS: &[(&str, u64)] = &[
    ("v1.0.safetensors", 0x291f_9c8c_adec_d970),
    ("v3.0.safetensors", 0xb984_1335_a1e1_60a6),
    ("v4.0.safetensors", 0xfa1b_c537_ccb4_bb35),
    ("v5.0.safetensors", 0xa69b_c82f_4e60_990b),
];

/// One file of each version of the format. `UPDATE_GOLDEN=1` writes the newest (only ever for a new
/// version: a file that exists is out there).
#[test]
fn files_of_every_version_give_the_same_bits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        // split blocks and phases, the latter of weights of 4 bits
        let pipeline = common::pipeline();
        let mut settings = in_phases();
        settings.rewrites.split_from = Some(1);
        let seen = calibrated_with(&pipeline, settings);
        let model = quantise_phases(&pipeline, &seen, WeightBits::Four);
        std::fs::create_dir_all(&folder).expect("writable");
        let name = format!("v{}.safetensors", model.format_version());
        let bytes = model.to_bytes().expect("serialises");
        std::fs::write(folder.join(name), bytes).expect("writable");
        panic!("written; its fingerprint is {:#018x}", fingerprint(&model));
    }
    for (file, want) in FINGERPRINTS {
        let model = QuantisedModel::load(&folder.join(file)).expect("reads");
        let got = fingerprint(&model);
        assert_eq!(got, *want, "{file}: {got:#018x}");
    }
}
