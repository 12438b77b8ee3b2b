//! Random graphs beyond what a configuration gives: every kind of node in any order, streams read several
//! times, concatenated with themselves, or read by nothing; with steps that keep values in their ranges.

use diffuser_model::graph::{
    Attention, Conv, Graph, Node, Norm, Op, Resample, TensorId, TensorInfo, TensorKind,
};
use diffuser_model::quantised::{ConvWeights, NodeParams, WeightBits};
use diffuser_model::step::{AttentionStep, ConvStep, NodeStep, NormStep, QuantiseStep, StepParams};
use diffuser_spec::Multiplier;

use crate::Random;

/// A network and what it needs to run.
#[derive(Clone, Debug)]
pub struct Network {
    /// The network.
    pub graph: Graph,
    /// Parameters of its nodes.
    pub nodes: Vec<NodeParams>,
    /// What further numbers are drawn from.
    pub random: Random,
    /// Whether it is one for the accelerator.
    accelerated: bool,
    /// Whether an operand, by tensor, has two planes.
    planes: Vec<bool>,
}

type Shape = [usize; 3];

/// How a convolution goes over its input.
#[derive(Clone, Copy, PartialEq)]
struct Window {
    kernel: usize,
    phases: bool,
    stride: usize,
    padding: [usize; 4],
}

const POINT: Window = Window {
    kernel: 1,
    phases: false,
    stride: 1,
    padding: [0; 4],
};

const SAME: Window = Window {
    kernel: 3,
    padding: [1; 4],
    ..POINT
};

const PHASES: Window = Window {
    kernel: 2,
    phases: true,
    ..SAME
};

const STRIDED: Window = Window { stride: 2, ..SAME };

const STRIDED_AFTER: Window = Window {
    padding: [0, 0, 1, 1],
    ..STRIDED
};

impl Window {
    /// Rows or columns of the result, if there is any.
    fn side(self, n: usize, [before, after]: [usize; 2]) -> Option<usize> {
        if self.phases {
            return Some(2 * n);
        }
        Some((n + before + after).checked_sub(self.kernel)? / self.stride + 1)
    }

    fn size(self, [h, w]: [usize; 2]) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.padding;
        Some([self.side(h, [top, bottom])?, self.side(w, [left, right])?])
    }
}

impl Network {
    /// A network of about `blocks` blocks on an input of this shape, with streams of some of these channels.
    #[must_use]
    pub fn random(seed: u64, input: Shape, channels: &[usize], blocks: usize) -> Self {
        let mut n = Self::begun(seed, input, false);
        let streams = n.streams(channels, blocks);
        n.graph.output = streams[streams.len() - 1];
        n
    }

    /// The same with nothing that the accelerator has no operation for: sizes that are halved are even,
    /// nothing is added to phases, and the output has the input's shape, as the sampler needs it.
    #[must_use]
    pub fn accelerated(seed: u64, input: Shape, channels: &[usize], blocks: usize) -> Self {
        let mut n = Self::begun(seed, input, true);
        let streams = n.streams(channels, blocks);
        let [height, width, outputs] = input;
        let at = |&&t: &&TensorId| n.shape(t)[..2] == [height, width];
        let &from = streams.iter().rev().find(at).expect("the first has it");
        let q = n.quantise(from, false, None);
        n.graph.output = n.conv(q, outputs, SAME, TensorKind::Stream, None);
        n
    }

    fn begun(seed: u64, [height, width, c]: Shape, accelerated: bool) -> Self {
        let sample = TensorInfo {
            name: "sample".into(),
            kind: TensorKind::Input,
            channels: c,
            height,
            width,
        };
        Self {
            graph: Graph {
                tensors: vec![sample],
                nodes: vec![],
                projections: vec![],
                output: 0,
            },
            nodes: vec![],
            random: Random(seed),
            accelerated,
            planes: vec![false],
        }
    }

    /// All streams, those of the blocks one after the other.
    fn streams(&mut self, channels: &[usize], blocks: usize) -> Vec<TensorId> {
        let q = self.quantise(0, true, None);
        let first = self.random.pick(channels);
        let mut streams = vec![self.conv(q, first, SAME, TensorKind::Stream, None)];
        for _ in 0..blocks {
            let made = self.block(&streams, channels);
            streams.push(made);
        }
        streams
    }

    fn shape(&self, t: TensorId) -> Shape {
        let t = &self.graph.tensors[t];
        [t.height, t.width, t.channels]
    }

