//! Time and memory of quantising a network of the size of google/ddpm-cifar10-32 (35.7 M parameters, random weights).
//!
//! ```sh
//! cargo run --release -p diffuser-quant --example cost -- [STEPS [IMAGES [THREADS [BITS]]]]
//! ```
//!
//! What `diffuser quantize` does by default: 50 steps of DDIM (100 for the bar of 30 minutes), 32 images, weights with
//! error feedback, or with BITS of 4 layer after layer. Prints wall-clock time, processor time and the peak of memory (Linux).

use std::error::Error;
use std::time::Instant;

use diffuser_model::build_graph::parameters;
use diffuser_model::config::UnetConfig;
use diffuser_model::import::Pipeline;
use diffuser_model::sampling::{Sampler, SchedulerConfig};
use diffuser_model::weights::Weights;
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::{CalibrationSettings, calibrate, quantise_weights};
use diffuser_testing::CIFAR10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u32| arguments.get(i).map_or(Ok(default), |a| a.parse());
    let bits = match number(3, 8)? {
        4 => diffuser_quant::Weights::Four,
        _ => diffuser_quant::Weights::Eight,
    };
    let settings = CalibrationSettings {
        sampler: Sampler::Ddim,
        steps: number(0, 100)?,
        images: number(1, 32)?,
        seed: 0,
        rounding: bits.best_rounding(),
        rewrites: diffuser_model::rewrite::Rewrites::NONE,
    };
    let config = UnetConfig::from_json(CIFAR10)?;
    let pipeline = Pipeline {
        weights: Weights::random(&parameters(&config)?, 1),
        config,
        scheduler: None,
        class_names: vec![],
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(number(2, 2)? as usize)
        .build()?;
    let start = Instant::now();
    pool.install(|| -> Result<(), Box<dyn Error + Send + Sync>> {
        let scheduler = SchedulerConfig::default();
        let calibration = calibrate(&pipeline, &scheduler, settings, &|done, all| {
            if done % 100 == 0 {
                eprintln!("{done} of {all} evaluations, {:.0?}", start.elapsed());
            }
        })?;
        let calibrated = start.elapsed();
        let method = methods::by_name("dynamic-step").ok_or("the default method is there")?;
        let (method, residual) = (method.as_ref(), Residual::default());
        let model = quantise_weights(
            &pipeline,
            &scheduler,
            &calibration,
            method,
            residual,
            bits,
            &|_, _| {},
        )?;
        println!(
            "{} steps, {} images: calibrated in {calibrated:.0?}, weights rounded in {:.0?}; tables {} bytes",
            settings.steps,
            settings.images,
            start.elapsed() - calibrated,
            model.table_bytes()
        );
        Ok(())
    })
    .map_err(|e| e.to_string())?;
    let of = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    if let Some(line) = of("/proc/self/status")
        .lines()
        .find(|l| l.starts_with("VmHWM"))
    {
        println!("peak memory: {}", line.trim_start_matches("VmHWM:").trim());
    }
    // fields 14 and 15 of stat: user and system time in ticks, of which there are 100 a second on Linux
    let stat = of("/proc/self/stat");
    let ticks: u64 = (stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(11)
        .take(2))
    .filter_map(|f| f.parse::<u64>().ok())
    .sum();
    println!("processor time: {} s", ticks / 100);
    Ok(())
}
