//! Sets of kernels. Every method of [`Kernels`] has one meaning, given by `scalar`; the engine checks
//! shapes and parameters before it calls one.
//!
//! A new set (AMX, AVX2, NEON) is a new module that implements the trait, a new [`KernelChoice`],
//! and one line in [`make`]; `tests/` then compares it with the oracle.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod scalar;

#[cfg(test)]
mod tests;

use std::ops::Range;

use diffuser_model::quantised::WeightBits;
use diffuser_model::rewrite::Phase;
use diffuser_model::step::AttentionStep;
use diffuser_spec::Multiplier;
use diffuser_spec::norm::{Affine, Sums};
use diffuser_spec::operand;

use crate::choice::KernelChoice;
use crate::layout::{Operand, OperandRows};

/// The kernels of a choice; `None` when this machine cannot run them.
pub(crate) fn make(choice: KernelChoice) -> Option<Box<dyn Kernels>> {
    match choice.resolved() {
        KernelChoice::Auto => None,
        KernelChoice::Avx512Vnni => avx512(),
        KernelChoice::Portable => Some(Box::new(portable::Portable::new())),
        KernelChoice::Scalar => Some(Box::new(scalar::Scalar)),
    }
}

/// The AVX-512 kernels, where the CPU has the instructions.
#[cfg(target_arch = "x86_64")]
fn avx512() -> Option<Box<dyn Kernels>> {
    avx512::Avx512::new().map(|k| Box::new(k) as _)
}

/// The AVX-512 kernels: not for this architecture.
#[cfg(not(target_arch = "x86_64"))]
fn avx512() -> Option<Box<dyn Kernels>> {
    None
}

/// Whether the AVX-512 kernels can run.
pub(crate) fn has_avx512vnni() -> bool {
    avx512().is_some()
}

/// Shape of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConvShape {
    pub in_channels: usize,
    pub out_channels: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Top and left padding.
    pub padding: [usize; 2],
    pub out_width: usize,
    /// Whether the result is one phase of an image of twice the size: rows and `out_width` are the phase's.
    pub phase: Option<Phase>,
}

impl ConvShape {
    /// Where the `p`-th pixel of the rows goes, counted in pixels from the first of what they fill.
    #[inline(always)]
    pub fn place(&self, p: usize) -> usize {
        match self.phase {
            None => p,
            Some(phase) => phase.pixel(p, self.out_width),
        }
    }
}

/// Weights in the form that one set of kernels wants.
#[derive(Clone, Debug)]
pub(crate) enum Packed {
    /// As they came: `out x kernel x kernel x in`.
    Plain(Vec<i8>),
    /// The same, two 4-bit weights in a byte; channels padded to an even number.
    PlainPairs(Vec<u8>),
    /// `out x kernel x kernel x in`, widened, channels padded to a multiple of four.
    Words(Vec<i16>),
    /// The same rows in 4 bits: see `portable::Pairs`.
    Pairs(portable::Pairs),
    /// Lines of 16 outputs times 4 inputs, of 8 bits or two of 4 bits in one.
    #[cfg(target_arch = "x86_64")]
    Lines(avx512::Lines),
}

/// Some output rows of one convolution.
#[derive(Clone)]
pub(crate) struct ConvJob<'a> {
    pub shape: ConvShape,
    pub weights: &'a Packed,
    pub input: Operand<'a>,
    pub bias: &'a [i32],
    pub multiplier: &'a [Multiplier],
    /// Output rows.
    pub rows: Range<usize>,
}

/// What a convolution adds to a stream: the rows of the residual that its rows fill, and its shift.
#[derive(Clone, Copy)]
pub(crate) struct Residual<'a> {
    pub values: &'a [i16],
    pub shift: i32,
}

/// Where a convolution's rows go. A phase goes to a stream: to its pixels of twice as many rows.
pub(crate) enum ConvOutput<'a> {
    Stream {
        out: &'a mut [i16],
        residual: Option<Residual<'a>>,
    },
    Operand(OperandRows<'a>),
}

/// Some rows of one stream of a normalisation.
#[derive(Clone)]
pub(crate) struct NormaliseJob<'a> {
    /// Whole rows of the stream.
    pub x: &'a [i16],
    pub width: usize,
    /// One map a channel of the stream.
    pub maps: &'a [Affine],
    pub silu: bool,
    pub gain: i16,
    pub zero_point: i8,
}

/// Some query rows of one attention.
#[derive(Clone)]
pub(crate) struct AttentionJob<'a> {
    pub q: Operand<'a>,
    pub k: Operand<'a>,
    pub v: Operand<'a>,
    pub heads: usize,
    pub step: &'a AttentionStep,
    pub rows: Range<usize>,
}

/// One set of kernels.
pub(crate) trait Kernels: Send + Sync {
    /// What every byte of an operand is xored with: 0, or 0x80 for unsigned activations.
    fn flip(&self) -> u8;

    /// Weights `out x kernel x kernel x in` in this set's own form; those of 4 bits stay two in a byte.
    fn pack(&self, shape: ConvShape, weights: &[i8], bits: WeightBits) -> Packed;

    /// Convolution: see [`diffuser_model::step::ConvStep`].
    fn conv(&self, job: ConvJob<'_>, output: ConvOutput<'_>);

    /// Add the exact sums over pixels to `sums`, one a channel.
    fn sums(&self, x: &[i16], sums: &mut [Sums]);

    /// Affine map, SiLU, quantisation of one stream; writes `maps.len()` channels of `out`.
    fn normalise(&self, job: NormaliseJob<'_>, out: OperandRows<'_>);

    /// Attention over query rows: see [`diffuser_model::step::AttentionStep`].
    fn attention(&self, job: AttentionJob<'_>, out: OperandRows<'_>);

    /// Operands, already flipped, of 16-bit values.
    fn quantise(&self, x: &[i16], gain: i16, zero_point: i8, out: &mut [u8]) {
        quantise(x, gain, zero_point, self.flip(), out);
    }

    /// Both planes, already flipped, of stream values.
    fn stream_planes(&self, x: &[i16], high: &mut [u8], low: &mut [u8]) {
        stream_planes(x, self.flip(), high, low);
    }
}

#[inline(always)]
fn quantise(x: &[i16], gain: i16, zero_point: i8, flip: u8, out: &mut [u8]) {
    for (o, &x) in out.iter_mut().zip(x) {
        *o = operand::quantise(x, gain, zero_point) as u8 ^ flip;
    }
}

#[inline(always)]
fn stream_planes(x: &[i16], flip: u8, high: &mut [u8], low: &mut [u8]) {
    for ((h, l), &x) in high.iter_mut().zip(low).zip(x) {
        let (high, low) = operand::stream_planes(x);
        *h = high as u8 ^ flip;
        *l = low as u8 ^ flip;
    }
}
