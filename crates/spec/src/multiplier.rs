//! Requantisation factors: a 16-bit mantissa and a power of two.

use crate::round::{round_shift, saturate_i32};
use core::fmt;

/// A positive real number `mantissa * 2^exponent`, mantissa in `2^15..2^16`.
///
/// Step sizes and their products and quotients; relative error of each operation at most `2^-16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    mantissa: u16,
    exponent: i16,
}

/// Why a [`Scale`] or [`Multiplier`] cannot be formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleError {
    /// The mantissa is not in `2^15..2^16`.
    Mantissa(u16),
    /// The factor is `2^16` or more, or under `2^-47`; the exponent is that of the mantissa.
    OutOfRange(i16),
}

impl fmt::Display for ScaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mantissa(m) => write!(f, "mantissa {m} is not in 32768..=65535"),
            Self::OutOfRange(e) => write!(f, "factor mantissa * 2^{e} is outside 2^-47..2^16"),
        }
    }
}

impl core::error::Error for ScaleError {}

impl Scale {
    /// One.
    pub const ONE: Self = Self {
        mantissa: 1 << 15,
        exponent: -15,
    };

    /// `mantissa * 2^exponent`.
    ///
    /// # Errors
    /// When the mantissa is not normalised, or the exponent is outside `-200..=200`.
    pub const fn new(mantissa: u16, exponent: i16) -> Result<Self, ScaleError> {
        if mantissa < 1 << 15 {
            Err(ScaleError::Mantissa(mantissa))
        } else if exponent < -200 || exponent > 200 {
            Err(ScaleError::OutOfRange(exponent))
        } else {
            Ok(Self { mantissa, exponent })
        }
    }

    /// The nearest scale to `x * 2^exponent`, for `x > 0`.
    #[must_use]
    pub const fn from_integer(x: u64, exponent: i16) -> Self {
        debug_assert!(x > 0);
        let bits = 64 - x.leading_zeros() as i16;
        let mut shift = bits - 16;
        let mut m = if shift > 0 {
            // rounded; x < 2^64, so the sum fits 128 bits
            ((x as u128 + (1 << (shift - 1))) >> shift) as u64
        } else {
            x << -shift
        };
        if m == 1 << 16 {
            m = 1 << 15;
            shift += 1;
        }
        Self {
            mantissa: m as u16,
            exponent: exponent + shift,
        }
    }

    /// Mantissa, `2^15..2^16`.
    #[must_use]
    pub const fn mantissa(self) -> u16 {
        self.mantissa
    }

    /// Power of two that the mantissa is multiplied with.
    #[must_use]
    pub const fn exponent(self) -> i16 {
        self.exponent
    }

    /// Product, rounded to 16 bits.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        Self::from_integer(
            self.mantissa as u64 * other.mantissa as u64,
            self.exponent + other.exponent,
        )
    }

    /// Reciprocal, rounded to 16 bits.
    #[must_use]
    pub const fn recip(self) -> Self {
        let m = self.mantissa as u64;
        Self::from_integer(((1 << 47) + m / 2) / m, -47 - self.exponent)
    }

    /// `self * 2^power`, exact.
    #[must_use]
    pub const fn shifted(self, power: i16) -> Self {
        Self {
            mantissa: self.mantissa,
            exponent: self.exponent + power,
        }
    }

    /// The same number as a [`Multiplier`].
    ///
    /// # Errors
    /// When it is outside the range that hardware can apply.
    pub const fn to_multiplier(self) -> Result<Multiplier, ScaleError> {
        if self.exponent > -1 || self.exponent < -62 {
            Err(ScaleError::OutOfRange(self.exponent))
        } else {
            Ok(Multiplier {
                mantissa: self.mantissa,
                shift: -self.exponent as u8,
            })
        }
    }
}

/// What turns an accumulator into an output: `acc * mantissa / 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// `2^15..2^16`.
    pub mantissa: u16,
    /// `1..=62`.
    pub shift: u8,
}

impl Multiplier {
    /// `floor(acc * mantissa / 2^shift + 1/2)`, saturated to 32 bits.
    #[inline]
    #[must_use]
    pub const fn apply(self, acc: i32) -> i32 {
        saturate_i32(round_shift(
            acc as i64 * self.mantissa as i64,
            self.shift as u32,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(s: Scale) -> f64 {
        f64::from(s.mantissa) * pow2(s.exponent)
    }

    fn pow2(e: i16) -> f64 {
        f64::from_bits(((1023 + i64::from(e)) as u64) << 52)
    }

    proptest::proptest! {
        #[test]
        fn products_and_reciprocals_are_near(a in 32768u16.., b in 32768u16.., i in -60i16..60, j in -60i16..60) {
            let (x, y) = (Scale::new(a, i).unwrap(), Scale::new(b, j).unwrap());
            let p = value(x.times(y)) / (value(x) * value(y));
            proptest::prop_assert!((p - 1.0).abs() <= pow2(-16));
            let r = value(x.recip()) * value(x);
            proptest::prop_assert!((r - 1.0).abs() <= pow2(-16));
        }

        #[test]
        fn apply_is_the_rounded_product(acc: i32, m in 32768u16.., shift in 1u8..=62) {
            let exact = i128::from(acc) * i128::from(m);
            let want = (2 * exact + (1i128 << shift)).div_euclid(1i128 << (shift + 1));
            let want = want.clamp(i32::MIN.into(), i32::MAX.into());
            let got = Multiplier { mantissa: m, shift }.apply(acc);
            proptest::prop_assert_eq!(i128::from(got), want);
        }
    }

    #[test]
    fn rounding_up_past_the_mantissa_renormalises() {
        let s = Scale::from_integer(u64::MAX, -64);
        assert_eq!((s.mantissa(), s.exponent()), (1 << 15, -15));
        assert_eq!(Scale::from_integer(1, 0), Scale::ONE);
        assert!(Scale::new(1, 0).is_err());
        assert!(Scale::ONE.shifted(15).to_multiplier().is_err());
    }
}
