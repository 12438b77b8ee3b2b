//! The time and class input: from a time step to one vector for each residual block.

use diffuser_model::config::UnetConfig;
use diffuser_model::error::Error;
use diffuser_model::graph::Graph;
use diffuser_model::timestep::sinusoid;
use diffuser_model::weights::Weights;

use crate::matrix::{Into, Matrix, Threads, multiply};
use crate::norm::silu;

/// What a residual block is told of time and class.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// `silu(time embedding + class embedding)`, which all projections read.
    pub silu: Vec<f32>,
    /// Output of each of [`Graph::projections`].
    pub projections: Vec<Vec<f32>>,
}

/// A linear layer on one vector.
#[derive(Debug)]
struct Linear {
    /// `outputs x inputs`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    fn new(weights: &Weights, weight: &str, bias: &str) -> Result<Self, Error> {
        Ok(Linear {
            weight: weights.get(weight)?.data.clone(),
            bias: weights.get(bias)?.data.clone(),
        })
    }

    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let mut output = self.bias.clone();
        let weight = Matrix::rows(&self.weight, output.len(), input.len(), input.len());
        multiply(
            &mut output,
            1,
            weight,
            Matrix::rows(input, input.len(), 1, 1),
            Into::Add,
            Threads(1),
        );
        output
    }
}

/// The layers between a time step and the residual blocks.
#[derive(Debug)]
pub(crate) struct Embedder {
    features: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    layers: [Linear; 2],
    /// One row a class.
    classes: Option<(usize, Vec<f32>)>,
    projections: Vec<Linear>,
}

impl Embedder {
    pub(crate) fn new(
        graph: &Graph,
        config: &UnetConfig,
        weights: &Weights,
    ) -> Result<Self, Error> {
        let layer = |name: &str| {
            let path = format!("time_embedding.{name}");
            Linear::new(weights, &format!("{path}.weight"), &format!("{path}.bias"))
        };
        let classes = config.num_class_embeds.map(|classes| {
            weights
                .get("class_embedding.weight")
                .map(|t| (classes, t.data.clone()))
        });
        Ok(Embedder {
            features: config.block_out_channels[0],
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
            layers: [layer("linear_1")?, layer("linear_2")?],
            classes: classes.transpose()?,
            projections: (graph.projections.iter())
                .map(|p| Linear::new(weights, &p.weight, &p.bias))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn embed(&self, timestep: f64, class: Option<usize>) -> Result<Embedding, Error> {
        if !timestep.is_finite() {
            return Err(Error::Invalid(format!(
                "time step {timestep}; expected a finite number"
            )));
        }
        let mut hidden = self.layers[0].apply(&self.time_features(timestep));
        hidden.iter_mut().for_each(|x| *x = silu(*x));
        let mut hidden = self.layers[1].apply(&hidden);
        match (&self.classes, class) {
            (None, None) => {}
            (Some((classes, rows)), Some(class)) if class < *classes => {
                let row = &rows[class * hidden.len()..][..hidden.len()];
                hidden.iter_mut().zip(row).for_each(|(x, c)| *x += c);
            }
            (Some((classes, _)), class) => {
                let given = class.map_or("no class".into(), |c| format!("class {c}"));
                return Err(Error::Invalid(format!(
                    "{given}; expected one of 0 to {}",
                    classes - 1
                )));
            }
            (None, Some(class)) => {
                return Err(Error::Invalid(format!(
                    "class {class}; expected none, as the model has no classes"
                )));
            }
        }
        hidden.iter_mut().for_each(|x| *x = silu(*x));
        let projections = self.projections.iter().map(|p| p.apply(&hidden)).collect();
        Ok(Embedding {
            silu: hidden,
            projections,
        })
    }

    /// Sines and cosines of the time step.
    #[expect(clippy::cast_possible_truncation, reason = "the network is in f32")]
    fn time_features(&self, timestep: f64) -> Vec<f32> {
        let (size, flip) = (self.features, self.flip_sin_to_cos);
        let features = sinusoid(timestep, size, flip, self.freq_shift);
        features.into_iter().map(|x| x as f32).collect()
    }
}
