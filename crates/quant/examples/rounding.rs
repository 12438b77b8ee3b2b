//! What the rounding of weights alone costs: the float network with the weights of a quantised one, on
//! the trajectory of the float network with its own.
//!
//! ```sh
//! cargo run --release -p diffuser-quant --example rounding -- FOLDER [IMAGES [STEPS [BITS]]]
//! ```
//!
//! Prints the relative error of the network's output at each of 20 DDIM steps, in per cent, for each
//! rounding; IMAGES (32) and STEPS (50) calibrate, weights have BITS (8, or 4).

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use diffuser_model::build_graph::parameters;
use diffuser_model::graph::Op;
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::{NodeParams, QuantisedModel};
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};
use diffuser_model::scale::scale_to_f64;
use diffuser_model::weights::{Tensor, Weights};
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::{CalibrationSettings, Rounding, calibrate, quantise_weights};
use diffuser_reference::FloatUnet;
use rayon::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Images that are compared.
const COUNT: u64 = 16;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u32| arguments.get(i).map_or(Ok(default), |a| a.parse());
    let folder = arguments.first().ok_or("which folder?")?;
    let pipeline = Pipeline::load(Path::new(folder))?;
    let scheduler = match &pipeline.scheduler {
        Some(value) => SchedulerConfig::from_value(value)?,
        None => SchedulerConfig::default(),
    };
    let settings = CalibrationSettings {
        sampler: Sampler::of(scheduler.class),
        steps: number(2, 50)?,
        images: number(1, 32)?,
        seed: 0,
        // which needs all that the others need
        rounding: Rounding::Sequential,
        rewrites: diffuser_model::rewrite::Rewrites::NONE,
    };
    let bits = match number(3, 8)? {
        4 => diffuser_quant::Weights::Four,
        _ => diffuser_quant::Weights::Eight,
    };
    let begun = Instant::now();
    let mut calibration = calibrate(&pipeline, &scheduler, settings, &|_, _| {})?;
    eprintln!("calibrated in {:.1?}", begun.elapsed());
    let method = methods::all().swap_remove(0);
    for rounding in Rounding::ALL {
        calibration.settings.rounding = rounding;
        if rounding == Rounding::Nearest {
            calibration.inputs = None;
        }
        let begun = Instant::now();
        let model = quantise_weights(
            &pipeline,
            &scheduler,
            &calibration,
            method.as_ref(),
            Residual::default(),
            bits,
            &|_, _| {},
        )?;
        eprintln!("{rounding}: rounded in {:.1?}", begun.elapsed());
        let errors = output_errors(&pipeline, &rounded(&pipeline, &model)?, &scheduler)?;
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let errors: Vec<String> = errors.iter().map(|e| format!("{e:.2}")).collect();
        println!("{rounding}: mean {mean:.3}, by step {}", errors.join(" "));
    }
    Ok(())
}

/// The pipeline with the weights and biases that the quantised model has.
fn rounded(pipeline: &Pipeline, model: &QuantisedModel) -> Result<Pipeline> {
    let expected = parameters(&pipeline.config)?;
    let mut tensors: BTreeMap<String, Tensor> = expected
        .iter()
        .map(|p| Ok((p.name.clone(), pipeline.weights.get(&p.name)?.clone())))
        .collect::<Result<_>>()?;
    let mut biases: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for (node, params) in model.graph.nodes.iter().zip(&model.nodes) {
        let (Op::Conv(conv), NodeParams::Conv(params)) = (&node.op, params) else {
            continue;
        };
        let data = &mut tensors.get_mut(&conv.weight).ok_or("checked")?.data;
        let (taps, outputs) = (conv.kernel * conv.kernel, conv.output_channels);
        let inputs = data.len() / outputs / taps;
        let used = conv.input_channels.len();
        for (i, &q) in params.weight.iter().enumerate() {
            let (o, tap, c) = (i / (taps * used), i / used % taps, i % used);
            let channel = conv.input_channels.start + c;
            data[(o * inputs + channel) * taps + tap] =
                (f64::from(q) * scale_to_f64(params.scale[o])) as f32;
        }
        // the parts of a split convolution each have a share
        let bias = biases
            .entry(conv.weight.replace(".weight", ".bias"))
            .or_insert_with(|| vec![0.0; outputs]);
        for (sum, &b) in bias.iter_mut().zip(&params.bias) {
            *sum += b as f32 / (1 << 20) as f32;
        }
    }
    for (name, bias) in biases {
        tensors.get_mut(&name).ok_or("no such bias")?.data = bias;
    }
    Ok(Pipeline {
        weights: Weights::from_tensors(tensors, &expected)?,
        ..pipeline.clone()
    })
}

/// Relative error of the output at each step, in per cent.
fn output_errors(
    float: &Pipeline,
    rounded: &Pipeline,
    scheduler: &SchedulerConfig,
) -> Result<Vec<f64>> {
    let options = SamplerOptions {
        sampler: Sampler::Ddim,
        steps: 20,
        eta: 0.0,
        spacing: None,
    };
    let steps = plan(scheduler, &options)?;
    let networks = [float, rounded].map(|p| FloatUnet::new(&p.config, &p.weights));
    let [float_unet, rounded_unet] = networks;
    let (float_unet, rounded_unet) = (float_unet?.with_threads(1), rounded_unet?.with_threads(1));
    let length = float_unet.graph().tensors[0].len();
    let squares: Vec<Vec<[f64; 2]>> = (0..COUNT)
        .into_par_iter()
        .map(|image| {
            let class = float.config.num_class_embeds.map(|n| image as usize % n);
            let start = noise(1, image, Purpose::Start, length);
            let mut state: Vec<f64> = start
                .iter()
                .map(|&v| f64::from(v) * 2f64.powi(-24))
                .collect();
            let mut x0 = vec![0.0; length];
            steps
                .iter()
                .map(|step| {
                    let sample: Vec<f32> = state.iter().map(|&x| x as f32).collect();
                    let run = |unet: &FloatUnet| -> Result<Vec<f32>> {
                        let embedding = unet.embedding(step.timestep.into(), class)?;
                        Ok(unet.evaluate(&sample, &embedding, &mut ())?)
                    };
                    let (want, got) = (run(&float_unet)?, run(&rounded_unet)?);
                    let sum = |f: &dyn Fn(f64, f64) -> f64| {
                        let pairs = want.iter().zip(&got);
                        pairs.map(|(&w, &g)| f(w.into(), g.into())).sum::<f64>()
                    };
                    let squares = [sum(&|w, g| (w - g).powi(2)), sum(&|w, _| w * w)];
                    let want: Vec<f64> = want.into_iter().map(f64::from).collect();
                    step.advance(&mut state, &want, &mut x0, None)?;
                    Ok(squares)
                })
                .collect::<Result<_>>()
        })
        .collect::<Result<_>>()?;
    let sum = |i: usize, which: usize| squares.iter().map(|s| s[i][which]).sum::<f64>();
    Ok((0..steps.len())
        .map(|i| 100.0 * (sum(i, 0) / sum(i, 1)).sqrt())
        .collect())
}
