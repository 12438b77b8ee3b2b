//! Weights and a step for any graph, and the time of an evaluation.

use std::time::{Duration, Instant};

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::graph::{Graph, Op, TensorKind};
use diffuser_model::quantised::{ConvWeights, NodeParams, WeightBits};
use diffuser_model::step::{AttentionStep, ConvStep, NodeStep, NormStep, QuantiseStep, StepParams};
use diffuser_spec::Multiplier;

/// Parameters that keep values in their ranges; weights have 4 bits where the command line says `4bit`. No time depends on the values themselves.
pub fn parameters(graph: &Graph) -> (Vec<NodeParams>, StepParams) {
    let (mut params, mut nodes) = (vec![], vec![]);
    let (bits, narrower) = if std::env::args().any(|a| a == "4bit") {
        (WeightBits::Four, 18)
    } else {
        (WeightBits::Eight, 1)
    };
    for node in &graph.nodes {
        let out = &graph.tensors[node.output];
        let mut weights = NodeParams::None;
        nodes.push(match &node.op {
            Op::Norm(_) => NodeStep::Norm(NormStep {
                gamma: vec![60_000; out.channels],
                beta: vec![1000; out.channels],
                eps: 1_100_000,
                exponent: 10,
                gaps: vec![0; node.inputs.len()],
                gain: 1000,
                zero_point: 0,
            }),
            Op::Quantise { .. } if node.inputs[0] == Graph::INPUT => {
                NodeStep::Quantise(QuantiseStep::StatePlanes { shift: 12 })
            }
            Op::Quantise { .. } => NodeStep::Quantise(QuantiseStep::StreamPlanes),
            Op::Conv(conv) => {
                let n = conv.kernel * conv.kernel * conv.input_channels.len() * conv.weight_rows();
                weights = NodeParams::Conv(ConvWeights {
                    weight: (0..n)
                        .map(|i| ((i * 37 % 251) as i8 >> 1) / narrower)
                        .collect(),
                    bits,
                    scale: vec![],
                    bias: vec![],
                });
                let shift = if out.kind == TensorKind::Stream {
                    21
                } else {
                    26
                };
                let multiplier = Multiplier {
                    mantissa: 40_000,
                    shift,
                };
                NodeStep::Conv(ConvStep {
                    bias: vec![100; conv.weight_rows()],
                    multiplier: vec![multiplier; conv.weight_rows()],
                    zero_point: 0,
                    residual_shift: 1,
                })
            }
            Op::Attention(_) => NodeStep::Attention(AttentionStep {
                to_log2: Multiplier {
                    mantissa: 40_000,
                    shift: 22,
                },
                gain: 2000,
            }),
            Op::Resample(_) => NodeStep::Resample,
        });
        params.push(weights);
    }
    let step = StepParams {
        timestep: 0,
        nodes,
        output_exponent: 0,
    };
    (params, step)
}

/// Least time of one evaluation on the current threads, over about `budget`.
pub fn time(graph: Graph, choice: KernelChoice, budget: Duration) -> Duration {
    let (params, step) = parameters(&graph);
    let engine = Engine::new(graph, &params, choice).expect("a sound graph");
    let len = engine.graph().tensors[Graph::INPUT].len();
    let state: Vec<i32> = (0..len).map(|i| (i as i32 * 7919) % (1 << 25)).collect();
    let mut workspace = engine.workspace();
    let started = Instant::now();
    let (mut least, mut runs) = (Duration::MAX, 0);
    while runs < 3 || (started.elapsed() < budget && runs < 5000) {
        let start = Instant::now();
        let out = engine.evaluate(&state, &step, &mut workspace);
        least = least.min(start.elapsed());
        std::hint::black_box(out.expect("the step fits"));
        runs += 1;
    }
    least
}

/// Kernels named on the command line, else all that are fast.
pub fn choices() -> Vec<KernelChoice> {
    let named: Vec<KernelChoice> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let fast = [KernelChoice::Portable, KernelChoice::Avx512Vnni];
    let choices = if named.is_empty() {
        fast.to_vec()
    } else {
        named
    };
    choices.into_iter().filter(|c| c.is_available()).collect()
}

/// Run `f` on this many threads.
pub fn on_threads<T: Send>(n: usize, f: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
    pool.expect("threads").install(f)
}
