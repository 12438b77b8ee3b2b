//! Arithmetic of the time and class embedding: 16-bit weights, activations in Q20.
//!
//! The embedding never depends on the image, so it is evaluated on the host once for each step and
//! class; its results end in biases. Wide on purpose: an error here would shift a whole channel.

use crate::multiplier::Scale;
use crate::round::{round_shift, saturate_i32, scale_by_power_of_two};

/// Fraction bits of embedding activations and of all biases.
pub const FRACTION_BITS: u32 = 20;

/// `2^31 * 2^(-2^-i)` for `i` in `1..=20`, rounded.
#[rustfmt::skip]
const ROOTS: [u64; FRACTION_BITS as usize] = [
    1_518_500_250, 1_805_811_301, 1_969_251_188, 2_056_437_387, 2_101_467_502, 2_124_350_982,
    2_135_885_998, 2_141_676_973, 2_144_578_345, 2_146_030_505, 2_146_756_953, 2_147_120_270,
    2_147_301_951, 2_147_392_798, 2_147_438_222, 2_147_460_935, 2_147_472_292, 2_147_477_970,
    2_147_480_809, 2_147_482_228,
];

/// `log2(e)` in Q30.
const LOG2_E: i64 = 1_549_082_005;

/// `2^(-x / 2^20)` in Q31, for `x >= 0`: one factor for each set bit of the fraction.
#[must_use]
pub const fn exp2_neg(x: u64) -> u64 {
    let whole = x >> FRACTION_BITS;
    if whole >= 32 {
        return 0;
    }
    let mut y: u64 = 1 << 31;
    let mut i = 0;
    while i < FRACTION_BITS {
        if x >> (FRACTION_BITS - 1 - i) & 1 == 1 {
            y = (y * ROOTS[i as usize] + (1 << 30)) >> 31;
        }
        i += 1;
    }
    y >> whole
}

/// SiLU, Q20 to Q20: `max(u, 0) - a E / (1 + E)` with `a = |u|`, `E = exp(-a)` in Q31.
#[must_use]
pub const fn silu(u: i32) -> i32 {
    let a = u.unsigned_abs() as i64;
    let e = exp2_neg(round_shift(a * LOG2_E, 30) as u64) as i128;
    let one = 1i128 << 31;
    let below = ((a as i128 * e + (one + e) / 2) / (one + e)) as i32;
    (if u > 0 { u } else { 0 }) - below
}

/// One output of a linear layer: `scale * sum(weight * x) + bias`, `x`, bias and result in Q20.
///
/// At most `2^16` inputs, so that the sum fits 64 bits.
#[must_use]
pub fn linear(weight: &[i16], x: &[i32], scale: Scale, bias: i32) -> i32 {
    debug_assert!(weight.len() == x.len() && x.len() <= 1 << 16);
    let sum: i64 = weight
        .iter()
        .zip(x)
        .map(|(&w, &v)| i64::from(w) * i64::from(v))
        .sum();
    let scaled = i128::from(sum) * i128::from(scale.mantissa());
    let y = scale_by_power_of_two(scaled, -i32::from(scale.exponent()));
    saturate_i32(y.saturating_add(i64::from(bias)))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    #[test]
    fn constants_are_what_they_say() {
        for (i, &r) in ROOTS.iter().enumerate() {
            let want = (31.0 - (-(i as f64 + 1.0)).exp2()).exp2().round();
            assert_eq!(r as f64, want, "{i}");
        }
        assert_eq!(
            LOG2_E as f64,
            (core::f64::consts::LOG2_E * 30f64.exp2()).round()
        );
    }

    proptest::proptest! {
        #[test]
        fn silu_is_near(u: i32) {
            let x = f64::from(u) / 20f64.exp2();
            let want = x / (1.0 + (-x).exp());
            let got = f64::from(silu(u)) / 20f64.exp2();
            proptest::prop_assert!((got - want).abs() < 2e-6, "{x}: {got} {want}");
        }

        #[test]
        fn linear_is_near(w in proptest::collection::vec(-32767i16.., 1..64), seed in -4000i32..4000, m in 32768u16.., e in -40i16..-20) {
            let x: std::vec::Vec<i32> = (0..w.len() as i32).map(|i| (i * 37 + 11) * seed).collect();
            let scale = Scale::new(m, e).unwrap();
            let want: f64 = w.iter().zip(&x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>()
                * f64::from(m) * f64::from(e).exp2() + 77.0;
            let got = f64::from(linear(&w, &x, scale, 77));
            proptest::prop_assert!((got - want.clamp(-2147483648.0, 2147483647.0)).abs() <= 1.0);
        }
    }

    #[test]
    fn extremes() {
        assert_eq!(silu(i32::MAX), i32::MAX);
        assert_eq!(silu(i32::MIN), 0);
        assert_eq!(silu(0), 0);
        assert_eq!(linear(&[32767; 4], &[i32::MAX; 4], Scale::ONE, 0), i32::MAX);
    }
}
