//! Time of one step of a network of the size of google/ddpm-cifar10-32, with random weights.
//!
//!     cargo run --release -p diffuser-reference --example bench [threads]

use std::error::Error;
use std::time::{Duration, Instant};

use diffuser_model::build_graph::parameters;
use diffuser_model::config::UnetConfig;
use diffuser_model::weights::Weights;
use diffuser_reference::FloatUnet;
use diffuser_testing::CIFAR10;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(0), |t| t.parse())?;
    let config = UnetConfig::from_json(CIFAR10)?;
    let weights = Weights::random(&parameters(&config)?, 1);
    let unet = FloatUnet::new(&config, &weights)?.with_threads(threads);
    let sample: Vec<f32> = weights
        .iter()
        .flat_map(|(_, t)| &t.data)
        .take(3 * 32 * 32)
        .copied()
        .collect();
    let mut best = Duration::MAX;
    for t in 0..5 {
        let start = Instant::now();
        let embedding = unet.embedding(f64::from(t), None)?;
        unet.evaluate(&sample, &embedding, &mut ())?;
        best = best.min(start.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "for printing")]
    let macs = unet.graph().macs() as f64;
    println!(
        "{:.1} M parameters, {:.2} GMAC, {:.3} s a step, {:.1} GMAC/s",
        weights.count() as f64 / 1e6,
        macs / 1e9,
        best.as_secs_f64(),
        macs / 1e9 / best.as_secs_f64()
    );
    Ok(())
}
