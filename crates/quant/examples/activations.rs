//! What finer ways to quantise activations could win, before any is built.
//!
//! ```sh
//! cargo run --release -p diffuser-quant --example activations -- FOLDER
//! ```
//!
//! First, for what normalisations make: squared error of the output of the layers that read it, on images that the
//! ranges were not chosen on, over that of ranges with the least squared error of the tensor itself. Taps are
//! taken to be independent, and weights that take up a shift are not rounded again: bounds, not results.
//! Second, the error of the network's output with a correction of each channel's mean error at each time step.

use std::error::Error;
use std::path::Path;

use diffuser_engine::{Engine, KernelChoice, TensorView};
use diffuser_model::graph::{Graph, Op, TensorId};
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};
use diffuser_model::step::{NodeStep, StepParams};
use diffuser_quant::methods::{self, Residual};
use diffuser_quant::ranges::{Clipping, gain};
use diffuser_quant::statistics::Statistics;
use diffuser_quant::{CalibrationSettings, Rounding, calibrate, quantise};
use diffuser_reference::{FloatUnet, Observer};
use rayon::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Steps of DDIM, and those of them that are looked at.
const STEPS: u32 = 50;
const LOOKED_AT: [usize; 6] = [0, 10, 20, 30, 40, 49];

/// Images on which choices are made, and as many on which they are judged.
const IMAGES: usize = 12;

/// Pixels of each image that are looked at.
const PIXELS: usize = 12;

/// A state of the sampler.
struct Point {
    class: Option<usize>,
    state: Vec<f64>,
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let pipeline = Pipeline::load(Path::new(&folder))?;
    let scheduler = match &pipeline.scheduler {
        Some(value) => SchedulerConfig::from_value(value)?,
        None => SchedulerConfig::default(),
    };
    let unet = FloatUnet::new(&pipeline.config, &pipeline.weights)?.with_threads(1);
    let (timesteps, points) = trajectories(&pipeline, &unet, &scheduler)?;
    ranges(&pipeline, &unet, &timesteps, &points)?;
    corrections(&pipeline, &unet, &scheduler, &timesteps, &points)
}

/// `points[i][image]`: states of the float sampler at the steps looked at, and their time steps.
fn trajectories(
    pipeline: &Pipeline,
    unet: &FloatUnet,
    scheduler: &SchedulerConfig,
) -> Result<(Vec<u32>, Vec<Vec<Point>>)> {
    let options = SamplerOptions {
        sampler: Sampler::Ddim,
        steps: STEPS,
        eta: 0.0,
        spacing: None,
    };
    let steps = plan(scheduler, &options)?;
    let length = unet.graph().tensors[Graph::INPUT].len();
    let images: Vec<Vec<Point>> = (0..2 * IMAGES)
        .into_par_iter()
        .map(|image| {
            let class = pipeline.config.num_class_embeds.map(|n| image * 7 % n);
            let start = noise(2, image as u64, Purpose::Start, length);
            let mut state: Vec<f64> = start
                .iter()
                .map(|&v| f64::from(v) * 2f64.powi(-24))
                .collect();
            let (mut x0, mut seen) = (vec![0.0; length], vec![]);
            for (i, step) in steps.iter().enumerate() {
                if LOOKED_AT.contains(&i) {
                    let state = state.clone();
                    seen.push(Point { class, state });
                }
                let embedding = unet.embedding(step.timestep.into(), class)?;
                let out = unet.evaluate(&single(&state), &embedding, &mut ())?;
                let out: Vec<f64> = out.into_iter().map(f64::from).collect();
                step.advance(&mut state, &out, &mut x0, None)?;
            }
            Ok(seen)
        })
        .collect::<Result<_>>()?;
    let mut points: Vec<Vec<Point>> = LOOKED_AT.iter().map(|_| vec![]).collect();
    for image in images {
        image
            .into_iter()
            .zip(&mut points)
            .for_each(|(p, all)| all.push(p));
    }
    Ok((
        LOOKED_AT.iter().map(|&i| steps[i].timestep).collect(),
        points,
    ))
}

