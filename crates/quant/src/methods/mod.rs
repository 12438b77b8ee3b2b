//! Quantisation methods: each decides the tables of all tensors from the calibration.

mod draws;
mod dynamic_step;
mod fixed;
mod grouping;
mod ptq4dm;
mod q_diffusion;
mod tfmq;

use diffuser_model::graph::{Graph, Node, Op, TensorId, TensorKind};
use diffuser_model::quantised::{Intervals, TensorTable};
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::norm::MAX_EXPONENT_GAP;

use crate::calibrate::Calibration;
use crate::ranges::{self, Clipping};
use crate::statistics::Statistics;

pub use dynamic_step::{DynamicStep, Groups};
pub use fixed::Static;
pub use grouping::{best_groups, fewest_groups};
pub use ptq4dm::Ptq4dm;
pub use q_diffusion::QDiffusion;
pub use tfmq::Tfmq;

/// What a method decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// Which row serves which time step.
    pub intervals: Intervals,
    /// One table a tensor.
    pub tensors: Vec<TensorTable>,
}

/// Width of the residual stream where a product reads it: in shortcuts, and in convolutions that change the
/// resolution. The network's input has 15 bits there whatever is chosen.
///
/// 15 bits are two planes of 8, and cost twice the multiply-accumulates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Residual {
    /// 8 bits.
    Eight,
    /// 15 bits in shortcuts (1x1), which have few products; 8 in convolutions of 3x3.
    #[default]
    Shortcuts,
    /// 15 bits.
    Fifteen,
}

impl Residual {
    /// All of them, narrow first.
    pub const ALL: [Self; 3] = [Self::Eight, Self::Shortcuts, Self::Fifteen];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eight => "8",
            Self::Shortcuts => "shortcuts",
            Self::Fifteen => "15",
        }
    }

    /// Whether this operand, made from a stream, is in two planes.
    fn is_wide(self, graph: &Graph, operand: TensorId) -> bool {
        match self {
            Self::Eight => false,
            Self::Shortcuts => graph.feeds_shortcuts(operand),
            Self::Fifteen => true,
        }
    }
}

impl std::fmt::Display for Residual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A way to choose the step sizes of activations.
pub trait Method: Send + Sync {
    /// Name on the command line and in the file.
    fn name(&self) -> &'static str;
    /// One line on what it does, and where it comes from.
    fn summary(&self) -> &'static str;
    /// The same method with time steps that share rows of the tables; `None` where all share one anyway.
    fn grouped(&self, _groups: Groups) -> Option<Box<dyn Method>> {
        None
    }
    /// Decide; `residual` is the width of the residual stream where it enters a product.
    fn tables(&self, graph: &Graph, calibration: &Calibration, residual: Residual) -> Tables;
}

