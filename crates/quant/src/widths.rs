//! Which layers' weights have 4 bits.
//!
//! What 4 bits cost a layer is measured: the network's output error on the float trajectory with that
//! layer alone at 4 bits, less the error with none. Costs are taken to add up, which holds where each
//! is small; the layers with the least cost for each byte that they save come first.

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::graph::{Graph, Op};
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::{NodeParams, QuantisedModel, WeightBits};
use diffuser_model::sampling::{SamplerOptions, SchedulerConfig, plan};
use diffuser_reference::FloatUnet;
use diffuser_spec::STATE_FRACTION_BITS;
use rayon::prelude::*;

use crate::calibrate::Calibration;
use crate::methods::{Method, Residual};
use crate::quantise::{QuantiseError, quantise_rounded};
use crate::rounding::Rounding;

/// Images whose trajectories are looked at.
const IMAGES: u64 = 4;

/// Steps of these trajectories.
const STEPS: u32 = 10;

/// How wide the weights of the network's convolutions and linear layers are.
///
/// The first and the last convolution always keep 8 bits: together they are a small share of the weights,
/// and nothing behind the last can make up for its error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Weights {
    /// 8 bits.
    #[default]
    Eight,
    /// 4 bits.
    Four,
    /// 4 bits in as many layers as a budget asks for.
    Mixed(Budget),
}

impl Weights {
    /// The rounding that costs least. Of 8 bits the layers' losses are too small for later layers to make up for
    /// them.
    #[must_use]
    pub const fn best_rounding(self) -> Rounding {
        match self {
            Self::Eight => Rounding::ErrorFeedback,
            Self::Four | Self::Mixed(_) => Rounding::Sequential,
        }
    }
}

/// Most bytes of a model's convolution weights, packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Bytes.
    Bytes(u64),
    /// Share of what they take with 8 bits, `0..=1`.
    Share(f64),
}

/// Width of each node's weights where all have 4 bits that may: all but what is no convolution, the first and
/// the last.
fn narrowest(graph: &Graph) -> Vec<WeightBits> {
    let last = graph
        .nodes
        .iter()
        .rposition(|n| matches!(n.op, Op::Conv(_)));
    let first_reads = |i: usize| {
        let made = graph
            .nodes
            .iter()
            .find(|n| n.output == graph.nodes[i].inputs[0]);
        made.is_some_and(|n| n.inputs.contains(&Graph::INPUT))
    };
    (0..graph.nodes.len())
        .map(|i| match &graph.nodes[i].op {
            Op::Conv(_) if Some(i) != last && !first_reads(i) => WeightBits::Four,
            _ => WeightBits::Eight,
        })
        .collect()
}

/// Bytes of a node's weights.
fn bytes(graph: &Graph, node: usize, bits: WeightBits) -> u64 {
    match &graph.nodes[node].op {
        Op::Conv(c) => {
            let rows = c.weight_rows() * c.kernel * c.kernel;
            bits.bytes(rows, c.input_channels.len()) as u64
        }
        _ => 0,
    }
}

