//! How far integers are from floating point.

use crate::error::{Error, Result};
use crate::image::{Image, psnr};
use crate::network::{Float, Integer, Network, output_to_real, state_from_real, state_to_real};
use crate::progress::{Counter, Progress};
use crate::sampling::{Generator, Run, picture};

/// The same images in both arithmetics.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Images of the float model.
    pub float: Vec<Image>,
    /// Images of the quantised model, from the same noise.
    pub integer: Vec<Image>,
    /// The class of each, for a model with classes.
    pub classes: Vec<Option<usize>>,
    /// Peak signal-to-noise ratio of each pair in decibels; infinite where the two are equal.
    pub psnr: Vec<f64>,
    /// One entry a step, first to last.
    pub steps: Vec<StepError>,
    /// What [`StepError::output`] is made of: for each step, of each image, the summed squares of the error and of
    /// the float values.
    pub output_squares: Vec<Vec<[f64; 2]>>,
}

/// Errors at one step, relative: root of the summed squares of the error over that of the float
/// values, over all images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepError {
    /// Training time step.
    pub timestep: u32,
    /// Of the network's output, both networks evaluated on the float sampler's state.
    pub output: f64,
    /// Of the state after the step, each sampler having gone its own way from the same noise.
    pub state: f64,
}

/// Summed squares of an error, and of what it is an error of.
#[derive(Clone, Copy, Debug, Default)]
struct Squares {
    error: f64,
    signal: f64,
}

impl Squares {
    fn of(values: &[f64], truth: &[f64]) -> Self {
        let sum =
            |f: &dyn Fn(f64, f64) -> f64| values.iter().zip(truth).map(|(&v, &t)| f(v, t)).sum();
        Self {
            error: sum(&|v, t| (v - t).powi(2)),
            signal: sum(&|_, t| t * t),
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            error: self.error + other.error,
            signal: self.signal + other.signal,
        }
    }

    fn ratio(self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            (self.error / self.signal).sqrt()
        }
    }
}

pub(crate) fn compare(
    generator: &Generator<'_>,
    run: &Run,
    integer: &Integer<'_>,
    float: &Float,
    progress: &dyn Progress,
) -> Result<Comparison> {
    let mut states: Vec<_> = generator
        .start(integer, run)?
        .into_iter()
        .zip(generator.start(float, run)?)
        .collect();
    let counter = Counter::new(progress, states.len() * run.plan.len());
    let mut steps = Vec::with_capacity(run.plan.len());
    let mut output_squares = Vec::with_capacity(run.plan.len());
    for (index, step) in run.plan.iter().enumerate() {
        let for_integer = run.conditions(integer, step.timestep)?;
        let for_float = run.conditions(float, step.timestep)?;
        let squares = run
            .crew
            .map(states.iter_mut().zip(&run.jobs), |((i, f), job)| {
                let truth = float.evaluate(&f.x, &for_float[job.class_slot])?;
                let sample: Vec<f32> = f.x.iter().map(|&v| v as f32).collect();
                let same = state_from_real(&sample).map_err(|_| {
                    Error::model("the float sampler diverges: its state leaves -128 to 128")
                })?;
                let same = integer.evaluate(&same, &for_integer[job.class_slot])?;
                let output = Squares::of(&output_to_real(&same), &truth);
                let own = integer.evaluate(&i.x, &for_integer[job.class_slot])?;
                float.advance(index, f, &truth, job.stream)?;
                integer.advance(index, i, &own, job.stream)?;
                counter.count();
                Ok((output, Squares::of(&state_to_real(&i.x), &f.x)))
            })?;
        output_squares.push(squares.iter().map(|s| [s.0.error, s.0.signal]).collect());
        // In the order of the images, so that the sums do not depend on the threads.
        let (output, state) = squares
            .into_iter()
            .fold(<(Squares, Squares)>::default(), |sum, s| {
                (sum.0.add(s.0), sum.1.add(s.1))
            });
        steps.push(StepError {
            timestep: step.timestep,
            output: output.ratio(),
            state: state.ratio(),
        });
    }
    let profile = generator.profile();
    let images = |pixels: Vec<Vec<u8>>| pixels.into_iter().map(|p| picture(profile, p)).collect();
    let integer: Vec<Image> = images(states.iter().map(|s| Integer::pixels(&s.0.x)).collect());
    let float: Vec<Image> = images(states.iter().map(|s| Float::pixels(&s.1.x)).collect());
    let psnr = float
        .iter()
        .zip(&integer)
        .map(|(a, b)| psnr(a, b))
        .collect::<Result<_>>()?;
    let classes = run.jobs.iter().map(|j| j.class).collect();
    Ok(Comparison {
        float,
        integer,
        classes,
        psnr,
        steps,
        output_squares,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_errors() {
        let s = Squares::of(&[3.0, 5.0], &[3.0, 4.0]);
        assert_eq!(s.ratio(), 0.2);
        assert_eq!(
            s.add(Squares::of(&[0.0], &[10.0])).ratio(),
            (101.0f64 / 125.0).sqrt()
        );
        assert_eq!(Squares::of(&[0.0], &[0.0]).ratio(), 0.0);
        assert_eq!(Squares::of(&[1.0], &[0.0]).ratio(), f64::INFINITY);
    }
}
