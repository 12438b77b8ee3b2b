//! What an executor needs to evaluate the network at one time step: integers only.
//!
//! [`crate::prepare`] makes these from the quantised file once per schedule and class; engines,
//! simulator and hardware read them. Nodes are those of [`crate::graph::Graph`], by index.

use diffuser_spec::{Multiplier, Scale};

/// Parameters of every node at one time step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepParams {
    /// The training time step.
    pub timestep: u32,
    /// One entry a node.
    pub nodes: Vec<NodeStep>,
    /// Exponent of the network's output: values are `x * 2^-exponent`.
    pub output_exponent: i32,
}

/// Parameters of one node at one time step.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeStep {
    /// Group normalisation.
    Norm(NormStep),
    /// Making an operand.
    Quantise(QuantiseStep),
    /// Convolution or linear layer.
    Conv(ConvStep),
    /// Attention.
    Attention(AttentionStep),
    /// Resampling of a stream: nothing changes with the step.
    Resample,
}

/// Group normalisation: `operand = quantise(silu(affine(x)), gain, zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct NormStep {
    /// Scale a channel, Q16, modulation included.
    pub gamma: Vec<i32>,
    /// Offset a channel, Q16, modulation included.
    pub beta: Vec<i32>,
    /// Added to the variance, Q40.
    pub eps: u64,
    /// Exponent of the finest input stream, the unit of the sums.
    pub exponent: i32,
    /// For each input stream, by how many powers of two it is coarser than that.
    pub gaps: Vec<u32>,
    /// See [`diffuser_spec::operand::quantise`].
    pub gain: i16,
    /// Operand that stands for zero.
    pub zero_point: i8,
}

/// How a stream or the sampler's state becomes an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantiseStep {
    /// One plane: [`diffuser_spec::operand::quantise`].
    Single {
        /// Factor, Q15.
        gain: i16,
        /// Operand that stands for zero.
        zero_point: i8,
    },
    /// A stream in two planes: [`diffuser_spec::operand::stream_planes`].
    StreamPlanes,
    /// The sampler's state in two planes: [`diffuser_spec::operand::state_planes`].
    StatePlanes {
        /// One plane unit is `2^shift` units of the state.
        shift: u32,
    },
}

/// Convolution: `y = multiplier(acc + bias) + residual`, saturated.
///
/// `acc` is the plain sum of operand times weight over the padded input (padding holds
/// `zero_point`); for two planes it is `128 * high + low`. What the zero point adds is in `bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvStep {
    /// Added to the accumulator, one an output channel (of each phase, phase after phase). `|acc + bias|` is
    /// under `2^31`.
    pub bias: Vec<i32>,
    /// Requantisation, one for each bias.
    pub multiplier: Vec<Multiplier>,
    /// Operand that pads the input; 0 for two planes (both are padded with 0).
    pub zero_point: i8,
    /// The residual is shifted right by this much, rounded (left if negative), before it is added.
    pub residual_shift: i32,
}

/// Attention; zero points of Q, K, V and of the output are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionStep {
    /// From a difference of logits to `2^-8` of `log2`: see [`diffuser_spec::softmax::weight`].
    pub to_log2: Multiplier,
    /// From the weighted mean (`2^-8` of V's step) to the output operand, Q15.
    pub gain: i16,
}

/// Step size of an operand at one time step, and the operand that stands for zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperandStep {
    /// Real value of one unit.
    pub step: Scale,
    /// Operand that stands for zero.
    pub zero_point: i8,
    /// Whether there are two planes.
    pub planes: bool,
}