/// Quantise with weights as wide as asked; see [`crate::quantise_with`].
///
/// # Errors
/// As [`crate::quantise_with`], and when no choice of widths fits the budget.
pub fn quantise_weights(
    pipeline: &Pipeline,
    scheduler: &SchedulerConfig,
    calibration: &Calibration,
    method: &dyn Method,
    residual: Residual,
    weights: Weights,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<QuantisedModel, QuantiseError> {
    let rewrites = calibration.settings.rewrites;
    let graph = diffuser_model::build_graph::build_graph_with(&pipeline.config, rewrites)?;
    let rounding = calibration.settings.rounding;
    let rounded = |bits: &[WeightBits], rounding: Rounding| {
        quantise_rounded(
            pipeline,
            calibration,
            method,
            residual,
            bits,
            rounding,
            progress,
        )
    };
    let quantise = |bits: &[WeightBits]| rounded(bits, rounding);
    let eight = vec![WeightBits::Eight; graph.nodes.len()];
    let four = narrowest(&graph);
    let all =
        |bits: &[WeightBits]| -> u64 { (0..bits.len()).map(|i| bytes(&graph, i, bits[i])).sum() };
    let budget = match weights {
        Weights::Eight => return quantise(&eight),
        Weights::Four => return quantise(&four),
        Weights::Mixed(Budget::Bytes(n)) => n,
        Weights::Mixed(Budget::Share(s)) => (all(&eight) as f64 * s).floor() as u64,
    };
    let (least, most) = (all(&four), all(&eight));
    if budget < least {
        return Err(QuantiseError::Budget {
            budget,
            least,
            most,
        });
    }
    // a layer that makes up for the layers before it is of no use behind others
    let apart = match rounding {
        Rounding::Sequential => Rounding::ErrorFeedback,
        _ => rounding,
    };
    let wide = rounded(&eight, apart)?;
    let narrow = rounded(&four, apart)?;
    let layers: Vec<Layer> =
        sensitivities(pipeline, scheduler, calibration, &wide, &narrow, &four)?
            .into_iter()
            .map(|(node, cost)| Layer {
                node,
                cost,
                saved: bytes(&graph, node, WeightBits::Eight)
                    - bytes(&graph, node, WeightBits::Four),
            })
            .collect();
    let chosen = choose(&layers, most - budget.min(most));
    if rounding == Rounding::Sequential {
        let mut bits = eight;
        chosen
            .into_iter()
            .for_each(|node| bits[node] = WeightBits::Four);
        return quantise(&bits);
    }
    let mut model = wide;
    for node in chosen {
        model.nodes[node] = narrow.nodes[node].clone();
    }
    // biases and multipliers follow from the weights: they must fit in this mixture too
    let class = model.config.num_class_embeds.map(|_| 0);
    model.prepare(&model.calibrated, class)?;
    Ok(model)
}

/// What 4 bits in one layer cost and save.
#[derive(Clone, Copy, Debug)]
struct Layer {
    node: usize,
    cost: f64,
    saved: u64,
}

/// Nodes that get 4 bits, to save at least so many bytes: the cheapest for their bytes first; then those
/// that turn out not to be needed are taken back, the dearest first.
fn choose(layers: &[Layer], save: u64) -> Vec<usize> {
    let mut order: Vec<&Layer> = layers.iter().filter(|l| l.saved > 0).collect();
    let price = |l: &Layer| l.cost / l.saved as f64;
    order.sort_by(|a, b| price(a).total_cmp(&price(b)).then(a.node.cmp(&b.node)));
    let mut saved = 0;
    let mut chosen: Vec<&Layer> = Vec::new();
    for layer in order {
        if saved >= save {
            break;
        }
        saved += layer.saved;
        chosen.push(layer);
    }
    chosen.sort_by(|a, b| b.cost.total_cmp(&a.cost).then(a.node.cmp(&b.node)));
    chosen.retain(|l| {
        let needed = saved - l.saved < save;
        if !needed {
            saved -= l.saved;
        }
        needed
    });
    let mut nodes: Vec<usize> = chosen.iter().map(|l| l.node).collect();
    nodes.sort_unstable();
    nodes
}

/// One evaluation of the float network.
struct Sample {
    step: usize,
    class: Option<usize>,
    state: Vec<i32>,
    output: Vec<f64>,
}

/// For each node that may have 4 bits, how much the squared relative output error grows when it does.
fn sensitivities(
    pipeline: &Pipeline,
    scheduler: &SchedulerConfig,
    calibration: &Calibration,
    wide: &QuantisedModel,
    narrow: &QuantisedModel,
    four: &[WeightBits],
) -> Result<Vec<(usize, f64)>, QuantiseError> {
    let (timesteps, samples) = trajectory(pipeline, scheduler, calibration)?;
    let error = |model: &QuantisedModel| squared_error(model, &timesteps, &samples);
    let base = error(wide)?;
    (0..four.len())
        .into_par_iter()
        .filter(|&i| four[i] == WeightBits::Four)
        .map(|i| {
            let mut model = wide.clone();
            model.nodes[i] = narrow.nodes[i].clone();
            Ok((i, (error(&model)? - base).max(0.0)))
        })
        .collect()
}

/// Time steps of a short float trajectory, and the evaluations along it.
fn trajectory(
    pipeline: &Pipeline,
    scheduler: &SchedulerConfig,
    calibration: &Calibration,
) -> Result<(Vec<u32>, Vec<Sample>), QuantiseError> {
    let unet = FloatUnet::new(&pipeline.config, &pipeline.weights)?.with_threads(1);
    let settings = &calibration.settings;
    let options = SamplerOptions {
        sampler: settings.sampler,
        steps: STEPS.min(scheduler.num_train_timesteps),
        eta: 0.0,
        spacing: None,
    };
    let steps = plan(scheduler, &options)?;
    let length = unet.graph().tensors[Graph::INPUT].len();
    let unit = f64::from(1u32 << STATE_FRACTION_BITS);
    let real = |values: Vec<i32>| -> Vec<f64> {
        values.into_iter().map(|v| f64::from(v) / unit).collect()
    };
    let images: Vec<Vec<Sample>> = (0..IMAGES)
        .into_par_iter()
        .map(|index| {
            let class = pipeline.config.num_class_embeds.map(|n| index as usize % n);
            let mut state = real(noise(settings.seed, index, Purpose::Start, length));
            let mut x0 = vec![0.0; length];
            let mut samples = Vec::with_capacity(steps.len());
            for (i, step) in steps.iter().enumerate() {
                // the integers and the floats see the same state
                let fixed: Vec<i32> = state.iter().map(|&x| (x * unit).round() as i32).collect();
                let seen: Vec<f32> = fixed
                    .iter()
                    .map(|&x| (f64::from(x) / unit) as f32)
                    .collect();
                let embedding = unet.embedding(step.timestep.into(), class)?;
                let output = unet.evaluate(&seen, &embedding, &mut ())?;
                let output: Vec<f64> = output.into_iter().map(f64::from).collect();
                let purpose = Purpose::Step(i as u32);
                let fresh = step
                    .adds_noise()
                    .then(|| real(noise(settings.seed, index, purpose, length)));
                step.advance(&mut state, &output, &mut x0, fresh.as_deref())?;
                samples.push(Sample {
                    step: i,
                    class,
                    state: fixed,
                    output,
                });
            }
            Ok(samples)
        })
        .collect::<Result<_, QuantiseError>>()?;
    let timesteps = steps.iter().map(|s| s.timestep).collect();
    Ok((timesteps, images.into_iter().flatten().collect()))
}

/// Squared error of the output relative to its size, each step by itself, summed over steps.
fn squared_error(
    model: &QuantisedModel,
    timesteps: &[u32],
    samples: &[Sample],
) -> Result<f64, QuantiseError> {
    let engine = Engine::new(model.graph.clone(), &model.nodes, KernelChoice::Auto)
        .map_err(|e| QuantiseError::Execute(e.to_string()))?;
    let mut workspace = engine.workspace();
    let mut sums = vec![[0.0; 2]; timesteps.len()];
    let mut classes: Vec<Option<usize>> = samples.iter().map(|s| s.class).collect();
    classes.sort_unstable();
    classes.dedup();
    for class in classes {
        let prepared = model.prepare(timesteps, class)?;
        for sample in samples.iter().filter(|s| s.class == class) {
            let step = &prepared[sample.step];
            let got = engine
                .evaluate(&sample.state, step, &mut workspace)
                .map_err(|e| QuantiseError::Execute(e.to_string()))?;
            let unit = f64::from(-step.output_exponent).exp2();
            for (&g, &want) in got.iter().zip(&sample.output) {
                let lost = f64::from(g) * unit - want;
                sums[sample.step][0] += lost * lost;
                sums[sample.step][1] += want * want;
            }
        }
    }
    Ok(sums
        .iter()
        .map(|[error, signal]| error / signal.max(f64::MIN_POSITIVE))
        .sum())
}

/// Bytes of the weights of a model's convolutions and linear layers, packed.
#[must_use]
pub fn weight_bytes(model: &QuantisedModel) -> u64 {
    let nodes = model.nodes.iter().enumerate();
    nodes
        .map(|(i, n)| match n {
            NodeParams::Conv(c) => bytes(&model.graph, i, c.bits),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(of: &[(f64, u64)]) -> Vec<Layer> {
        let layer = |(node, &(cost, saved))| Layer { node, cost, saved };
        of.iter().enumerate().map(layer).collect()
    }

    #[test]
    fn the_cheapest_bytes_go_first_and_what_is_not_needed_is_taken_back() {
        let all = layers(&[(5.0, 10), (1.0, 10), (9.0, 90), (0.0, 0)]);
        assert_eq!(choose(&all, 0), Vec::<usize>::new());
        // 90 bytes at 0.1 each, behind 10 at 0.1: both have one price, the first in order comes first
        assert_eq!(choose(&all, 10), [1]);
        assert_eq!(choose(&all, 11), [2]);
        assert_eq!(choose(&all, 100), [1, 2]);
        assert_eq!(choose(&all, 101), [0, 1, 2]);
    }
}
