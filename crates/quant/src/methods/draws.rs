//! What the published static methods share: statistics of operands from a draw of time steps.
//!
//! They differ in which steps their calibration samples come from and in how a range is chosen. The 16-bit
//! streams are this executor's, not theirs: their exponents hold what was seen at any step.

use diffuser_model::graph::{Graph, TensorKind};
use diffuser_model::quantised::Intervals;

use super::{RowRules, Tables, rows};
use crate::calibrate::Calibration;
use crate::ranges::Clipping;
use crate::statistics::Statistics;

/// Values of one tensor that a whole draw keeps, about.
const VALUES: usize = 16_384;

/// One row for all time steps: operands by `of_operand` from a tensor's statistics at each step, streams
/// from all of them.
pub fn one_row(
    graph: &Graph,
    calibration: &Calibration,
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
    let rules = RowRules {
        clipping,
        wide_residual: true,
    };
    Tables {
        intervals: Intervals { starts: vec![0] },
        tensors: rows(graph, &[statistics], rules),
    }
}

/// Statistics of a draw that has `counts[i]` samples of step `i`; of each step its share of the values.
///
/// Extremes are those of the steps that were drawn at all.
pub fn drawn(steps: &[&Statistics], counts: &[usize]) -> Statistics {
    let all = counts.iter().sum::<usize>().max(1);
    let mut out = Statistics::default();
    for (&seen, &count) in steps.iter().zip(counts).filter(|(_, count)| **count > 0) {
        out.min = out.min.min(seen.min);
        out.max = out.max.max(seen.max);
        // a step that is drawn often gives its values more than once
        let (have, wanted) = (seen.sample.len(), (VALUES * count).div_ceil(all));
        if have > 0 {
            out.sample.extend((0..wanted).map(|i| {
                let (round, within) = (i / have, i % have);
                let part = (wanted - round * have).min(have);
                seen.sample[within * have / part]
            }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_their_share_of_the_values() {
        let seen = |v: f32| Statistics {
            min: -v,
            max: v,
            sample: (0..100).map(|i| v + i as f32 / 1000.0).collect(),
        };
        let steps = [seen(1.0), seen(2.0), seen(3.0)];
        let steps: Vec<&Statistics> = steps.iter().collect();
        let d = drawn(&steps, &[3, 1, 0]);
        assert_eq!((d.min, d.max), (-2.0, 2.0));
        let ones = d.sample.iter().filter(|&&v| v < 2.0).count();
        assert_eq!((ones, d.sample.len()), (VALUES / 4 * 3, VALUES));
        // every value as often as any other, but for a remainder spread over all
        let of = |value: f32| d.sample.iter().filter(|&&v| v == value).count();
        assert!((0..100).all(|i| (122..=123).contains(&of(1.0 + i as f32 / 1000.0))));
        assert_eq!(
            drawn(&[&Statistics::default()], &[4]),
            Statistics::default()
        );
    }
}
