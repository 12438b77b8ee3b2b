//! Ours: every tensor has a step size and zero point for every time step.

use diffuser_model::graph::Graph;
use diffuser_model::quantised::Intervals;

use super::{Method, RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;

/// One row for each calibrated time step, ranges by least squares, and 15 bits where the residual
/// stream itself enters a product (shortcuts, resampling).
///
/// After *Diffuser: An FPGA Accelerator for Diffusion Model with Dynamic Step Quantization*
/// (OpenHW 2024).
pub struct DynamicStep;

impl Method for DynamicStep {
    fn name(&self) -> &'static str {
        "dynamic-step"
    }

    fn summary(&self) -> &'static str {
        "a step size and zero point for each tensor at each time step (default)"
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration) -> Tables {
        let rules = RowRules {
            clipping: Clipping::LeastSquares,
            wide_residual: true,
        };
        Tables {
            intervals: Intervals::around(&calibration.timesteps),
            tensors: rows(graph, &calibration.statistics, rules),
        }
    }
}
