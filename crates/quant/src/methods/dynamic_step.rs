//! Ours: every tensor has a step size and zero point for every time step.

use diffuser_model::graph::Graph;
use diffuser_model::quantised::Intervals;

use super::{Method, RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::Statistics;

/// One row for each calibrated time step, ranges by least squares.
///
/// A step's statistics are taken together with its neighbours': ranges change slowly from step to
/// step, and three times the values make them steadier.
///
/// After *Diffuser: An FPGA Accelerator for Diffusion Model with Dynamic Step Quantization*
/// (OpenHW 2024).
pub struct DynamicStep {
    /// Whether the residual stream keeps 15 bits where it enters a product (shortcuts, resampling).
    pub wide_residual: bool,
}

impl Method for DynamicStep {
    fn name(&self) -> &'static str {
        if self.wide_residual {
            "dynamic-step"
        } else {
            "dynamic-step-8bit"
        }
    }

    fn summary(&self) -> &'static str {
        if self.wide_residual {
            "a step size and zero point for each tensor at each time step (default)"
        } else {
            "the same, with the residual in 8 bits where it enters a product"
        }
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration) -> Tables {
        let rules = RowRules {
            clipping: Clipping::LeastSquares,
            wide_residual: self.wide_residual,
        };
        let all = &calibration.statistics;
        let around = |i: usize| &all[i.saturating_sub(1)..(i + 2).min(all.len())];
        let pooled: Vec<Vec<Statistics>> = (0..all.len())
            .map(|i| {
                let tensors = 0..graph.tensors.len();
                tensors
                    .map(|t| Statistics::merged(around(i).iter().map(|row| &row[t])))
                    .collect()
            })
            .collect();
        Tables {
            intervals: Intervals::around(&calibration.timesteps),
            tensors: rows(graph, &pooled, rules),
        }
    }
}
