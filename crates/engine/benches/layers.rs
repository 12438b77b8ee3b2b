//! Speed of the layers of the CIFAR-10 DDPM U-Net, for the kernels that this machine can run.
//!
//! `cargo bench -p diffuser-engine --bench layers -- [4bit] [KERNEL...]`; all but `scalar` unless named. Each
//! figure is the least of many runs of a network with some copies of the layer, less that of a
//! network with none, on one thread.

mod common;

use std::time::Duration;

use diffuser_engine::KernelChoice;
use diffuser_model::graph::{
    Attention, Conv, Graph, Node, Norm, Op, TensorId, TensorInfo, TensorKind,
};

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

/// A graph under construction.
struct Network(Graph);

impl Network {
    /// The layer's copies and what makes their input.
    fn graph((side, channels, kind): Layer, copies: usize) -> Graph {
        let sample = TensorInfo {
            name: "sample".into(),
            kind: TensorKind::Input,
            channels: 3,
            height: side,
            width: side,
        };
        let mut n = Self(Graph {
            tensors: vec![sample],
            nodes: vec![],
            projections: vec![],
            output: 0,
        });
        let quantise = Op::Quantise { resample: None };
        let input = n.add(quantise, &[Graph::INPUT], TensorKind::Operand, 3);
        let stream = n.conv(input, channels, 1, TensorKind::Stream);
        n.0.output = stream;
        let operand = n.norm(stream);
        let qkv = [0; 3].map(|_| n.conv(operand, channels, 1, TensorKind::Operand));
        for _ in 0..copies {
            match kind {
                Kind::Conv { outputs, kernel } => {
                    n.conv(operand, outputs, kernel, TensorKind::Stream)
                }
                Kind::Norm => n.norm(stream),
                Kind::Attention => {
                    let op = Op::Attention(Attention {
                        heads: 1,
                        scale: 1.0,
                    });
                    n.add(op, &qkv, TensorKind::Operand, channels)
                }
            };
        }
        n.0
    }

    fn add(&mut self, op: Op, inputs: &[TensorId], kind: TensorKind, channels: usize) -> TensorId {
        let output = self.0.tensors.len();
        let (height, width) = (self.0.tensors[0].height, self.0.tensors[0].width);
        self.0.tensors.push(TensorInfo {
            name: String::new(),
            kind,
            channels,
            height,
            width,
        });
        self.0.nodes.push(Node {
            name: String::new(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        output
    }

    fn conv(
        &mut self,
        input: TensorId,
        outputs: usize,
        kernel: usize,
        kind: TensorKind,
    ) -> TensorId {
        let op = Op::Conv(Conv {
            weight: String::new(),
            bias: None,
            input_channels: 0..self.0.tensors[input].channels,
            output_channels: outputs,
            kernel,
            phases: false,
            stride: 1,
            padding: [kernel / 2; 4],
            projection: None,
            residual: None,
        });
        self.add(op, &[input], kind, outputs)
    }

    fn norm(&mut self, stream: TensorId) -> TensorId {
        let op = Op::Norm(Norm {
            groups: 32,
            eps: 1e-6,
            weight: String::new(),
            bias: String::new(),
            channels: 0..self.0.tensors[stream].channels,
            silu: true,
            scale_shift: None,
            resample: None,
        });
        self.add(
            op,
            &[stream],
            TensorKind::Operand,
            self.0.tensors[stream].channels,
        )
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
    let time = |copies| {
        let budget = Duration::from_millis(400);
        common::time(Network::graph(layer, copies), choice, budget)
    };
    let (with, without) = (time(COPIES), time(0));
    let seconds = with.saturating_sub(without).as_secs_f64() / COPIES as f64;
    (seconds, work as f64 / seconds)
}

fn main() {
    common::on_threads(1, || {
        for choice in common::choices() {
            println!("{choice}");
            LAYERS.into_iter().for_each(|layer| print(layer, choice));
        }
    });
}

fn print(layer: Layer, choice: KernelChoice) {
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
