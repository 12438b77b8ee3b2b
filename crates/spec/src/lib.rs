//! Integer arithmetic of Diffuser, defined once.
//!
//! Every executor — the scalar oracle, each SIMD kernel, the simulator, the RTL — matches these
//! functions bit for bit. `docs/numerics.md` states each as a formula with its ranges; where that
//! page and this code differ, one of them has a defect.
//!
//! Three kinds of number flow through a network:
//!
//! - an **operand**: 8 bit, `-127..=127`, what a multiply-accumulate reads;
//! - a **stream** value: 16 bit, real value `x * 2^-k` with one exponent `k` per tensor and time step;
//! - an **accumulator**: 32 bit, the exact sum of operand products.

#![no_std]
#![forbid(unsafe_code)]

pub mod conv;
pub mod embedding;
pub mod multiplier;
pub mod norm;
pub mod normal;
pub mod operand;
pub mod philox;
pub mod round;
pub mod rsqrt;
pub mod sampler;
pub mod silu;
pub mod softmax;
pub mod tables;
pub mod tables_normal;
pub mod weight4;

pub use multiplier::{Multiplier, Scale, ScaleError};
pub use round::{mul_q15, round_shift, saturate_i16, saturate_i32, saturate_operand};

/// Largest magnitude of an operand; -128 is never used, so that two products fit one DSP48E2.
pub const OPERAND_MAX: i32 = 127;

/// Fraction bits of the input and output of [`silu::silu`]: values are `u * 2^-10`.
pub const SILU_FRACTION_BITS: u32 = 10;

/// Fraction bits of the sampler's state: values are `x * 2^-24`.
pub const STATE_FRACTION_BITS: u32 = 24;
