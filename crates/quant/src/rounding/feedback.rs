//! Rounding one output channel's weights with error feedback.

use std::ops::RangeInclusive;

use super::Factor;

/// Number of step sizes that are tried side by side.
pub const LANES: usize = 8;

/// Weights rounded with several step sizes at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// The integers of each column, one for each step size.
    pub integers: Vec<[i8; LANES]>,
    /// Mean squared error of the output for each step size.
    pub error: [f64; LANES],
}

/// Round `weights` (in the order of columns) to integers within `range` with each of `steps`; `range` is one of `i8`.
///
/// Without `feedback` every weight goes to the nearest integer; the error is measured all the same.
///
/// # Panics
/// When there are not as many weights as columns.
#[must_use]
pub fn round(
    weights: &[f64],
    steps: &[f64; LANES],
    factor: &Factor,
    range: RangeInclusive<i32>,
    feedback: bool,
) -> Rounded {
    let size = factor.size();
    assert_eq!(weights.len(), size, "one weight a column");
    let [low, high] = [*range.start(), *range.end()].map(f64::from);
    let mut integers = vec![[0; LANES]; size];
    let mut error = [0.0; LANES];
    // what each weight should be, given what those before it have become
    let mut wanted: Vec<[f64; LANES]> = factor.order.iter().map(|&c| [weights[c]; LANES]).collect();
    for (k, &column) in factor.order.iter().enumerate() {
        let (head, tail) = wanted.split_at_mut(k + 1);
        let mut lost = [0.0; LANES];
        for lane in 0..LANES {
            let step = steps[lane];
            let target = if feedback {
                head[k][lane]
            } else {
                weights[column]
            };
            let q = (target / step).round().clamp(low, high);
            integers[column][lane] = q as i8;
            error[lane] += factor.weight[k] * (q * step - head[k][lane]).powi(2);
            lost[lane] = q * step - weights[column];
        }
        for (w, &m) in tail.iter_mut().zip(&factor.feedback[k * size + k + 1..]) {
            for lane in 0..LANES {
                w[lane] -= lost[lane] * m;
            }
        }
    }
    Rounded { integers, error }
}

#[cfg(test)]
pub(super) mod tests {
    use diffuser_spec::philox::philox;

    use super::*;

    fn uniform(seed: u32, i: usize) -> f64 {
        let [x, ..] = philox([i as u32, 0, 0, 0], [seed, 1]);
        f64::from(x) / f64::from(u32::MAX) * 2.0 - 1.0
    }

    /// A covariance of this rank; neighbours of full rank are correlated.
    pub fn covariance(size: usize, rank: usize, seed: u32) -> Vec<f64> {
        let a = |i: usize, r: usize| uniform(seed, i * rank + r) + 0.8;
        (0..size * size)
            .map(|n| (0..rank).map(|r| a(n / size, r) * a(n % size, r)).sum())
            .collect()
    }

    /// `e (C + damping) e^T` by the definition.
    fn output_error(c: &[f64], damping: f64, e: &[f64]) -> f64 {
        let n = e.len();
        let product = |i: usize| (0..n).map(|j| c[i * n + j] * e[j]).sum::<f64>() + damping * e[i];
        (0..n).map(|i| e[i] * product(i)).sum()
    }

    #[test]
    fn the_error_is_that_of_the_output_and_below_that_of_rounding_to_nearest() {
        let mut sums = [0.0; 2];
        for (case, (size, rank)) in [
            (1, 1),
            (4, 4),
            (18, 18),
            (36, 7),
            (64, 1),
            (40, 0),
            (90, 90),
        ]
        .into_iter()
        .enumerate()
        {
            let c = covariance(size, rank, case as u32);
            let factor = Factor::new(c.clone(), size);
            for row in 0..4 {
                let weights: Vec<f64> = (0..size)
                    .map(|i| uniform(100 + row, i) * f64::from(row))
                    .collect();
                let steps: [f64; LANES] =
                    std::array::from_fn(|lane| 3.0 / 127.0 * (1.0 - 0.04 * lane as f64));
                for (feedback, sum) in [false, true].into_iter().zip(&mut sums) {
                    let rounded = round(&weights, &steps, &factor, -127..=127, feedback);
                    for (lane, step) in steps.into_iter().enumerate() {
                        let e: Vec<f64> = (0..size)
                            .map(|i| f64::from(rounded.integers[i][lane]) * step - weights[i])
                            .collect();
                        let want = output_error(&c, factor.damping, &e);
                        let got = rounded.error[lane];
                        assert!((got - want).abs() <= 1e-9 * want.max(1e-6), "{got}, {want}");
                        *sum += got;
                    }
                }
            }
        }
        let [nearest, fed_back] = sums;
        assert!(fed_back < 0.7 * nearest, "{fed_back}, {nearest}");
    }

    #[test]
    fn without_correlation_it_is_rounding_to_nearest() {
        let size = 20;
        let mut c = vec![0.0; size * size];
        (0..size).for_each(|i| c[i * size + i] = 1.0 + i as f64);
        let factor = Factor::new(c, size);
        let weights: Vec<f64> = (0..size).map(|i| uniform(7, i)).collect();
        let steps = [0.01; LANES];
        let fed_back = round(&weights, &steps, &factor, -127..=127, true);
        assert_eq!(
            fed_back,
            round(&weights, &steps, &factor, -127..=127, false)
        );
        assert_eq!(
            fed_back.integers[3][0],
            (weights[3] / 0.01).round().clamp(-127.0, 127.0) as i8
        );
    }
}
