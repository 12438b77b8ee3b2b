//! From the quantised model to the integers of each time step: biases, multipliers, factors.
//!
//! Done once per schedule and class, in integers (the sinusoids of the time step come from a
//! software `libm`, the same on every machine). Here it is also proved, for every output channel,
//! that no accumulator can leave 32 bits. [`Preparer`] keeps what it needs to know of the weights.

use diffuser_spec::embedding::{self, FRACTION_BITS};
use diffuser_spec::operand::PLANES_MAX;
use diffuser_spec::{OPERAND_MAX, STATE_FRACTION_BITS, Scale};

use crate::graph::{Conv, Graph, Node, Norm, Op, TensorId};
use crate::quantised::{ConvWeights, NodeParams, QuantisedModel, TensorTable, WideLinear};
use crate::scale::scale_from_f64;
use crate::step::{
    AttentionStep, ConvStep, NodeStep, NormStep, OperandStep, QuantiseStep, StepParams,
};

/// Why a quantised model cannot be prepared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PrepareError {
    /// The class is not one of the model's.
    #[error("class {class}: the model has {classes} classes")]
    Class {
        /// Class asked for.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A class is needed, or given to a model without classes.
    #[error("{0}")]
    ClassUse(&'static str),
    /// A table or weight of a node cannot be used.
    #[error("{node}: {what}")]
    Node {
        /// Name of the node.
        node: String,
        /// What is wrong, and what was expected.
        what: String,
    },
}

fn node_error(node: &Node, what: impl Into<String>) -> PrepareError {
    PrepareError::Node {
        node: node.name.clone(),
        what: what.into(),
    }
}

/// Q20 sinusoids of a time step, `diffusers`' `get_timestep_embedding` with a maximum period of 10,000.
fn sinusoid(timestep: u32, channels: usize, flip_sin_to_cos: bool, freq_shift: f64) -> Vec<i32> {
    crate::timestep::sinusoid(f64::from(timestep), channels, flip_sin_to_cos, freq_shift)
        .into_iter()
        .map(|x| libm::round(x * f64::from(1 << FRACTION_BITS)) as i32)
        .collect()
}

fn evaluate(layer: &WideLinear, x: &[i32]) -> Vec<i32> {
    layer
        .weight
        .chunks_exact(x.len())
        .zip(layer.scale.iter().zip(&layer.bias))
        .map(|(row, (&scale, &bias))| embedding::linear(row, x, scale, bias))
        .collect()
}

fn silu_all(x: &mut [i32]) {
    x.iter_mut().for_each(|v| *v = embedding::silu(*v));
}

impl QuantisedModel {
    /// Outputs of every embedding projection at one time step, Q20.
    ///
    /// # Errors
    /// When the class does not fit the model.
    pub fn projections(
        &self,
        timestep: u32,
        class: Option<usize>,
    ) -> Result<Vec<Vec<i32>>, PrepareError> {
        let c = &self.config;
        let x = sinusoid(
            timestep,
            c.block_out_channels[0],
            c.flip_sin_to_cos,
            c.freq_shift,
        );
        let mut x = evaluate(&self.embedding.time[0], &x);
        silu_all(&mut x);
        let mut x = evaluate(&self.embedding.time[1], &x);
        let classes = self.embedding.classes.len() / x.len();
        match class {
            None if classes > 0 => {
                return Err(PrepareError::ClassUse(
                    "the model is class-conditional: a class is needed",
                ));
            }
            Some(_) if classes == 0 => {
                return Err(PrepareError::ClassUse(
                    "a class was given, but the model has no classes",
                ));
            }
            Some(class) if class >= classes => return Err(PrepareError::Class { class, classes }),
            Some(class) => {
                let row = &self.embedding.classes[class * x.len()..][..x.len()];
                x.iter_mut()
                    .zip(row)
                    .for_each(|(v, &e)| *v = v.saturating_add(e));
            }
            None => {}
        }
        silu_all(&mut x);
        Ok(self
            .embedding
            .projections
            .iter()
            .map(|p| evaluate(p, &x))
            .collect())
    }

    /// Everything that an executor needs for the given training time steps and class.
    ///
    /// # Errors
    /// When the class does not fit the model, or a table holds what no executor can apply.
    pub fn prepare(
        &self,
        timesteps: &[u32],
        class: Option<usize>,
    ) -> Result<Vec<StepParams>, PrepareError> {
        let preparer = self.preparer();
        let step = |&t: &u32| preparer.step(t, class);
        timesteps.iter().map(step).collect()
    }

    /// For preparing one step after the other: looks through the weights once.
    #[must_use]
    pub fn preparer(&self) -> Preparer<'_> {
        Preparer {
            sums: self.nodes.iter().map(row_sums).collect(),
            model: self,
        }
    }

    /// Step size and zero point of an operand in one row of its table.
    ///
    /// # Panics
    /// When the tensor is no operand.
    #[must_use]
    pub fn operand_step(&self, tensor: TensorId, row: usize) -> OperandStep {
        let producer = self.producer(tensor).expect("an operand is made by a node");
        let (step, zero_point, planes) = match &self.tensors[tensor] {
            TensorTable::Gain { gain, zero_point } => {
                let steps = Scale::from_integer(gain[row].unsigned_abs().into(), 0)
                    .recip()
                    .shifted(15);
                let unit = match &producer.op {
                    Op::Norm(_) => steps.shifted(-(diffuser_spec::SILU_FRACTION_BITS as i16)),
                    Op::Attention(_) => steps
                        .times(self.operand_step(producer.inputs[2], row).step)
                        .shifted(-8),
                    _ => steps.shifted(-(self.exponent(producer.inputs[0], row) as i16)),
                };
                (unit, zero_point[row], false)
            }
            TensorTable::Step { step } => (step[row], 0, false),
            TensorTable::Planes => {
                let power = match &self.tensors[producer.inputs[0]] {
                    TensorTable::State { shift } => {
                        i32::from(shift[row]) - STATE_FRACTION_BITS as i32
                    }
                    _ => 1 - self.exponent(producer.inputs[0], row),
                };
                (Scale::ONE.shifted(power as i16), 0, true)
            }
            TensorTable::State { .. } | TensorTable::Stream { .. } => {
                panic!("tensor {tensor} is no operand")
            }
        };
        OperandStep {
            step,
            zero_point,
            planes,
        }
    }

    /// Exponent of a stream in one row of its table.
    ///
    /// # Panics
    /// When the tensor is no stream.
    #[must_use]
    pub fn exponent(&self, tensor: TensorId, row: usize) -> i32 {
        match &self.tensors[tensor] {
            TensorTable::Stream { exponent } => exponent[row].into(),
            _ => panic!("tensor {tensor} is no stream"),
        }
    }

    /// The node that makes a tensor; none for the input.
    #[must_use]
    pub fn producer(&self, tensor: TensorId) -> Option<&Node> {
        self.graph.nodes.iter().find(|n| n.output == tensor)
    }
}