fn single(state: &[f64]) -> Vec<f32> {
    state.iter().map(|&x| x as f32).collect()
}

/// Pixels of every tensor, all channels of each, and extremes.
struct Pixels<'a> {
    graph: &'a Graph,
    seen: Vec<Vec<f32>>,
    extremes: Vec<[f32; 2]>,
}

impl Observer for Pixels<'_> {
    fn tensor(&mut self, id: TensorId, values: &[f32]) {
        let channels = self.graph.tensors[id].channels;
        let count = values.len() / channels;
        let wanted = PIXELS.min(count);
        for k in 0..wanted {
            let pixel = (k * count / wanted + k * 5 % (count / wanted)) % count;
            self.seen[id].extend(&values[pixel * channels..(pixel + 1) * channels]);
        }
        let e = &mut self.extremes[id];
        *e = values
            .iter()
            .fold(*e, |[low, high], &v| [low.min(v), high.max(v)]);
    }
}

/// Ways to choose the ranges of an operand.
const WAYS: [&str; 4] = [
    "least squared error of the tensor",
    "least squared error of the readers' output",
    "the same, with a power of two between the two streams that the normalisation reads (those of two only)",
    "the same, with a power of two for each channel",
];

/// One operand at one time step.
struct Seen {
    fit: Vec<f32>,
    judge: Vec<f32>,
    extremes: [f32; 2],
}

fn ranges(
    pipeline: &Pipeline,
    unet: &FloatUnet,
    timesteps: &[u32],
    points: &[Vec<Point>],
) -> Result<()> {
    let graph = unet.graph();
    let rows: Vec<Vec<Seen>> = (timesteps.par_iter().zip(points))
        .map(|(&t, points)| {
            let look = |points: &[Point]| -> Result<Pixels> {
                let mut pixels = Pixels {
                    graph,
                    seen: vec![vec![]; graph.tensors.len()],
                    extremes: vec![[0.0; 2]; graph.tensors.len()],
                };
                for point in points {
                    let embedding = unet.embedding(t.into(), point.class)?;
                    unet.evaluate(&single(&point.state), &embedding, &mut pixels)?;
                }
                Ok(pixels)
            };
            let (fit, judge) = (look(&points[..IMAGES])?, look(&points[IMAGES..])?);
            let both = fit.seen.into_iter().zip(judge.seen).zip(fit.extremes);
            Ok(both
                .map(|((fit, judge), extremes)| Seen {
                    fit,
                    judge,
                    extremes,
                })
                .collect())
        })
        .collect::<Result<_>>()?;
    let operands: Vec<usize> = (0..graph.nodes.len())
        .filter(|&i| matches!(graph.nodes[i].op, Op::Norm(_)))
        .collect();
    let ratios: Vec<[Option<f64>; 4]> = operands
        .par_iter()
        .map(|&i| {
            let node = &graph.nodes[i];
            let channels = graph.tensors[node.output].channels;
            let gram = gram(pipeline, graph, node.output, channels)?;
            let first = graph.tensors[node.inputs[0]].channels;
            let seen: Vec<&Seen> = rows.iter().map(|row| &row[node.output]).collect();
            let none = vec![0; channels];
            let each = shifts(&seen, channels, |c| c);
            let split = shifts(&seen, channels, |c| usize::from(c >= first));
            let mut sums = [0.0; 4];
            for s in seen {
                let statistics = Statistics::of(&s.fit);
                let (g, z) = gain(&statistics, 32.0, false, Clipping::LeastSquares);
                let own = (32.0 / f64::from(g), f64::from(z));
                let norm = error(&s.judge, own, &none, &gram);
                sums[0] += 1.0;
                for (sum, shifts) in sums[1..].iter_mut().zip([&none, &split, &each]) {
                    let best = consumer(s, shifts, &gram);
                    *sum += error(&s.judge, best, shifts, &gram) / norm;
                }
            }
            let mean = sums.map(|s| Some(s / rows.len() as f64));
            let two = node.inputs.len() == 2;
            Ok([mean[0], mean[1], mean[2].filter(|_| two), mean[3]])
        })
        .collect::<Result<_>>()?;
    println!(
        "| ranges | operands | squared error of the readers' output, mean ratio | least | largest |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (way, name) in WAYS.into_iter().enumerate() {
        let all: Vec<f64> = ratios.iter().filter_map(|r| r[way]).collect();
        println!(
            "| {name} | {} | {:.3} | {:.3} | {:.3} |",
            all.len(),
            all.iter().sum::<f64>() / all.len() as f64,
            all.iter().copied().fold(f64::INFINITY, f64::min),
            all.iter().copied().fold(0.0, f64::max)
        );
    }
    // the operands of two streams again, for the fair comparison
    let two: Vec<f64> = ratios
        .iter()
        .filter(|r| r[2].is_some())
        .filter_map(|r| r[1])
        .collect();
    println!(
        "the second way on operands of two streams alone: {:.3}",
        two.iter().sum::<f64>() / two.len().max(1) as f64
    );
    Ok(())
}

