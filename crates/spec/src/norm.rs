//! Group normalisation of 16-bit streams: exact sums, then one affine map a channel.

use crate::round::{round_shift, saturate_i16, scale_by_power_of_two};
use crate::rsqrt::rsqrt;

/// Fraction bits of `gamma` and `beta`.
pub const WEIGHT_FRACTION_BITS: u32 = 16;

/// Fraction bits of `eps`.
pub const EPS_FRACTION_BITS: u32 = 40;

/// Largest difference between the exponents of two streams that one normalisation reads.
pub const MAX_EXPONENT_GAP: u32 = 7;

/// Exact sums over values of one channel, later of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Sum of the values.
    pub sum: i64,
    /// Sum of their squares.
    pub sum_sq: u64,
}

impl Sums {
    /// The sums of values `2^gap` times as large. Exact; `gap` at most [`MAX_EXPONENT_GAP`].
    #[must_use]
    pub const fn rescaled(self, gap: u32) -> Self {
        Self {
            sum: self.sum << gap,
            sum_sq: self.sum_sq << (2 * gap),
        }
    }

    /// The sums of both sets of values.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            sum_sq: self.sum_sq + other.sum_sq,
        }
    }
}

/// What a group's values share: mean and reciprocal deviation, as factors for [`channel_affine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFactors {
    /// `count / sqrt(D)`: 18-bit mantissa and the power of two it is divided by.
    deviation: (i64, i32),
    /// `sum / sqrt(D)`: signed 24-bit mantissa and the power of two it is divided by.
    mean: (i64, i32),
}

/// Shift `x * 2^-exponent` so that its magnitude has `bits` bits, rounded; zero stays zero.
const fn normalise(x: i128, exponent: i32, bits: i32) -> (i64, i32) {
    let shift = 128 - x.unsigned_abs().leading_zeros() as i32 - bits;
    (scale_by_power_of_two(x, shift), exponent - shift)
}

/// Factors of one group of `count` values `x * 2^-exponent` with the given sums.
///
/// With `V = count * sum_sq - sum^2` (exact, the variance times `count^2`) and
/// `E = eps * 2^(2 exponent)`: `D = 2^16 V + count^2 * round(2^16 E)`, so that
/// `(x - mean) / sqrt(variance + eps) = 2^8 (x * count - sum) / sqrt(D)`.
/// `eps` has [`EPS_FRACTION_BITS`]; `count` is under `2^24`, `exponent` in `-16..=24`.
#[must_use]
pub const fn group_factors(sums: Sums, count: u32, eps: u64, exponent: i32) -> GroupFactors {
    let n = count as u128;
    let sum = sums.sum as i128;
    let variance = n * sums.sum_sq as u128 - (sum * sum) as u128;
    let eps = scale_by_power_of_two(eps as i128, EPS_FRACTION_BITS as i32 - 16 - 2 * exponent);
    let eps = if eps < 1 { 1 } else { eps as u128 };
    let r = rsqrt((variance << 16) + n * n * eps);
    let m = r.mantissa as i128;
    GroupFactors {
        deviation: normalise(count as i128 * m, r.exponent, 18),
        mean: normalise(sum * m, r.exponent, 24),
    }
}

/// `u = (x * a + b) / 2^shift`, from a stream value to Q10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affine {
    /// `-32767..=32767`.
    pub a: i16,
    /// At most `2^29` in magnitude.
    pub b: i32,
    /// `0..=22`.
    pub shift: u8,
}

impl Affine {
    /// Normalised value in Q10, rounded and saturated to 16 bits. Never leaves 32 bits on the way.
    #[inline]
    #[must_use]
    pub const fn apply(self, x: i16) -> i16 {
        saturate_i16(
            round_shift(x as i64 * self.a as i64 + self.b as i64, self.shift as u32) as i32,
        )
    }
}

const MAX_SHIFT: i32 = 22;

const fn bit_length(x: i64) -> i32 {
    64 - x.unsigned_abs().leading_zeros() as i32
}

