//! The two arithmetics that images are made in, behind one interface: integers and floating point.

use std::sync::{Mutex, PoisonError};

use diffuser_engine::{Engine, KernelChoice, Workspace};
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::prepare::Preparer;
use diffuser_model::sampling::{SamplerStep, advance_fixed};
use diffuser_model::step::StepParams;
use diffuser_reference::{Embedding, FloatUnet};
use diffuser_spec::STATE_FRACTION_BITS;
use diffuser_spec::sampler::{Step, pixel};

use crate::error::{Error, Result};
use crate::model::{FloatModel, Model};

/// One unit of the state.
const ONE: f64 = (1u32 << STATE_FRACTION_BITS) as f64;

/// Where an image's noise comes from: its index under a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub seed: u64,
    pub index: u64,
}

/// An image on its way: the sampler's state, and the picture last predicted.
#[derive(Clone, Debug)]
pub(crate) struct State<X, P> {
    pub x: Vec<X>,
    pub x0: Vec<P>,
}

/// A network and a sampler in one arithmetic. Values have channels innermost.
pub(crate) trait Network: Sync {
    /// An element of the state.
    type X: Copy + Send + Sync;
    /// An element of the predicted picture.
    type P: Copy + Send + Sync;
    /// What the network is told of time step and class.
    type Conditions: Send + Sync;
    /// What the network makes, real values, with the unit if there is one.
    type Output: Send + Sync;

    /// What to tell the network.
    fn conditions(&self, timestep: u32, class: Option<usize>) -> Result<Self::Conditions>;

    /// The state to start from: noise, or the given latents.
    fn start(&self, stream: Stream, latents: Option<&[f32]>) -> Result<State<Self::X, Self::P>>;

    /// Evaluates the network.
    fn evaluate(&self, x: &[Self::X], conditions: &Self::Conditions) -> Result<Self::Output>;

    /// Makes the sampler's step `index`.
    fn advance(
        &self,
        index: usize,
        state: &mut State<Self::X, Self::P>,
        output: &Self::Output,
        stream: Stream,
    ) -> Result<()>;

    /// Pixels of a state.
    fn pixels(x: &[Self::X]) -> Vec<u8>;

    /// Pixels of a predicted picture.
    fn predicted_pixels(x0: &[Self::P]) -> Vec<u8>;
}

/// Converts real values to the integer state: once, at the door, rounded to nearest.
pub(crate) fn state_from_real(values: &[f32]) -> Result<Vec<i32>> {
    values
        .iter()
        .map(|&v| {
            let scaled = (f64::from(v) * ONE).round();
            if scaled >= f64::from(i32::MIN) && scaled <= f64::from(i32::MAX) {
                Ok(scaled as i32)
            } else {
                Err(Error::setting(format!(
                    "the value {v} does not fit the sampler's state; expected -128 to 128"
                )))
            }
        })
        .collect()
}

/// The real values of an integer state.
pub(crate) fn state_to_real(x: &[i32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v) / ONE).collect()
}

/// The real values of the integer network's output.
pub(crate) fn output_to_real((values, exponent): &(Vec<i16>, i32)) -> Vec<f64> {
    let unit = f64::from(-exponent).exp2();
    values.iter().map(|&v| f64::from(v) * unit).collect()
}

/// Integers only, from noise to pixels.
pub(crate) struct Integer<'a> {
    preparer: Preparer<'a>,
    engine: Engine,
    steps: Vec<(u32, Step)>,
    adds_noise: Vec<bool>,
    length: usize,
    /// Workspaces that no evaluation uses at the moment.
    idle: Mutex<Vec<Workspace>>,
}

