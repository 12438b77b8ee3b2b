//! The integer network in `f64`, with every width free.
//!
//! Written apart from the engine, after `docs/numerics.md`: tensors are whole numbers in `f64` with a
//! unit, operands have their zero point subtracted, products of operands are exact `f32` matrix products.
//! With the default [`Widths`] it gives the engine's integers, but for a few that lie next to a border
//! of rounding (`tests/widths.rs`).

use diffuser_model::graph::{Attention, Conv, Graph, Norm, Op, Resample, TensorInfo};
use diffuser_model::prepare::{PrepareError, Preparer};
use diffuser_model::quantised::{NodeParams, QuantisedModel, TensorTable};
use diffuser_model::scale::scale_to_f64;
use diffuser_model::step::{NodeStep, NormStep, StepParams};
use diffuser_model::weights::Weights;
use diffuser_reference::conv::{Added, ConvWeights, convolve};
use diffuser_reference::matrix::{Into, Matrix, Threads, multiply};
use diffuser_spec::operand::PLANES_MAX;
use diffuser_spec::silu::silu as silu_by_tables;

use crate::numbers::{bit_length, mantissa, power, resample, round};
use crate::widths::Widths;

/// Fraction bits of biases and of what the embedding adds to them.
const BIAS_BITS: i32 = 20;

/// A tensor: values are `codes * unit`.
#[derive(Clone, Debug, Default)]
struct Values {
    codes: Vec<f64>,
    unit: f64,
}

/// Weights as the matrix product wants them, one entry a node: quantised, and real ones in units of
/// the quantised ones' step.
pub struct Matrices {
    quantised: Vec<Option<ConvWeights>>,
    real: Vec<Option<ConvWeights>>,
}

impl Matrices {
    /// Of a quantised model and of the float weights it was made of.
    pub fn new(
        model: &QuantisedModel,
        weights: &Weights,
    ) -> Result<Self, diffuser_model::error::Error> {
        let mut matrices = Self {
            quantised: Vec::new(),
            real: Vec::new(),
        };
        for (node, params) in model.graph.nodes.iter().zip(&model.nodes) {
            let (Op::Conv(conv), NodeParams::Conv(params)) = (&node.op, params) else {
                matrices.quantised.push(None);
                matrices.real.push(None);
                continue;
            };
            let outputs = conv.output_channels;
            let depth = params.weight.len() / outputs;
            let codes = (0..depth)
                .flat_map(|d| (0..outputs).map(move |o| f32::from(params.weight[o * depth + d])));
            let mut real = ConvWeights::new(conv, &weights.get(&conv.weight)?.data, None);
            for row in real.matrix.chunks_exact_mut(outputs) {
                for (w, &scale) in row.iter_mut().zip(&params.scale) {
                    *w = (f64::from(*w) / scale_to_f64(scale)) as f32;
                }
            }
            matrices.quantised.push(Some(ConvWeights {
                matrix: codes.collect(),
                bias: vec![0.0; outputs],
            }));
            matrices.real.push(Some(real));
        }
        Ok(matrices)
    }
}

/// What a time step and a class change.
pub struct Conditions {
    row: usize,
    projections: Vec<Vec<i32>>,
    /// The same for the engine; here, parameters of normalisations.
    pub step: StepParams,
}

impl Conditions {
    /// Of one training time step and class.
    pub fn new(
        model: &QuantisedModel,
        preparer: &Preparer<'_>,
        timestep: u32,
        class: Option<usize>,
    ) -> Result<Self, PrepareError> {
        Ok(Self {
            row: model.intervals.row(timestep),
            projections: model.projections(timestep, class)?,
            step: preparer.step(timestep, class)?,
        })
    }
}

/// One choice of widths.
pub struct Emulator<'a> {
    pub model: &'a QuantisedModel,
    pub matrices: &'a Matrices,
    pub widths: Widths,
}