/// Sum over readers, outputs and taps of the products of the weights of two channels.
fn gram(pipeline: &Pipeline, graph: &Graph, id: TensorId, channels: usize) -> Result<Vec<f64>> {
    let mut gram = vec![0.0; channels * channels];
    for node in graph.nodes.iter().filter(|n| n.inputs.contains(&id)) {
        let Op::Conv(conv) = &node.op else { continue };
        let (taps, weight) = (
            conv.kernel * conv.kernel,
            pipeline.weights.get(&conv.weight)?,
        );
        for row in weight.data.chunks_exact(channels * taps) {
            for tap in 0..taps {
                for (a, line) in gram.chunks_exact_mut(channels).enumerate() {
                    let w = f64::from(row[a * taps + tap]);
                    for (b, sum) in line.iter_mut().enumerate() {
                        *sum += w * f64::from(row[b * taps + tap]);
                    }
                }
            }
        }
    }
    Ok(gram)
}

/// For each channel by how many powers of two its group may be finer at every time step: 0 to 3.
fn shifts(seen: &[&Seen], channels: usize, group: impl Fn(usize) -> usize) -> Vec<i32> {
    let mut finer = vec![3; channels];
    for s in seen {
        let mut largest = vec![0f32; channels];
        for pixel in s.fit.chunks_exact(channels) {
            for (c, v) in pixel.iter().enumerate() {
                largest[group(c)] = largest[group(c)].max(v.abs());
            }
        }
        let all = largest.iter().copied().fold(0.0, f32::max);
        for (f, l) in finer.iter_mut().zip(largest) {
            *f = (*f).min((all / l.max(1e-9)).log2().floor() as i32);
        }
    }
    (0..channels).map(|c| finer[group(c)]).collect()
}

/// Mean of `e G e` over pixels, `e` the error of a quantiser with this step and zero point.
fn error(values: &[f32], (step, zero): (f64, f64), shifts: &[i32], gram: &[f64]) -> f64 {
    let channels = shifts.len();
    let pixels = values.chunks_exact(channels).map(|pixel| {
        let e: Vec<f64> = (pixel.iter().zip(shifts))
            .map(|(&v, &shift)| {
                let step = step * f64::from(-shift).exp2();
                let q = ((f64::from(v) / step).round() + zero).clamp(-127.0, 127.0);
                (q - zero) * step - f64::from(v)
            })
            .collect();
        let rows = gram.chunks_exact(channels).zip(&e);
        rows.map(|(row, x)| x * row.iter().zip(&e).map(|(g, y)| g * y).sum::<f64>())
            .sum::<f64>()
    });
    pixels.sum::<f64>() / (values.len() / channels) as f64
}