impl<'a> Integer<'a> {
    /// Packs the model's weights for a kernel; `plan` may be empty when nothing is sampled.
    pub fn new(model: &'a Model, plan: &[SamplerStep], kernel: KernelChoice) -> Result<Self> {
        let quantised = model.quantised();
        let steps = plan
            .iter()
            .map(|s| Ok((s.timestep, s.to_fixed().map_err(Error::setting)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            preparer: quantised.preparer(),
            engine: Engine::new(quantised.graph.clone(), &quantised.nodes, kernel)
                .map_err(Error::model)?,
            steps,
            adds_noise: plan.iter().map(SamplerStep::adds_noise).collect(),
            length: quantised.graph.tensors[diffuser_model::graph::Graph::INPUT].len(),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Name of the kernel that was chosen.
    pub fn kernel(&self) -> &'static str {
        self.engine.kernel().name()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Workspace>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for Integer<'_> {
    type X = i32;
    type P = i64;
    type Conditions = StepParams;
    type Output = (Vec<i16>, i32);

    fn conditions(&self, timestep: u32, class: Option<usize>) -> Result<StepParams> {
        self.preparer.step(timestep, class).map_err(Error::model)
    }

    fn start(&self, stream: Stream, latents: Option<&[f32]>) -> Result<State<i32, i64>> {
        let x = match latents {
            Some(values) => state_from_real(values)?,
            None => noise(stream.seed, stream.index, Purpose::Start, self.length),
        };
        Ok(State {
            x0: vec![0; x.len()],
            x,
        })
    }

    fn evaluate(&self, x: &[i32], conditions: &StepParams) -> Result<(Vec<i16>, i32)> {
        let idle = self.idle().pop();
        let mut workspace = idle.unwrap_or_else(|| self.engine.workspace());
        let out = self
            .engine
            .evaluate(x, conditions, &mut workspace)
            .map_err(Error::model)?
            .to_vec();
        self.idle().push(workspace);
        Ok((out, conditions.output_exponent))
    }

    fn advance(
        &self,
        index: usize,
        state: &mut State<i32, i64>,
        (out, exponent): &(Vec<i16>, i32),
        stream: Stream,
    ) -> Result<()> {
        let (timestep, step) = &self.steps[index];
        let fresh = self.adds_noise[index].then(|| {
            noise(
                stream.seed,
                stream.index,
                Purpose::Step(index as u32),
                self.length,
            )
        });
        advance_fixed(
            *timestep,
            step,
            &mut state.x,
            out,
            *exponent,
            &mut state.x0,
            fresh.as_deref(),
        )
        .map_err(Error::model)
    }

    fn pixels(x: &[i32]) -> Vec<u8> {
        x.iter().map(|&v| pixel(v)).collect()
    }

    fn predicted_pixels(x0: &[i64]) -> Vec<u8> {
        let narrow = |v: i64| v.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        x0.iter().map(|&v| pixel(narrow(v))).collect()
    }
}

/// Floating point: the reference.
pub(crate) struct Float {
    unet: FloatUnet,
    steps: Vec<SamplerStep>,
    length: usize,
}

impl Float {
    /// Packs the model's weights; `plan` may be empty when nothing is sampled.
    pub fn new(model: &FloatModel, plan: &[SamplerStep]) -> Result<Self> {
        let pipeline = model.pipeline();
        let unet = FloatUnet::new(&pipeline.config, &pipeline.weights).map_err(Error::model)?;
        Ok(Self {
            unet,
            steps: plan.to_vec(),
            length: model.profile().sample_shape().iter().product(),
        })
    }
}

impl Network for Float {
    type X = f64;
    type P = f64;
    type Conditions = Embedding;
    type Output = Vec<f64>;

    fn conditions(&self, timestep: u32, class: Option<usize>) -> Result<Embedding> {
        self.unet
            .embedding(timestep.into(), class)
            .map_err(Error::model)
    }

    fn start(&self, stream: Stream, latents: Option<&[f32]>) -> Result<State<f64, f64>> {
        let x = match latents {
            Some(values) => values.iter().copied().map(f64::from).collect(),
            None => state_to_real(&noise(
                stream.seed,
                stream.index,
                Purpose::Start,
                self.length,
            )),
        };
        Ok(State {
            x0: vec![0.0; x.len()],
            x,
        })
    }

    fn evaluate(&self, x: &[f64], conditions: &Embedding) -> Result<Vec<f64>> {
        let sample: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        let out = self
            .unet
            .evaluate(&sample, conditions, &mut ())
            .map_err(Error::model)?;
        if out.iter().any(|v| !v.is_finite()) {
            return Err(Error::model(
                "the float network's output is not finite: its weights or the input are too large",
            ));
        }
        Ok(out.into_iter().map(f64::from).collect())
    }

    fn advance(
        &self,
        index: usize,
        state: &mut State<f64, f64>,
        output: &Vec<f64>,
        stream: Stream,
    ) -> Result<()> {
        let step = &self.steps[index];
        let fresh = step.adds_noise().then(|| {
            let purpose = Purpose::Step(index as u32);
            state_to_real(&noise(stream.seed, stream.index, purpose, self.length))
        });
        step.advance(&mut state.x, output, &mut state.x0, fresh.as_deref())
            .map_err(Error::model)
    }

    fn pixels(x: &[f64]) -> Vec<u8> {
        // The cast saturates.
        x.iter()
            .map(|&v| ((v / 2.0 + 0.5) * 255.0).round() as u8)
            .collect()
    }

    fn predicted_pixels(x0: &[f64]) -> Vec<u8> {
        Self::pixels(x0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_become_the_nearest_state() {
        let unit = 1.0 / ONE as f32;
        let state = state_from_real(&[0.0, 1.0, -2.5, 0.4 * unit, -0.6 * unit]).unwrap();
        assert_eq!(state, [0, 1 << 24, -5 << 23, 0, -1]);
        assert_eq!(state_to_real(&state)[2], -2.5);
        for bad in [128.0, -128.1, 1e30] {
            assert!(state_from_real(&[bad]).is_err(), "{bad}");
        }
        assert!(state_from_real(&[-128.0, 127.99]).is_ok());
    }

    #[test]
    fn pixels_agree_in_both_arithmetics() {
        for v in [-300, -128, -127, -1, 0, 1, 64, 127, 128, 300] {
            // Not half-way between two pixels, where one rounds up and the other to even.
            let real = f64::from(v) / 128.0 + 1e-4;
            let fixed = (real * ONE) as i64;
            let expected = Float::pixels(&[real]);
            assert_eq!(Integer::predicted_pixels(&[fixed]), expected, "{v}");
            assert_eq!(Integer::pixels(&[fixed as i32]), expected, "{v}");
        }
    }
}
