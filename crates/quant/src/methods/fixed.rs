//! The static baseline: one step size for all time steps, as quantisers of other networks have it.

use diffuser_model::graph::Graph;
use diffuser_model::quantised::Intervals;

use super::{Method, Residual, RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::Statistics;

/// One row from the statistics of all time steps together.
pub struct Static {
    /// Ranges by least squares; from the extremes otherwise.
    pub least_squares: bool,
}

impl Method for Static {
    fn name(&self) -> &'static str {
        match self.least_squares {
            false => "static-minmax",
            true => "static-mse",
        }
    }

    fn summary(&self) -> &'static str {
        match self.least_squares {
            false => "one step size for all time steps, from the extremes",
            true => "one step size for all time steps, by least squares",
        }
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables {
        let merged = (0..graph.tensors.len())
            .map(|t| Statistics::merged(calibration.statistics.iter().map(|row| &row[t])))
            .collect();
        let rules = RowRules {
            clipping: if self.least_squares {
                Clipping::LeastSquares
            } else {
                Clipping::MinMax
            },
            residual,
        };
        Tables {
            intervals: Intervals { starts: vec![0] },
            tensors: rows(graph, &[merged], rules),
        }
    }
}
