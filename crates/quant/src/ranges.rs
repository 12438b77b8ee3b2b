//! From statistics to the integers of a table: gains, zero points, exponents.
//!
//! A step size is never stored as such: the gain is the integer that an executor applies, and the
//! step follows from it exactly, so that no error comes from rounding a scale.

use diffuser_spec::{OPERAND_MAX, STATE_FRACTION_BITS, operand::PLANES_MAX};

use crate::statistics::Statistics;

/// How the range of an operand is chosen from what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clipping {
    /// Smallest to largest value.
    MinMax,
    /// The range with the least mean squared error among shrunk ones.
    LeastSquares,
    /// The same by the mean of `|error|^2.4`, among more of them (as Q-Diffusion has it, after LAPQ, Nahshan
    /// et al. 2021).
    Norm,
    /// The same error, with size and position of the range searched apart (as PTQ4DM has it).
    NormInTwo,
}

impl Clipping {
    /// Power of the error that is to be least.
    const fn power(self) -> f64 {
        match self {
            Self::MinMax | Self::LeastSquares => 2.0,
            Self::Norm | Self::NormInTwo => 2.4,
        }
    }
}

/// Most values that a search in size and position looks at: it tries hundreds of ranges.
const SEARCHED: usize = 2048;

/// Room that streams keep above the largest calibrated magnitude: images will differ.
const STREAM_HEADROOM: f64 = 1.5;

/// Fractions of the full range that are tried.
fn shrinkings(clipping: Clipping) -> impl Iterator<Item = f64> {
    let (n, step) = match clipping {
        Clipping::MinMax => (1, 0.0),
        Clipping::LeastSquares => (25, 0.025),
        Clipping::Norm => (80, 0.01),
        Clipping::NormInTwo => (99, 0.01),
    };
    (0..n).map(move |i| 1.0 - step * f64::from(i))
}

/// Sum of the powers of errors of the sample in a quantiser with this step and zero point.
fn error(s: &Statistics, step: f64, zero_point: f64, clipping: Clipping) -> f64 {
    sum_of_errors(s.values(), step, zero_point, clipping.power())
}

fn sum_of_errors(values: impl Iterator<Item = f64>, step: f64, zero_point: f64, power: f64) -> f64 {
    let limit = f64::from(OPERAND_MAX);
    values
        .map(|x| {
            let q = ((x / step).round() + zero_point).clamp(-limit, limit);
            let e = (q - zero_point) * step - x;
            if power == 2.0 {
                e * e
            } else {
                e.abs().powf(power)
            }
        })
        .sum()
}

/// Gain and zero point with the least error of all: sizes of the range of up to the whole, every position.
///
/// From coarse to fine: a grid over both, then twice the surroundings of the best.
fn search_in_two(s: &Statistics, unit: f64, whole: f64) -> (i16, i8) {
    let limit = f64::from(OPERAND_MAX);
    let stride = s.sample.len().div_ceil(SEARCHED).max(1);
    let values: Vec<f64> = (s.sample.iter().step_by(stride))
        .chain([&s.min, &s.max])
        .map(|&v| v.into())
        .collect();
    let full = whole / (2.0 * limit);
    let mut best = (f64::INFINITY, i16::MAX, 0.0, 1.0);
    let (mut share_step, mut zero_step) = (0.05, 16.0);
    let (mut shares, mut zeros) = ((0.05, 1.0), (-limit, limit));
    for _ in 0..3 {
        let count = |range: (f64, f64), step: f64| ((range.1 - range.0) / step).round() as i32;
        for i in 0..=count(shares, share_step) {
            let share = shares.0 + share_step * f64::from(i);
            let gain = (unit / (full * share))
                .round()
                .clamp(1.0, f64::from(i16::MAX));
            for j in 0..=count(zeros, zero_step) {
                let zero = (zeros.0 + zero_step * f64::from(j)).min(limit);
                let e = sum_of_errors(
                    values.iter().copied(),
                    unit / gain,
                    zero,
                    Clipping::NormInTwo.power(),
                );
                if e < best.0 {
                    best = (e, gain as i16, zero, share);
                }
            }
        }
        let (_, _, zero, share) = best;
        shares = (
            (share - share_step).max(0.01),
            (share + share_step).min(1.0),
        );
        zeros = (
            (zero - zero_step).max(-limit),
            (zero + zero_step).min(limit),
        );
        (share_step, zero_step) = (share_step / 5.0, (zero_step / 4.0f64).max(1.0));
    }
    (best.1, best.2 as i8)
}

