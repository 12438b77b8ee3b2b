//! What a convolution does around its multiply-accumulates: planes, requantisation, residual.

use crate::multiplier::Multiplier;
use crate::operand::PLANE_BITS;
use crate::round::{round_shift, saturate_i16, saturate_i32};

/// Largest magnitude of a residual's shift.
pub const MAX_RESIDUAL_SHIFT: i32 = 62;

/// Accumulator of two planes: `128 * high + low`.
///
/// Modulo `2^32`: the sum is exact whenever it fits 32 bits, even where `128 * high` alone does not.
#[inline]
#[must_use]
pub const fn combine_planes(high: i32, low: i32) -> i32 {
    high.wrapping_shl(PLANE_BITS).wrapping_add(low)
}

/// `multiplier * (acc + bias)`, rounded and saturated to 32 bits.
///
/// `acc + bias` modulo `2^32`, exact because whoever makes the bias keeps it under `2^31`.
#[inline]
#[must_use]
pub const fn requantise(acc: i32, bias: i32, multiplier: Multiplier) -> i32 {
    multiplier.apply(acc.wrapping_add(bias))
}

/// A residual moved to the exponent of the output: `x / 2^shift`, rounded; `x * 2^-shift`, saturated
/// to 32 bits, where the shift is negative.
///
/// `shift` is at most [`MAX_RESIDUAL_SHIFT`] in magnitude. From 17 on the result is 0, as
/// `|x| <= 2^15` is then under half of `2^shift`.
#[inline]
#[must_use]
pub const fn residual(x: i16, shift: i32) -> i32 {
    if shift >= 0 {
        round_shift(x as i64, shift as u32) as i32
    } else {
        // 16 bits shifted by 40 fit 64, and anything but 0 saturates long before
        let left = if shift < -40 { 40 } else { -shift };
        saturate_i32((x as i64) << left)
    }
}

/// Output to a stream: `y + residual`, saturated to 32, then to 16 bits.
#[inline]
#[must_use]
pub const fn to_stream(y: i32, residual: i32) -> i16 {
    saturate_i16(y.saturating_add(residual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_combine_even_past_an_intermediate_overflow() {
        assert_eq!(combine_planes(-3, 5), -379);
        // 128 * 2^24 is 2^31, one too many; the low plane brings it back
        assert_eq!(combine_planes(1 << 24, -1), i32::MAX);
    }

    proptest::proptest! {
        #[test]
        fn residual_is_the_rounded_or_saturated_product(x: i16, shift in -62i32..=62) {
            // in units of 2^-63, so that nothing is lost: |x| 2^(63 + 62) fits 128 bits
            let want = if shift >= 0 {
                (2 * i128::from(x) + (1i128 << shift)).div_euclid(1i128 << (shift + 1))
            } else {
                (i128::from(x) << -shift).clamp(i32::MIN.into(), i32::MAX.into())
            };
            proptest::prop_assert_eq!(i128::from(residual(x, shift)), want);
            if shift >= 17 {
                proptest::prop_assert_eq!(want, 0);
            }
        }

        #[test]
        fn requantised_sum(acc in -(1i32 << 30)..1 << 30, bias in -(1i32 << 30)..1 << 30) {
            let one = Multiplier { mantissa: 1 << 15, shift: 15 };
            proptest::prop_assert_eq!(requantise(acc, bias, one), acc + bias);
        }
    }

    #[test]
    fn halves_and_limits() {
        assert_eq!(residual(3, 1), 2);
        assert_eq!(residual(-3, 1), -1);
        assert_eq!(residual(i16::MIN, 16), 0);
        assert_eq!(residual(i16::MIN, -16), i32::MIN);
        assert_eq!(residual(i16::MAX, -17), i32::MAX);
        assert_eq!(to_stream(i32::MAX, i32::MAX), i16::MAX);
        assert_eq!(to_stream(i32::MAX, i32::MIN), -1);
        assert_eq!(to_stream(i32::MIN, -1), i16::MIN);
    }
}
