//! SiLU, `u / (1 + exp(-u))`, in 16-bit arithmetic.

use crate::round::mul_q15;
use crate::tables::{SILU_C0, SILU_C1, SILU_C2};

/// SiLU of `u * 2^-10`, result in the same unit.
///
/// `silu(u) = max(u, 0) + g(|u|)` with `g(a) = -a / (1 + exp(a))`, an even function that vanishes
/// for large `a`. `g` is a quadratic on each of 64 segments of width 1/4 (coefficients in Q15),
/// zero from `a = 16` on. Error under 0.6 units, `0.6 * 2^-10`.
#[inline]
#[must_use]
pub const fn silu(u: i16) -> i16 {
    let a = if u == i16::MIN { i16::MAX } else { u.abs() };
    let relu = if u > 0 { u } else { 0 };
    if a >= 1 << 14 {
        return relu;
    }
    let segment = (a >> 8) as usize;
    let t = (a & 255) << 7;
    let g = SILU_C0[segment] + mul_q15(SILU_C1[segment] + mul_q15(SILU_C2[segment], t), t);
    relu + ((g + 16) >> 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    #[test]
    fn every_input_is_near_the_real_function() {
        for u in i16::MIN..=i16::MAX {
            let x = f64::from(u) / 1024.0;
            let want = x / (1.0 + (-x).exp()) * 1024.0;
            let error = (f64::from(silu(u)) - want).abs();
            assert!(error < 0.6, "silu({u}) = {} but {want}", silu(u));
        }
    }
}
