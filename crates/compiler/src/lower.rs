//! Pass `lower`: the graph's nodes become layers of the accelerator.
//!
//! Before: [`Graph`], whose normalisation does everything from sums to operand, and whose convolution
//! does not say where its result lies. After: [`Layers`]: a norm is a `norm` (sums to affine maps) and
//! a `prep` (streams to operand); a convolution says whether it makes a stream, Q, K or V; the heads
//! of attentions are padded to whole blocks; and a step of the sampler ends the list. Resampling still
//! stands where the graph has it, no sums are kept, and every convolution is one descriptor.

use std::collections::BTreeMap;

use diffuser_model::graph::{Conv, Graph, Node, Op, Resample, TensorId, TensorKind};
use diffuser_model::step::{NodeStep, QuantiseStep, StepParams};

use crate::error::CompileError;
use crate::layer::{
    AttentionWork, ConvWork, Dest, Lanes, Layer, Layers, NormWork, OperandForm, PrepKind, PrepWork,
    SampleWork, StreamForm, Work,
};
use crate::target::{Shape, Target};

/// Channels of one state word.
const STATE_CHANNELS: usize = 4;

/// Run the pass. `step` is any step of the schedule: it says which operands have two planes.
///
/// # Errors
/// [`CompileError::Unsupported`] for what no operation does.
pub fn lower(graph: &Graph, step: &StepParams, target: &Target) -> Result<Layers, CompileError> {
    let mut lowering = Lowering {
        graph,
        step,
        shape: target.shape,
        keys: target.keys,
        layers: Layers {
            list: vec![],
            operands: BTreeMap::new(),
            cached: BTreeMap::new(),
            streams: BTreeMap::new(),
            spilled: vec![],
            homes: BTreeMap::new(),
            home_words: 0,
            states: BTreeMap::new(),
            state_pixels: {
                let input = &graph.tensors[Graph::INPUT];
                input.height * input.width
            },
            state_in_ddr: false,
            images: 1,
        },
    };
    for index in 0..graph.nodes.len() {
        lowering.node(index)?;
    }
    lowering.sample()?;
    Ok(lowering.layers)
}

/// Lanes of `channels` channels, padded to whole blocks of `block`.
fn padded(first: usize, channels: usize, block: usize) -> impl Iterator<Item = Option<usize>> {
    let lanes = channels.next_multiple_of(block);
    (0..lanes).map(move |c| (c < channels).then_some(first + c))
}

/// Lanes of `heads` heads of `width` channels, each padded to whole blocks of `block`.
fn padded_heads(heads: usize, width: usize, block: usize) -> Lanes {
    (0..heads)
        .flat_map(|h| padded(h * width, width, block))
        .collect()
}

struct Lowering<'a> {
    graph: &'a Graph,
    step: &'a StepParams,
    shape: Shape,
    keys: usize,
    layers: Layers,
}

