//! From statistics to the integers of a table: gains, zero points, exponents.
//!
//! A step size is never stored as such: the gain is the integer that an executor applies, and the
//! step follows from it exactly, so that no error comes from rounding a scale.

use diffuser_spec::{OPERAND_MAX, STATE_FRACTION_BITS, operand::PLANES_MAX};

use crate::statistics::{Bin, Statistics};

/// How the range of an operand is chosen from what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clipping {
    /// Smallest to largest value.
    MinMax,
    /// The range with the least mean squared error, each end searched by itself.
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

/// Room that streams keep above the largest calibrated magnitude: images will differ.
const STREAM_HEADROOM: f64 = 1.5;

/// Fractions of the full range that are tried.
fn shrinkings(clipping: Clipping) -> impl Iterator<Item = f64> {
    let count = match clipping {
        Clipping::MinMax => 1,
        Clipping::LeastSquares => SHARES,
        Clipping::Norm => 80,
        Clipping::NormInTwo => 99,
    };
    (0..count).map(move |i| match clipping {
        Clipping::LeastSquares => share(i),
        _ => 1.0 - 0.01 * f64::from(i),
    })
}

/// Shares of an end that are tried by least squares.
const SHARES: u32 = 49;

/// One of these shares: from all to a sixteenth, an eleventh less each.
fn share(i: u32) -> f64 {
    (-f64::from(i) / 12.0).exp2()
}

/// Sum of the powers of errors of all values in a quantiser with this step and zero point.
///
/// Where bins are not much narrower than the step, their values are taken to lie anywhere in a step.
fn error(bins: &[Bin], step: f64, zero_point: f64, power: f64) -> f64 {
    let limit = f64::from(OPERAND_MAX);
    let (low, high) = ((-limit - zero_point) * step, (limit - zero_point) * step);
    let anywhere = (step / 2.0).powf(power) / (power + 1.0);
    let errors = bins.iter().map(|bin| {
        let x = bin.middle;
        let lost = if x < low {
            low - x
        } else if x > high {
            x - high
        } else if bin.width > step / 4.0 {
            return bin.count * anywhere;
        } else {
            ((x / step).round() * step - x).abs()
        };
        bin.count
            * if power == 2.0 {
                lost * lost
            } else {
                lost.powf(power)
            }
    });
    errors.sum()
}

/// Gain and zero point with the least error of all: sizes of the range of up to the whole, every position.
///
/// From coarse to fine: a grid over both, then twice the surroundings of the best.
fn search_in_two(bins: &[Bin], unit: f64, whole: f64) -> (i16, i8) {
    let limit = f64::from(OPERAND_MAX);
    let full = whole / (2.0 * limit);
    let power = Clipping::NormInTwo.power();
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
                let e = error(bins, unit / gain, zero, power);
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

/// Gain and zero point of the range from `low` to `high` (with zero in it), `unit / gain` the step.
fn asymmetric(low: f64, high: f64, unit: f64) -> (i16, i8) {
    let limit = f64::from(OPERAND_MAX);
    let step = (high - low) / (2.0 * limit);
    let gain = (unit / step).round().clamp(1.0, f64::from(i16::MAX));
    let zero_point = (-limit - low * gain / unit).round().clamp(-limit, limit);
    (gain as i16, zero_point as i8)
}

/// Gain and zero point with the least squared error: one end after the other is moved until neither wins.
///
/// An input that SiLU made has most of its values at its lower end and few at its upper one.
fn search_ends(bins: &[Bin], unit: f64, low: f64, high: f64) -> (i16, i8) {
    let power = Clipping::LeastSquares.power();
    let mut shares = [1.0; 2];
    loop {
        let before = shares;
        for end in [1, 0] {
            let tried = (0..SHARES).map(|i| {
                let mut tried = shares;
                tried[end] = share(i);
                let (gain, zero) = asymmetric(low * tried[0], high * tried[1], unit);
                (
                    error(bins, unit / f64::from(gain), zero.into(), power),
                    tried,
                )
            });
            // the first of equals: as little as possible is cut off
            if let Some((_, best)) = tried.min_by(|a, b| a.0.total_cmp(&b.0)) {
                shares = best;
            }
        }
        if shares == before {
            return asymmetric(low * shares[0], high * shares[1], unit);
        }
    }
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
    let bins = s.bins();
    match clipping {
        Clipping::NormInTwo if !symmetric => return search_in_two(&bins, unit, high - low),
        Clipping::LeastSquares if !symmetric => return search_ends(&bins, unit, low, high),
        _ => {}
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
                error(&bins, step, zero_point, clipping.power()),
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
    let bins = s.bins();
    shrinkings(clipping)
        .map(|share| {
            (
                error(&bins, full * share, 0.0, clipping.power()),
                full * share,
            )
        })
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
        let values: Vec<f32> = (0..100_000)
            .map(|i| low + (high - low) * i as f32 / 99_999.0)
            .collect();
        Statistics::of(&values)
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

    /// Most values at the lower end, as SiLU leaves them, and few large ones: the lower end stays, the upper does not.
    #[test]
    fn each_end_is_clipped_by_itself_as_is_best_of_all() {
        let mut values: Vec<f32> = (0..40_000).map(|i| -0.278 + i as f32 / 80_000.0).collect();
        // an exponential tail
        values.extend((1..60_000).map(|i| -0.4 * (i as f32 / 60_000.0).ln()));
        let s = Statistics::of(&values);
        let bins = s.bins();
        let (g, z) = gain(&s, 32.0, false, Clipping::LeastSquares);
        let step = 32.0 / f64::from(g);
        let (low, high) = (
            (-127.0 - f64::from(z)) * step,
            (127.0 - f64::from(z)) * step,
        );
        assert!((low + 0.278).abs() < 2.0 * step, "{low}");
        assert!(high < 0.9 * f64::from(s.max), "{high} of {}", s.max);
        // by the definition, over all values and many ranges
        let by_values = |step: f64, z: f64| -> f64 {
            let lost = values.iter().map(|&x| {
                let q = ((f64::from(x) / step).round() + z).clamp(-127.0, 127.0);
                ((q - z) * step - f64::from(x)).powi(2)
            });
            lost.sum()
        };
        let got = by_values(step, z.into());
        let estimate = error(&bins, step, z.into(), 2.0);
        assert!((estimate / got - 1.0).abs() < 0.1, "{estimate}, {got}");
        let least = (4..=20)
            .flat_map(|h| (0..=10).map(move |l| (0.278 * f64::from(l) / 10.0, f64::from(h) / 20.0)))
            .map(|(low, share)| {
                let step = (low + f64::from(s.max) * share) / 254.0;
                by_values(step, (-127.0 + low / step).round())
            })
            .fold(f64::INFINITY, f64::min);
        assert!(got < 1.02 * least, "{got}, {least}");
    }

    /// Every gain and zero point of the whole grid, against the search from coarse to fine.
    #[test]
    fn the_search_in_two_is_near_the_best_of_all() {
        let values: Vec<f32> = (0..500)
            .map(|i| -0.3 + 2.3 * i as f32 / 499.0)
            .map(|v| v * v * v / 4.0)
            .collect();
        let s = Statistics::of(&values);
        let bins = s.bins();
        let sum = |gain: f64, zero: f64| error(&bins, 32.0 / gain, zero, 2.4);
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
        error(&s.bins(), 32.0 / f64::from(gain), zero.into(), 2.4)
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
