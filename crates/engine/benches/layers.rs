//! Speed of the layers of the CIFAR-10 DDPM U-Net, for the kernels that this machine can run.
//!
//! `cargo bench -p diffuser-engine --bench layers -- [KERNEL...]`; all but `scalar` unless named. Each
//! figure is the least of many runs of a network with some copies of the layer, less that of a
//! network with none, on one thread.

use std::time::{Duration, Instant};

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::graph::{
    Attention, Conv, Graph, Node, Norm, Op, TensorId, TensorInfo, TensorKind,
};
use diffuser_model::quantised::{ConvWeights, NodeParams};
use diffuser_model::step::{AttentionStep, ConvStep, NodeStep, NormStep, QuantiseStep, StepParams};
use diffuser_spec::Multiplier;

/// Copies of the layer that is measured.
const COPIES: usize = 4;

/// What a layer does; images are square.
#[derive(Clone, Copy)]
enum Kind {
    Conv { outputs: usize, kernel: usize },
    Norm,
    Attention,
}

/// A layer with the side and channels of its input.
type Layer = (usize, usize, Kind);

const fn conv(side: usize, inputs: usize, outputs: usize, kernel: usize) -> Layer {
    (side, inputs, Kind::Conv { outputs, kernel })
}

const LAYERS: [Layer; 13] = [
    conv(32, 128, 128, 3),
    conv(32, 256, 128, 3),
    conv(32, 256, 128, 1),
    conv(32, 128, 3, 3),
    conv(16, 256, 256, 3),
    conv(16, 256, 256, 1),
    conv(8, 256, 256, 3),
    conv(4, 256, 256, 3),
    conv(4, 512, 256, 3),
    (32, 128, Kind::Norm),
    (16, 256, Kind::Norm),
    (4, 256, Kind::Norm),
    (16, 256, Kind::Attention),
];

/// A network under construction, with one step.
struct Network {
    graph: Graph,
    params: Vec<NodeParams>,
    steps: Vec<NodeStep>,
}

impl Network {
    /// The layer's copies and what makes their input.
    fn new((side, channels, kind): Layer, copies: usize) -> Self {
        let sample = TensorInfo {
            name: "sample".into(),
            kind: TensorKind::Input,
            channels: 3,
            height: side,
            width: side,
        };
        let mut n = Self {
            graph: Graph {
                tensors: vec![sample],
                nodes: vec![],
                projections: vec![],
                output: 0,
            },
            params: vec![],
            steps: vec![],
        };
        let input = n.quantise(Graph::INPUT, QuantiseStep::StatePlanes { shift: 12 });
        let stream = n.conv(input, channels, 1, TensorKind::Stream);
        n.graph.output = stream;
        let single = QuantiseStep::Single {
            gain: 500,
            zero_point: 0,
        };
        let operand = n.quantise(stream, single);
        let qkv = [0; 3].map(|_| n.conv(operand, channels, 1, TensorKind::Operand));
        for _ in 0..copies {
            match kind {
                Kind::Conv { outputs, kernel } => {
                    n.conv(operand, outputs, kernel, TensorKind::Stream);
                }
                Kind::Norm => n.norm(stream),
                Kind::Attention => n.attention(&qkv),
            }
        }
        n
    }

