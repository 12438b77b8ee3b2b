//! Attention weights without normalising them first.
//!
//! For a row of logits the executor finds the largest, turns each difference from it into an
//! operand `e` in `0..=127`, sums the row, multiplies with V, and only then divides by the sum.

use crate::multiplier::Multiplier;
use crate::round::{round_shift, saturate_i16};
use crate::tables::EXP2;

/// Attention weight of a logit `max - logit` below the largest of its row.
///
/// `to_log2` scales a difference of accumulators to `log2` units of `2^-8`:
/// `d = (max - logit) * to_log2`, result `127 * 2^(-d / 256)`, rounded. `127` for `d = 0`.
#[inline]
#[must_use]
pub const fn weight(below: u32, to_log2: Multiplier) -> i8 {
    let d = to_log2.apply(if below > i32::MAX as u32 {
        i32::MAX
    } else {
        below as i32
    });
    let whole = d >> 8;
    if whole >= 8 {
        return 0;
    }
    round_shift(EXP2[(d & 255) as usize] as i64, whole as u32 + 8) as i8
}

/// Reciprocal of a row's sum of weights: `1 / sum = mantissa * 2^-shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowReciprocal {
    /// `2^15..=2^16`.
    pub mantissa: u32,
    /// `31..=46`, by how far the sum was shifted left or right.
    pub shift: u32,
}

/// Reciprocal of `sum`, `1..2^31`: the sum is shifted to 16 bits (truncating), then divided into `2^31`.
#[inline]
#[must_use]
pub const fn row_reciprocal(sum: u32) -> RowReciprocal {
    debug_assert!(sum > 0 && sum < 1 << 31);
    let left = sum.leading_zeros() as i32 - 16;
    let n = if left >= 0 { sum << left } else { sum >> -left };
    RowReciprocal {
        mantissa: (1 << 31) / n,
        shift: (31 - left) as u32,
    }
}

/// Weighted mean of V for one output: `acc / sum` in units of `2^-8` of V's step, saturated.
#[inline]
#[must_use]
pub const fn weighted_mean(acc: i32, row: RowReciprocal) -> i16 {
    let y = round_shift(acc as i64 * row.mantissa as i64, row.shift - 8);
    saturate_i16(if y > 1 << 20 {
        1 << 20
    } else if y < -(1 << 20) {
        -(1 << 20)
    } else {
        y as i32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    const UNIT: Multiplier = Multiplier {
        mantissa: 1 << 15,
        shift: 15,
    };

    #[test]
    fn weights_are_rounded_powers() {
        for d in 0..3000u32 {
            let want = 127.0 * (-f64::from(d) / 256.0).exp2();
            let got = f64::from(weight(d, UNIT));
            assert!((got - want).abs() <= 0.503, "{d}: {got} {want}");
        }
        assert_eq!(weight(0, UNIT), 127);
        assert_eq!(weight(u32::MAX, UNIT), 0);
    }

    proptest::proptest! {
        #[test]
        fn means_are_near(sum in 127u32..(1 << 26), share in -127.0f64..127.0) {
            let acc = (share * f64::from(sum)).round() as i64;
            proptest::prop_assume!(acc.abs() < i64::from(i32::MAX));
            let got = f64::from(weighted_mean(acc as i32, row_reciprocal(sum)));
            let want = acc as f64 * 256.0 / f64::from(sum);
            proptest::prop_assert!((got - want).abs() <= 1.0 + want.abs() * 4.6e-5, "{got} {want}");
        }
    }
}