    fn node(
        &mut self,
        op: Op,
        inputs: &[TensorId],
        kind: TensorKind,
        shape: Shape,
        params: NodeParams,
    ) -> TensorId {
        let output = self.graph.tensors.len();
        let name = format!("node {}", self.graph.nodes.len());
        let [height, width, channels] = shape;
        self.graph.tensors.push(TensorInfo {
            name: name.clone(),
            kind,
            channels,
            height,
            width,
        });
        self.graph.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            output,
        });
        self.nodes.push(params);
        self.planes.push(false);
        output
    }

    fn quantise(&mut self, input: TensorId, planes: bool, resample: Option<Resample>) -> TensorId {
        let shape = resampled(self.shape(input), resample);
        let t = self.node(
            Op::Quantise { resample },
            &[input],
            TensorKind::Operand,
            shape,
            NodeParams::None,
        );
        self.planes[t] = planes;
        t
    }

    fn norm(&mut self, inputs: &[TensorId], resample: Option<Resample>) -> TensorId {
        let channels: usize = inputs.iter().map(|&t| self.shape(t)[2]).sum();
        let divisors: Vec<usize> = (1..=channels)
            .filter(|g| channels.is_multiple_of(*g))
            .collect();
        let norm = Norm {
            groups: self.random.pick(&divisors),
            eps: 1e-5,
            weight: String::new(),
            bias: String::new(),
            channels: 0..channels,
            silu: self.random.chance(70),
            scale_shift: None,
            resample,
        };
        let [h, w, _] = self.shape(inputs[0]);
        let params = NodeParams::Norm {
            gamma: vec![0; channels],
            beta: vec![0; channels],
        };
        let shape = resampled([h, w, channels], resample);
        self.node(Op::Norm(norm), inputs, TensorKind::Operand, shape, params)
    }

    fn conv(
        &mut self,
        input: TensorId,
        outputs: usize,
        window: Window,
        kind: TensorKind,
        residual: Option<TensorId>,
    ) -> TensorId {
        let [h, w, c] = self.shape(input);
        let [h, w] = window.size([h, w]).expect("larger than the kernel");
        let shape = [h, w, outputs];
        let none = window.phases && self.accelerated;
        let op = Conv {
            weight: String::new(),
            bias: None,
            input_channels: 0..c,
            output_channels: outputs,
            kernel: window.kernel,
            phases: window.phases,
            stride: window.stride,
            padding: window.padding,
            projection: None,
            residual: residual.filter(|&r| !none && self.shape(r) == shape),
        };
        // layers of both widths side by side
        let bits = match self.random.range(0, 1) {
            0 => WeightBits::Eight,
            _ => WeightBits::Four,
        };
        let (min, max) = (i64::from(bits.min()), i64::from(bits.max()));
        let weight = (0..op.weight_rows() * op.kernel * op.kernel * c)
            .map(|_| self.random.range(min, max) as i8)
            .collect();
        let params = NodeParams::Conv(ConvWeights {
            weight,
            bits,
            scale: vec![],
            bias: vec![],
        });
        self.node(Op::Conv(op), &[input], kind, shape, params)
    }

    fn attention(&mut self, stream: TensorId) -> TensorId {
        let operand = self.norm(&[stream], None);
        let [h, w, c] = self.shape(stream);
        let heads = self.random.range(1, 3) as usize;
        let inner = heads * self.random.range(1, 9) as usize;
        let qkv = [0; 3].map(|_| self.conv(operand, inner, POINT, TensorKind::Operand, None));
        let op = Op::Attention(Attention { heads, scale: 1.0 });
        let mixed = self.node(
            op,
            &qkv,
            TensorKind::Operand,
            [h, w, inner],
            NodeParams::None,
        );
        self.conv(mixed, c, POINT, TensorKind::Stream, Some(stream))
    }

    fn block(&mut self, streams: &[TensorId], channels: &[usize]) -> TensorId {
        let latest = streams[streams.len() - 1];
        let [h, w, c] = self.shape(latest);
        let other = self.random.pick(streams);
        let same = self.shape(other)[..2] == [h, w];
        let resample = match self.random.range(0, 9) {
            0 if h * w < 100 => Some(Resample::Nearest2x),
            1 if self.pools([h, w]) => Some(Resample::AveragePool2x),
            _ => None,
        };
        let outputs = if self.random.chance(50) {
            c
        } else {
            self.random.pick(channels)
        };
        let operand = match self.random.range(0, 4) {
            0 => return self.attention(latest),
            1 if resample.is_some() => {
                let kind = resample.unwrap_or(Resample::Nearest2x);
                let shape = resampled([h, w, c], resample);
                return self.node(
                    Op::Resample(kind),
                    &[latest],
                    TensorKind::Stream,
                    shape,
                    NodeParams::None,
                );
            }
            1 | 2 => {
                let planes = self.random.chance(50);
                self.quantise(latest, planes, resample)
            }
            _ if same => self.norm(&[latest, other], resample),
            _ => self.norm(&[latest], resample),
        };
        let [oh, ow, _] = self.shape(operand);
        let window = match self.random.range(0, 4) {
            0 => POINT,
            1 if h > 2 && w > 2 => STRIDED_AFTER,
            2 if h > 2 && w > 2 => STRIDED,
            3 if resample.is_none() && oh * ow < 100 => PHASES,
            _ => SAME,
        };
        // perhaps with a residual
        let stream = TensorKind::Stream;
        if window.size([oh, ow]).is_none() {
            return self.conv(operand, outputs, POINT, stream, Some(other));
        }
        let first = self.conv(operand, outputs, window, stream, Some(other));
        // a second reader with other padding, which may make another size
        if [SAME, PHASES].contains(&window) && self.random.chance(50) {
            return self.conv(operand, outputs, POINT, stream, Some(first));
        }
        first
    }

    /// Whether the mean of 2x2 blocks of so many rows and columns can be taken.
    fn pools(&self, size: [usize; 2]) -> bool {
        let fits = |n: &usize| *n > 1 && (!self.accelerated || n.is_multiple_of(2));
        size.iter().all(fits)
    }

    /// Parameters of one step. Shifts put accumulators of independent values in the output's range;
    /// one in eight is off by some bits, so that outputs saturate or vanish.
    #[must_use]
    pub fn step(&mut self) -> StepParams {
        let mut nodes: Vec<NodeStep> = Vec::new();
        let mut zero_points = vec![0; self.graph.tensors.len()];
        for i in 0..self.graph.nodes.len() {
            let node = self.graph.nodes[i].clone();
            let r = &mut self.random;
            let gain = r.range(500, 9000) as i16;
            let zero_point = if r.chance(20) {
                r.pick(&[-127, 127])
            } else {
                r.range(-127, 127) as i8
            };
            nodes.push(match &node.op {
                Op::Norm(_) => {
                    zero_points[node.output] = zero_point;
                    let channels = self.graph.tensors[node.output].channels;
                    NodeStep::Norm(NormStep {
                        gamma: (0..channels)
                            .map(|_| r.range(-200_000, 200_000) as i32)
                            .collect(),
                        beta: (0..channels)
                            .map(|_| r.range(-100_000, 100_000) as i32)
                            .collect(),
                        eps: 11_000_000,
                        exponent: r.range(-2, 12) as i32,
                        gaps: node.inputs.iter().map(|_| r.range(0, 7) as u32).collect(),
                        gain,
                        zero_point,
                    })
                }
                Op::Quantise { .. } => NodeStep::Quantise(if node.inputs[0] == 0 {
                    QuantiseStep::StatePlanes {
                        shift: r.range(10, 14) as u32,
                    }
                } else if self.planes[node.output] {
                    QuantiseStep::StreamPlanes
                } else {
                    zero_points[node.output] = zero_point;
                    QuantiseStep::Single {
                        gain: gain / 8 + 1,
                        zero_point,
                    }
                }),
                Op::Conv(c) => {
                    let out = &self.graph.tensors[node.output];
                    let terms = c.kernel * c.kernel * c.input_channels.len();
                    let planes = if self.planes[node.inputs[0]] { 7 } else { 0 };
                    let bits = 12 + planes + terms.ilog2() as i64 / 2
                        - if out.kind == TensorKind::Stream {
                            13
                        } else {
                            6
                        };
                    let rows = c.weight_rows();
                    NodeStep::Conv(ConvStep {
                        bias: (0..rows).map(|_| r.range(-30_000, 30_000) as i32).collect(),
                        multiplier: (0..rows)
                            .map(|_| Multiplier {
                                mantissa: r.range(1 << 15, 65_535) as u16,
                                shift: (15 + bits + if r.chance(12) { r.range(-6, 6) } else { 0 })
                                    as u8,
                            })
                            .collect(),
                        zero_point: zero_points[node.inputs[0]],
                        residual_shift: if c.residual.is_some() {
                            r.range(-2, 4) as i32
                        } else {
                            0
                        },
                    })
                }
                Op::Attention(_) => NodeStep::Attention(AttentionStep {
                    to_log2: Multiplier {
                        mantissa: r.range(1 << 15, 65_535) as u16,
                        shift: r.range(18, 22) as u8,
                    },
                    gain,
                }),
                Op::Resample(_) => NodeStep::Resample,
            });
        }
        StepParams {
            timestep: 0,
            nodes,
            output_exponent: 0,
        }
    }

    /// A state of the input's shape, about normal in Q24.
    #[must_use]
    pub fn state(&mut self) -> Vec<i32> {
        let n = self.graph.tensors[0].len();
        (0..n)
            .map(|_| {
                (0..3)
                    .map(|_| self.random.range(-(1 << 24), 1 << 24) as i32)
                    .sum()
            })
            .collect()
    }
}

fn resampled([h, w, c]: Shape, resample: Option<Resample>) -> Shape {
    match resample {
        None => [h, w, c],
        Some(Resample::Nearest2x) => [2 * h, 2 * w, c],
        Some(Resample::AveragePool2x) => [h / 2, w / 2, c],
    }
}