impl Lowering<'_> {
    fn push(&mut self, index: usize, work: Work) {
        self.layers.list.push(Layer {
            name: self.graph.nodes[index].name.clone(),
            node: Some(index),
            work,
            image: 0,
            place: 0,
        });
    }

    fn size(&self, tensor: TensorId) -> [usize; 2] {
        let t = &self.graph.tensors[tensor];
        [t.height, t.width]
    }

    fn node(&mut self, index: usize) -> Result<(), CompileError> {
        let node = &self.graph.nodes[index];
        let kind_mismatch =
            || CompileError::mismatch(format!("{}: its step is of another kind", node.name));
        match &node.op {
            Op::Norm(norm) => {
                self.push(
                    index,
                    Work::Norm(NormWork {
                        streams: node.inputs.clone(),
                        groups: norm.groups,
                        operand: node.output,
                        parts: std::iter::once(0..norm.groups).collect(),
                    }),
                );
                self.prep(index, PrepKind::Norm { silu: norm.silu }, norm.resample)?;
            }
            Op::Quantise { resample } => {
                let kind = match self.step.nodes.get(index) {
                    Some(NodeStep::Quantise(QuantiseStep::Single { .. })) => PrepKind::Single,
                    Some(NodeStep::Quantise(QuantiseStep::StreamPlanes)) => PrepKind::StreamPlanes,
                    Some(NodeStep::Quantise(QuantiseStep::StatePlanes { .. })) => {
                        PrepKind::StatePlanes
                    }
                    _ => return Err(kind_mismatch()),
                };
                self.prep(index, kind, *resample)?;
            }
            Op::Resample(resample) => self.prep(index, PrepKind::Stream, Some(*resample))?,
            Op::Conv(conv) => self.conv(index, conv)?,
            Op::Attention(attention) => {
                let heads = attention.heads;
                let info = &self.graph.tensors[node.output];
                let pixels = info.height * info.width;
                if pixels > self.keys {
                    let what = format!("attention over {pixels} pixels, at most {}", self.keys);
                    return Err(CompileError::unsupported(&node.name, what));
                }
                let lanes = padded_heads(heads, info.channels / heads, self.shape.inputs);
                let head_blocks = lanes.len() / self.shape.inputs / heads;
                let form = OperandForm {
                    size: [info.height, info.width],
                    planes: 1,
                    room: lanes.len() / self.shape.inputs,
                    lanes,
                    spread: false,
                };
                self.layers.operands.insert(node.output, form);
                let &[q, k, v] = node.inputs.as_slice() else {
                    return Err(CompileError::unsupported(
                        &node.name,
                        "an attention reads Q, K and V",
                    ));
                };
                self.push(
                    index,
                    Work::Attention(AttentionWork {
                        inputs: [q, k, v],
                        output: node.output,
                        heads,
                        head_blocks,
                        pixels,
                    }),
                );
            }
        }
        Ok(())
    }

    fn prep(
        &mut self,
        index: usize,
        kind: PrepKind,
        resample: Option<Resample>,
    ) -> Result<(), CompileError> {
        let node = &self.graph.nodes[index];
        let [height, width] = self.size(node.inputs[0]);
        if resample == Some(Resample::AveragePool2x) && (height % 2 == 1 || width % 2 == 1) {
            let what = format!("the mean of 2x2 of {height} x {width}, expected even sizes");
            return Err(CompileError::unsupported(&node.name, what));
        }
        let info = &self.graph.tensors[node.output];
        let size = [info.height, info.width];
        if kind == PrepKind::Stream {
            let channels = info.channels;
            let form = StreamForm { size, channels };
            self.layers.streams.insert(node.output, form);
        } else {
            let mut lanes = Lanes::new();
            let mut first = 0;
            for &t in &node.inputs {
                let channels = self.graph.tensors[t].channels;
                lanes.extend(padded(first, channels, self.shape.inputs));
                first += channels;
            }
            let form = OperandForm {
                size,
                planes: match kind {
                    PrepKind::StreamPlanes | PrepKind::StatePlanes => 2,
                    _ => 1,
                },
                room: lanes.len() / self.shape.inputs,
                lanes,
                spread: self.spread(node.output),
            };
            self.layers.operands.insert(node.output, form);
        }
        let work = PrepWork {
            kind,
            resample,
            inputs: node.inputs.clone(),
            output: node.output,
            size: self.size(node.inputs[0]),
            from_rows: vec![0; node.inputs.len()],
            to_row: 0,
            maps: node.output,
            state_band: false,
            sums: false,
        };
        self.push(index, Work::Prep(work));
        Ok(())
    }

    /// Whether all that read an operand are convolutions with a stride of 2.
    fn spread(&self, operand: TensorId) -> bool {
        let read = self.graph.readers(operand).next().is_some();
        read && self.graph.is_read_only_by(operand, |conv| conv.stride == 2)
    }

    /// The attention that reads a tensor, its number of heads, and as which input.
    fn attention_of(&self, node: &Node) -> Result<(usize, Dest), CompileError> {
        let mut uses = self.graph.nodes.iter().filter_map(|reader| {
            let heads = match &reader.op {
                Op::Attention(a) => a.heads,
                _ => 1,
            };
            let is_input = reader.inputs.contains(&node.output);
            is_input.then_some((reader, heads))
        });
        let refuse = |what| Err(CompileError::unsupported(&node.name, what));
        let Some((reader, heads)) = uses.next() else {
            return refuse("its result is an operand that nothing reads");
        };
        if uses.next().is_some() || !matches!(reader.op, Op::Attention(_)) {
            return refuse("its result is an operand, which only one attention may read");
        }
        let mut places = (0..3).filter(|&i| reader.inputs[i] == node.output);
        let place = places.next().unwrap_or(0);
        if places.next().is_some() {
            return refuse("its result is more than one of Q, K and V");
        }
        Ok((heads, [Dest::Query, Dest::Key, Dest::Value][place]))
    }

    fn conv(&mut self, index: usize, conv: &Conv) -> Result<(), CompileError> {
        let node = &self.graph.nodes[index];
        let info = &self.graph.tensors[node.output];
        let size = [info.height, info.width];
        let refuse = |what: String| Err(CompileError::unsupported(&node.name, what));
        if conv.phases {
            if info.kind != TensorKind::Stream || conv.residual.is_some() {
                return refuse("phases, which make a stream and add none".into());
            }
        } else if ![1, 3].contains(&conv.kernel) || ![1, 2].contains(&conv.stride) {
            return refuse(format!(
                "kernel {} and stride {}, expected 1 or 3, and 1 or 2",
                conv.kernel, conv.stride
            ));
        }
        if conv.padding.iter().any(|&p| p > 3) {
            return refuse(format!("padding of {:?}, expected at most 3", conv.padding));
        }
        let Shape {
            outputs, inputs, ..
        } = self.shape;
        let channels = info.channels;
        let pixels = info.height * info.width;
        let (dest, lanes, head_blocks) = if info.kind == TensorKind::Stream {
            let form = StreamForm { size, channels };
            self.layers.streams.insert(node.output, form);
            (Dest::Stream, padded(0, channels, outputs).collect(), 0)
        } else {
            let (heads, dest) = self.attention_of(node)?;
            let width = channels / heads;
            let head_blocks = width.div_ceil(inputs);
            let block = if dest == Dest::Value { outputs } else { inputs };
            let mut lanes = padded_heads(heads, width, block);
            let written = lanes.clone();
            lanes.resize(lanes.len().next_multiple_of(outputs), None);
            match dest {
                Dest::Query => {
                    let room = lanes.len() / inputs;
                    let form = OperandForm {
                        size,
                        planes: 1,
                        lanes: written,
                        room,
                        spread: false,
                    };
                    self.layers.operands.insert(node.output, form);
                }
                // a last tile that goes past the last head takes the place of whole heads
                Dest::Key => {
                    let whole = (lanes.len() / inputs).div_ceil(head_blocks);
                    let words = whole * pixels.div_ceil(outputs) * head_blocks;
                    self.layers.cached.insert(node.output, words);
                }
                _ => {
                    let words = lanes.len() / outputs * pixels.div_ceil(inputs);
                    self.layers.cached.insert(node.output, words);
                }
            }
            (dest, lanes, head_blocks)
        };
        let work = ConvWork {
            input: node.inputs[0],
            output: node.output,
            dest,
            kernel: conv.kernel,
            phases: conv.phases,
            stride: conv.stride,
            padding: [conv.padding[0], conv.padding[1]],
            upsample: false,
            residual: conv.residual,
            sums: false,
            add_sums: false,
            sums_of: node.output,
            to_row: 0,
            residual_row: 0,
            half: None,
            size: if conv.phases {
                self.size(node.inputs[0])
            } else {
                size
            },
            parts: std::iter::once(0..lanes.len() / outputs).collect(),
            lanes,
            head_blocks,
        };
        self.push(index, Work::Conv(work));
        Ok(())
    }

    fn sample(&mut self) -> Result<(), CompileError> {
        let [input, output] = [Graph::INPUT, self.graph.output].map(|t| &self.graph.tensors[t]);
        let shape = |t: &diffuser_model::graph::TensorInfo| [t.height, t.width, t.channels];
        if shape(input) != shape(output) {
            let what = format!(
                "{:?}, but the sampler's state is {:?}",
                shape(output),
                shape(input)
            );
            return Err(CompileError::unsupported(&output.name, what));
        }
        if input.channels > STATE_CHANNELS.min(self.shape.outputs) {
            let what = format!(
                "{} channels, at most {STATE_CHANNELS} are possible",
                input.channels
            );
            return Err(CompileError::unsupported(&input.name, what));
        }
        self.layers.list.push(Layer {
            name: "sampler".into(),
            node: None,
            work: Work::Sample(SampleWork {
                stream: self.graph.output,
                stream_row: 0,
                rows: output.height,
                state: None,
                row: 0,
            }),
            image: 0,
            place: 0,
        });
        Ok(())
    }
}
