//! Random quantised models of any configuration, with tables that keep values in their ranges.

use diffuser_model::build_graph::build_graph_with;
use diffuser_model::config::UnetConfig;
use diffuser_model::graph::{Graph, Op, TensorKind};
use diffuser_model::quantised::{
    ConvWeights, EmbeddingParams, Intervals, NodeParams, Provenance, QuantisedModel, TensorTable,
    WeightBits, WideLinear,
};
use diffuser_model::rewrite::Rewrites;
use diffuser_spec::Scale;

use diffuser_testing::Random;

/// Rows of every table.
const ROWS: usize = 2;

/// First time steps of the rows.
const STARTS: [u32; ROWS] = [0, 400];

/// What is random about a model beside its numbers.
#[derive(Clone, Copy, Default)]
pub struct Kind {
    /// Of so many layers one has weights of 4 bits: 0 none, 1 all, 2 every other.
    pub four: usize,
    /// In percent, how often a stream becomes an operand of two planes.
    pub planes: u64,
    /// Streams that 1x1 convolutions read are operands of two planes, whatever `planes` says (`quantize --residual shortcuts`).
    pub shortcuts: bool,
    /// What the graph is rewritten with.
    pub rewrites: Rewrites,
}

/// A model with random parameters, with `four` every other layer of 4-bit weights.
pub fn random_model(config: &str, seed: u64, four: bool) -> QuantisedModel {
    let kind = Kind {
        four: if four { 2 } else { 0 },
        planes: 40,
        ..Kind::default()
    };
    random_model_of(config, seed, kind)
}

/// A model with random parameters.
pub fn random_model_of(config: &str, seed: u64, kind: Kind) -> QuantisedModel {
    let config = UnetConfig::from_json(config).expect("a sound configuration");
    let graph = build_graph_with(&config, kind.rewrites).expect("a sound configuration");
    let mut r = Random(seed);
    let tensors = tables(&graph, kind, &mut r);
    let embedding = embedding(&config, &graph, &mut r);
    let mut model = QuantisedModel {
        config,
        rewrites: kind.rewrites,
        scheduler: None,
        class_names: vec![],
        provenance: Provenance::default(),
        intervals: Intervals {
            starts: STARTS.to_vec(),
        },
        calibrated: STARTS.to_vec(),
        tensors,
        nodes: vec![],
        embedding,
        graph,
    };
    model.nodes = (0..model.graph.nodes.len())
        .map(|i| node(&model, i, kind.four > 0 && i % kind.four == 0, &mut r))
        .collect();
    model
}

fn tables(graph: &Graph, kind: Kind, r: &mut Random) -> Vec<TensorTable> {
    let mut tables: Vec<TensorTable> = Vec::new();
    for (id, tensor) in graph.tensors.iter().enumerate() {
        let producer = graph.nodes.iter().find(|n| n.output == id);
        let gain = |r: &mut Random, low, high, zero_point: i64| TensorTable::Gain {
            gain: (0..ROWS).map(|_| r.range(low, high) as i16).collect(),
            zero_point: (0..ROWS)
                .map(|_| r.range(-zero_point, zero_point) as i8)
                .collect(),
        };
        let table = match (producer.map(|n| &n.op), tensor.kind) {
            (None, _) => TensorTable::State {
                shift: (0..ROWS).map(|_| r.range(10, 13) as u8).collect(),
            },
            // integers are copied or averaged
            (Some(Op::Resample(_)), _) => tables[producer.unwrap().inputs[0]].clone(),
            (Some(Op::Conv(_)), TensorKind::Stream) => TensorTable::Stream {
                exponent: (0..ROWS).map(|_| r.range(8, 12) as i8).collect(),
            },
            (Some(Op::Conv(_)), _) => TensorTable::Step {
                step: (0..ROWS)
                    .map(|_| Scale::from_integer(r.range(1 << 15, 65_535) as u64, -20))
                    .collect(),
            },
            (Some(Op::Norm(_)), _) => gain(r, 500, 6000, 127),
            (Some(Op::Attention(_)), _) => gain(r, 500, 6000, 0),
            (Some(Op::Quantise { .. }), _) => {
                let from_input = producer.unwrap().inputs[0] == 0;
                if from_input
                    || r.chance(kind.planes)
                    || kind.shortcuts && graph.feeds_shortcuts(id)
                {
                    TensorTable::Planes
                } else {
                    gain(r, 80, 900, 127)
                }
            }
        };
        tables.push(table);
    }
    tables
}