/// Step and zero point with the least error of what reads the operand.
fn consumer(s: &Seen, shifts: &[i32], gram: &[f64]) -> (f64, f64) {
    let [low, high] = s.extremes.map(f64::from);
    let tried = (0..25).map(|i| {
        let step = (high - low) * (1.0 - 0.025 * f64::from(i)) / 254.0;
        let zero = (-127.0 - low * (1.0 - 0.025 * f64::from(i)) / step)
            .round()
            .clamp(-127.0, 127.0);
        (error(&s.fit, (step, zero), shifts, gram), (step, zero))
    });
    let best = tried.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or((1.0, 0.0), |(_, choice)| choice)
}

/// Summed error of every stream's channels, and squared error and square of the network's output.
struct Measured {
    means: Vec<Vec<f64>>,
    squares: [f64; 2],
}

/// Means over pixels of every stream's channels in the float network.
struct Means<'a>(&'a Graph, Vec<Vec<f64>>);

impl Observer for Means<'_> {
    fn tensor(&mut self, id: TensorId, values: &[f32]) {
        let channels = self.0.tensors[id].channels;
        self.1[id] = means(values.iter().map(|&v| f64::from(v)), channels, values.len());
    }
}

fn means(values: impl Iterator<Item = f64>, channels: usize, length: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    values
        .enumerate()
        .for_each(|(i, v)| sums[i % channels] += v);
    sums.iter()
        .map(|s| s * channels as f64 / length as f64)
        .collect()
}

fn measure(
    unet: &FloatUnet,
    (model, engine): (&QuantisedModel, &Engine),
    step: impl Fn(&Point) -> Result<StepParams> + Sync,
    points: &[Point],
) -> Result<Measured> {
    let graph = unet.graph();
    let zeros = || {
        graph
            .tensors
            .iter()
            .map(|t| vec![0.0; t.channels])
            .collect::<Vec<_>>()
    };
    let each: Vec<Measured> = points
        .par_iter()
        .map(|point| {
            let params = step(point)?;
            let embedding = unet.embedding(params.timestep.into(), point.class)?;
            let mut float = Means(graph, zeros());
            let want = unet.evaluate(&single(&point.state), &embedding, &mut float)?;
            let state: Vec<i32> = (point.state.iter())
                .map(|&v| (v * 2f64.powi(24)).round() as i32)
                .collect();
            let row = model.intervals.row(params.timestep);
            let mut integer = zeros();
            let mut workspace = engine.workspace();
            let mut observer = |id: TensorId, view: TensorView<'_>| {
                if let TensorView::Stream(values) = view {
                    let unit = f64::from(-model.exponent(id, row)).exp2();
                    let channels = graph.tensors[id].channels;
                    integer[id] = means(
                        values.iter().map(|&v| f64::from(v) * unit),
                        channels,
                        values.len(),
                    );
                }
            };
            let got = engine.evaluate_observed(&state, &params, &mut workspace, &mut observer)?;
            let unit = f64::from(-params.output_exponent).exp2();
            let mut squares = [0.0; 2];
            for (&g, &w) in got.iter().zip(&want) {
                squares[0] += (f64::from(g) * unit - f64::from(w)).powi(2);
                squares[1] += f64::from(w).powi(2);
            }
            let differences = integer.iter().zip(&float.1);
            let means = differences.map(|(i, f)| i.iter().zip(f).map(|(i, f)| i - f).collect());
            Ok(Measured {
                means: means.collect(),
                squares,
            })
        })
        .collect::<Result<_>>()?;
    let mut sum = Measured {
        means: zeros(),
        squares: [0.0; 2],
    };
    for m in each {
        for (sum, means) in sum.means.iter_mut().zip(m.means) {
            sum.iter_mut()
                .zip(means)
                .for_each(|(s, m)| *s += m / points.len() as f64);
        }
        (0..2).for_each(|i| sum.squares[i] += m.squares[i]);
    }
    Ok(sum)
}

