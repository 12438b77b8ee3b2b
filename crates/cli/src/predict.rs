//! One evaluation of the network.

use diffuser_engine::KernelChoice;

use crate::crew::Crew;
use crate::error::{Error, Result};
use crate::model::{FloatModel, Model, Profile};
use crate::network::{Float, Integer, Network, output_to_real, state_from_real};
use crate::output::Tensor;

/// What the network is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question<'a> {
    /// Noisy images.
    pub sample: &'a Tensor,
    /// Training time step.
    pub timestep: u32,
    /// Classes that the samples take in turns; empty for a model without.
    pub classes: &'a [usize],
    /// Number of threads; 0 for as many as there are processors.
    pub threads: usize,
}

impl Question<'_> {
    /// The class of each sample, after checking that all fits the model.
    fn classes(&self, profile: &Profile) -> Result<Vec<Option<usize>>> {
        let [h, w, c] = profile.sample_shape();
        let [n, rest @ ..] = self.sample.shape;
        if n == 0 || rest != [c, h, w] {
            return Err(Error::setting(format!(
                "samples of shape {:?}; expected [N, {c}, {h}, {w}] (N x C x H x W)",
                self.sample.shape
            )));
        }
        let classes: Vec<_> = (0..n)
            .map(|i| self.classes.get(i % self.classes.len().max(1)).copied())
            .collect();
        for &class in &classes {
            profile.check(self.timestep, class)?;
        }
        Ok(classes)
    }

    fn ask<N: Network>(
        &self,
        profile: &Profile,
        network: &N,
        convert: impl Fn(&[f32]) -> Result<Vec<N::X>> + Sync,
        real: impl Fn(&N::Output) -> Vec<f64> + Sync,
    ) -> Result<Tensor> {
        let classes = self.classes(profile)?;
        let [h, w, _] = profile.sample_shape();
        let crew = Crew::new(self.threads, classes.len())?;
        let outputs = crew.map(classes.iter().enumerate(), |(i, &class)| {
            let x = convert(&self.sample.image_hwc(i))?;
            let conditions = network.conditions(self.timestep, class)?;
            let output = network.evaluate(&x, &conditions)?;
            Ok(real(&output).into_iter().map(|v| v as f32).collect())
        })?;
        Ok(Tensor::from_hwc(
            &outputs,
            profile.config.out_channels,
            h,
            w,
        ))
    }
}

impl Model {
    /// Evaluates the network once for each sample, in integers; samples are rounded to multiples of
    /// `2^-24` first.
    ///
    /// # Errors
    ///
    /// When the question does not fit the model.
    pub fn predict(&self, question: &Question<'_>, kernel: KernelChoice) -> Result<Tensor> {
        let network = Integer::new(self, &[], kernel)?;
        question.ask(self.profile(), &network, state_from_real, output_to_real)
    }
}

impl FloatModel {
    /// Evaluates the network once for each sample.
    ///
    /// # Errors
    ///
    /// When the question does not fit the model.
    pub fn predict(&self, question: &Question<'_>) -> Result<Tensor> {
        let network = Float::new(self, &[])?;
        let convert = |sample: &[f32]| Ok(sample.iter().copied().map(f64::from).collect());
        question.ask(self.profile(), &network, convert, Vec::clone)
    }
}
