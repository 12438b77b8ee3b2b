//! Every width that the arithmetic could have chosen otherwise.

/// Widths of the integer network; the default is what `docs/numerics.md` states.
#[derive(Clone, Debug, PartialEq)]
pub struct Widths {
    /// Bits of what normalisations, attention and projections to Q, K and V write.
    pub operand: u32,
    /// The float weights instead of 8-bit ones.
    pub float_weights: bool,
    /// Bits of the network's input, a power-of-two step.
    pub input: u32,
    /// Bits of streams.
    pub stream: u32,
    /// Bits of the network's output.
    pub output: u32,
    /// Bits of a stream where a convolution reads it, a power-of-two step.
    pub residual_operand: u32,
    /// Magnitude bits of the factor `a` of group norm.
    pub affine_a: u32,
    /// Magnitude bits of the offset `b`.
    pub affine_b: u32,
    /// Largest shift after them.
    pub affine_shift: u32,
    /// Mantissa bits of a group's reciprocal deviation.
    pub deviation: u32,
    /// Mantissa bits of a group's mean.
    pub group_mean: u32,
    /// Fraction bits of the normalised value, the input of SiLU.
    pub silu_input: u32,
    /// It is within `-2^range..2^range`.
    pub silu_range: u32,
    /// SiLU by the tables of the specification (10 fraction bits only), or the real function rounded.
    pub silu_tables: bool,
    /// Fraction bits of SiLU's result.
    pub silu_output: u32,
    /// Bits of gains, which are below one.
    pub gain: u32,
    /// Mantissa bits of requantisation; from 17 on also of the scales that it is made of.
    pub multiplier: u32,
    /// Mantissa bits of the weights' steps.
    pub weight_scale: u32,
    /// Fraction bits of the base-2 logarithm of an attention weight.
    pub logits: u32,
    /// Bits of attention weights, sign included.
    pub softmax: u32,
    /// Mantissa bits of the reciprocal of their sum.
    pub reciprocal: u32,
    /// Fraction bits of the weighted mean, in units of V's step.
    pub mean: u32,
    /// Fraction bits of the sampler's state.
    pub state: u32,
}

impl Default for Widths {
    fn default() -> Self {
        Self {
            operand: 8,
            float_weights: false,
            input: 15,
            stream: 16,
            output: 16,
            residual_operand: 15,
            affine_a: 15,
            affine_b: 29,
            affine_shift: 22,
            deviation: 18,
            group_mean: 24,
            silu_input: 10,
            silu_range: 5,
            silu_tables: true,
            silu_output: 10,
            gain: 15,
            multiplier: 16,
            weight_scale: 16,
            logits: 8,
            softmax: 8,
            reciprocal: 16,
            mean: 8,
            state: 24,
        }
    }
}
