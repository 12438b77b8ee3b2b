//! AVX-512 with VNNI.
//!
//! Activations are stored as `operand + 128`, unsigned as `vpdpbusd` wants them; what that adds to a
//! sum, 128 times the sum of the weights, is taken off the bias. All arithmetic is modulo `2^32`
//! until the true sum, which fits, is there: exact.
//!
//! Every function with `target_feature` is reached only through [`Avx512::new`], which asks the CPU.

mod attention;
mod conv;
mod gemm;
mod lanes;
mod norm;

use diffuser_model::quantised::WeightBits;
use diffuser_spec::norm::Sums;

use super::{AttentionJob, ConvJob, ConvOutput, ConvShape, Kernels, NormaliseJob, Packed};
use crate::layout::OperandRows;

pub(crate) use conv::Lines;

/// Stored operands are xored with this.
const FLIP: u8 = 0x80;

/// Proof that the CPU has the instructions: only [`Avx512::new`] makes one.
pub(crate) struct Avx512(());

impl Avx512 {
    /// `None` when the CPU lacks an instruction set, or the system does not save its registers.
    pub fn new() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        all.then_some(Self(()))
    }
}

impl Kernels for Avx512 {
    fn flip(&self) -> u8 {
        FLIP
    }

    fn pack(&self, shape: ConvShape, weights: &[i8], bits: WeightBits) -> Packed {
        conv::pack(shape, weights, bits)
    }

    fn conv(&self, job: ConvJob<'_>, output: ConvOutput<'_>) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { conv::conv(job, output) }
    }

    fn sums(&self, x: &[i16], sums: &mut [Sums]) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { norm::sums(x, sums) }
    }

    fn normalise(&self, job: NormaliseJob<'_>, out: OperandRows<'_>) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { norm::normalise(job, out) }
    }

    fn attention(&self, job: AttentionJob<'_>, out: OperandRows<'_>) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { attention::attention(job, out) }
    }

    fn quantise(&self, x: &[i16], gain: i16, zero_point: i8, out: &mut [u8]) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { quantise(x, gain, zero_point, out) }
    }

    fn stream_planes(&self, x: &[i16], high: &mut [u8], low: &mut [u8]) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { stream_planes(x, high, low) }
    }
}

/// The plain loop, compiled for wide registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn quantise(x: &[i16], gain: i16, zero_point: i8, out: &mut [u8]) {
    super::quantise(x, gain, zero_point, FLIP, out);
}

/// The plain loop, compiled for wide registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn stream_planes(x: &[i16], high: &mut [u8], low: &mut [u8]) {
    super::stream_planes(x, FLIP, high, low);
}
