//! What each width of the integer arithmetic is worth: one at a time narrower and wider, on one model.
//!
//! ```sh
//! cargo run --release -p diffuser-quant --example widths -- [IMAGES [EVERY [FINALS [FOLDER FILE [ONLY]]]]]
//! ```
//!
//! Prints a Markdown table. *Output error*: of the network's output on the trajectory of the float network
//! (50 DDIM steps, every EVERYth (5) of them, the last included, IMAGES (16) images), relative root mean
//! square, mean over steps. *Squared error*: its change against the widths in use, mean over steps, and the
//! standard error of that (jackknife over images). *PSNR*: median over FINALS (27; 0 for none) final images
//! against the float network's, for the rows where it is of interest. FOLDER and FILE are the float model and the
//! quantised one, by default those that are shipped, found from the repository's root; of the rows, those whose
//! name has ONLY in it.

mod emulator;
mod measure;
mod numbers;
mod rows;
mod widths;

use std::error::Error;
use std::path::Path;

use diffuser_model::import::Pipeline;
use diffuser_model::quantised::QuantisedModel;

use crate::emulator::{Emulator, Matrices};
use crate::measure::{Bench, change, error};
use crate::rows::rows;
use crate::widths::Widths;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, what: &str, least: usize, default: usize| match arguments.get(i) {
        None => Ok(default),
        Some(a) => match a.parse() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(format!(
                "{what}: `{a}`, expected a whole number from {least}"
            )),
        },
    };
    let images = number(0, "IMAGES", 2, 16)?;
    let every = number(1, "EVERY", 1, 5)?;
    let finals = number(2, "FINALS", 0, 27)?;
    let path = |i: usize, default: &'static str| {
        arguments.get(i).map_or(default, String::as_str).to_owned()
    };
    let pipeline = Pipeline::load(Path::new(&path(3, "models/emoji32")))?;
    let model = QuantisedModel::load(Path::new(&path(4, "crates/cli/assets/default.safetensors")))?;
    let matrices = Matrices::new(&model, &pipeline.weights)?;
    let bench = Bench::new(&pipeline, &model, images, every, finals)?;

    println!("| what | width | output error | squared error | PSNR, median |");
    println!("| --- | --- | --- | --- | --- |");
    let emulator = |widths: Widths| Emulator {
        model: &model,
        matrices: &matrices,
        widths,
    };
    let present = emulator(Widths::default());
    let base = bench.squares(|state, at| Ok(present.evaluate(state, at)))?;
    let print = |what: &str, width: &str, squares: &measure::Squares, psnr: Option<f64>| {
        let (mean, deviation) = change(squares, &base);
        let psnr = psnr.map_or(String::new(), |p| format!("{p:.1} dB"));
        println!(
            "| {what} | {width} | {:.3} % | {:+.1} ± {:.1} % | {psnr} |",
            100.0 * error(squares),
            100.0 * mean,
            100.0 * deviation
        );
    };
    let engine = bench.engine()?;
    print("the integer engine", "", &engine.0, engine.1);
    print("all in use", "", &base, bench.psnr(&present)?);
    let only = arguments.get(5).map_or("", String::as_str);
    for row in rows().into_iter().filter(|r| r.what.contains(only)) {
        let emulator = emulator(row.widths);
        let squares = bench.squares(|state, at| Ok(emulator.evaluate(state, at)))?;
        let psnr = if row.images {
            bench.psnr(&emulator)?
        } else {
            None
        };
        print(row.what, &row.width, &squares, psnr);
    }
    Ok(())
}
