//! One evaluation, node by node: finds the buffers, divides rows among threads, calls the kernels.
//!
//! Everything was checked before; a mismatch here is a defect of this crate.

use std::mem;

use diffuser_model::graph::{Norm, Op, Resample, TensorId};
use diffuser_model::step::{AttentionStep, ConvStep, NodeStep, NormStep, QuantiseStep};
use diffuser_spec::norm::{Affine, Sums, channel_affine, group_factors};
use diffuser_spec::operand::state_planes;
use rayon::prelude::*;

use crate::check::Form;
use crate::engine::{Engine, Observer};
use crate::kernels::{AttentionJob, ConvJob, ConvOutput, NormaliseJob, Residual};
use crate::layout::{Layout, Operand, OperandRows, fill_border, row_chunks};
use crate::plan::{Place, Workspace};
use crate::resample::{self, Size};
use crate::view::TensorView;

/// Multiply-accumulates that are worth a part of their own (some ten microseconds).
const WORK_PER_PART: u64 = 2 << 20;

/// Parts for each thread, so that one thread that is held up does not hold up all.
const PARTS_PER_THREAD: u64 = 3;

/// What one value of a normalisation costs, in multiply-accumulates.
const NORM_WORK: u64 = 64;

/// Rows of each part, so that every thread has some parts and every part work enough.
fn rows_per_part(rows: usize, work: u64) -> usize {
    let worth = work / WORK_PER_PART;
    if worth <= 1 {
        return rows;
    }
    let parts = match rayon::current_num_threads() as u64 {
        1 => 1,
        threads => worth.min(threads * PARTS_PER_THREAD),
    };
    rows.div_ceil(parts as usize)
}

/// Run `f` on each part with its index, on the threads of the pool if there are several.
fn for_parts<T: Send>(parts: impl Iterator<Item = T>, f: impl Fn(usize, T) + Sync + Send) {
    let mut parts: Vec<T> = parts.collect();
    if parts.len() == 1 {
        parts.drain(..).for_each(|p| f(0, p));
    } else {
        parts.into_par_iter().enumerate().for_each(|(i, p)| f(i, p));
    }
}

/// One evaluation of an engine's network.
pub(crate) struct Evaluation<'a> {
    pub engine: &'a Engine,
    pub state: &'a [i32],
    /// One a tensor.
    pub forms: Vec<Form>,
}

/// A node's output buffer, outside the workspace while the node runs.
enum Output {
    Stream(Vec<i16>),
    Operand(Vec<u8>, Layout),
}

impl Output {
    fn operand(&mut self) -> (&mut [u8], Layout) {
        match self {
            Self::Operand(bytes, layout) => (bytes, *layout),
            Self::Stream(_) => unreachable!("the output is an operand: checked"),
        }
    }
}

