//! The static baseline: one step size for all time steps, as quantisers of other networks have it.

use diffuser_model::graph::Graph;
use diffuser_model::quantised::Intervals;

use super::{Method, RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::Statistics;

/// One row from the statistics of all time steps together.
pub struct Static {
    /// How ranges are chosen.
    pub clipping: Clipping,
    /// As [`super::DynamicStep::wide_residual`].
    pub wide_residual: bool,
}

impl Method for Static {
    fn name(&self) -> &'static str {
        match (self.clipping, self.wide_residual) {
            (Clipping::MinMax, true) => "static-minmax",
            (Clipping::MinMax, false) => "static-8bit",
            (Clipping::LeastSquares, true) => "static-mse",
            (Clipping::LeastSquares, false) => "static-mse-8bit",
        }
    }

    fn summary(&self) -> &'static str {
        match (self.clipping, self.wide_residual) {
            (Clipping::MinMax, true) => "one step size for all time steps, from the extremes",
            (Clipping::MinMax, false) => {
                "the same, with the residual in 8 bits where it enters a product"
            }
            (Clipping::LeastSquares, true) => "one step size for all time steps, by least squares",
            (Clipping::LeastSquares, false) => {
                "the same, with the residual in 8 bits where it enters a product"
            }
        }
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration) -> Tables {
        let merged = (0..graph.tensors.len())
            .map(|t| Statistics::merged(calibration.statistics.iter().map(|row| &row[t])))
            .collect();
        let rules = RowRules {
            clipping: self.clipping,
            wide_residual: self.wide_residual,
        };
        Tables {
            intervals: Intervals { starts: vec![0] },
            tensors: rows(graph, &[merged], rules),
        }
    }
}