/// Sums over one row of weights: an output channel, or one of a phase.
#[derive(Clone, Copy, Debug)]
struct RowSums {
    sum: i64,
    magnitude: i64,
}

/// One entry a row; none where the node has no weights.
fn row_sums(params: &NodeParams) -> Vec<RowSums> {
    let NodeParams::Conv(weights) = params else {
        return Vec::new();
    };
    let rows = weights.weight.len() / weights.bias.len().max(1);
    let row = |row: &[i8]| RowSums {
        sum: row.iter().map(|&w| i64::from(w)).sum(),
        magnitude: row.iter().map(|&w| i64::from(w).abs()).sum(),
    };
    weights.weight.chunks_exact(rows.max(1)).map(row).collect()
}

/// Prepares a model step by step ([`QuantisedModel::preparer`]).
#[derive(Debug)]
pub struct Preparer<'a> {
    model: &'a QuantisedModel,
    /// One entry a node.
    sums: Vec<Vec<RowSums>>,
}

impl Preparer<'_> {
    /// Everything that an executor needs for one training time step and class.
    ///
    /// # Errors
    /// As [`QuantisedModel::prepare`].
    pub fn step(&self, timestep: u32, class: Option<usize>) -> Result<StepParams, PrepareError> {
        let graph = &self.model.graph;
        let at = At {
            model: self.model,
            sums: &self.sums,
            graph,
            row: self.model.intervals.row(timestep),
            projections: self.model.projections(timestep, class)?,
        };
        let nodes = (0..graph.nodes.len())
            .map(|i| at.node(i))
            .collect::<Result<_, _>>()?;
        Ok(StepParams {
            timestep,
            nodes,
            output_exponent: at.exponent(graph.output),
        })
    }
}

/// One time step of one model.
struct At<'a> {
    model: &'a QuantisedModel,
    sums: &'a [Vec<RowSums>],
    graph: &'a Graph,
    row: usize,
    projections: Vec<Vec<i32>>,
}