/// Subtract from the biases what they are to correct, in real units by node and channel.
fn correct(model: &QuantisedModel, params: &mut StepParams, correction: &[Vec<f64>]) {
    let row = model.intervals.row(params.timestep);
    for ((node, step), correction) in model
        .graph
        .nodes
        .iter()
        .zip(&mut params.nodes)
        .zip(correction)
    {
        let NodeStep::Conv(conv) = step else { continue };
        for (c, &x) in correction.iter().enumerate() {
            let m = conv.multiplier[c];
            let unit = f64::from(m.mantissa)
                * f64::from(-i32::from(m.shift) - model.exponent(node.output, row)).exp2();
            conv.bias[c] -= (x / unit).round() as i32;
        }
    }
}

fn corrections(
    pipeline: &Pipeline,
    unet: &FloatUnet,
    scheduler: &SchedulerConfig,
    timesteps: &[u32],
    points: &[Vec<Point>],
) -> Result<()> {
    let settings = CalibrationSettings {
        sampler: Sampler::Ddim,
        steps: STEPS,
        images: 32,
        seed: 0,
        rounding: Rounding::ErrorFeedback,
        rewrites: diffuser_model::rewrite::Rewrites::NONE,
    };
    let calibration = calibrate(pipeline, scheduler, settings, &|_, _| {})?;
    let model = quantise(
        pipeline,
        &calibration,
        methods::all()[0].as_ref(),
        Residual::default(),
    )?;
    let engine = Engine::new(model.graph.clone(), &model.nodes, KernelChoice::Auto)?;
    let graph = unet.graph();
    let residual = |node: usize| match &graph.nodes[node].op {
        Op::Conv(conv) => conv.residual,
        _ => None,
    };
    let stream = |node: usize| {
        matches!(graph.nodes[node].op, Op::Conv(_))
            && graph.tensors[graph.nodes[node].output].kind
                == diffuser_model::graph::TensorKind::Stream
    };
    println!(
        "| time step | output error | output's channels corrected | all streams' channels corrected |"
    );
    println!("| --- | --- | --- | --- |");
    let mut totals = [0.0; 3];
    for (&t, points) in timesteps.iter().zip(points) {
        let (fit, judge) = points.split_at(IMAGES);
        let with = |correction: &[Vec<f64>], points: &[Point]| {
            let step = |point: &Point| {
                let mut params = model.prepare(&[t], point.class)?.swap_remove(0);
                correct(&model, &mut params, correction);
                Ok(params)
            };
            measure(unet, (&model, &engine), step, points)
        };
        let none: Vec<Vec<f64>> = vec![vec![]; graph.nodes.len()];
        let plain = with(&none, fit)?;
        let mut last = none.clone();
        let mut all = none.clone();
        for (i, node) in graph.nodes.iter().enumerate().filter(|(i, _)| stream(*i)) {
            if node.output == graph.output {
                last[i] = plain.means[node.output].clone();
            }
            all[i] = vec![0.0; graph.tensors[node.output].channels];
        }
        // what is made later depends on what was corrected before: a few rounds, half-way each
        for _ in 0..5 {
            let seen = with(&all, fit)?;
            for (i, node) in graph.nodes.iter().enumerate().filter(|(i, _)| stream(*i)) {
                for (c, sum) in all[i].iter_mut().enumerate() {
                    let before = residual(i).map_or(0.0, |r| seen.means[r][c]);
                    *sum += 0.6 * (seen.means[node.output][c] - before);
                }
            }
        }
        let mut errors = [0.0; 3];
        for (error, correction) in errors.iter_mut().zip([&none, &last, &all]) {
            let [e, w] = with(correction, judge)?.squares;
            *error = 100.0 * (e / w).sqrt();
        }
        println!(
            "| {t} | {:.3} % | {:.3} % | {:.3} % |",
            errors[0], errors[1], errors[2]
        );
        (0..3).for_each(|i| totals[i] += errors[i] / timesteps.len() as f64);
    }
    println!(
        "| mean | {:.3} % | {:.3} % | {:.3} % |",
        totals[0], totals[1], totals[2]
    );
    Ok(())
}
