//! Ours: every tensor has a step size and zero point for every time step.

use diffuser_model::graph::{Graph, Op};
use diffuser_model::quantised::{Intervals, TensorTable};
use diffuser_model::scale::scale_to_f64;

use super::{Method, Residual, RowRules, Tables, best_groups, fewest_groups, rows};
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
    /// Which time steps share a row.
    pub groups: Groups,
}

/// Which neighbouring time steps share a row of the tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Groups {
    /// None.
    Each,
    /// All, in the best so many groups (or as many as there are time steps).
    Count(usize),
    /// As many as may while the mean noise of rounding grows by at most this share ([`fewest_groups`]).
    Excess(f64),
}

impl Groups {
    /// First row of each group.
    fn starts(self, graph: &Graph, tables: &[TensorTable], rows: usize) -> Vec<usize> {
        match self {
            Self::Each => (0..rows).collect(),
            Self::Count(count) => best_groups(&steps(graph, tables), count.clamp(1, rows)).1,
            Self::Excess(share) => fewest_groups(&steps(graph, tables), share),
        }
    }
}

/// Step sizes of what normalisations and the projections to Q, K and V make, by tensor and row.
fn steps(graph: &Graph, tables: &[TensorTable]) -> Vec<Vec<f64>> {
    let made = graph.nodes.iter().filter_map(|node| {
        match (&node.op, &tables[node.output]) {
            // of a normalisation the unit is the same at all times
            (Op::Norm(_), TensorTable::Gain { gain, .. }) => {
                Some(gain.iter().map(|&g| 32.0 / f64::from(g)).collect())
            }
            (_, TensorTable::Step { step }) => {
                Some(step.iter().map(|&s| scale_to_f64(s)).collect())
            }
            _ => None,
        }
    });
    made.collect()
}

impl Method for DynamicStep {
    fn name(&self) -> &'static str {
        "dynamic-step"
    }

    fn summary(&self) -> &'static str {
        "a step size and zero point for each tensor at each time step (default)"
    }

    fn grouped(&self, groups: Groups) -> Option<Box<dyn Method>> {
        Some(Box::new(Self { groups }))
    }

    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables {
        let rules = RowRules {
            clipping: Clipping::LeastSquares,
            residual,
        };
        let all = &calibration.statistics;
        let each: Vec<usize> = (0..all.len()).collect();
        let tables = rows(graph, &pooled(graph, all, &each), rules);
        let starts = self.groups.starts(graph, &tables, all.len());
        let intervals = Intervals::around(&calibration.timesteps);
        Tables {
            intervals: Intervals {
                starts: starts.iter().map(|&row| intervals.starts[row]).collect(),
            },
            tensors: match starts == each {
                true => tables,
                false => rows(graph, &pooled(graph, all, &starts), rules),
            },
        }
    }
}

/// Statistics of each group, of a lone step with its neighbours.
fn pooled(graph: &Graph, all: &[Vec<Statistics>], starts: &[usize]) -> Vec<Vec<Statistics>> {
    let ends = starts[1..].iter().copied().chain([all.len()]);
    let groups = starts.iter().copied().zip(ends);
    groups
        .map(|(start, end)| {
            let together = match end - start {
                1 => &all[start.saturating_sub(1)..(end + 1).min(all.len())],
                _ => &all[start..end],
            };
            (0..graph.tensors.len())
                .map(|t| Statistics::merged(together.iter().map(|row| &row[t])))
                .collect()
        })
        .collect()
}