impl At<'_> {
    fn exponent(&self, tensor: TensorId) -> i32 {
        self.model.exponent(tensor, self.row)
    }

    fn node(&self, index: usize) -> Result<NodeStep, PrepareError> {
        let node = &self.graph.nodes[index];
        match (&node.op, &self.model.nodes[index]) {
            (Op::Norm(norm), NodeParams::Norm { gamma, beta }) => {
                self.norm(node, norm, gamma, beta)
            }
            (Op::Quantise { .. }, _) => self.quantise(node),
            (Op::Conv(conv), NodeParams::Conv(weights)) => self.conv(index, conv, weights),
            (Op::Attention(attention), _) => self.attention(node, attention.scale),
            (Op::Resample(_), _) => self.resample(node),
            _ => Err(node_error(
                node,
                "its parameters are of another kind of layer",
            )),
        }
    }

    /// Integers are copied or averaged: the unit stays what it was.
    fn resample(&self, node: &Node) -> Result<NodeStep, PrepareError> {
        let [from, to] = [node.inputs[0], node.output].map(|t| self.exponent(t));
        if from != to {
            let what = format!("its output has the exponent {to}, expected its input's, {from}");
            return Err(node_error(node, what));
        }
        Ok(NodeStep::Resample)
    }

    fn gain(&self, node: &Node) -> Result<(i16, i8), PrepareError> {
        match &self.model.tensors[node.output] {
            TensorTable::Gain { gain, zero_point } => Ok((gain[self.row], zero_point[self.row])),
            _ => Err(node_error(node, "its output needs a table of gains")),
        }
    }

    fn norm(
        &self,
        node: &Node,
        norm: &Norm,
        gamma: &[i32],
        beta: &[i32],
    ) -> Result<NodeStep, PrepareError> {
        let (mut gamma, mut beta) = (gamma.to_vec(), beta.to_vec());
        if let Some(id) = norm.scale_shift {
            let (scale, shift) = self.projections[id].split_at(gamma.len());
            for (c, (g, b)) in gamma.iter_mut().zip(&mut beta).enumerate() {
                // y (1 + scale) + shift; the embedding has Q20, gamma and beta Q16
                let factor = i64::from(scale[c]) + (1 << FRACTION_BITS);
                *g = modulate(*g, factor, 0);
                *b = modulate(*b, factor, shift[c]);
            }
        }
        let exponents: Vec<i32> = node.inputs.iter().map(|&t| self.exponent(t)).collect();
        let exponent = exponents.iter().copied().max().unwrap_or(0);
        let gaps: Vec<u32> = exponents.iter().map(|&e| (exponent - e) as u32).collect();
        if gaps
            .iter()
            .any(|&g| g > diffuser_spec::norm::MAX_EXPONENT_GAP)
        {
            return Err(node_error(
                node,
                format!("its inputs' exponents {exponents:?} are more than 7 apart"),
            ));
        }
        let (gain, zero_point) = self.gain(node)?;
        let eps =
            libm::round(norm.eps * libm::exp2(f64::from(diffuser_spec::norm::EPS_FRACTION_BITS)))
                as u64;
        Ok(NodeStep::Norm(NormStep {
            gamma,
            beta,
            eps,
            exponent,
            gaps,
            gain,
            zero_point,
        }))
    }

    fn quantise(&self, node: &Node) -> Result<NodeStep, PrepareError> {
        let step = match (
            &self.model.tensors[node.output],
            &self.model.tensors[node.inputs[0]],
        ) {
            (TensorTable::Planes, TensorTable::State { shift }) => QuantiseStep::StatePlanes {
                shift: shift[self.row].into(),
            },
            (TensorTable::Planes, TensorTable::Stream { .. }) => QuantiseStep::StreamPlanes,
            (TensorTable::Gain { gain, zero_point }, TensorTable::Stream { .. }) => {
                QuantiseStep::Single {
                    gain: gain[self.row],
                    zero_point: zero_point[self.row],
                }
            }
            _ => {
                return Err(node_error(
                    node,
                    "its input and output tables do not fit each other",
                ));
            }
        };
        Ok(NodeStep::Quantise(step))
    }

    fn conv(
        &self,
        index: usize,
        conv: &Conv,
        weights: &ConvWeights,
    ) -> Result<NodeStep, PrepareError> {
        let node = &self.graph.nodes[index];
        let input = self.model.operand_step(node.inputs[0], self.row);
        let to_output = match &self.model.tensors[node.output] {
            TensorTable::Stream { exponent } => Scale::ONE.shifted(exponent[self.row].into()),
            TensorTable::Step { step } => step[self.row].recip(),
            _ => {
                return Err(node_error(
                    node,
                    "its output is neither a stream nor an operand with a step",
                ));
            }
        };
        let largest_operand = i64::from(if input.planes {
            PLANES_MAX
        } else {
            OPERAND_MAX
        });
        let mut bias = Vec::with_capacity(conv.weight_rows());
        let mut multiplier = Vec::with_capacity(conv.weight_rows());
        for (row, &RowSums { sum, magnitude }) in self.sums[index].iter().enumerate() {
            let c = row % conv.output_channels;
            let scale = input.step.times(weights.scale[row]);
            multiplier.push(
                scale
                    .times(to_output)
                    .to_multiplier()
                    .map_err(|e| node_error(node, format!("channel {c}: {e}")))?,
            );
            let projected = conv.projection.map_or(0, |id| self.projections[id][c]);
            let real = i64::from(weights.bias[row]) + i64::from(projected);
            let b = in_steps(real, input.step, weights.scale[row])
                - i128::from(sum * i64::from(input.zero_point));
            if b.abs() + i128::from(magnitude * largest_operand) > i128::from(i32::MAX) {
                return Err(node_error(
                    node,
                    format!("channel {c}: its accumulator could leave 32 bits"),
                ));
            }
            bias.push(b as i32);
        }
        let residual_shift = match conv.residual {
            Some(r) => self.exponent(r) - self.exponent(node.output),
            None => 0,
        };
        Ok(NodeStep::Conv(ConvStep {
            bias,
            multiplier,
            zero_point: input.zero_point,
            residual_shift,
        }))
    }

    fn attention(&self, node: &Node, scale: f64) -> Result<NodeStep, PrepareError> {
        let step = |i: usize| self.model.operand_step(node.inputs[i], self.row).step;
        let to_log2 = scale_from_f64(scale * std::f64::consts::LOG2_E * 256.0)
            .and_then(|s| step(0).times(step(1)).times(s).to_multiplier().ok())
            .ok_or_else(|| node_error(node, "the scale of its logits is out of range"))?;
        Ok(NodeStep::Attention(AttentionStep {
            to_log2,
            gain: self.gain(node)?.0,
        }))
    }
}

