//! Layers one after another, each making up for what those before it have lost.
//!
//! Error feedback on the float network's inputs keeps each layer's output as if all before it were exact. They are
//! not: with 4 bits a layer reads something else than the float layer does. Here two networks run side by side
//! over the same inputs of the calibration, the float one and one whose layers are rounded so far. A
//! layer that reads `x` in the latter should give the output `y` that the float layer has: its weights `W'`
//! are those of the least squared error `E |y - W' x|^2 + d |W' - W|^2` (`d` is the damping), and these are
//! rounded with error feedback over the second moments of `x`, which is the same error but for a constant. The bias
//! makes the means of both outputs equal.
//!
//! As GPTAQ (Li et al. 2025, arXiv:2504.02692) and Qronos (Zhang et al. 2025, arXiv:2505.11695) have it, with
//! the residual stream's error in the target: `y` is what leaves the node, the stream that it adds included.

use std::ops::Range;

use diffuser_model::error::Error;
use diffuser_model::graph::{Conv, Op};
use diffuser_model::import::Pipeline;
use diffuser_model::quantised::ConvWeights;
use diffuser_model::rewrite::Rewrites;
use diffuser_model::scale::scale_to_f64;
use diffuser_reference::{Evaluation, FloatUnet, conv};
use diffuser_spec::embedding::FRACTION_BITS;
use diffuser_spec::philox::philox;
use rayon::prelude::*;

use super::inputs::{Site, stretches};
use super::{Factor, Moments};

/// Bytes that the tensors of both networks may take.
const MOST_BYTES: usize = 3 << 29;

/// Most evaluations that are looked at.
const MOST_EVALUATIONS: usize = 1024;

/// Patches to draw for a layer in all.
const PATCHES: usize = 98_304;

/// Most columns that are looked at together; more input channels than fit are cut in parts.
const MOST_COLUMNS: usize = 2304;

/// Groups of evaluations whose moments are summed side by side: a constant, so that sums do not depend on threads.
const GROUPS: usize = 4;

/// Distinguishes these random numbers from others.
const KEY: u32 = 0x7365_7175;

/// One evaluation of the calibration: what the network reads.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Training time step.
    pub timestep: u32,
    /// Class, if the model has any.
    pub class: Option<usize>,
    /// `height * width * channels` values.
    pub values: Vec<f32>,
}

/// Number of evaluations of a network that are looked at.
#[must_use]
pub fn evaluations(unet: &FloatUnet) -> usize {
    let bytes = 2 * size_of::<f32>() * unet.most_values();
    (MOST_BYTES / bytes).clamp(1, MOST_EVALUATIONS)
}

/// What a layer (or a phase of one) is to be rounded to, and with.
#[derive(Clone, Debug)]
pub struct Target {
    /// Weights of the least error, row by row.
    pub weights: Vec<f32>,
    /// Biases with which they keep the means.
    pub biases: Vec<f32>,
    /// Its columns in parts.
    pub parts: Vec<TargetPart>,
}

/// Some columns of a layer with the moments of their inputs.
#[derive(Clone, Debug)]
pub struct TargetPart {
    /// Columns.
    pub columns: Vec<usize>,
    /// Mean of each.
    pub mean: Vec<f64>,
    /// Of their damped covariance.
    pub factor: Factor,
}

/// The float network and one with rounded layers, node by node over the same inputs.
pub struct Sequential {
    float: FloatUnet,
    rounded: FloatUnet,
    /// What each input has become in both.
    pairs: Vec<[Evaluation; 2]>,
    seed: u64,
}

impl Sequential {
    /// At the first node.
    ///
    /// # Errors
    /// When the network is not usable, or the states are not its own.
    ///
    /// # Panics
    /// When there is no state: the calibration was made for another rounding.
    pub fn new(
        pipeline: &Pipeline,
        rewrites: Rewrites,
        states: &[State],
        seed: u64,
    ) -> Result<Self, Error> {
        assert!(!states.is_empty(), "a calibration for this rounding");
        let (config, weights) = (&pipeline.config, &pipeline.weights);
        let unet = || -> Result<FloatUnet, Error> {
            Ok(FloatUnet::with_rewrites(config, weights, rewrites)?.with_threads(1))
        };
        let (float, rounded) = (unet()?, unet()?);
        let start = |state: &State| {
            let embedding = float.embedding(state.timestep.into(), state.class)?;
            let evaluation = float.start(&state.values, embedding)?;
            Ok([evaluation.clone(), evaluation])
        };
        let pairs = states.iter().map(start).collect::<Result<_, Error>>()?;
        Ok(Self {
            float,
            rounded,
            pairs,
            seed,
        })
    }

