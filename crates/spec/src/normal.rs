//! Standard normal numbers from uniform ones, by inversion, in integers.

use crate::round::round_shift;
use crate::tables_normal::NORMAL_TAIL;

/// Segments of the table in each octave of the tail probability.
pub const SEGMENTS: usize = 64;

/// Octaves of the tail probability, from `2^-33` to `1/2`.
pub const OCTAVES: usize = 32;

/// Largest magnitude that [`normal`] returns, 6.23 standard deviations.
pub const NORMAL_MAX: i32 = NORMAL_TAIL[0];

/// Standard normal quantile of `(u + 1/2) / 2^32`, in units of `2^-24`.
///
/// The half below the median is mirrored: with `m = u` or `!u`, whichever is below `2^31`, the tail
/// probability is `(2m + 1) / 2^33`. Its leading one picks the octave, the six bits below that the
/// segment, and the rest interpolates linearly between neighbours of [`NORMAL_TAIL`].
///
/// Error under `1.4e-5` of a standard deviation everywhere; never decreasing in `u`;
/// `normal(!u) == -normal(u)`; magnitude at most [`NORMAL_MAX`].
#[inline]
#[must_use]
pub const fn normal(u: u32) -> i32 {
    let above = u >> 31 == 1;
    let tail = 2 * (if above { !u } else { u }) + 1;
    let zeros = tail.leading_zeros();
    // the bits below the leading one, as a fraction of 31 bits
    let fraction = (tail << zeros) & 0x7fff_ffff;
    let i = (31 - zeros as usize) * SEGMENTS + (fraction >> 25) as usize;
    let t = (fraction & 0x01ff_ffff) as i64;
    let (near, far) = (NORMAL_TAIL[i], NORMAL_TAIL[i + 1]);
    // neighbours differ by less than 2^19, so the product stays under 2^44
    let x = near - round_shift((near - far) as i64 * t, 25) as i32;
    if above { x } else { -x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::philox;
    extern crate std;
    use std::vec::Vec;

    const ONE: f64 = (1 << 24) as f64;

    /// Probability of exceeding `x` standard deviations.
    fn tail(x: f64) -> f64 {
        0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2)
    }

    /// Inputs from all octaves: a grid of each, its ends included.
    fn inputs() -> impl Iterator<Item = u32> {
        (0..31u32).flat_map(|e| {
            let start = (1u32 << e) - 1;
            (0..1000u64).map(move |i| start + ((u64::from(start) + 1) * i / 1000) as u32)
        })
    }

    #[test]
    fn near_the_true_quantile() {
        let mut worst = 0.0f64;
        for u in inputs() {
            let x = -f64::from(normal(u)) / ONE;
            let p = (f64::from(u) + 0.5) / (1u64 << 32) as f64;
            // one Newton step from x to the true quantile
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            worst = worst.max(((tail(x) - p) / density).abs());
        }
        assert!(worst < 1.4e-5, "{worst}");
        assert!(worst > 1e-6, "the test measures nothing: {worst}");
    }

    #[test]
    fn symmetric_monotone_and_bounded() {
        let mut last = -NORMAL_MAX;
        for u in inputs() {
            let x = normal(u);
            assert!(x >= last && x <= 0, "{u}: {x} after {last}");
            assert_eq!(normal(!u), -x);
            last = x;
        }
        assert_eq!(normal(0), -NORMAL_MAX);
        assert!(f64::from(NORMAL_MAX) > 6.2 * ONE);
        for u in (1u32 << 31) - 1000..(1u32 << 31) + 1000 {
            assert!(normal(u) <= normal(u + 1), "{u}");
        }
    }

    #[test]
    fn moments_and_tails() {
        const BLOCKS: u32 = 1 << 18;
        let mut counts = [0u32; 4];
        let mut sums = [0.0f64; 5];
        for block in 0..BLOCKS {
            for u in philox([block, 0, 0, 0], [7, 11]) {
                let x = f64::from(normal(u)) / ONE;
                let powers: Vec<f64> = (0..5).map(|k| x.powi(k)).collect();
                sums.iter_mut().zip(powers).for_each(|(s, p)| *s += p);
                for (count, sigma) in counts.iter_mut().zip([1.0, 2.0, 3.0, 4.0]) {
                    *count += u32::from(x.abs() > sigma);
                }
            }
        }
        let n = sums[0];
        // five standard errors of each moment: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n)
        for (k, want, spread) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let got = sums[k] / n;
            assert!(
                (got - want).abs() < 5.0 * f64::sqrt(spread / n),
                "moment {k}: {got}"
            );
        }
        for (count, sigma) in counts.into_iter().zip([1.0, 2.0, 3.0, 4.0]) {
            let p = 2.0 * tail(sigma);
            let error = (f64::from(count) - n * p).abs();
            assert!(
                error < 5.0 * (n * p * (1.0 - p)).sqrt(),
                "{count} beyond {sigma}"
            );
        }
    }
}
