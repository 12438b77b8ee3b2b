//! Variants of dynamic-step quantisation, each measured on one calibration.
//!
//! ```sh
//! cargo run --release -p diffuser --example ablation -- FOLDER [STEPS [IMAGES [VARIANT...]]]
//! ```
//!
//! STEPS (50) DDIM steps and IMAGES (32) calibrate; 27 images of another seed compare the integers with the float
//! network in as many steps. A variant is `groups-K` (K rows), `excess-X` (as many rows as keep the noise within
//! X per cent), `power-of-two` (steps of a tensor are powers of two apart), or `rows` (a row for each step).

use std::error::Error;

use diffuser::graph::{Graph, Op};
use diffuser::quantised::TensorTable;
use diffuser::{FloatModel, Generator, Model, Sampler};
use diffuser_quant::methods::{DynamicStep, Groups, Method, Residual, Tables};
use diffuser_quant::{Calibration, CalibrationSettings, Rounding, calibrate, quantise};

const COMPARED: usize = 27;

const VARIANTS: [&str; 15] = [
    "rows",
    "groups-1",
    "groups-2",
    "groups-4",
    "groups-8",
    "groups-16",
    "groups-32",
    "excess-0.5",
    "excess-1",
    "excess-2",
    "excess-4",
    "excess-8",
    "power-of-two",
    "power-of-two-groups-8",
    "groups-64",
];

struct Variant<'a>(&'a str);

impl Method for Variant<'_> {
    fn name(&self) -> &'static str {
        "ablation"
    }

    fn summary(&self) -> &'static str {
        "a variant of dynamic-step"
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables {
        let (power, rest) = match self.0.strip_prefix("power-of-two") {
            Some(rest) => (true, rest.trim_start_matches('-')),
            None => (false, self.0),
        };
        let groups = if let Some(k) = rest.strip_prefix("groups-") {
            Groups::Count(k.parse().expect("groups-K"))
        } else if let Some(x) = rest.strip_prefix("excess-") {
            Groups::Excess(x.parse::<f64>().expect("excess-X") / 100.0)
        } else {
            Groups::Each
        };
        let mut tables = DynamicStep { groups }.tables(graph, calibration, residual);
        if power {
            for node in &graph.nodes {
                if let (Op::Norm(_), TensorTable::Gain { gain, zero_point }) =
                    (&node.op, &mut tables.tensors[node.output])
                {
                    powers_of_two(gain, zero_point);
                }
            }
        }
        tables
    }
}

/// Gains become a common base, shifted right; the base is the one with the least relative growth of the noise
/// among 64. Half a power of two up means clipping by as much: a gain is rounded up by at most an eighth.
fn powers_of_two(gains: &mut [i16], zero_points: &mut [i8]) {
    let snapped = |base: f64, gain: i16| {
        let shift = (base / f64::from(gain) / 1.125).log2().ceil().max(0.0);
        (base / shift.exp2()).round().max(1.0)
    };
    let growth = |base: f64| -> f64 {
        let noise = |&g: &i16| (f64::from(g) / snapped(base, g)).powi(2);
        gains.iter().map(noise).sum()
    };
    let largest = f64::from(gains.iter().copied().max().unwrap_or(1));
    let base = (0..64)
        .map(|i| {
            (largest * (f64::from(i) / 64.0).exp2() / 1.41)
                .clamp(1.0, 32767.0)
                .round()
        })
        .min_by(|&a, &b| growth(a).total_cmp(&growth(b)))
        .unwrap_or(largest);
    for (gain, zero_point) in gains.iter_mut().zip(zero_points) {
        let new = snapped(base, *gain);
        // the lower end of the range stays at -127: it is what SiLU needs
        let low = (f64::from(*zero_point) + 127.0) / f64::from(*gain);
        *zero_point = (low * new - 127.0).round().clamp(-127.0, 127.0) as i8;
        *gain = new as i16;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u32| arguments.get(i).map_or(Ok(default), |a| a.parse());
    let float = FloatModel::load(arguments.first().ok_or("which folder?")?)?;
    let settings = CalibrationSettings {
        sampler: Sampler::Ddim,
        steps: number(1, 50)?,
        images: number(2, 32)?,
        seed: 0,
        rounding: Rounding::ErrorFeedback,
        rewrites: diffuser_model::rewrite::Rewrites::NONE,
    };
    let scheduler = &float.profile().scheduler;
    let calibration = calibrate(float.pipeline(), scheduler, settings, &|_, _| {})?;
    let asked: Vec<&str> = arguments.iter().skip(3).map(String::as_str).collect();
    println!(
        "| variant | rows | bytes of tables | PSNR, median | PSNR, mean | output error, mean | worst step |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for name in if asked.is_empty() {
        VARIANTS.to_vec()
    } else {
        asked
    } {
        let model = Model::from_quantised(quantise(
            float.pipeline(),
            &calibration,
            &Variant(name),
            Residual::default(),
        )?)?;
        let comparison = Generator::new(&model)
            .count(COMPARED)
            .seed(1)
            .sampler(Sampler::Ddim)
            .steps(settings.steps)
            .compare(&float, &())?;
        let mut psnr = comparison.psnr.clone();
        psnr.sort_by(f64::total_cmp);
        let mean = psnr.iter().map(|p| 10f64.powf(-p / 10.0)).sum::<f64>() / psnr.len() as f64;
        let errors: Vec<f64> = comparison.steps.iter().map(|s| 100.0 * s.output).collect();
        println!(
            "| {name} | {} | {} | {:.1} dB | {:.1} dB | {:.3} % | {:.2} % |",
            model.quantised().intervals.len(),
            model.quantised().table_bytes(),
            psnr[psnr.len() / 2],
            -10.0 * mean.log10(),
            errors.iter().sum::<f64>() / errors.len() as f64,
            errors.iter().copied().fold(0.0, f64::max),
        );
    }
    Ok(())
}