/// All methods, the default first.
#[must_use]
pub fn all() -> Vec<Box<dyn Method>> {
    let groups = Groups::Each;
    vec![
        Box::new(DynamicStep { groups }),
        Box::new(Static {
            least_squares: true,
        }),
        Box::new(Static {
            least_squares: false,
        }),
        Box::new(Ptq4dm),
        Box::new(QDiffusion),
        Box::new(Tfmq),
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
    /// Width of streams that become operands.
    pub residual: Residual,
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
/// no further apart than a normalisation takes, and a resampled one at that of its source.
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
        // resampling copies or averages integers: what it makes has the unit of what it reads
        for node in graph
            .nodes
            .iter()
            .filter(|n| matches!(n.op, Op::Resample(_)))
        {
            let (from, to) = (node.inputs[0], node.output);
            if exponents[from] != exponents[to] {
                let coarser = exponents[from].min(exponents[to]);
                (exponents[from], exponents[to]) = (coarser, coarser);
                settled = false;
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
            if graph.tensors[input].kind == TensorKind::Input
                || rules.residual.is_wide(graph, producer.output) =>
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

#[cfg(test)]
mod tests {
    use diffuser_model::graph::TensorInfo;
    use diffuser_model::sampling::Sampler;

    use super::*;
    use crate::calibrate::CalibrationSettings;

    /// A stream that becomes an operand, whose range is 1 at four steps and 8 at four more.
    fn example() -> (Graph, Calibration) {
        let tensor = |name: &str, kind| TensorInfo {
            name: name.into(),
            kind,
            channels: 1,
            height: 1,
            width: 1,
        };
        let tensors = vec![
            tensor("sample", TensorKind::Input),
            tensor("x", TensorKind::Stream),
            tensor("x.input", TensorKind::Operand),
        ];
        let node = Node {
            name: "x.input".into(),
            op: Op::Quantise { resample: None },
            inputs: vec![1],
            output: 2,
        };
        let graph = Graph {
            tensors,
            nodes: vec![node],
            projections: vec![],
            output: 1,
        };
        let seen = |range: f32| {
            let values: Vec<f32> = (-100..=100).map(|i| range * i as f32 / 100.0).collect();
            Statistics::of(&values)
        };
        let calibration = Calibration {
            settings: CalibrationSettings {
                sampler: Sampler::Ddim,
                steps: 8,
                images: 1,
                seed: 0,
                rounding: crate::rounding::Rounding::Nearest,
                rewrites: diffuser_model::rewrite::Rewrites::NONE,
            },
            inputs: None,
            states: vec![],
            timesteps: (0..8).map(|i| 100 * i).collect(),
            statistics: (0..8)
                .map(|i| vec![seen(if i < 4 { 1.0 } else { 8.0 }); 3])
                .collect(),
        };
        (graph, calibration)
    }

    /// Step of the operand at each time step.
    fn steps(name: &str) -> Vec<f64> {
        let (graph, calibration) = example();
        let method = by_name(name).expect("known");
        let tables = method.tables(&graph, &calibration, Residual::Eight);
        let (TensorTable::Gain { gain, .. }, TensorTable::Stream { exponent }) =
            (&tables.tensors[2], &tables.tensors[1])
        else {
            panic!("{name}: an operand in one plane, of a stream")
        };
        let step = |row: usize| f64::from(15 - exponent[row]).exp2() / f64::from(gain[row]);
        calibration
            .timesteps
            .iter()
            .map(|&t| step(tables.intervals.row(t)))
            .collect()
    }

    #[test]
    fn dynamic_steps_follow_the_range_and_static_ones_hold_the_largest() {
        let near = |x: f64, want: f64| (x / want - 1.0).abs() < 0.05;
        let fixed = steps("static-minmax");
        assert!(fixed.iter().all(|&s| near(s, 16.0 / 254.0)), "{fixed:?}");
        let dynamic = steps("dynamic-step");
        // the neighbours of the change hold both ranges
        for (i, &s) in dynamic.iter().enumerate() {
            let range = if i < 3 { 1.0 } else { 8.0 };
            assert!(near(s, 2.0 * range / 254.0), "{i}: {dynamic:?}");
        }
    }

    /// A normalisation's operand with values of its own at each step: the published methods have one row
    /// of tables each, always the same one, and no two the same.
    #[test]
    fn published_methods_differ_and_are_deterministic() {
        let (mut graph, mut calibration) = example();
        graph.nodes[0].op = Op::Norm(diffuser_model::graph::Norm {
            groups: 1,
            eps: 1e-5,
            weight: String::new(),
            bias: String::new(),
            channels: 0..1,
            silu: false,
            scale_shift: None,
            resample: None,
        });
        for (i, row) in calibration.statistics.iter_mut().enumerate() {
            // ever wider towards the noisy end, with lone extremes that are worth clipping
            let wide = (1 + i) as f32;
            let mut values: Vec<f32> = (-2000..10_500)
                .map(|v| wide * v as f32 / 10_500.0)
                .collect();
            values.extend([-0.25 * wide, 1.1 * wide]);
            row.fill(Statistics::of(&values));
        }
        let names = [
            "static-mse",
            "static-minmax",
            "ptq4dm",
            "q-diffusion",
            "tfmq",
        ];
        let tables = names.map(|name| {
            let method = by_name(name).expect("known");
            let decide = || method.tables(&graph, &calibration, Residual::Eight);
            let tables = decide();
            assert_eq!(tables, decide(), "{name}");
            assert_eq!(tables.intervals.starts, [0], "{name}");
            tables
        });
        for (i, a) in tables.iter().enumerate() {
            // streams are the same for all of them
            assert_eq!(a.tensors[..2], tables[0].tensors[..2], "{}", names[i]);
            for (j, b) in tables.iter().enumerate().take(i) {
                assert_ne!(a.tensors[2], b.tensors[2], "{}, {}", names[i], names[j]);
            }
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        let names: std::collections::BTreeSet<_> = all().iter().map(|m| m.name()).collect();
        assert_eq!(names.len(), all().len());
        assert!(by_name("dynamic").is_none());
        assert!(by_name("dynamic-step").is_some());
    }

    #[test]
    fn the_residual_is_as_wide_as_asked_in_every_method() {
        let (mut graph, calibration) = example();
        for method in all() {
            for kernel in [1, 3] {
                graph.nodes.truncate(1);
                graph.nodes.push(Node {
                    name: "conv".into(),
                    op: Op::Conv(diffuser_model::graph::Conv {
                        weight: String::new(),
                        bias: None,
                        input_channels: 0..1,
                        output_channels: 1,
                        kernel,
                        phases: false,
                        stride: 1,
                        padding: [kernel / 2; 4],
                        projection: None,
                        residual: None,
                    }),
                    inputs: vec![2],
                    output: 1,
                });
                for residual in Residual::ALL {
                    let tables = method.tables(&graph, &calibration, residual);
                    let wide = match residual {
                        Residual::Eight => false,
                        Residual::Shortcuts => kernel == 1,
                        Residual::Fifteen => true,
                    };
                    let got = tables.tensors[2] == TensorTable::Planes;
                    assert_eq!(got, wide, "{} {kernel} {residual:?}", method.name());
                }
            }
        }
    }
}
