//! Executing a step: in `f64` for the reference, in integers for everything else.

use diffuser_spec::STATE_FRACTION_BITS;
use diffuser_spec::sampler::{
    COEFFICIENT_FRACTION_BITS, COEFFICIENT_MAX, OUTPUT_EXPONENTS, PREDICTION_MAX, Step, advance,
};

use super::SamplingError;
use super::steps::SamplerStep;

impl SamplerStep {
    /// Replaces the state `x` by the next, in `f64`.
    ///
    /// `out` is the network's output and `x0_previous` the previous step's predicted image (zeros
    /// before the first), replaced by this step's; all have the shape of `x`. `noise` is standard
    /// normal, and may be absent unless [`Self::adds_noise`].
    ///
    /// # Errors
    /// [`SamplingError::Length`], [`SamplingError::NoNoise`].
    pub fn advance(
        &self,
        x: &mut [f64],
        out: &[f64],
        x0_previous: &mut [f64],
        noise: Option<&[f64]>,
    ) -> Result<(), SamplingError> {
        check_lengths(
            x.len(),
            out.len(),
            x0_previous.len(),
            noise.map(<[f64]>::len),
        )?;
        if noise.is_none() && self.adds_noise() {
            return Err(SamplingError::NoNoise {
                timestep: self.timestep,
            });
        }
        let ([a, b], [c, d], [p, q, r, u, w]) = (self.x0, self.eps, self.next);
        let limit = self.clip.unwrap_or(f64::INFINITY);
        for (i, ((x, &out), previous)) in x.iter_mut().zip(out).zip(x0_previous).enumerate() {
            let noise = noise.map_or(0.0, |noise| noise[i]);
            let x0 = (a * *x + b * out).clamp(-limit, limit);
            let eps = c * *x + d * out;
            *x = p * *x + q * x0 + r * eps + u * *previous + w * noise;
            *previous = x0;
        }
        Ok(())
    }

    /// The step with coefficients rounded to integers, for [`advance_fixed`].
    ///
    /// # Errors
    /// [`SamplingError::Coefficient`] beyond `2^16`, or where the clip exceeds `2^23`.
    pub fn to_fixed(&self) -> Result<Step, SamplingError> {
        let one = (1u64 << COEFFICIENT_FRACTION_BITS) as f64;
        let limit = COEFFICIENT_MAX as f64 / one;
        let refuse = |coefficient, value: f64, reason| SamplingError::Coefficient {
            coefficient,
            timestep: self.timestep,
            value: value.to_string(),
            reason,
        };
        let fits = |c: f64| (-limit..=limit).contains(&c);
        if let Some((name, value)) = self.coefficients().find(|&(_, c)| !fits(c)) {
            return Err(refuse(name, value, "expected a magnitude of at most 65536"));
        }
        let clip = self.clip.map(|clip| {
            let fixed = clip * f64::from(1u32 << STATE_FRACTION_BITS);
            if (0.0..=PREDICTION_MAX as f64).contains(&fixed) {
                Ok(fixed.round() as i64)
            } else {
                Err(refuse("clip", clip, "expected 0..=8388608"))
            }
        });
        let fixed = |c: f64| (c * one).round() as i64;
        Ok(Step {
            x0: self.x0.map(fixed),
            clip: clip.transpose()?,
            eps: self.eps.map(fixed),
            next: self.next.map(fixed),
        })
    }
}

/// Replaces the state `x` by the next, in integers: [`advance`] on every element.
///
/// `x` and `noise` have 24 fraction bits, and so has `x0_previous` (zeros before the first step);
/// `out` is the network's output, real values `out * 2^-exponent`. `noise` may be absent where the
/// step's coefficient of it is zero.
///
/// # Errors
/// [`SamplingError::Length`], [`SamplingError::NoNoise`], and [`SamplingError::Exponent`] beyond
/// `-16..=24`. The state is then unchanged.
pub fn advance_fixed(
    timestep: u32,
    step: &Step,
    x: &mut [i32],
    out: &[i16],
    exponent: i32,
    x0_previous: &mut [i64],
    noise: Option<&[i32]>,
) -> Result<(), SamplingError> {
    check_lengths(
        x.len(),
        out.len(),
        x0_previous.len(),
        noise.map(<[i32]>::len),
    )?;
    if noise.is_none() && step.next[4] != 0 {
        return Err(SamplingError::NoNoise { timestep });
    }
    if !OUTPUT_EXPONENTS.contains(&exponent) {
        return Err(SamplingError::Exponent(exponent));
    }
    for (i, ((x, &out), previous)) in x.iter_mut().zip(out).zip(x0_previous).enumerate() {
        let noise = noise.map_or(0, |noise| noise[i]);
        *x = advance(step, *x, out, exponent, noise, previous);
    }
    Ok(())
}

fn check_lengths(
    expected: usize,
    out: usize,
    x0_previous: usize,
    noise: Option<usize>,
) -> Result<(), SamplingError> {
    let buffers = [
        ("network's output", out),
        ("previous image", x0_previous),
        ("noise", noise.unwrap_or(expected)),
    ];
    match buffers.into_iter().find(|&(_, length)| length != expected) {
        None => Ok(()),
        Some((what, length)) => Err(SamplingError::Length {
            what,
            length,
            expected,
        }),
    }
}
