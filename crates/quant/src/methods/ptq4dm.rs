//! PTQ4DM: static quantisers from time steps drawn from a normal distribution.

use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_spec::STATE_FRACTION_BITS;

use super::draws::{drawn, one_row};
use super::{Method, Residual, Tables};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;

/// Mean of the distribution, as a share of all steps: at most a half, so that it leans to the clean end.
const MEAN: f64 = 0.4;
/// Its standard deviation, as a share of all steps.
const DEVIATION: f64 = 0.5;
/// Calibration samples drawn.
const SAMPLES: usize = 1024;
/// Distinguishes these random numbers from the sampler's noise.
const KEY: u64 = 0x7074_7134_646d;

/// *Post-training Quantization on Diffusion Models* (Shang et al., CVPR 2023, arXiv:2211.15736).
///
/// Calibration samples at time steps `t ~ N(mu, T/2)`, `mu <= T/2`, clipped to the schedule (the paper's
/// normally distributed time-step calibration); one range a tensor, searched in size and position for
/// the least error in the norm of p = 2.4. `mu` is 0.4 T here (the authors' code leaves it and the deviation
/// to the user, 0.5 T and 0.35 T unless told otherwise). `T` counts the calibrated steps, from the clean end; a
/// sample of a step is a share of the values that calibration kept there, and extremes are those over
/// all images of the steps drawn. Weights, widths and rounding are those of every other method here.
pub struct Ptq4dm;

impl Method for Ptq4dm {
    fn name(&self) -> &'static str {
        "ptq4dm"
    }

    fn summary(&self) -> &'static str {
        "one step size, from time steps drawn from a normal distribution (Shang et al. 2023)"
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables {
        let counts = counts(calibration.statistics.len(), calibration.settings.seed);
        one_row(graph, calibration, residual, Clipping::NormInTwo, |steps| {
            drawn(steps, &counts)
        })
    }
}

/// How many of the samples come from each of `steps` steps, ascending from the clean end.
fn counts(steps: usize, seed: u64) -> Vec<usize> {
    let mut counts = vec![0; steps];
    let one = f64::from(1u32 << STATE_FRACTION_BITS);
    for z in noise(seed ^ KEY, 0, Purpose::Start, SAMPLES) {
        let t = (MEAN + DEVIATION * f64::from(z) / one) * steps as f64;
        if let Some(count) = counts.get_mut((t.max(0.0) as usize).min(steps.saturating_sub(1))) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of the draw against the normal distribution, clipped ends included.
    #[test]
    fn steps_are_drawn_from_a_clipped_normal_distribution() {
        const STEPS: usize = 10;
        let mut sums = [0usize; STEPS];
        for seed in 0..32 {
            let counts = counts(STEPS, seed);
            assert_eq!(counts.iter().sum::<usize>(), SAMPLES);
            for (sum, c) in sums.iter_mut().zip(counts) {
                *sum += c;
            }
        }
        // by the midpoint rule, in standard deviations
        let density = |z: f64| (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let below = |t: f64| {
            let z = (t - MEAN) / DEVIATION;
            (0..8000)
                .map(|i| -8.0 + (z + 8.0) * (f64::from(i) + 0.5) / 8000.0)
                .map(density)
                .sum::<f64>()
                * (z + 8.0)
                / 8000.0
        };
        for (i, sum) in sums.into_iter().enumerate() {
            let low = if i == 0 { 0.0 } else { below(i as f64 / 10.0) };
            let high = if i == STEPS - 1 {
                1.0
            } else {
                below((i + 1) as f64 / 10.0)
            };
            let share = sum as f64 / (32 * SAMPLES) as f64;
            assert!((share - (high - low)).abs() < 0.008, "{i}: {share}");
        }
        assert_eq!(counts(STEPS, 3), counts(STEPS, 3));
        assert_ne!(counts(STEPS, 3), counts(STEPS, 4));
        assert!(counts(0, 3).is_empty());
    }
}