/// The map of one channel: `gamma * (x - mean) * rstd + beta`, in Q10.
///
/// `gamma` and `beta` have [`WEIGHT_FRACTION_BITS`]; `gap` is how many powers of two the channel's
/// stream is coarser than the unit of the group's sums. The shift is the largest, up to 22, for
/// which `a` has 15 bits and `b` 29.
#[must_use]
pub const fn channel_affine(group: GroupFactors, gamma: i32, beta: i32, gap: u32) -> Affine {
    // value of a: slope * 2^-slope_exponent, in Q10 (10 - 16 bits of gamma, 8 of D's 2^16: 2)
    let slope = gamma as i64 * group.deviation.0;
    let slope_exponent = group.deviation.1 - 2 - gap as i32;
    // value of b, with MAX_SHIFT fraction bits below Q10
    let offset = scale_by_power_of_two(
        gamma as i128 * group.mean.0 as i128,
        group.mean.1 - 2 - MAX_SHIFT,
    );
    let b = ((beta as i64) << (MAX_SHIFT - 6)).saturating_sub(offset);
    // saturated far outside what 16 bits of result can show, so that rounding cannot overflow
    let b = if b > 1 << 61 {
        1 << 61
    } else if b < -(1 << 61) {
        -(1 << 61)
    } else {
        b
    };

    let mut shift = MAX_SHIFT;
    let by_a = 15 - (bit_length(slope) - slope_exponent);
    let by_b = 29 + MAX_SHIFT - bit_length(b);
    if slope != 0 && by_a < shift {
        shift = by_a;
    }
    if by_b < shift {
        shift = by_b;
    }
    if shift < 0 {
        shift = 0;
    }
    let a = scale_by_power_of_two(slope as i128, slope_exponent - shift);
    let a = if a > 32767 {
        32767
    } else if a < -32767 {
        -32767
    } else {
        a as i16
    };
    let b = round_shift(b, (MAX_SHIFT - shift) as u32);
    let b = if b > 1 << 29 {
        1 << 29
    } else if b < -(1 << 29) {
        -(1 << 29)
    } else {
        b as i32
    };
    Affine {
        a,
        b,
        shift: shift as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn sums(x: &[i16]) -> Sums {
        x.iter().fold(Sums::default(), |s, &v| {
            let v = i64::from(v);
            s.plus(Sums {
                sum: v,
                sum_sq: (v * v) as u64,
            })
        })
    }

    fn fixed(x: f64, bits: u32) -> i64 {
        (x * f64::from(bits).exp2()).round() as i64
    }

    proptest::proptest! {
        #[test]
        fn near_the_real_group_norm(
            x in proptest::collection::vec(-3000i16..3000, 2..200),
            offset in -20000i16..20000, k in 0i32..16, gamma in -3.0f64..3.0, beta in -3.0f64..3.0,
        ) {
            let x: Vec<i16> = x.iter().map(|v| v + offset).collect();
            let unit = (-f64::from(k)).exp2();
            let n = x.len() as f64;
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n * unit;
            let var = x.iter().map(|&v| (f64::from(v) * unit - mean).powi(2)).sum::<f64>() / n;
            let eps = 1e-5;
            let group = group_factors(sums(&x), x.len() as u32, fixed(eps, 40) as u64, k);
            let map = channel_affine(group, fixed(gamma, 16) as i32, fixed(beta, 16) as i32, 0);
            for &v in &x {
                let want = (f64::from(v) * unit - mean) / (var + eps).sqrt() * gamma + beta;
                let want = (want * 1024.0).clamp(-32768.0, 32767.0);
                // half a unit of rounding; over the distance from zero half a unit of `a`, and
                // 2^-17 of it for the 18 bits of the deviation
                let a_error = 0.5 + f64::from(map.a).abs() / 131_072.0;
                let slack = 0.51 + f64::from(v).abs() * a_error / f64::from(map.shift).exp2();
                let got = f64::from(map.apply(v));
                proptest::prop_assert!((got - want).abs() < slack + 0.02, "{got} {want} {map:?}");
            }
        }
    }

    #[test]
    fn a_coarser_stream_gives_the_same_result() {
        // the same real values, once at exponent 10 and once at 7
        let fine: Vec<i16> = (-50..50).map(|v| v * 8).collect();
        let coarse: Vec<i16> = (-50..50).collect();
        assert_eq!(sums(&coarse).rescaled(3), sums(&fine));
        let group = group_factors(sums(&fine), 100, fixed(1e-6, 40) as u64, 10);
        let gamma = fixed(1.5, 16) as i32;
        let (a, b) = (
            channel_affine(group, gamma, 7000, 0),
            channel_affine(group, gamma, 7000, 3),
        );
        for (&f, &c) in fine.iter().zip(&coarse) {
            assert!((a.apply(f) - b.apply(c)).abs() <= 1);
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_panic() {
        for values in [[i16::MIN; 64], [i16::MAX; 64], [0; 64]] {
            for k in [-16, 0, 24] {
                let g = group_factors(sums(&values), 64, 1, k);
                for gamma in [i32::MIN, 0, i32::MAX] {
                    for beta in [i32::MIN, 0, i32::MAX] {
                        for gap in [0, MAX_EXPONENT_GAP] {
                            let map = channel_affine(g, gamma, beta, gap);
                            assert!(map.b.abs() <= 1 << 29 && map.shift <= 22);
                            let _ = (map.apply(i16::MIN), map.apply(i16::MAX));
                        }
                    }
                }
            }
        }
    }
}
