//! AdaRound: learning whether each weight is rounded up or down.

use std::ops::RangeInclusive;

use diffuser_reference::matrix::{Into, Matrix, Threads, multiply};
use rayon::prelude::*;

/// Steps of the optimiser.
const ITERATIONS: u32 = 2000;
/// Share of them without the regulariser.
const WARM_UP: f32 = 0.2;
/// Step size of Adam (Kingma and Ba 2015), and its two decay rates.
const RATE: f32 = 0.02;
const DECAY: [f32; 2] = [0.9, 0.999];
/// Weight of the regulariser against an error whose mean variance is one.
const REGULARISER: f32 = 0.01;
/// Exponent of the regulariser, after the warm-up and at the end.
const SHARPNESS: [f32; 2] = [20.0, 2.0];
/// Ends of the sigmoid that is cut to 0…1.
const STRETCH: [f32; 2] = [-0.1, 1.1];
/// Output channels that are optimised at a time: one product of matrices.
const ROWS: usize = 32;

/// Integers for weights in units of their steps, row by row (`rows * size`), below or above each, in
/// `range`, one of `i8`.
///
/// `covariance` (`size * size`, damped) is that of the layer's inputs. Each weight is `floor(w) + h(v)` with a
/// stretched sigmoid `h`; Adam lowers `e C e^T` of every row's error `e`, and a regulariser drives `h` to 0 or 1
/// (*Up or Down? Adaptive Rounding for Post-Training Quantization*, Nagel et al., ICML 2020, arXiv:2004.10568).
/// The error's gradient over all calibration inputs is `2 C e`, so that nothing is drawn at random.
///
/// # Panics
/// When the covariance is not square or the weights are no whole rows.
#[must_use]
pub fn adaround(
    weights: &[f32],
    covariance: &[f64],
    size: usize,
    range: RangeInclusive<i32>,
) -> Vec<i8> {
    assert_eq!(covariance.len(), size * size, "a square matrix");
    assert_eq!(weights.len() % size, 0, "whole rows");
    let mean = (0..size).map(|i| covariance[i * size + i]).sum::<f64>() / size as f64;
    let c: Vec<f32> = covariance.iter().map(|&x| (x / mean) as f32).collect();
    let chunks = weights.par_chunks(ROWS * size);
    let limits = [*range.start() as f32, *range.end() as f32];
    chunks
        .flat_map_iter(|rows| some_rows(rows, &c, limits))
        .collect()
}

/// The integers of some rows, between `limits`; `c` has a mean variance of one.
fn some_rows(weights: &[f32], c: &[f32], [low, high]: [f32; 2]) -> Vec<i8> {
    let size = c.len().isqrt();
    let rows = weights.len() / size;
    // at first every weight is what it was
    let mut v: Vec<f32> = weights.iter().map(|&w| inverse(w - w.floor())).collect();
    let mut moments = vec![[0.0f32; 2]; v.len()];
    let mut lost = vec![0.0f32; v.len()];
    let mut gradient = vec![0.0f32; v.len()];
    for i in 0..ITERATIONS {
        let progress = i as f32 / ITERATIONS as f32;
        for ((e, &v), &w) in lost.iter_mut().zip(&v).zip(weights) {
            *e = (w.floor() + rectified(v).0).clamp(low, high) - w;
        }
        let (left, right) = (
            Matrix::rows(&lost, rows, size, size),
            Matrix::rows(c, size, size, size),
        );
        multiply(&mut gradient, size, left, right, Into::Replace, Threads(1));
        let annealed = (progress - WARM_UP) / (1.0 - WARM_UP);
        let sharpness = SHARPNESS[1] + (SHARPNESS[0] - SHARPNESS[1]) * (1.0 - annealed);
        let corrections = DECAY.map(|d| 1.0 / (1.0 - d.powi(i as i32 + 1)));
        for (((v, m), &g), &w) in v.iter_mut().zip(&mut moments).zip(&gradient).zip(weights) {
            let (h, slope) = rectified(*v);
            // a weight beyond the largest integer stays there, up or down
            let free = if (low..=high).contains(&(w.floor() + h)) {
                1.0
            } else {
                0.0
            };
            let mut by_h = 2.0 * g * free;
            if annealed >= 0.0 {
                let x = 2.0 * h - 1.0;
                by_h -= REGULARISER * sharpness * 2.0 * x.signum() * x.abs().powf(sharpness - 1.0);
            }
            let d = by_h * slope;
            m[0] = DECAY[0] * m[0] + (1.0 - DECAY[0]) * d;
            m[1] = DECAY[1] * m[1] + (1.0 - DECAY[1]) * d * d;
            *v -= RATE * m[0] * corrections[0] / ((m[1] * corrections[1]).sqrt() + 1e-8);
        }
    }
    let up = |v: f32| if rectified(v).0 >= 0.5 { 1.0 } else { 0.0 };
    (weights.iter().zip(&v))
        .map(|(&w, &v)| (w.floor() + up(v)).clamp(low, high) as i8)
        .collect()
}