    fn add(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        made: (TensorKind, usize),
        step: NodeStep,
    ) -> TensorId {
        let output = self.graph.tensors.len();
        let (kind, channels) = made;
        let (height, width) = (self.graph.tensors[0].height, self.graph.tensors[0].width);
        self.graph.tensors.push(TensorInfo {
            name: String::new(),
            kind,
            channels,
            height,
            width,
        });
        self.graph.nodes.push(Node {
            name: String::new(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        self.params.push(NodeParams::None);
        self.steps.push(step);
        output
    }

    fn quantise(&mut self, input: TensorId, step: QuantiseStep) -> TensorId {
        let made = (TensorKind::Operand, self.graph.tensors[input].channels);
        let op = Op::Quantise { resample: None };
        self.add(op, &[input], made, NodeStep::Quantise(step))
    }

    fn conv(
        &mut self,
        input: TensorId,
        outputs: usize,
        kernel: usize,
        kind: TensorKind,
    ) -> TensorId {
        let channels = self.graph.tensors[input].channels;
        let op = Op::Conv(Conv {
            weight: String::new(),
            bias: None,
            input_channels: 0..channels,
            output_channels: outputs,
            kernel,
            stride: 1,
            padding: [kernel / 2; 4],
            projection: None,
            residual: None,
        });
        let multiplier = Multiplier {
            mantissa: 40_000,
            shift: if kind == TensorKind::Stream { 21 } else { 26 },
        };
        let step = ConvStep {
            bias: vec![100; outputs],
            multiplier: vec![multiplier; outputs],
            zero_point: 0,
            residual_shift: 0,
        };
        let output = self.add(op, &[input], (kind, outputs), NodeStep::Conv(step));
        let weights = outputs * kernel * kernel * channels;
        self.params[output - 1] = NodeParams::Conv(ConvWeights {
            weight: (0..weights).map(|i| (i * 37 % 251) as i8 >> 1).collect(),
            scale: vec![],
            bias: vec![],
        });
        output
    }

    fn norm(&mut self, stream: TensorId) {
        let channels = self.graph.tensors[stream].channels;
        let op = Op::Norm(Norm {
            groups: 32,
            eps: 1e-6,
            weight: String::new(),
            bias: String::new(),
            silu: true,
            scale_shift: None,
            resample: None,
        });
        let step = NormStep {
            gamma: vec![60_000; channels],
            beta: vec![1000; channels],
            eps: 1_100_000,
            exponent: 10,
            gaps: vec![0],
            gain: 1000,
            zero_point: -100,
        };
        self.add(
            op,
            &[stream],
            (TensorKind::Operand, channels),
            NodeStep::Norm(step),
        );
    }

    fn attention(&mut self, qkv: &[TensorId]) {
        let channels = self.graph.tensors[qkv[0]].channels;
        let op = Op::Attention(Attention {
            heads: 1,
            scale: 1.0,
        });
        let to_log2 = Multiplier {
            mantissa: 40_000,
            shift: 22,
        };
        let step = AttentionStep {
            to_log2,
            gain: 2000,
        };
        self.add(
            op,
            qkv,
            (TensorKind::Operand, channels),
            NodeStep::Attention(step),
        );
    }

    /// Least time of one evaluation.
    fn time(self, choice: KernelChoice) -> Duration {
        let engine = Engine::new(self.graph, &self.params, choice).expect("a sound network");
        let step = StepParams {
            timestep: 0,
            nodes: self.steps,
            output_exponent: 0,
        };
        let len = engine.graph().tensors[0].len();
        let state: Vec<i32> = (0..len).map(|i| (i as i32 * 7919) % (1 << 25)).collect();
        let mut workspace = engine.workspace();
        let started = Instant::now();
        let mut least = Duration::MAX;
        let mut runs = 0;
        while runs < 3 || (started.elapsed() < Duration::from_millis(400) && runs < 2000) {
            let start = Instant::now();
            engine
                .evaluate(&state, &step, &mut workspace)
                .expect("the step fits");
            least = least.min(start.elapsed());
            runs += 1;
        }
        least
    }
}

/// Time of one layer, and what it works on: multiply-accumulates, or values of a normalisation.
fn measure(layer: Layer, choice: KernelChoice) -> (f64, f64) {
    let (side, channels, kind) = layer;
    let work = match kind {
        Kind::Conv { outputs, kernel } => side * side * channels * outputs * kernel * kernel,
        Kind::Norm => side * side * channels,
        Kind::Attention => 2 * side.pow(4) * channels,
    };
    let with = Network::new(layer, COPIES).time(choice);
    let without = Network::new(layer, 0).time(choice);
    let seconds = with.saturating_sub(without).as_secs_f64() / COPIES as f64;
    (seconds, work as f64 / seconds)
}

fn main() {
    let named: Vec<KernelChoice> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let fast = [KernelChoice::Portable, KernelChoice::Avx512Vnni];
    let choices = if named.is_empty() {
        fast.to_vec()
    } else {
        named
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a thread").install(|| {
        for choice in choices.into_iter().filter(|c| c.is_available()) {
            println!("{choice}");
            for layer in LAYERS {
                let (side, channels, kind) = layer;
                let (seconds, rate) = measure(layer, choice);
                let (name, unit) = match kind {
                    Kind::Conv { outputs, kernel } => {
                        (format!("conv {kernel}x{kernel} -> {outputs}"), "GMAC/s")
                    }
                    Kind::Norm => ("norm + silu".into(), "Gvalues/s"),
                    Kind::Attention => ("attention".into(), "GMAC/s"),
                };
                println!(
                    "  {side:2} x {side:2} x {channels:3} {name:16} {:9.1} us {:8.2} {unit}",
                    seconds * 1e6,
                    rate / 1e9
                );
            }
        }
    });
}
