//! Rounding and saturation.

use crate::OPERAND_MAX;

/// `x / 2^shift`, halves rounded towards plus infinity: `floor(x / 2^shift + 1/2)`.
///
/// `shift` is at most 62. `x + 2^(shift-1)` must fit an `i64`, which holds for every caller
/// (largest: a 32-bit accumulator times a 16-bit mantissa).
#[inline]
#[must_use]
pub const fn round_shift(x: i64, shift: u32) -> i64 {
    if shift == 0 {
        x
    } else {
        (x + (1 << (shift - 1))) >> shift
    }
}

/// [`round_shift`] for 128-bit values.
#[inline]
#[must_use]
pub const fn round_shift_wide(x: i128, shift: u32) -> i128 {
    if shift == 0 {
        x
    } else {
        (x + (1 << (shift - 1))) >> shift
    }
}

/// `x * 2^-shift` with a shift of either sign, rounded as [`round_shift`], saturated to `i64`.
#[inline]
#[must_use]
pub const fn scale_by_power_of_two(x: i128, shift: i32) -> i64 {
    let y = if shift > 0 {
        if shift > 126 {
            0
        } else {
            round_shift_wide(x, shift as u32)
        }
    } else {
        let left = -shift as u32;
        if x == 0 {
            0
        } else if left >= x.unsigned_abs().leading_zeros().saturating_sub(1) {
            if x < 0 { i128::MIN } else { i128::MAX }
        } else {
            x << left
        }
    };
    if y > i64::MAX as i128 {
        i64::MAX
    } else if y < i64::MIN as i128 {
        i64::MIN
    } else {
        y as i64
    }
}

/// Product of a 16-bit value and a Q15 factor: `floor(x * y / 2^15 + 1/2)`.
///
/// The only pair that leaves 16 bits, both `-32768`, cannot occur: factors are at least `-32767`.
#[inline]
#[must_use]
pub const fn mul_q15(x: i16, y: i16) -> i16 {
    debug_assert!(x != i16::MIN || y != i16::MIN);
    ((x as i32 * y as i32 + (1 << 14)) >> 15) as i16
}

/// Clamp to the range of an operand, `-127..=127`.
#[inline]
#[must_use]
pub const fn saturate_operand(x: i32) -> i8 {
    if x > OPERAND_MAX {
        OPERAND_MAX as i8
    } else if x < -OPERAND_MAX {
        -OPERAND_MAX as i8
    } else {
        x as i8
    }
}

/// Clamp to 16 bits.
#[inline]
#[must_use]
pub const fn saturate_i16(x: i32) -> i16 {
    if x > i16::MAX as i32 {
        i16::MAX
    } else if x < i16::MIN as i32 {
        i16::MIN
    } else {
        x as i16
    }
}

/// Clamp to 32 bits.
#[inline]
#[must_use]
pub const fn saturate_i32(x: i64) -> i32 {
    if x > i32::MAX as i64 {
        i32::MAX
    } else if x < i32::MIN as i64 {
        i32::MIN
    } else {
        x as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_towards_plus_infinity() {
        assert_eq!(round_shift(1, 1), 1);
        assert_eq!(round_shift(-1, 1), 0);
        assert_eq!(round_shift(3, 1), 2);
        assert_eq!(round_shift(-3, 1), -1);
        assert_eq!(round_shift(i64::from(i32::MIN), 31), -1);
        assert_eq!(round_shift(i64::from(i32::MAX), 31), 1);
        assert_eq!(round_shift(i64::from(i32::MIN), 0), i64::from(i32::MIN));
        assert_eq!(round_shift_wide(-1, 1), 0);
    }

    #[test]
    fn power_of_two_scaling_saturates() {
        assert_eq!(scale_by_power_of_two(3, 1), 2);
        assert_eq!(scale_by_power_of_two(3, -2), 12);
        assert_eq!(scale_by_power_of_two(1, -100), i64::MAX);
        assert_eq!(scale_by_power_of_two(-1, -100), i64::MIN);
        assert_eq!(scale_by_power_of_two(0, -500), 0);
        assert_eq!(scale_by_power_of_two(i128::from(i64::MAX), 200), 0);
    }

    #[test]
    fn q15_product() {
        assert_eq!(mul_q15(i16::MIN, i16::MAX), -32767);
        assert_eq!(mul_q15(i16::MAX, i16::MAX), 32766);
        assert_eq!(mul_q15(1, 16384), 1);
        assert_eq!(mul_q15(-1, 16384), 0);
    }

    #[test]
    fn saturation_limits() {
        assert_eq!(saturate_operand(-128), -127);
        assert_eq!(saturate_operand(128), 127);
        assert_eq!(saturate_i16(40_000), i16::MAX);
        assert_eq!(saturate_i16(-40_000), i16::MIN);
        assert_eq!(saturate_i32(i64::MAX), i32::MAX);
        assert_eq!(saturate_i32(i64::MIN), i32::MIN);
    }
}
