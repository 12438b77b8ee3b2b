//! The static baseline: one step size for all time steps, as quantisers of other networks have it.

use diffuser_model::graph::Graph;
use diffuser_model::quantised::Intervals;

use super::{Method, RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::Statistics;

/// One row from the statistics of all time steps together.
pub struct Static {
    /// Ranges by least squares; from the extremes otherwise.
    pub least_squares: bool,
    /// As [`super::DynamicStep::wide_residual`].
    pub wide_residual: bool,
}

impl Method for Static {
    fn name(&self) -> &'static str {
        match (self.least_squares, self.wide_residual) {
            (false, true) => "static-minmax",
            (false, false) => "static-8bit",
            (true, true) => "static-mse",
            (true, false) => "static-mse-8bit",
        }
    }

    fn summary(&self) -> &'static str {
        match (self.least_squares, self.wide_residual) {
            (false, true) => "one step size for all time steps, from the extremes",
            (false, false) => "the same, with the residual in 8 bits where it enters a product",
            (true, true) => "one step size for all time steps, by least squares",
            (true, false) => "the same, with the residual in 8 bits where it enters a product",
        }
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration) -> Tables {
        let merged = (0..graph.tensors.len())
            .map(|t| Statistics::merged(calibration.statistics.iter().map(|row| &row[t])))
            .collect();
        let rules = RowRules {
            clipping: if self.least_squares {
                Clipping::LeastSquares
            } else {
                Clipping::MinMax
            },
            wide_residual: self.wide_residual,
        };
        Tables {
            intervals: Intervals { starts: vec![0] },
            tensors: rows(graph, &[merged], rules),
        }
    }
}