/// The stretched sigmoid cut to 0…1, and its slope.
fn rectified(v: f32) -> (f32, f32) {
    let s = 1.0 / (1.0 + (-v).exp());
    let width = STRETCH[1] - STRETCH[0];
    let h = s * width + STRETCH[0];
    if (0.0..=1.0).contains(&h) {
        (h, s * (1.0 - s) * width)
    } else {
        (h.clamp(0.0, 1.0), 0.0)
    }
}

/// Where the stretched sigmoid has this value of 0…1.
fn inverse(h: f32) -> f32 {
    let s = (h - STRETCH[0]) / (STRETCH[1] - STRETCH[0]);
    (s / (1.0 - s)).ln()
}

#[cfg(test)]
mod tests {
    use super::super::feedback::tests::covariance;
    use super::*;

    fn error(weights: &[f32], integers: &[i8], c: &[f64], size: usize) -> f64 {
        let e: Vec<f64> = (weights.iter().zip(integers))
            .map(|(&w, &q)| f64::from(q) - f64::from(w))
            .collect();
        e.chunks_exact(size)
            .flat_map(|e| (0..size * size).map(|n| e[n / size] * c[n] * e[n % size]))
            .sum()
    }

    fn weights(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 577 + i * i % 89) % 2001) as f32 / 10.0 - 100.0)
            .collect()
    }

    #[test]
    fn it_goes_up_or_down_for_a_lower_error() {
        for (size, rank) in [(12, 12), (40, 10)] {
            let mut c = covariance(size, rank, 3);
            (0..size).for_each(|i| c[i * size + i] += 0.05);
            let w = weights(size * 40);
            let learnt = adaround(&w, &c, size, -127..=127);
            let nearest: Vec<i8> = w.iter().map(|w| w.round() as i8).collect();
            let errors = [&learnt, &nearest].map(|q| error(&w, q, &c, size));
            assert!(errors[0] < 0.7 * errors[1], "{size}: {errors:?}");
            for (&q, &w) in learnt.iter().zip(&w) {
                assert!((f32::from(q) - w).abs() <= 1.0);
            }
            // the same whatever else is rounded with it
            assert_eq!(adaround(&w[..size * 40], &c, size, -127..=127), learnt);
        }
    }

    #[test]
    fn without_correlation_it_is_rounding_to_nearest() {
        let size = 16;
        let mut c = vec![0.0; size * size];
        (0..size).for_each(|i| c[i * size + i] = 1.0);
        let mut w = weights(size * 4);
        (w[0], w[1]) = (127.0, -127.0);
        for (&q, &w) in adaround(&w, &c, size, -127..=127).iter().zip(&w) {
            // ties may go either way
            assert!((f32::from(q) - w).abs() <= 0.5 + 1e-4, "{w}: {q}");
        }
    }

    #[test]
    fn the_sigmoid_is_inverted() {
        for h in [0.0, 0.25, 0.5, 0.99] {
            assert!((rectified(inverse(h)).0 - h).abs() < 1e-5, "{h}");
        }
        assert_eq!(rectified(20.0), (1.0, 0.0));
    }
}