impl Evaluation<'_> {
    fn size(&self, tensor: TensorId) -> Size {
        let t = &self.engine.graph.tensors[tensor];
        [t.height, t.width, t.channels]
    }

    fn stream<'w>(&self, tensor: TensorId, workspace: &'w Workspace) -> &'w [i16] {
        match self.engine.plan.places[tensor] {
            Place::Stream(slot) => {
                &workspace.streams[slot][..self.engine.graph.tensors[tensor].len()]
            }
            Place::Input | Place::Operand(..) => unreachable!("the tensor is a stream: checked"),
        }
    }

    fn operand<'w>(&self, tensor: TensorId, workspace: &'w Workspace) -> Operand<'w> {
        let Place::Operand(slot, layout) = self.engine.plan.places[tensor] else {
            unreachable!("the tensor is an operand: checked");
        };
        let Form { planes, zero_point } = self.forms[tensor];
        Operand {
            bytes: &workspace.operands[slot][..layout.bytes(planes)],
            layout,
            planes,
            zero_point,
            flip: self.engine.kernels.flip(),
        }
    }

    /// Show a tensor that has just been made.
    pub fn show(&self, tensor: TensorId, workspace: &Workspace, observer: &mut Observer<'_>) {
        if let Place::Stream(_) = self.engine.plan.places[tensor] {
            observer(tensor, TensorView::Stream(self.stream(tensor, workspace)));
            return;
        }
        let operand = self.operand(tensor, workspace);
        let values = operand.dense(0);
        if operand.planes == 2 {
            let low = operand.dense(1);
            observer(
                tensor,
                TensorView::Planes {
                    high: &values,
                    low: &low,
                },
            );
        } else {
            observer(
                tensor,
                TensorView::Operand {
                    values: &values,
                    zero_point: operand.zero_point,
                },
            );
        }
    }

    /// Run one node.
    pub fn node(&self, index: usize, step: &NodeStep, workspace: &mut Workspace) {
        let node = &self.engine.graph.nodes[index];
        let place = self.engine.plan.places[node.output];
        let mut output = match place {
            Place::Stream(slot) => Output::Stream(mem::take(&mut workspace.streams[slot])),
            Place::Operand(slot, layout) => {
                let mut bytes = mem::take(&mut workspace.operands[slot]);
                let form = self.forms[node.output];
                for plane in 0..form.planes {
                    let value = form.zero_point as u8 ^ self.engine.kernels.flip();
                    fill_border(&mut bytes, &layout, plane, value);
                }
                Output::Operand(bytes, layout)
            }
            Place::Input => unreachable!("no node makes the input: checked"),
        };
        match (&node.op, step) {
            (Op::Norm(norm), NodeStep::Norm(step)) => {
                self.norm(norm, &node.inputs, step, workspace, &mut output);
            }
            (Op::Quantise { resample }, NodeStep::Quantise(step)) => {
                self.quantise(node.inputs[0], *step, *resample, workspace, &mut output);
            }
            (Op::Conv(conv), NodeStep::Conv(step)) => {
                self.conv(index, conv.residual, step, workspace, &mut output);
            }
            (Op::Attention(attention), NodeStep::Attention(step)) => {
                self.attention(index, attention.heads, step, workspace, &mut output);
            }
            (Op::Resample(kind), NodeStep::Resample) => {
                let Output::Stream(out) = &mut output else {
                    unreachable!("the output is a stream: checked");
                };
                let input = self.stream(node.inputs[0], workspace);
                let len = self.engine.graph.tensors[node.output].len();
                resample::stream(input, self.size(node.inputs[0]), *kind, &mut out[..len]);
            }
            _ => unreachable!("the step has the kinds of the nodes: checked"),
        }
        match (place, output) {
            (Place::Stream(slot), Output::Stream(values)) => workspace.streams[slot] = values,
            (Place::Operand(slot, _), Output::Operand(bytes, _)) => {
                workspace.operands[slot] = bytes;
            }
            _ => unreachable!("the output is what was taken above"),
        }
    }

    fn conv(
        &self,
        index: usize,
        residual: Option<TensorId>,
        step: &ConvStep,
        workspace: &Workspace,
        output: &mut Output,
    ) {
        let engine = self.engine;
        let node = &engine.graph.nodes[index];
        let convs = &engine.convs[index];
        let input = self.operand(node.inputs[0], workspace);
        let [out_rows, width, channels] = self.size(node.output);
        // rows of a phase, each of which is one of two of the result
        let rows_each = if convs.len() == 1 { 1 } else { 2 };
        let rows = out_rows / rows_each;
        let work = engine.graph.node_macs(node) * input.planes as u64;
        let part = rows_per_part(rows, work);
        let job = |i: usize, phase: usize| {
            let (shape, weights) = &convs[phase];
            let channels = phase * channels..(phase + 1) * channels;
            ConvJob {
                shape: *shape,
                weights,
                input,
                bias: &step.bias[channels.clone()],
                multiplier: &step.multiplier[channels],
                rows: i * part..rows.min((i + 1) * part),
            }
        };
        match output {
            Output::Stream(out) => {
                let residual = residual.map(|t| self.stream(t, workspace));
                let values = part * rows_each * width * channels;
                let out = &mut out[..out_rows * width * channels];
                for_parts(out.chunks_mut(values), |i, out| {
                    let residual = residual.map(|r| Residual {
                        values: &r[i * values..][..out.len()],
                        shift: step.residual_shift,
                    });
                    for phase in 0..convs.len() {
                        let out = &mut *out;
                        let target = ConvOutput::Stream { out, residual };
                        engine.kernels.conv(job(i, phase), target);
                    }
                });
            }
            Output::Operand(bytes, layout) => {
                let flip = engine.kernels.flip();
                for_parts(row_chunks(bytes, *layout, 0, part, flip), |i, rows| {
                    engine.kernels.conv(job(i, 0), ConvOutput::Operand(rows));
                });
            }
        }
    }

    fn attention(
        &self,
        index: usize,
        heads: usize,
        step: &AttentionStep,
        workspace: &Workspace,
        output: &mut Output,
    ) {
        let engine = self.engine;
        let node = &engine.graph.nodes[index];
        let [q, k, v] = [0, 1, 2].map(|i| self.operand(node.inputs[i], workspace));
        let rows = self.size(node.output)[0];
        let part = rows_per_part(rows, engine.graph.node_macs(node));
        let (bytes, layout) = output.operand();
        let chunks = row_chunks(bytes, layout, 0, part, engine.kernels.flip());
        for_parts(chunks, |i, out| {
            let rows = i * part..rows.min((i + 1) * part);
            let job = AttentionJob {
                q,
                k,
                v,
                heads,
                step,
                rows,
            };
            engine.kernels.attention(job, out);
        });
    }

    fn norm(
        &self,
        norm: &Norm,
        inputs: &[TensorId],
        step: &NormStep,
        workspace: &Workspace,
        output: &mut Output,
    ) {
        let [height, width, _] = self.size(inputs[0]);
        let streams: Vec<&[i16]> = inputs.iter().map(|&t| self.stream(t, workspace)).collect();
        let maps = self.maps(norm, inputs, step, &streams);
        let channels = maps.len();
        let part = rows_per_part(height, (height * width * channels) as u64 * NORM_WORK);
        let (bytes, layout) = output.operand();
        let flip = self.engine.kernels.flip();
        let write = |i: usize, mut out: OperandRows<'_>| {
            let (mut first, rows) = (0, out.rows());
            for x in &streams {
                let own = x.len() / (height * width);
                self.engine.kernels.normalise(
                    NormaliseJob {
                        x: &x[i * part * width * own..][..rows * width * own],
                        width,
                        maps: &maps[first..first + own],
                        silu: norm.silu,
                        gain: step.gain,
                        zero_point: step.zero_point,
                    },
                    out.starting_at(first),
                );
                first += own;
            }
        };
        let Some(resample) = norm.resample else {
            for_parts(row_chunks(bytes, layout, 0, part, flip), write);
            return;
        };
        let dense = Layout {
            height,
            width,
            channels,
            padding: [0; 4],
        };
        let mut codes = vec![0; dense.bytes(1)];
        for_parts(row_chunks(&mut codes, dense, 0, part, flip), write);
        let spare = dense.pixel() - channels;
        let size = [height, width, channels];
        let out = whole(bytes, layout, 0, flip);
        resample::operand(&codes, size, spare, resample, out);
    }

    /// One affine map a channel of the concatenated streams.
    fn maps(
        &self,
        norm: &Norm,
        inputs: &[TensorId],
        step: &NormStep,
        streams: &[&[i16]],
    ) -> Vec<Affine> {
        let [height, width, _] = self.size(inputs[0]);
        let mut sums = Vec::with_capacity(step.gamma.len());
        let mut gaps = Vec::with_capacity(step.gamma.len());
        for ((&tensor, x), &gap) in inputs.iter().zip(streams).zip(&step.gaps) {
            let own = self.channel_sums(x, self.size(tensor));
            sums.extend(own.into_iter().map(|s| s.rescaled(gap)));
            gaps.resize(sums.len(), gap);
        }
        let per_group = sums.len() / norm.groups;
        let count = (per_group * height * width) as u32;
        let mut maps = Vec::with_capacity(sums.len());
        for (g, group) in sums.chunks_exact(per_group).enumerate() {
            let total = group.iter().fold(Sums::default(), |a, &s| a.plus(s));
            let factors = group_factors(total, count, step.eps, step.exponent);
            for (c, &gap) in gaps.iter().enumerate().skip(g * per_group).take(per_group) {
                maps.push(channel_affine(factors, step.gamma[c], step.beta[c], gap));
            }
        }
        maps
    }

    fn channel_sums(&self, x: &[i16], [height, width, channels]: Size) -> Vec<Sums> {
        let kernels = &self.engine.kernels;
        let part = rows_per_part(height, x.len() as u64 * NORM_WORK) * width * channels;
        let of = |x: &[i16]| {
            let mut sums = vec![Sums::default(); channels];
            kernels.sums(x, &mut sums);
            sums
        };
        if part >= x.len() {
            return of(x);
        }
        let parts: Vec<Vec<Sums>> = x.par_chunks(part).map(of).collect();
        let mut total = vec![Sums::default(); channels];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(t, s)| *t = t.plus(s));
        }
        total
    }

    fn quantise(
        &self,
        input: TensorId,
        step: QuantiseStep,
        resample: Option<Resample>,
        workspace: &Workspace,
        output: &mut Output,
    ) {
        let kernels = &self.engine.kernels;
        let flip = kernels.flip();
        let (bytes, layout) = output.operand();
        let size = self.size(input);
        // planes are split after a mean, one plane is averaged as it is
        let pool = matches!(resample, Some(Resample::AveragePool2x))
            && !matches!(step, QuantiseStep::Single { .. });
        let pooled_size = [layout.height, layout.width, layout.channels];
        let (size_now, left) = if pool {
            (pooled_size, None)
        } else {
            (size, resample)
        };
        let len = size_now.iter().product();
        let mut high = vec![0; len];
        let mut low = vec![
            0;
            if matches!(step, QuantiseStep::Single { .. }) {
                0
            } else {
                len
            }
        ];
        let mut pooled = Vec::new();
        match step {
            QuantiseStep::StatePlanes { shift } => {
                let mut pooled = Vec::new();
                let x = if pool {
                    pooled.resize(len, 0);
                    resample::state(self.state, size, Resample::AveragePool2x, &mut pooled);
                    &pooled[..]
                } else {
                    self.state
                };
                for ((h, l), &x) in high.iter_mut().zip(&mut low).zip(x) {
                    let planes = state_planes(x, shift);
                    (*h, *l) = (planes.0 as u8 ^ flip, planes.1 as u8 ^ flip);
                }
            }
            QuantiseStep::StreamPlanes => {
                let x = if pool {
                    pooled.resize(len, 0);
                    let x = self.stream(input, workspace);
                    resample::stream(x, size, Resample::AveragePool2x, &mut pooled);
                    &pooled[..]
                } else {
                    self.stream(input, workspace)
                };
                kernels.stream_planes(x, &mut high, &mut low);
            }
            QuantiseStep::Single { gain, zero_point } => {
                kernels.quantise(self.stream(input, workspace), gain, zero_point, &mut high);
            }
        }
        for (plane, codes) in [high, low]
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.is_empty())
        {
            let out = whole(bytes, layout, plane, flip);
            match left {
                None => resample::place(codes, layout.width, layout.channels, out),
                Some(r) => resample::operand(codes, size_now, 0, r, out),
            }
        }
    }
}

/// All image rows of one plane.
fn whole(bytes: &mut [u8], layout: Layout, plane: usize, flip: u8) -> OperandRows<'_> {
    let start = plane * layout.plane() + layout.padding[0] * layout.row();
    OperandRows {
        bytes: &mut bytes[start..start + layout.height * layout.row()],
        layout,
        channel: 0,
        flip,
    }
}
