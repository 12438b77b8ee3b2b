//! TFMQ-DM: features of time quantised for each time step, everything else static.

use diffuser_model::graph::Graph;
use diffuser_spec::philox::philox;

use super::draws::one_row;
use super::{Method, Residual, Tables};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::{Histogram, Statistics};

/// What the running range keeps of itself when a batch is taken in.
const MOMENTUM: f64 = 0.95;
/// Distinguishes these random numbers from the sampler's noise.
const KEY: u32 = 0x7466_6d71;

/// *TFMQ-DM: Temporal Feature Maintenance Quantization for Diffusion Models* (Huang et al., CVPR 2024,
/// arXiv:2311.16503).
///
/// - **Features of time** (the time embedding and its projections) are quantised apart from what depends on
///   the image, with parameters for each of the finitely many steps. In this executor they are so for every
///   method: `prepare` works them out for each step with 16-bit weights and 32-bit values.
///   Their reconstruction has nothing to mend at these widths and is left out.
/// - **All other activations** have one range a tensor, over samples of all steps in shuffled order:
///   a running mean of each batch's extremes (momentum 0.95). A batch is what calibration saw at one step.
///   The authors' code keeps such ranges for each group of steps; the paper's per-step parameters are
///   those of time features, and that is what is compared here.
/// - **Not here**: block-wise reconstruction of weights, which are rounded as the command says.
pub struct Tfmq;

impl Method for Tfmq {
    fn name(&self) -> &'static str {
        "tfmq"
    }

    fn summary(&self) -> &'static str {
        "one step size, from running ranges over all time steps (Huang et al. 2024)"
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables {
        let order = shuffled(calibration.statistics.len(), calibration.settings.seed);
        one_row(graph, calibration, residual, Clipping::MinMax, |steps| {
            running(order.iter().map(|&i| steps[i]))
        })
    }
}

/// Extremes as a running mean over batches that have any; no values are kept.
fn running<'a>(batches: impl Iterator<Item = &'a Statistics>) -> Statistics {
    let mean = |a: f32, b: f32| (MOMENTUM * f64::from(a) + (1.0 - MOMENTUM) * f64::from(b)) as f32;
    batches
        .filter(|s| s.min <= s.max)
        .map(|s| (s.min, s.max))
        .reduce(|a, b| (mean(a.0, b.0), mean(a.1, b.1)))
        .map_or_else(Statistics::default, |(min, max)| Statistics {
            min,
            max,
            histogram: Histogram::default(),
        })
}

/// All of `0..count` in an order that the seed decides.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let key = [seed as u32 ^ KEY, (seed >> 32) as u32];
    order.sort_by_key(|&i| philox([i as u32, 0, 0, 0], key));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_running_means_in_a_seeded_order() {
        let seen = |max: f32| Statistics::of(&[0.0, max]);
        let (one, two, none) = (seen(1.0), seen(2.0), Statistics::default());
        let r = running([&none, &one, &none, &two, &two].into_iter());
        assert!((r.max - (0.95 * (0.95 + 0.1) + 0.1)).abs() < 1e-6, "{r:?}");
        assert_eq!(running([&none].into_iter()), none);
        let order = shuffled(50, 7);
        assert_eq!(order, shuffled(50, 7));
        assert_ne!(order, shuffled(50, 8));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_ne!(order, sorted);
        assert!(sorted.into_iter().eq(0..50));
    }
}