/// `x * factor + shift`: `x` and result in Q16, factor and shift in Q20.
fn modulate(x: i32, factor: i64, shift: i32) -> i32 {
    let bits = FRACTION_BITS as i32;
    let product =
        diffuser_spec::round::scale_by_power_of_two(i128::from(x) * i128::from(factor), bits);
    let shift = diffuser_spec::round_shift(
        shift.into(),
        FRACTION_BITS - diffuser_spec::norm::WEIGHT_FRACTION_BITS,
    );
    diffuser_spec::saturate_i32(product.saturating_add(shift))
}

/// A Q20 value in units of `a * b`, rounded to nearest.
fn in_steps(x: i64, a: Scale, b: Scale) -> i128 {
    let divisor = i128::from(a.mantissa()) * i128::from(b.mantissa());
    let power = -i32::from(a.exponent()) - i32::from(b.exponent()) - FRACTION_BITS as i32;
    // 62 bits of headroom are enough for any result under 2^31; more would overflow later anyway
    let (numerator, divisor) = if power >= 0 {
        (i128::from(x) << power.min(90), divisor)
    } else {
        (i128::from(x), divisor << (-power).min(90))
    };
    (2 * numerator + divisor).div_euclid(2 * divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_in_steps_of_the_accumulator() {
        let half = Scale::from_integer(1, -1);
        assert_eq!(in_steps(3 << 20, half, half), 12);
        assert_eq!(in_steps(-(3 << 20), half, half), -12);
        assert_eq!(in_steps(1 << 19, Scale::ONE, Scale::ONE), 1);
        assert_eq!(in_steps(-(1 << 19), Scale::ONE, Scale::ONE), 0);
        assert_eq!(in_steps(0, Scale::ONE.shifted(60), half), 0);
    }

    #[test]
    fn modulation_is_y_times_one_plus_scale_plus_shift() {
        let q = |x: f64, bits: u32| (x * f64::from(1 << bits)) as i64;
        let got = modulate(q(1.5, 16) as i32, q(1.25, 20), q(-0.5, 20) as i32);
        assert_eq!(i64::from(got), q(1.5 * 1.25 - 0.5, 16));
    }
}
