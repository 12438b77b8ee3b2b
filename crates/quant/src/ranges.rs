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
}

/// Room that streams keep above the largest calibrated magnitude: images will differ.
const STREAM_HEADROOM: f64 = 1.5;

/// Fractions of the full range that [`Clipping::LeastSquares`] tries.
fn shrinkings(clipping: Clipping) -> impl Iterator<Item = f64> {
    let n = match clipping {
        Clipping::MinMax => 1,
        Clipping::LeastSquares => 25,
    };
    (0..n).map(|i| 1.0 - 0.025 * f64::from(i))
}

/// Squared error of the sample in a quantiser with this step and zero point.
fn squared_error(s: &Statistics, step: f64, zero_point: f64) -> f64 {
    let limit = f64::from(OPERAND_MAX);
    s.values()
        .map(|x| {
            let q = ((x / step).round() + zero_point).clamp(-limit, limit);
            let e = (q - zero_point) * step - x;
            e * e
        })
        .sum()
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
                squared_error(s, step, zero_point),
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
        .map(|share| (squared_error(s, full * share, 0.0), full * share))
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