    /// Go past a node that is not rounded.
    pub fn pass(&mut self, node: usize) {
        self.run(node, 0);
        self.run(node, 1);
        self.leave(node);
    }

    /// What a convolution with these weights (of its rows, `ky x kx x in`) and biases is to be rounded to: one
    /// target, or one for each phase. [`Sequential::replace`] goes on.
    ///
    /// # Panics
    /// When the node is no convolution.
    pub fn targets(&mut self, node: usize, rows: &[f32], bias: Option<&[f32]>) -> Vec<Target> {
        let graph = self.float.graph().clone();
        let Op::Conv(conv) = &graph.nodes[node].op else {
            panic!("node {node} is no convolution");
        };
        let site = Site::new(
            &graph,
            graph.nodes[node].inputs[0],
            graph.nodes[node].output,
            conv,
        );
        let outputs = conv.output_channels;
        let depth = rows.len() / conv.weight_rows();
        let biases = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
        let mut targets: Vec<Target> = rows
            .chunks_exact(outputs * depth)
            .map(|rows| Target {
                weights: rows.to_vec(),
                biases: biases.clone(),
                parts: vec![],
            })
            .collect();
        self.run(node, 0);
        for channels in cut(conv) {
            self.set(node, &targets);
            let seen = self.look(node, &site, channels.clone(), conv);
            for (target, moments) in targets.iter_mut().zip(seen) {
                target.shift(&moments, channels.clone(), conv.input_channels.len());
            }
        }
        targets
    }

    /// Give a convolution its rounded weights, and go past it.
    pub fn replace(&mut self, node: usize, weights: &ConvWeights) {
        let depth = weights.weight.len() / weights.scale.len();
        let real = weights.weight.chunks_exact(depth).zip(&weights.scale);
        let real = real.flat_map(|(row, &s)| {
            let step = scale_to_f64(s);
            row.iter().map(move |&q| (f64::from(q) * step) as f32)
        });
        let unit = 1.0 / f64::from(1 << FRACTION_BITS);
        let bias = weights.bias.iter().map(|&b| (f64::from(b) * unit) as f32);
        self.install(node, &real.collect::<Vec<_>>(), bias.collect());
        self.run(node, 1);
        self.leave(node);
    }

    fn set(&mut self, node: usize, targets: &[Target]) {
        let rows: Vec<f32> = targets.iter().flat_map(|t| t.weights.clone()).collect();
        let bias = targets.iter().flat_map(|t| t.biases.clone()).collect();
        self.install(node, &rows, bias);
        self.run(node, 1);
    }

    fn install(&mut self, node: usize, rows: &[f32], bias: Vec<f32>) {
        let Op::Conv(conv) = &self.rounded.graph().nodes[node].op else {
            panic!("node {node} is no convolution");
        };
        let weights = conv::ConvWeights::of_rows(conv, rows, bias);
        self.rounded.replace(node, weights);
    }

    /// Make a node's output in one of the networks.
    fn run(&mut self, node: usize, which: usize) {
        let unet = if which == 0 {
            &self.float
        } else {
            &self.rounded
        };
        let pairs = self.pairs.par_iter_mut();
        pairs.for_each(|pair| unet.step(&mut pair[which], node));
    }

    fn leave(&mut self, node: usize) {
        let unet = &self.float;
        let pairs = self.pairs.par_iter_mut();
        pairs.for_each(|pair| pair.iter_mut().for_each(|e| unet.release(e, node)));
    }

