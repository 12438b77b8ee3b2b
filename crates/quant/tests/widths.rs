//! The emulator of `examples/widths` with the widths in use against the engine: the table of
//! `docs/decisions/0005-widths.md` can be trusted as far as these two agree.

mod common;
#[path = "../examples/widths/emulator.rs"]
mod emulator;
#[path = "../examples/widths/numbers.rs"]
mod numbers;
#[path = "../examples/widths/widths.rs"]
mod widths;

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::config::{Block, Resampling};
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::{calibrate, quantise};
use emulator::{Conditions, Emulator, Matrices};
use widths::Widths;

/// Against the engine, on a few time steps: largest difference in units of the output's last place, and
/// the share of values that differ.
fn compare(pipeline: &Pipeline, residual: Residual, widths: Widths) -> (f64, f64) {
    let settings = common::settings();
    let calibration =
        calibrate(pipeline, &common::scheduler(), settings, &|_, _| {}).expect("calibrates");
    let method = methods::by_name("dynamic-step").expect("known");
    let model = quantise(pipeline, &calibration, &*method, residual).expect("quantises");
    let engine =
        Engine::new(model.graph.clone(), &model.nodes, KernelChoice::Scalar).expect("usable");
    let matrices = Matrices::new(&model, &pipeline.weights).expect("fit");
    let emulator = Emulator {
        model: &model,
        matrices: &matrices,
        widths,
    };
    let preparer = model.preparer();
    let mut workspace = engine.workspace();
    let (mut largest, mut differ, mut count) = (0.0f64, 0.0, 0.0);
    for (image, timestep) in [(0, 999), (1, 600), (2, 300), (3, 1)] {
        let at = Conditions::new(&model, &preparer, timestep, Some(image % 3)).expect("prepares");
        let length = model.graph.tensors[0].len();
        let state = noise(3, image as u64, Purpose::Start, length);
        let want = engine
            .evaluate(&state, &at.step, &mut workspace)
            .expect("fits");
        let one = f64::from(1 << 24);
        let state: Vec<f64> = state.iter().map(|&x| f64::from(x) / one).collect();
        let got = emulator.evaluate(&state, &at);
        let unit = f64::from(-at.step.output_exponent).exp2();
        assert_eq!(got.len(), want.len());
        for (g, &w) in got.iter().zip(want) {
            let difference = (g / unit - f64::from(w)).abs();
            largest = largest.max(difference);
            differ += f64::from(u8::from(difference != 0.0));
            count += 1.0;
        }
    }
    (largest, differ / count)
}

/// Blocks that resample inside.
fn resampling() -> Pipeline {
    let mut config = common::config();
    config.down_block_types = vec![Block::Resnet, Block::Attention];
    config.up_block_types = vec![Block::Attention, Block::Resnet];
    (config.downsample_type, config.upsample_type) = (Resampling::Resnet, Resampling::Resnet);
    common::pipeline_of(config)
}

#[test]
fn the_widths_in_use_give_the_integers_of_the_engine() {
    for pipeline in [common::pipeline(), resampling()] {
        for residual in Residual::ALL {
            let (largest, differ) = compare(&pipeline, residual, Widths::default());
            // equal where this was written; a table entry may fall on another side on other machines
            assert!(
                largest <= 8.0 && differ < 0.02,
                "{residual}: {differ} differ, by up to {largest}"
            );
        }
    }
}

#[test]
fn narrower_streams_and_gains_are_seen() {
    let defaults = Widths::default();
    for widths in [
        Widths {
            stream: 15,
            ..defaults.clone()
        },
        Widths {
            gain: 10,
            ..defaults
        },
    ] {
        let (_, differ) = compare(&common::pipeline(), Residual::Fifteen, widths);
        assert!(differ > 0.5, "{differ}");
    }
}
