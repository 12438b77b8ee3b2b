//! Quantisation methods: each decides the tables of all tensors from the calibration.

mod dynamic_step;
mod fixed;

use diffuser_model::graph::{Graph, Node, Op, TensorId, TensorKind};
use diffuser_model::quantised::{Intervals, TensorTable};
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::norm::MAX_EXPONENT_GAP;

use crate::calibrate::Calibration;
use crate::ranges::{self, Clipping};
use crate::statistics::Statistics;

pub use dynamic_step::DynamicStep;
pub use fixed::Static;

/// What a method decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// Which row serves which time step.
    pub intervals: Intervals,
    /// One table a tensor.
    pub tensors: Vec<TensorTable>,
}

/// A way to choose the step sizes of activations.
pub trait Method {
    /// Name on the command line and in the file.
    fn name(&self) -> &'static str;
    /// One line on what it does, and where it comes from.
    fn summary(&self) -> &'static str;
    /// Decide.
    fn tables(&self, graph: &Graph, calibration: &Calibration) -> Tables;
}

/// All methods, the default first.
#[must_use]
pub fn all() -> Vec<Box<dyn Method>> {
    vec![
        Box::new(DynamicStep),
        Box::new(Static {
            clipping: Clipping::LeastSquares,
        }),
        Box::new(Static {
            clipping: Clipping::MinMax,
        }),
    ]
}

/// The method of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn Method>> {
    all().into_iter().find(|m| m.name() == name)
}

/// What [`rows`] needs to know beside the statistics.
#[derive(Clone, Copy, Debug)]
pub struct RowRules {
    /// How ranges are chosen.
    pub clipping: Clipping,
    /// Whether streams that become operands keep 15 bits in two planes.
    pub wide_residual: bool,
}

/// Tables with one row for each set of statistics (`statistics[row][tensor]`).
#[must_use]
pub fn rows(graph: &Graph, statistics: &[Vec<Statistics>], rules: RowRules) -> Vec<TensorTable> {
    let exponents: Vec<Vec<i8>> = statistics
        .iter()
        .map(|row| stream_exponents(graph, row))
        .collect();
    // in order of the nodes, so that V's step is there when attention's output needs it
    let mut tables: Vec<TensorTable> = Vec::with_capacity(graph.tensors.len());
    for (id, info) in graph.tensors.iter().enumerate() {
        let seen = || statistics.iter().map(|row| &row[id]);
        let table = match info.kind {
            TensorKind::Input => TensorTable::State {
                shift: seen().map(ranges::state_shift).collect(),
            },
            TensorKind::Stream => TensorTable::Stream {
                exponent: exponents.iter().map(|e| e[id]).collect(),
            },
            TensorKind::Operand => {
                let producer = graph
                    .nodes
                    .iter()
                    .find(|n| n.output == id)
                    .expect("nodes make operands");
                operand(
                    producer,
                    &tables,
                    &exponents,
                    seen().collect(),
                    graph,
                    rules,
                )
            }
        };
        tables.push(table);
    }
    tables
}

/// Exponents of all streams of one row (of other tensors too, unused), those that are read together
/// no further apart than a normalisation takes.
fn stream_exponents(graph: &Graph, row: &[Statistics]) -> Vec<i8> {
    let mut exponents: Vec<i8> = row.iter().map(ranges::stream_exponent).collect();
    loop {
        let mut settled = true;
        for node in graph.nodes.iter().filter(|n| matches!(n.op, Op::Norm(_))) {
            let coarsest = node.inputs.iter().map(|&t| exponents[t]).min().unwrap_or(0);
            let finest = coarsest + MAX_EXPONENT_GAP as i8;
            for &t in &node.inputs {
                if exponents[t] > finest {
                    exponents[t] = finest;
                    settled = false;
                }
            }
        }
        if settled {
            return exponents;
        }
    }
}

fn operand(
    producer: &Node,
    tables: &[TensorTable],
    exponents: &[Vec<i8>],
    seen: Vec<&Statistics>,
    graph: &Graph,
    rules: RowRules,
) -> TensorTable {
    let gains = |units: Vec<f64>, symmetric: bool| {
        let (gain, zero_point) = seen
            .iter()
            .zip(units)
            .map(|(s, unit)| ranges::gain(s, unit, symmetric, rules.clipping))
            .unzip();
        TensorTable::Gain { gain, zero_point }
    };
    let input: TensorId = producer.inputs[0];
    match &producer.op {
        Op::Quantise { .. }
            if rules.wide_residual || graph.tensors[input].kind == TensorKind::Input =>
        {
            TensorTable::Planes
        }
        Op::Quantise { .. } => gains(
            exponents
                .iter()
                .map(|e| f64::from(15 - e[input]).exp2())
                .collect(),
            false,
        ),
        Op::Norm(_) => gains(vec![32.0; exponents.len()], false),
        Op::Attention(_) => {
            let TensorTable::Step { step } = &tables[producer.inputs[2]] else {
                unreachable!("V is made by a convolution")
            };
            gains(
                step.iter().map(|&s| 128.0 * scale_to_f64(s)).collect(),
                true,
            )
        }
        Op::Conv(_) => TensorTable::Step {
            step: seen
                .iter()
                .map(|s| {
                    scale_from_f64(ranges::symmetric_step(s, rules.clipping))
                        .expect("steps are positive and finite")
                })
                .collect(),
        },
        Op::Resample(_) => unreachable!("resampling makes a stream"),
    }
}
