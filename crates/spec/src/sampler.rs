//! One step of a sampler in integers: the same three linear forms for DDPM, DDIM and DPM-Solver++.
//!
//! ```text
//! x0  = clip(a x + b out)
//! eps = c x + d out
//! x'  = p x + q x0 + r eps + u x0_previous + w noise
//! ```
//!
//! State, noise, `x0` and `eps` are fixed point with [`STATE_FRACTION_BITS`] = 24 fraction bits,
//! coefficients have [`COEFFICIENT_FRACTION_BITS`] = 32. Each form is summed exactly and rounded
//! once.
//!
//! Nothing overflows an `i128`. In units of `2^-56`, with coefficients at most `2^48`: the state
//! and the noise (`2^31`) give `2^79` each; the model's output is at most `2^15 * 2^16 * 2^24 =
//! 2^55`, gives `2^103`; `x0`, its predecessor and `eps`, saturated to `2^47`, give `2^95` each.
//! The longest sum, with its half for rounding, is under `2^104`.

use crate::STATE_FRACTION_BITS;
use crate::round::{round_shift, round_shift_wide, saturate_i32};

/// Fraction bits of the coefficients in [`Step`].
pub const COEFFICIENT_FRACTION_BITS: u32 = 32;

/// Largest magnitude of a coefficient, `2^16` as a number; `1 / sqrt(alpha_bar)` reaches 20,291 in
/// diffusers' cosine schedule.
pub const COEFFICIENT_MAX: i64 = 1 << 48;

/// Largest magnitude of `x0` and `eps`, `2^23` as a number.
pub const PREDICTION_MAX: i64 = 1 << 47;

/// Smallest and largest exponent `k` of the model's output, whose values are `out * 2^-k`.
pub const OUTPUT_EXPONENTS: core::ops::RangeInclusive<i32> = -16..=24;

/// Coefficients of one step, in units of `2^-32`, magnitudes at most [`COEFFICIENT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Predicted image, from the state and the model's output.
    pub x0: [i64; 2],
    /// Magnitude that the predicted image is clipped to, in `0..=2^47` units of `2^-24`.
    pub clip: Option<i64>,
    /// Predicted noise, from the state and the model's output.
    pub eps: [i64; 2],
    /// Next state, from the state, `x0`, `eps`, the previous step's `x0`, and fresh noise.
    pub next: [i64; 5],
}

/// Next state of one element; `x0_previous` goes in as the previous step's `x0` (zero at first)
/// and comes out as this step's.
///
/// `x` and `noise` in units of `2^-24`, `out` in units of `2^-exponent` with `exponent` in
/// [`OUTPUT_EXPONENTS`]. The state saturates to an `i32`, `x0` and `eps` to [`PREDICTION_MAX`].
#[inline]
#[must_use]
pub const fn advance(
    step: &Step,
    x: i32,
    out: i16,
    exponent: i32,
    noise: i32,
    x0_previous: &mut i64,
) -> i32 {
    debug_assert!(exponent >= -16 && exponent <= 24);
    // exact: the exponent never exceeds the state's fraction bits
    let out = (out as i64) << (STATE_FRACTION_BITS as i32 - exponent);
    let limit = match step.clip {
        Some(clip) => clip,
        None => PREDICTION_MAX,
    };
    let x0 = clamp(
        rounded(product(step.x0[0], x as i64) + product(step.x0[1], out)),
        limit,
    );
    let eps = clamp(
        rounded(product(step.eps[0], x as i64) + product(step.eps[1], out)),
        PREDICTION_MAX,
    );
    let next = rounded(
        product(step.next[0], x as i64)
            + product(step.next[1], x0)
            + product(step.next[2], eps)
            + product(step.next[3], *x0_previous)
            + product(step.next[4], noise as i64),
    );
    *x0_previous = x0;
    saturate_i32(clamp(next, i64::MAX))
}

const fn product(a: i64, b: i64) -> i128 {
    a as i128 * b as i128
}

const fn rounded(sum: i128) -> i128 {
    round_shift_wide(sum, COEFFICIENT_FRACTION_BITS)
}

const fn clamp(x: i128, limit: i64) -> i64 {
    if x > limit as i128 {
        limit
    } else if x < -(limit as i128) {
        -limit
    } else {
        x as i64
    }
}

