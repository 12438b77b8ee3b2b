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
}

impl Method for Static {
    fn name(&self) -> &'static str {
        match self.clipping {
            Clipping::MinMax => "static-minmax",
            Clipping::LeastSquares => "static-mse",
        }
    }

    fn summary(&self) -> &'static str {
        match self.clipping {
            Clipping::MinMax => "one step size for all time steps, from the extremes",
            Clipping::LeastSquares => {
                "one step size for all time steps, from the least squared error"
            }
        }
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration) -> Tables {
        let merged = (0..graph.tensors.len())
            .map(|t| Statistics::merged(calibration.statistics.iter().map(|row| &row[t])))
            .collect();
        // the same widths as the dynamic method: what differs is the dependence on the step alone
        let rules = RowRules {
            clipping: self.clipping,
            wide_residual: true,
        };
        Tables {
            intervals: Intervals { starts: vec![0] },
            tensors: rows(graph, &[merged], rules),
        }
    }
}