fn node(model: &QuantisedModel, index: usize, four: bool, r: &mut Random) -> NodeParams {
    let node = &model.graph.nodes[index];
    match &node.op {
        Op::Norm(_) => {
            let channels = model.graph.tensors[node.output].channels;
            NodeParams::Norm {
                gamma: (0..channels)
                    .map(|_| r.range(-200_000, 200_000) as i32)
                    .collect(),
                beta: (0..channels)
                    .map(|_| r.range(-100_000, 100_000) as i32)
                    .collect(),
            }
        }
        Op::Conv(conv) => {
            let bits = if four {
                WeightBits::Four
            } else {
                WeightBits::Eight
            };
            let terms = conv.kernel * conv.kernel * conv.input_channels.len();
            let input = model.operand_step(node.inputs[0], 0);
            let (mut min, mut max) = (i64::from(bits.min()), i64::from(bits.max()));
            if input.planes {
                // accumulators of two planes stay in 32 bits
                let most = (1 << 31) / 12_000 / terms as i64;
                (min, max) = (min.max(-most), max.min(most));
            }
            let weight = (0..terms * conv.weight_rows())
                .map(|_| r.range(min, max) as i8)
                .collect();
            let out = &model.graph.tensors[node.output];
            // accumulators of independent values end up in the output's range
            let planes = if input.planes { 7 } else { 0 };
            let width = if four { 8 } else { 12 };
            let range = if out.kind == TensorKind::Stream {
                13
            } else {
                6
            };
            let accumulated = width + planes + i64::from(terms.ilog2()) / 2 - range;
            let to_output = match &model.tensors[node.output] {
                TensorTable::Step { step } => step[0],
                _ => Scale::ONE.shifted(-(model.exponent(node.output, 0) as i16)),
            };
            let scale = (0..conv.weight_rows())
                .map(|_| {
                    let off = if r.chance(12) { r.range(-5, 5) } else { 0 };
                    let mantissa = r.range(1 << 15, 65_535) as u64;
                    Scale::from_integer(mantissa, -(15 + accumulated + off) as i16)
                        .times(to_output)
                        .times(input.step.recip())
                })
                .collect();
            let bias = (0..conv.weight_rows())
                .map(|_| {
                    if conv.bias.is_some() {
                        r.range(-1 << 20, 1 << 20) as i32
                    } else {
                        0
                    }
                })
                .collect();
            NodeParams::Conv(ConvWeights {
                weight,
                bits,
                scale,
                bias,
            })
        }
        _ => NodeParams::None,
    }
}

fn embedding(config: &UnetConfig, graph: &Graph, r: &mut Random) -> EmbeddingParams {
    let size = config.embedding();
    let mut linear = |inputs: usize, outputs: usize| WideLinear {
        weight: (0..inputs * outputs)
            .map(|_| r.range(-32_767, 32_767) as i16)
            .collect(),
        scale: (0..outputs)
            .map(|_| Scale::from_integer(1 << 15, -30 - inputs.ilog2() as i16 / 2))
            .collect(),
        bias: (0..outputs).map(|i| (i as i32 % 7 - 3) << 16).collect(),
    };
    let time = [
        linear(config.block_out_channels[0], size),
        linear(size, size),
    ];
    let projections = graph
        .projections
        .iter()
        .map(|p| linear(size, p.outputs))
        .collect();
    let classes = config.num_class_embeds.unwrap_or(0) * size;
    EmbeddingParams {
        time,
        projections,
        classes: (0..classes)
            .map(|_| r.range(-1 << 19, 1 << 19) as i32)
            .collect(),
    }
}
