//! What the published static methods share: statistics of operands from a draw of time steps.
//!
//! They differ in which steps their calibration samples come from and in how a range is chosen. The 16-bit
//! streams are this executor's, not theirs: their exponents hold what was seen at any step.

use diffuser_model::graph::{Graph, TensorKind};
use diffuser_model::quantised::Intervals;

use super::{Residual, RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::Statistics;

/// One row for all time steps: operands by `of_operand` from a tensor's statistics at each step, streams
/// from all of them.
pub fn one_row(
    graph: &Graph,
    calibration: &Calibration,
    residual: Residual,
    clipping: Clipping,
    of_operand: impl Fn(&[&Statistics]) -> Statistics,
) -> Tables {
    let statistics = (graph.tensors.iter().enumerate())
        .map(|(t, info)| {
            let steps: Vec<_> = calibration.statistics.iter().map(|row| &row[t]).collect();
            match info.kind {
                TensorKind::Operand => of_operand(&steps),
                TensorKind::Input | TensorKind::Stream => Statistics::merged(steps.iter().copied()),
            }
        })
        .collect();
    let rules = RowRules { clipping, residual };
    Tables {
        intervals: Intervals { starts: vec![0] },
        tensors: rows(graph, &[statistics], rules),
    }
}

/// Statistics of a draw that has `counts[i]` samples of step `i`; of each step its share of the values.
///
/// Extremes are those of the steps that were drawn at all.
pub fn drawn(steps: &[&Statistics], counts: &[usize]) -> Statistics {
    let mut out = Statistics::default();
    for (&seen, &count) in steps.iter().zip(counts).filter(|(_, count)| **count > 0) {
        out.add(seen, count as f32);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_their_share_of_the_values() {
        let seen = |v: f32| {
            let mut s = Statistics::of(&[v; 100]);
            s.min = -v;
            s
        };
        let steps = [seen(1.0), seen(2.0), seen(4.0)];
        let steps: Vec<&Statistics> = steps.iter().collect();
        let d = drawn(&steps, &[3, 1, 0]);
        assert_eq!((d.min, d.max), (-2.0, 2.0));
        let counts: Vec<f64> = d.histogram.bins().map(|b| b.count).collect();
        assert_eq!(counts, [300.0, 100.0]);
        assert_eq!(
            drawn(&[&Statistics::default()], &[4]),
            Statistics::default()
        );
    }
}