impl Emulator<'_> {
    /// The network's output, real numbers, for a state of real numbers.
    pub fn evaluate(&self, state: &[f64], at: &Conditions) -> Vec<f64> {
        let graph = &self.model.graph;
        let mut tensors = vec![Values::default(); graph.tensors.len()];
        tensors[Graph::INPUT] = Values {
            codes: state.iter().map(|&x| self.state(x)).collect(),
            unit: 1.0,
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            let inputs: Vec<&Values> = node.inputs.iter().map(|&t| &tensors[t]).collect();
            let source = &graph.tensors[node.inputs[0]];
            let output = match (&node.op, &at.step.nodes[index]) {
                (Op::Norm(norm), NodeStep::Norm(step)) => self.norm(norm, step, &inputs, source),
                (Op::Quantise { resample }, _) => {
                    self.quantise(index, *resample, inputs[0], source, at)
                }
                (Op::Conv(conv), _) => {
                    let residual = conv.residual.map(|t| &tensors[t]);
                    self.conv(index, conv, inputs[0], residual, at)
                }
                (Op::Attention(attention), NodeStep::Attention(step)) => {
                    let inputs = [inputs[0], inputs[1], inputs[2]];
                    self.attention(attention, step.gain, inputs, source.channels)
                }
                (Op::Resample(kind), _) => Values {
                    codes: resample(&inputs[0].codes, source, *kind),
                    unit: inputs[0].unit,
                },
                _ => unreachable!("a step has the kinds of the graph's nodes"),
            };
            tensors[node.output] = output;
        }
        let output = &tensors[graph.output];
        output.codes.iter().map(|x| x * output.unit).collect()
    }

    /// A value of the sampler's state.
    pub fn state(&self, x: f64) -> f64 {
        let one = power(self.widths.state as i32);
        round(x * one) / one
    }

    /// Mantissa bits of scales on the way to a multiplier.
    fn scale_bits(&self) -> u32 {
        self.widths.multiplier.max(16)
    }

    /// A gain as it is applied, and the step of its operand in units of what it is applied to, a
    /// power of two that the caller knows.
    fn gain(&self, gain: i16) -> (f64, f64) {
        let coarse = power(15 - self.widths.gain as i32);
        let gain = (round(f64::from(gain) / coarse) * coarse).max(coarse);
        (gain / power(15), mantissa(1.0 / gain, self.scale_bits()))
    }

    /// An 8-bit operand, or a wider one of the same range; without its zero point.
    fn operand(&self, x: f64, gain: f64, zero_point: i8) -> f64 {
        let wider = power(self.widths.operand as i32 - 8);
        let (zero, limit) = (f64::from(zero_point) * wider, 127.0 * wider);
        (round(x * gain * wider) + zero).clamp(-limit, limit) - zero
    }

    fn operand_unit(&self, step: f64) -> f64 {
        step * power(8 - self.widths.operand as i32)
    }

    fn quantise(
        &self,
        index: usize,
        kind: Option<Resample>,
        x: &Values,
        source: &TensorInfo,
        at: &Conditions,
    ) -> Values {
        let node = &self.model.graph.nodes[index];
        let w = &self.widths;
        let tables = (
            &self.model.tensors[node.output],
            &self.model.tensors[node.inputs[0]],
        );
        if let (TensorTable::Gain { gain, zero_point }, TensorTable::Stream { .. }) = tables {
            let (gain, step) = self.gain(gain[at.row]);
            // gains are made for streams of 16 bits
            let to_16 = power(16 - w.stream as i32);
            let operand = |&v: &f64| self.operand(v * to_16, gain, zero_point[at.row]);
            let codes: Vec<f64> = x.codes.iter().map(operand).collect();
            return Values {
                codes: kind.map_or(codes.clone(), |kind| resample(&codes, source, kind)),
                unit: self.operand_unit(step * power(15) * x.unit / to_16),
            };
        }
        let (unit, bits) = match tables.1 {
            TensorTable::State { shift } => {
                let unit = power(i32::from(shift[at.row]) - 24 + 15 - w.input as i32);
                (unit, w.input)
            }
            _ => {
                let wider = w.stream as i32 - w.residual_operand as i32;
                (x.unit * power(wider.max(0)), w.residual_operand)
            }
        };
        // means are of the stream's or the state's own integers
        let own = if matches!(tables.1, TensorTable::State { .. }) {
            power(-(w.state as i32))
        } else {
            x.unit
        };
        let own_codes: Vec<f64> = x.codes.iter().map(|v| v * (x.unit / own)).collect();
        let codes = match kind {
            Some(kind) => resample(&own_codes, source, kind),
            None => own_codes,
        };
        let limit = match bits {
            15 => f64::from(PLANES_MAX),
            bits => power(bits as i32 - 1) - 1.0,
        };
        let split = |v: &f64| round(v * (own / unit)).clamp(-limit, limit);
        Values {
            codes: codes.iter().map(split).collect(),
            unit,
        }
    }

    fn norm(
        &self,
        norm: &Norm,
        step: &NormStep,
        inputs: &[&Values],
        source: &TensorInfo,
    ) -> Values {
        let w = &self.widths;
        let pixels = source.height * source.width;
        let maps = self.maps(norm, step, inputs, pixels);
        let (gain, operand_step) = self.gain(step.gain);
        let limit = power((w.silu_input + w.silu_range) as i32);
        let to_q10 = power(10 - w.silu_input as i32);
        let activate = |u: f64| {
            let u = u.clamp(-limit, limit - 1.0);
            let y = if norm.silu { self.silu(u) } else { u * to_q10 };
            self.operand(y, gain, step.zero_point)
        };
        let mut codes = vec![0.0; pixels * maps.len()];
        let mut first = 0;
        for input in inputs {
            let width = input.codes.len() / pixels;
            for (x, out) in input
                .codes
                .chunks_exact(width)
                .zip(codes.chunks_exact_mut(maps.len()))
            {
                let maps = &maps[first..first + width];
                for ((y, x), &[a, b, unit]) in out[first..].iter_mut().zip(x).zip(maps) {
                    *y = activate(round((x * a + b) * unit));
                }
            }
            first += width;
        }
        if let Some(kind) = norm.resample {
            let whole = TensorInfo {
                channels: maps.len(),
                ..source.clone()
            };
            codes = resample(&codes, &whole, kind);
        }
        Values {
            codes,
            unit: self.operand_unit(operand_step * power(5)),
        }
    }

    /// `u = round((x a + b) 2^-s)` for each channel: `a`, `b`, `2^-s`.
    fn maps(
        &self,
        norm: &Norm,
        step: &NormStep,
        inputs: &[&Values],
        pixels: usize,
    ) -> Vec<[f64; 3]> {
        let w = &self.widths;
        let finest = inputs.iter().map(|x| x.unit).fold(f64::INFINITY, f64::min);
        // sum, sum of squares, how much coarser than the finest
        let mut channels: Vec<[f64; 3]> = Vec::with_capacity(step.gamma.len());
        for input in inputs {
            let (width, coarser) = (input.codes.len() / pixels, input.unit / finest);
            let mut sums = vec![[0.0, 0.0, coarser]; width];
            for pixel in input.codes.chunks_exact(width) {
                for (sum, &x) in sums.iter_mut().zip(pixel) {
                    let x = x * coarser;
                    sum[0] += x;
                    sum[1] += x * x;
                }
            }
            channels.extend(sums);
        }
        let per_group = channels.len() / norm.groups;
        let count = (per_group * pixels) as f64;
        // a stream of more bits has a finer unit; what comes of it is as fine as before
        let finer = w.stream.max(16) as i32 - 16;
        let most = w.affine_shift as i32 + finer;
        let (a_bits, b_bits) = (w.affine_a as i32, w.affine_b as i32 + finer);
        let fraction = w.silu_input as i32;
        let mut maps = Vec::with_capacity(channels.len());
        for (g, group) in channels.chunks_exact(per_group).enumerate() {
            let [sum, squares] = [0, 1].map(|i| group.iter().map(|c| c[i]).sum::<f64>());
            let variance = (count * squares - sum * sum) / (count * count);
            let eps = round(step.eps as f64 * power(-24) / (finest * finest)).max(1.0);
            let r = (variance + eps * power(-16)).sqrt().recip();
            let deviation = mantissa(r, w.deviation);
            let mean = mantissa(r * sum / count, w.group_mean);
            for (c, channel) in group.iter().enumerate() {
                let [gamma, beta] =
                    [&step.gamma, &step.beta].map(|p| f64::from(p[g * per_group + c]) * power(-16));
                let slope = gamma * deviation * channel[2] * power(fraction);
                let unit = power(fraction + most);
                let offset = (beta * unit) - round(gamma * mean * unit);
                let mut shift = most.min(b_bits + most - bit_length(offset));
                if slope != 0.0 {
                    shift = shift.min(a_bits - bit_length(slope));
                }
                let shift = shift.max(0);
                let (largest_a, largest_b) = (power(a_bits) - 1.0, power(b_bits));
                let a = round(slope * power(shift)).clamp(-largest_a, largest_a);
                let b = round(offset * power(shift - most)).clamp(-largest_b, largest_b);
                maps.push([a, b, power(-shift)]);
            }
        }
        maps
    }

    /// SiLU of a value with the input's fraction bits, result in units of `2^-10`.
    fn silu(&self, u: f64) -> f64 {
        let w = &self.widths;
        if w.silu_tables {
            assert_eq!((w.silu_input, w.silu_output), (10, 10), "tables are Q10");
            return silu_by_tables(u as i16).into();
        }
        let x = u * power(-(w.silu_input as i32));
        let to_q10 = power(10 - w.silu_output as i32);
        round(x / (1.0 + (-x).exp()) * 1024.0 / to_q10) * to_q10
    }

    fn conv(
        &self,
        index: usize,
        conv: &Conv,
        input: &Values,
        residual: Option<&Values>,
        at: &Conditions,
    ) -> Values {
        let (model, w) = (self.model, &self.widths);
        let node = &model.graph.nodes[index];
        let NodeParams::Conv(params) = &model.nodes[index] else {
            unreachable!("the file was checked");
        };
        let (unit, bits) = match &model.tensors[node.output] {
            TensorTable::Stream { exponent } => {
                let bits = if node.output == model.graph.output {
                    w.output
                } else {
                    w.stream
                };
                let exponent = i32::from(exponent[at.row]);
                (power(16 - bits as i32 - exponent), bits)
            }
            TensorTable::Step { step } => {
                (self.operand_unit(scale_to_f64(step[at.row])), w.operand)
            }
            _ => unreachable!("a convolution makes streams, or operands with a step"),
        };
        let stream = matches!(&model.tensors[node.output], TensorTable::Stream { .. });
        let (low, high) = if stream {
            (-power(bits as i32 - 1), power(bits as i32 - 1) - 1.0)
        } else {
            let limit = 127.0 * power(bits as i32 - 8);
            (-limit, limit)
        };
        let to_output = mantissa(1.0 / unit, self.scale_bits());
        let channels: Vec<[f64; 2]> = (0..conv.output_channels)
            .map(|c| {
                let scale = mantissa(scale_to_f64(params.scale[c]), w.weight_scale);
                let projected = conv.projection.map_or(0, |id| at.projections[id][c]);
                let real = (f64::from(params.bias[c]) + f64::from(projected)) * power(-BIAS_BITS);
                let bias = round(real / (input.unit * scale));
                let product = mantissa(input.unit * scale, self.scale_bits()) * to_output;
                let product = mantissa(product, self.scale_bits());
                [bias, mantissa(product, w.multiplier)]
            })
            .collect();
        let mut codes = self.products(index, conv, input);
        for pixel in codes.chunks_exact_mut(channels.len()) {
            for (y, [bias, multiplier]) in pixel.iter_mut().zip(&channels) {
                *y = round((*y + bias) * multiplier);
            }
        }
        if let Some(residual) = residual {
            let ratio = residual.unit / unit;
            for (y, r) in codes.iter_mut().zip(&residual.codes) {
                *y += round(r * ratio);
            }
        }
        codes.iter_mut().for_each(|y| *y = y.clamp(low, high));
        Values { codes, unit }
    }

    /// Sums of products, exact: wide operands in two parts, as an `f32` holds 24 bits.
    fn products(&self, index: usize, conv: &Conv, input: &Values) -> Vec<f64> {
        let graph = &self.model.graph;
        let node = &graph.nodes[index];
        let (source, target) = (&graph.tensors[node.inputs[0]], &graph.tensors[node.output]);
        let matrices = if self.widths.float_weights {
            &self.matrices.real
        } else {
            &self.matrices.quantised
        };
        let weights = matrices[index].as_ref().expect("a convolution has weights");
        let (mut out, mut scratch) = (vec![0.0f32; target.len()], Vec::new());
        let mut multiply = |codes: &[f32]| {
            convolve(
                conv,
                weights,
                &Added::default(),
                (codes, source),
                (&mut out, target),
                &mut scratch,
                Threads(1),
            );
            out.iter().map(|&y| f64::from(y)).collect::<Vec<_>>()
        };
        if input.codes.iter().all(|q| q.abs() <= 256.0) {
            return multiply(&input.codes.iter().map(|&q| q as f32).collect::<Vec<_>>());
        }
        let high = |q: f64| ((q + 64.0) / 128.0).floor();
        let highs: Vec<f32> = input.codes.iter().map(|&q| high(q) as f32).collect();
        let lows: Vec<f32> = input
            .codes
            .iter()
            .map(|&q| (q - 128.0 * high(q)) as f32)
            .collect();
        let (mut sums, lows) = (multiply(&highs), multiply(&lows));
        for (h, l) in sums.iter_mut().zip(lows) {
            *h = 128.0 * *h + l;
        }
        sums
    }

    fn attention(
        &self,
        attention: &Attention,
        gain: i16,
        [q, k, v]: [&Values; 3],
        channels: usize,
    ) -> Values {
        let w = &self.widths;
        let pixels = q.codes.len() / channels;
        let head = channels / attention.heads;
        let bits = self.scale_bits();
        let to_log2 = mantissa(attention.scale * std::f64::consts::LOG2_E, bits);
        let to_log2 = mantissa(mantissa(q.unit * k.unit, bits) * to_log2, bits);
        let to_log2 = mantissa(to_log2, w.multiplier) * power(w.logits as i32);
        let (gain, step) = self.gain(gain);
        // gains are made for means of 8 fraction bits
        let to_8 = power(8 - w.mean as i32);
        let limit = power(7 + w.mean as i32 + w.operand as i32 - 8);
        let weights = self.exponentials();
        let [q_codes, k_codes, v_codes] =
            [q, k, v].map(|x| x.codes.iter().map(|&c| c as f32).collect::<Vec<f32>>());
        let mut codes = vec![0.0; q.codes.len()];
        let mut scores = vec![0.0f32; pixels * pixels];
        let mut means = vec![0.0f32; pixels * head];
        for first in (0..channels).step_by(head) {
            let part = |x| Matrix::rows(x, pixels, head, channels);
            let keys = part(&k_codes[first..]).transposed();
            let queries = part(&q_codes[first..]);
            multiply(
                &mut scores,
                pixels,
                queries,
                keys,
                Into::Replace,
                Threads(1),
            );
            let mut reciprocals = Vec::with_capacity(pixels);
            for row in scores.chunks_exact_mut(pixels) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for x in row {
                    let d = round(f64::from(largest - *x) * to_log2);
                    *x = weights(d);
                    sum += f64::from(*x);
                }
                reciprocals.push(self.reciprocal(sum));
            }
            let scores = Matrix::rows(&scores, pixels, pixels, pixels);
            let values = part(&v_codes[first..]);
            multiply(&mut means, head, scores, values, Into::Replace, Threads(1));
            for (i, r) in reciprocals.iter().enumerate() {
                for c in 0..head {
                    let mean = round(f64::from(means[i * head + c]) * r * power(w.mean as i32));
                    let mean = mean.clamp(-limit, limit - 1.0);
                    // V's own width is in its unit already
                    let x = mean * to_8 * power(8 - w.operand as i32);
                    codes[i * channels + first + c] = self.operand(x, gain, 0);
                }
            }
        }
        let v_step = v.unit * power(w.operand as i32 - 8);
        Values {
            codes,
            unit: self.operand_unit(mantissa(step * v_step, bits) * power(7)),
        }
    }

    /// Attention weight of a distance from the largest logit, through a table with 8 more bits.
    fn exponentials(&self) -> impl Fn(f64) -> f32 {
        let (bits, fraction) = (self.widths.softmax, self.widths.logits);
        let entries = 1usize << fraction;
        let largest = power(bits as i32 + 7) - power(8);
        let table: Vec<f64> = (0..entries)
            .map(|i| round(largest * (-(i as f64) / entries as f64).exp2()))
            .collect();
        move |d| {
            let d = d as u64;
            let whole = d >> fraction;
            if whole >= bits.into() {
                return 0.0;
            }
            round(table[d as usize % entries] * power(-(whole as i32) - 8)) as f32
        }
    }

    fn reciprocal(&self, sum: f64) -> f64 {
        let bits = self.widths.reciprocal as i32;
        let unit = power(bit_length(sum) - bits);
        let whole = power(2 * bits - 1);
        (whole / (sum / unit).floor()).floor() / whole / unit
    }
}