/// Gain and zero point of an operand whose step is `unit / gain`.
///
/// `symmetric` keeps the zero point at 0. Without statistics (a tensor that is always zero) the
/// gain is the largest.
#[must_use]
pub fn gain(s: &Statistics, unit: f64, symmetric: bool, clipping: Clipping) -> (i16, i8) {
    let limit = f64::from(OPERAND_MAX);
    // zero is always representable: padding holds it
    let (low, high) = (f64::from(s.min).min(0.0), f64::from(s.max).max(0.0));
    if !(high - low).is_finite() || high - low == 0.0 {
        return (i16::MAX, 0);
    }
    if clipping == Clipping::NormInTwo && !symmetric {
        return search_in_two(s, unit, high - low);
    }
    shrinkings(clipping)
        .map(|share| {
            let step = if symmetric {
                s.largest() * share / limit
            } else {
                (high - low) * share / (2.0 * limit)
            };
            let gain = (unit / step).round().clamp(1.0, f64::from(i16::MAX));
            let step = unit / gain;
            let zero_point = if symmetric {
                0.0
            } else {
                // what is cut off is cut off on both sides in proportion
                (-limit - low * share / step).round().clamp(-limit, limit)
            };
            (
                error(s, step, zero_point, clipping),
                gain as i16,
                zero_point as i8,
            )
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or((i16::MAX, 0), |(_, gain, zero_point)| (gain, zero_point))
}

/// Step of a symmetric operand that a convolution makes.
#[must_use]
pub fn symmetric_step(s: &Statistics, clipping: Clipping) -> f64 {
    let full = s.largest().max(1e-6) / f64::from(OPERAND_MAX);
    shrinkings(clipping)
        .map(|share| (error(s, full * share, 0.0, clipping), full * share))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(full, |(_, step)| step)
}

/// Exponent of a stream: the finest unit that holds the largest magnitude with headroom.
#[must_use]
pub fn stream_exponent(s: &Statistics) -> i8 {
    let largest = (s.largest() * STREAM_HEADROOM).max(1e-9);
    (f64::from(i16::MAX) / largest)
        .log2()
        .floor()
        .clamp(-16.0, 20.0) as i8
}

/// Shift of the sampler's state to its planes.
#[must_use]
pub fn state_shift(s: &Statistics) -> u8 {
    let unit = s.largest() * STREAM_HEADROOM / f64::from(PLANES_MAX);
    (unit.max(1e-9).log2().ceil() + f64::from(STATE_FRACTION_BITS)).clamp(0.0, 24.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(low: f32, high: f32) -> Statistics {
        let sample = (0..100_000)
            .map(|i| low + (high - low) * i as f32 / 99_999.0)
            .collect();
        Statistics {
            min: low,
            max: high,
            sample,
        }
    }

    #[test]
    fn a_uniform_range_is_kept_whole() {
        let (g, z) = gain(&uniform(-0.25, 6.0), 32.0, false, Clipping::LeastSquares);
        let step = 32.0 / f64::from(g);
        assert!(((6.25 / 254.0) / step - 1.0).abs() < 0.03, "{step}");
        assert!((f64::from(z) - (-127.0 + 0.25 / step)).abs() <= 0.5);
    }

    #[test]
    fn a_lone_outlier_is_clipped() {
        let mut s = uniform(-1.0, 1.0);
        s.max = 1.1;
        let full = gain(&s, 32.0, true, Clipping::MinMax).0;
        assert!(gain(&s, 32.0, true, Clipping::LeastSquares).0 > full);
        assert!(symmetric_step(&s, Clipping::LeastSquares) < symmetric_step(&s, Clipping::MinMax));
    }

    /// Every gain and zero point of the whole grid, against the search from coarse to fine.
    #[test]
    fn the_search_in_two_is_near_the_best_of_all() {
        let mut s = uniform(-0.3, 2.0);
        s.sample = (s.sample.iter().step_by(200))
            .map(|v| v * v * v / 4.0)
            .collect();
        let sum = |gain: f64, zero: f64| sum_of_errors(s.values(), 32.0 / gain, zero, 2.4);
        let (gain, zero) = gain(&s, 32.0, false, Clipping::NormInTwo);
        let mut least = f64::INFINITY;
        for share in 1..=100 {
            let gain = (32.0 * 254.0 / (2.3 * f64::from(share) / 100.0)).round();
            for zero in (-127..=127).filter(|_| gain <= 32767.0) {
                least = least.min(sum(gain, zero.into()));
            }
        }
        let got = sum(gain.into(), zero.into());
        assert!(got <= 1.1 * least, "{got}, {least}");
        assert!(got <= sum_by(&s, Clipping::Norm), "{got}");
    }

    /// Error of p = 2.4 with the range that a way of clipping chooses.
    fn sum_by(s: &Statistics, clipping: Clipping) -> f64 {
        let (gain, zero) = gain(s, 32.0, false, clipping);
        sum_of_errors(s.values(), 32.0 / f64::from(gain), zero.into(), 2.4)
    }

    #[test]
    fn exponents_hold_the_range() {
        for high in [1e-4f32, 0.3, 1.0, 7.9, 1000.0] {
            let s = uniform(-high, high);
            let k = stream_exponent(&s);
            let units = f64::from(high) * 1.5 * f64::from(k).exp2();
            assert!(
                units <= 32767.0 && (k == 20 || units > 16383.0),
                "{high}: {k}"
            );
        }
        let shift = state_shift(&uniform(-4.0, 4.0));
        assert!(f64::from(PLANES_MAX) * (f64::from(shift) - 24.0).exp2() >= 6.0);
        assert_eq!(
            gain(&Statistics::default(), 32.0, false, Clipping::MinMax),
            (i16::MAX, 0)
        );
    }
}
