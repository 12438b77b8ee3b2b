//! Reciprocal square root of a wide integer: a 96-entry table and two Newton steps.

use crate::tables::RSQRT_SEED;

/// `1 / sqrt(d)` as `mantissa * 2^-exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsqrt {
    /// In `2^30..=2^31`; relative error under `2^-25`.
    pub mantissa: u32,
    /// Power of two that the mantissa is divided by.
    pub exponent: i32,
}

/// Reciprocal square root of `d > 0`.
///
/// `d` is normalised by an even power of two to `m` in `2^30..2^32`; with `x = m / 2^32` the seed
/// `y` of `x^(-1/2)` comes from the top seven bits of `m`, then `y <- y (3 - x y^2) / 2` twice, in
/// Q30 with truncation.
#[must_use]
pub const fn rsqrt(d: u128) -> Rsqrt {
    debug_assert!(d > 0);
    let bits = 128 - d.leading_zeros() as i32;
    // d * 2^(-2z) has 31 or 32 bits
    let z = (bits - 31).div_euclid(2);
    let m = if z >= 0 {
        (d >> (2 * z)) as u64
    } else {
        (d << (-2 * z)) as u64
    };
    let mut y = (RSQRT_SEED[(m >> 25) as usize - 32] as u64) << 15;
    let mut i = 0;
    while i < 2 {
        let y2 = (y * y) >> 30;
        let xy2 = (((m as u128) * (y2 as u128)) >> 32) as u64;
        y = (y * ((3 << 30) - xy2)) >> 31;
        i += 1;
    }
    let y = if y < 1 << 30 { 1 << 30 } else { y };
    Rsqrt {
        mantissa: y as u32,
        exponent: z + 46,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    fn check(d: u128) {
        let r = rsqrt(d);
        assert!((1 << 30..=1 << 31).contains(&r.mantissa), "{d}: {r:?}");
        let got = f64::from(r.mantissa) * (-f64::from(r.exponent)).exp2();
        let want = 1.0 / (d as f64).sqrt();
        assert!((got / want - 1.0).abs() < 3e-8, "{d}: {got} {want}");
    }

    #[test]
    fn small_values_and_powers() {
        (1..20_000).for_each(check);
        (0..128).for_each(|i| check(1 << i));
        (1..128).for_each(|i| check((1 << i) - 1));
        check(u128::MAX);
    }

    proptest::proptest! {
        #[test]
        fn anywhere(d: u128, s in 0u32..128) {
            check((d >> s).max(1));
        }
    }
}
