//! Q-Diffusion: static quantisers from samples uniform over time, shortcuts split.

use diffuser_model::graph::Graph;

use super::draws::{drawn, one_row};
use super::{Method, Residual, Tables};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;

/// Time steps that samples are taken from, evenly spaced.
const STEPS: usize = 20;

/// *Q-Diffusion: Quantizing Diffusion Models* (Li et al., ICCV 2023, arXiv:2302.04304).
///
/// - **Calibration**: as many samples from each of 20 time steps, evenly spaced; one range a tensor, that
///   of the least error in the norm of p = 2.4 among 80 shrunk ones.
/// - **Split shortcut**: the two parts of a concatenation have scales of their own, for activations and
///   weights, where the shortcut convolution reads them. The graph has this for every method:
///   a shortcut over a concatenation is two nodes. `conv1` reads the concatenation after
///   a normalisation, as one operand, and is not split; nor is it in the authors' code.
/// - **Not here**: block-wise reconstruction. Weights are rounded as the command says, and activation steps
///   are searched, not learned by gradients on a block's output.
pub struct QDiffusion;

impl Method for QDiffusion {
    fn name(&self) -> &'static str {
        "q-diffusion"
    }

    fn summary(&self) -> &'static str {
        "one step size, from 20 time steps evenly spaced (Li et al. 2023)"
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables {
        let counts = counts(calibration.statistics.len());
        one_row(graph, calibration, residual, Clipping::Norm, |steps| {
            drawn(steps, &counts)
        })
    }
}

/// One for each step that samples are taken from.
fn counts(steps: usize) -> Vec<usize> {
    let mut counts = vec![0; steps];
    let wanted = STEPS.min(steps);
    for i in 0..wanted {
        counts[(2 * i + 1) * steps / (2 * wanted)] = 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_evenly_spaced() {
        assert_eq!(counts(3), [1, 1, 1]);
        let at: Vec<usize> = (0..100).filter(|&i| counts(100)[i] == 1).collect();
        assert_eq!((at.len(), at[0]), (STEPS, 2));
        assert!(at.windows(2).all(|w| w[1] - w[0] == 5));
        assert!(counts(0).is_empty());
    }
}
