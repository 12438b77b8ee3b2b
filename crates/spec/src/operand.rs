//! How 16-bit values become operands.

use crate::round::{mul_q15, round_shift, saturate_operand};

/// Quantise a 16-bit value: `zero_point + x * gain / 2^15`, saturated.
///
/// One operand step is worth `2^15 / gain` units of `x`; `gain` is in `1..=32767`.
#[inline]
#[must_use]
pub const fn quantise(x: i16, gain: i16, zero_point: i8) -> i8 {
    saturate_operand(mul_q15(x, gain) as i32 + zero_point as i32)
}

/// By how many bits the high plane is shifted against the low one.
pub const PLANE_BITS: u32 = 7;

/// Largest magnitude that two planes hold: `127 * 128 + 63`.
pub const PLANES_MAX: i32 = 127 * 128 + 63;

/// Split a value into two signed operands, `v = 128 * high + low`, low in `-64..=63`.
///
/// `v` is first clamped to [`PLANES_MAX`] in magnitude, so that the high plane stays in `-127..=127`.
#[inline]
#[must_use]
pub const fn split_planes(v: i32) -> (i8, i8) {
    let v = if v > PLANES_MAX {
        PLANES_MAX
    } else if v < -PLANES_MAX {
        -PLANES_MAX
    } else {
        v
    };
    let high = (v + 64) >> 7;
    (high as i8, (v - (high << 7)) as i8)
}

/// A 16-bit stream value as two planes: 15 bits, one plane unit worth two units of `x`.
#[inline]
#[must_use]
pub const fn stream_planes(x: i16) -> (i8, i8) {
    split_planes(round_shift(x as i64, 1) as i32)
}

/// A value of the sampler's state as two planes, one plane unit worth `2^shift` units of the state.
#[inline]
#[must_use]
pub const fn state_planes(x: i32, shift: u32) -> (i8, i8) {
    let v = round_shift(x as i64, shift);
    split_planes(if v > 1 << 20 {
        1 << 20
    } else if v < -(1 << 20) {
        -(1 << 20)
    } else {
        v as i32
    })
}

/// Mean of four operands, halves rounded towards plus infinity: `(a + b + c + d + 2) >> 2`.
///
/// A mean of operands is an operand again, with the same step and zero point.
#[inline]
#[must_use]
pub const fn pool_operands(x: [i8; 4]) -> i8 {
    ((x[0] as i32 + x[1] as i32 + x[2] as i32 + x[3] as i32 + 2) >> 2) as i8
}

/// [`pool_operands`] for stream values.
#[inline]
#[must_use]
pub const fn pool_streams(x: [i16; 4]) -> i16 {
    ((x[0] as i32 + x[1] as i32 + x[2] as i32 + x[3] as i32 + 2) >> 2) as i16
}

/// [`pool_operands`] for values of the sampler's state.
#[inline]
#[must_use]
pub const fn pool_states(x: [i32; 4]) -> i32 {
    ((x[0] as i64 + x[1] as i64 + x[2] as i64 + x[3] as i64 + 2) >> 2) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_rounds_halves_up_and_stays_in_range() {
        assert_eq!(pool_operands([1, 0, 0, 1]), 1);
        assert_eq!(pool_operands([-1, 0, 0, -1]), 0);
        assert_eq!(pool_operands([-1, -1, -1, 0]), -1);
        assert_eq!(pool_operands([-127; 4]), -127);
        assert_eq!(pool_streams([i16::MAX; 4]), i16::MAX);
        assert_eq!(pool_streams([i16::MIN; 4]), i16::MIN);
        assert_eq!(pool_streams([5, 0, 0, 0]), 1);
        assert_eq!(pool_streams([6, 0, 0, 0]), 2);
        assert_eq!(pool_states([i32::MAX; 4]), i32::MAX);
        assert_eq!(pool_states([i32::MIN; 4]), i32::MIN);
        assert_eq!(pool_states([-3, 0, 0, 0]), -1);
        assert_eq!(pool_states([-2, 0, 0, 0]), 0);
    }

    #[test]
    fn planes_are_operands_and_add_up() {
        for x in i16::MIN..=i16::MAX {
            let (high, low) = stream_planes(x);
            assert!(high >= -127 && (-64..=63).contains(&low));
            let v = 128 * i32::from(high) + i32::from(low);
            let want = (i32::from(x) + 1) >> 1;
            assert_eq!(v, want.clamp(-PLANES_MAX, PLANES_MAX));
        }
        assert_eq!(state_planes(i32::MAX, 0), (127, 63));
        assert_eq!(state_planes(i32::MIN, 0), (-127, -63));
    }

    #[test]
    fn quantise_saturates_after_the_zero_point() {
        assert_eq!(quantise(i16::MAX, i16::MAX, 127), 127);
        assert_eq!(quantise(i16::MIN, i16::MAX, -127), -127);
        assert_eq!(quantise(0, 1, -100), -100);
        assert_eq!(quantise(1024, 1280, -120), -80);
    }
}