/// Pixel of a final state: `round((x / 2 + 1/2) * 255)` clamped to `0..=255`, halves upwards.
#[inline]
#[must_use]
pub const fn pixel(x: i32) -> u8 {
    const ONE: i64 = 1 << STATE_FRACTION_BITS;
    let level = round_shift((x as i64 + ONE) * 255, STATE_FRACTION_BITS + 1);
    if level < 0 {
        0
    } else if level > 255 {
        255
    } else {
        level as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 24;
    const UNIT: i64 = 1 << 32;
    const NOTHING: Step = Step {
        x0: [0; 2],
        clip: None,
        eps: [0; 2],
        next: [0; 5],
    };

    /// The same forms, unrounded, in `f64`.
    fn real(step: &Step, x: f64, out: f64, noise: f64, x0_previous: f64) -> (f64, f64) {
        let c = |c: i64| c as f64 / UNIT as f64;
        let clip = step
            .clip
            .map_or(f64::INFINITY, |c| c as f64 / f64::from(ONE));
        let x0 = (c(step.x0[0]) * x + c(step.x0[1]) * out).clamp(-clip, clip);
        let eps = c(step.eps[0]) * x + c(step.eps[1]) * out;
        let [p, q, r, u, w] = step.next.map(c);
        (p * x + q * x0 + r * eps + u * x0_previous + w * noise, x0)
    }

    #[test]
    fn each_coefficient_reaches_its_term() {
        let steps = [
            Step {
                next: [UNIT / 2, 0, 0, 0, 0],
                ..NOTHING
            },
            Step {
                x0: [UNIT, 3 * UNIT],
                next: [0, UNIT, 0, 0, 0],
                ..NOTHING
            },
            Step {
                x0: [UNIT, 3 * UNIT],
                clip: Some(1 << 23),
                next: [0, UNIT, 0, 0, 0],
                ..NOTHING
            },
            Step {
                eps: [-UNIT, 3 * UNIT],
                next: [0, 0, UNIT, 0, 0],
                ..NOTHING
            },
            Step {
                next: [0, 0, 0, -UNIT / 4, 0],
                ..NOTHING
            },
            Step {
                next: [0, 0, 0, 0, UNIT / 8],
                ..NOTHING
            },
        ];
        for (step, want) in steps.iter().zip([0.625, 2.0, 0.5, -0.5, -1.75, -0.25]) {
            let mut x0 = 7 << 24;
            let got = advance(step, ONE + ONE / 4, 1 << 10, 12, -2 * ONE, &mut x0);
            let (real, real_x0) = real(step, 1.25, 0.25, -2.0, 7.0);
            assert_eq!(real, want, "{step:?}");
            assert_eq!(f64::from(got) / f64::from(ONE), want, "{step:?}");
            assert_eq!(x0 as f64 / f64::from(ONE), real_x0);
        }
    }

    #[test]
    fn rounds_once_with_halves_upwards() {
        let step = Step {
            next: [UNIT / 2, 0, 0, 0, UNIT / 2],
            ..NOTHING
        };
        assert_eq!(advance(&step, 1, 0, 0, 0, &mut 0), 1);
        assert_eq!(advance(&step, -1, 0, 0, 0, &mut 0), 0);
        // two halves are one whole, not two rounded halves
        assert_eq!(advance(&step, 1, 0, 0, 1, &mut 0), 1);
        assert_eq!(advance(&step, -1, 0, 0, -1, &mut 0), -1);
    }

    /// Overflow checks are on in tests: the largest magnitudes of everything at once, in all signs.
    #[test]
    fn extremes_saturate_and_never_overflow() {
        let ends = [COEFFICIENT_MAX, -COEFFICIENT_MAX];
        for bits in 0..1u32 << 9 {
            let c = |i: u32| ends[(bits >> i & 1) as usize];
            let step = Step {
                x0: [c(0), c(1)],
                clip: None,
                eps: [c(2), c(3)],
                next: [c(4), c(5), c(6), c(7), c(8)],
            };
            for x in [i32::MIN, i32::MAX] {
                for out in [i16::MIN, i16::MAX] {
                    for exponent in [-16, 24] {
                        for previous in [-PREDICTION_MAX, PREDICTION_MAX] {
                            let mut x0 = previous;
                            let next = advance(&step, x, out, exponent, x, &mut x0);
                            assert!(next == i32::MIN || next == i32::MAX);
                            assert!(x0.abs() > PREDICTION_MAX / 2);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn predictions_saturate_at_their_limits() {
        let step = Step {
            x0: [0, COEFFICIENT_MAX],
            next: [0, 1, 0, 0, 0],
            ..NOTHING
        };
        let mut x0 = 0;
        assert_eq!(advance(&step, 0, i16::MIN, -16, 0, &mut x0), -(1 << 15));
        assert_eq!(x0, -PREDICTION_MAX);
        let clipped = Step {
            clip: Some(i64::from(ONE)),
            ..step
        };
        assert_eq!(advance(&clipped, 0, i16::MAX, 0, 0, &mut x0), 0);
        assert_eq!(x0, i64::from(ONE));
    }

    #[test]
    fn pixels() {
        assert_eq!(pixel(0), 128); // 127.5 upwards
        assert_eq!(pixel(-1), 127);
        assert_eq!(pixel(ONE), 255);
        assert_eq!(pixel(-ONE), 0);
        assert_eq!(pixel(i32::MAX), 255);
        assert_eq!(pixel(i32::MIN), 0);
        for level in 0..=255u8 {
            let x = (f64::from(level) / 127.5 - 1.0) * f64::from(ONE);
            assert_eq!(pixel(x as i32), level);
        }
    }
}