    /// Moments of what each phase reads of some channels in the rounded network, and of what its output lacks, as
    /// the last columns.
    fn look(&self, node: usize, site: &Site, channels: Range<usize>, conv: &Conv) -> Vec<Moments> {
        let graph = self.float.graph();
        let [input, output] = [graph.nodes[node].inputs[0], graph.nodes[node].output];
        let outputs = conv.output_channels;
        let columns = channels.len() * conv.kernel * conv.kernel;
        let count = PATCHES.div_ceil(self.pairs.len()).min(site.pixels[0]);
        let key = [self.seed as u32 ^ KEY, (self.seed >> 32) as u32];
        let each = self.pairs.len().div_ceil(GROUPS);
        let groups: Vec<Vec<Moments>> = (self.pairs.par_chunks(each).enumerate())
            .map(|(group, pairs)| {
                let empty = Moments::new(columns + outputs);
                let mut seen = vec![empty; conv.parts().count()];
                let mut drawn: Vec<Vec<f32>> = vec![vec![]; seen.len()];
                for (k, [float, rounded]) in pairs.iter().enumerate() {
                    let random = |n: usize| {
                        let sample = (group * each + k) as u32;
                        philox([n as u32, sample, node as u32, 0], key)[0]
                    };
                    for pixel in stretches(site.pixels[0], count, random) {
                        for (phase, drawn) in conv.parts().zip(&mut drawn) {
                            let x = rounded.tensor(input);
                            site.gather(x, pixel, phase, channels.clone(), drawn);
                            let made = phase.map_or(pixel, |p| p.pixel(pixel, site.pixels[1]));
                            let of = made * outputs..(made + 1) * outputs;
                            let [want, got] =
                                [float, rounded].map(|e| &e.tensor(output)[of.clone()]);
                            drawn.extend(want.iter().zip(got).map(|(w, g)| w - g));
                        }
                    }
                    let full = drawn[0].len() >= 512 * (columns + outputs);
                    if full || k + 1 == pairs.len() {
                        for (seen, drawn) in seen.iter_mut().zip(&mut drawn) {
                            seen.add(drawn);
                            drawn.clear();
                        }
                    }
                }
                seen
            })
            .collect();
        let mut groups = groups.into_iter();
        let mut all = groups.next().unwrap_or_default();
        for group in groups {
            all.iter_mut().zip(&group).for_each(|(a, g)| a.merge(g));
        }
        all
    }
}

impl Target {
    /// Take in the moments of some channels' columns and of what the output lacks.
    fn shift(&mut self, moments: &Moments, channels: Range<usize>, inputs: usize) {
        let outputs = self.biases.len();
        let depth = self.weights.len() / outputs;
        let all = moments.size();
        let size = all - outputs;
        let covariance = moments.covariance();
        let mut mean = moments.mean();
        let missing = mean.split_off(size);
        let own = (0..size).flat_map(|i| covariance[i * all..i * all + size].iter().copied());
        let factor = Factor::new(own.collect(), size);
        let columns: Vec<usize> = (0..depth)
            .filter(|c| channels.contains(&(c % inputs)))
            .collect();
        let rows = self
            .weights
            .par_chunks_exact_mut(depth)
            .zip(&mut self.biases);
        rows.enumerate().for_each(|(o, (row, bias))| {
            let lacking = &covariance[(size + o) * all..(size + o) * all + size];
            let change = factor.solve(lacking);
            let mut b = f64::from(*bias) + missing[o];
            for ((&c, change), mean) in columns.iter().zip(&change).zip(&mean) {
                let new = (f64::from(row[c]) + change) as f32;
                b -= (f64::from(new) - f64::from(row[c])) * mean;
                row[c] = new;
            }
            *bias = b as f32;
        });
        self.parts.push(TargetPart {
            columns,
            mean,
            factor,
        });
    }
}

/// Input channels of a convolution, as many at a time as are looked at together.
fn cut(conv: &Conv) -> impl Iterator<Item = Range<usize>> + use<> {
    let channels = conv.input_channels.len();
    let count = channels.div_ceil((MOST_COLUMNS / (conv.kernel * conv.kernel)).max(1));
    (0..count).map(move |k| channels * k / count..channels * (k + 1) / count)
}
