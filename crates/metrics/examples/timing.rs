//! How long the measures take: `cargo run --release -p diffuser-metrics --example timing -- 10000 1280`.

use std::time::Instant;

use diffuser_metrics::precision_recall::{NEIGHBOURS, precision_recall};
use diffuser_metrics::{Features, MetricsError, Moments, Reference};

/// Rows of pseudo-random features of 0 to 1.
fn set(mut seed: u64, values: usize) -> Vec<f32> {
    let next = |_| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        (seed >> 40) as f32 / 16_777_216.0
    };
    (0..values).map(next).collect()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}

fn main() -> Result<(), MetricsError> {
    let argument = |i: usize, default: usize| {
        let given = std::env::args().nth(i);
        given.map_or(default, |a| {
            a.parse().expect("rows and features are whole numbers")
        })
    };
    let (rows, dim) = (argument(1, 2000), argument(2, 256));
    let (a, b) = (set(1, rows * dim), set(2, rows * dim));
    let (a, b) = (Features::new(&a, dim)?, Features::new(&b, dim)?);
    let first = timed("moments of one set", || Moments::of(a));
    let second = Moments::of(b);
    let reference = timed("root of the reference", || Reference::new(&first))?;
    timed("Fréchet distance to it", || reference.distance(&second))?;
    timed("precision and recall", || {
        precision_recall(a, b, NEIGHBOURS)
    })?;
    Ok(())
}
