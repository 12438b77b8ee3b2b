//! Errors on the float trajectory, and final images.

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::{
    Sampler, SamplerOptions, SamplerStep, SchedulerConfig, advance_fixed, plan,
};
use diffuser_reference::FloatUnet;
use rayon::prelude::*;

use crate::Result;
use crate::emulator::{Conditions, Emulator};

const SEED: u64 = 1;
const STEPS: u32 = 50;
const STATE_ONE: f64 = (1 << 24) as f64;

/// Summed squares of error and of truth: for each image, for each step.
pub type Squares = Vec<Vec<[f64; 2]>>;

/// One evaluation of the float network.
struct Point {
    state: Vec<f64>,
    want: Vec<f64>,
    /// Index of the step.
    step: usize,
    class: usize,
}

/// All that a row is measured with.
pub struct Bench<'a> {
    model: &'a QuantisedModel,
    plan: Vec<SamplerStep>,
    classes: Option<usize>,
    /// For each step, for each class that is used (one without classes).
    conditions: Vec<Vec<Conditions>>,
    /// For each image.
    points: Vec<Vec<Point>>,
    /// Pixels of the float network's final images.
    finals: Vec<Vec<u8>>,
}

impl<'a> Bench<'a> {
    /// Runs the float network.
    pub fn new(
        pipeline: &Pipeline,
        model: &'a QuantisedModel,
        images: usize,
        every: usize,
        finals: usize,
    ) -> Result<Self> {
        let scheduler = match &pipeline.scheduler {
            Some(value) => SchedulerConfig::from_value(value)?,
            None => SchedulerConfig::default(),
        };
        let options = SamplerOptions {
            sampler: Sampler::Ddim,
            steps: STEPS,
            eta: 0.0,
            spacing: None,
        };
        let plan = plan(&scheduler, &options)?;
        let classes = pipeline.config.num_class_embeds;
        let used = classes.map_or(1, |n| n.min(images.max(finals)));
        let preparer = model.preparer();
        let conditions = plan
            .par_iter()
            .map(|step| {
                let at = |class| {
                    let class = classes.map(|_| class);
                    Ok(Conditions::new(model, &preparer, step.timestep, class)?)
                };
                (0..used).map(at).collect()
            })
            .collect::<Result<_>>()?;
        let mut bench = Self {
            model,
            plan,
            classes,
            conditions,
            points: Vec::new(),
            finals: Vec::new(),
        };
        let float = FloatUnet::new(&pipeline.config, &pipeline.weights)?.with_threads(1);
        let runs: Vec<_> = (0..images.max(finals))
            .into_par_iter()
            .map(|image| bench.float_run(&float, image))
            .collect::<Result<_>>()?;
        for (image, (points, pixels)) in runs.into_iter().enumerate() {
            if image < images {
                let wanted = |p: &Point| (bench.plan.len() - 1 - p.step).is_multiple_of(every);
                bench
                    .points
                    .push(points.into_iter().filter(wanted).collect());
            }
            if image < finals {
                bench.finals.push(pixels);
            }
        }
        Ok(bench)
    }

    /// Index into the conditions of a step.
    fn class(&self, image: usize) -> usize {
        self.classes.map_or(0, |n| image % n)
    }

    fn start(&self, image: usize) -> Vec<i32> {
        let length = self.model.graph.tensors[0].len();
        noise(SEED, image as u64, Purpose::Start, length)
    }

    fn float_run(&self, float: &FloatUnet, image: usize) -> Result<(Vec<Point>, Vec<u8>)> {
        let start = self.start(image);
        let mut state: Vec<f64> = start.iter().map(|&v| f64::from(v) / STATE_ONE).collect();
        let mut x0 = vec![0.0; state.len()];
        let mut points = Vec::with_capacity(self.plan.len());
        let class = self.class(image);
        for (index, step) in self.plan.iter().enumerate() {
            let sample: Vec<f32> = state.iter().map(|&x| x as f32).collect();
            let embedding = float.embedding(step.timestep.into(), self.classes.map(|_| class))?;
            let want = float.evaluate(&sample, &embedding, &mut ())?;
            let want: Vec<f64> = want.into_iter().map(f64::from).collect();
            let before = state.clone();
            step.advance(&mut state, &want, &mut x0, None)?;
            points.push(Point {
                state: before,
                want,
                step: index,
                class,
            });
        }
        Ok((points, pixels(&state)))
    }

    /// Errors of a network on the float trajectory.
    pub fn squares(
        &self,
        network: impl Fn(&[f64], &Conditions) -> Result<Vec<f64>> + Sync,
    ) -> Result<Squares> {
        let square = |point: &Point| {
            let got = network(&point.state, &self.conditions[point.step][point.class])?;
            let pairs = || got.iter().zip(&point.want);
            let error = pairs().map(|(g, w)| (g - w).powi(2)).sum();
            Ok([error, pairs().map(|(_, w)| w * w).sum()])
        };
        let image = |points: &Vec<Point>| points.iter().map(square).collect();
        self.points.par_iter().map(image).collect()
    }

    /// Median PSNR of final images in decibels; none if there are no images.
    pub fn psnr(&self, emulator: &Emulator<'_>) -> Result<Option<f64>> {
        self.median(|image| {
            let start = self.start(image);
            let round = |x: &mut f64| *x = emulator.state(*x);
            let mut state: Vec<f64> = start.iter().map(|&v| f64::from(v) / STATE_ONE).collect();
            state.iter_mut().for_each(round);
            let mut x0 = vec![0.0; state.len()];
            for (index, step) in self.plan.iter().enumerate() {
                let out = emulator.evaluate(&state, &self.conditions[index][self.class(image)]);
                step.advance(&mut state, &out, &mut x0, None)?;
                state.iter_mut().for_each(round);
            }
            Ok(pixels(&state))
        })
    }

    /// Errors and median PSNR of the integer engine.
    pub fn engine(&self) -> Result<(Squares, Option<f64>)> {
        let graph = self.model.graph.clone();
        let engine = Engine::new(graph, &self.model.nodes, KernelChoice::Auto)?;
        let squares = self.squares(|state, at| {
            let state: Vec<i32> = state
                .iter()
                .map(|x| (x * STATE_ONE).round() as i32)
                .collect();
            let mut workspace = engine.workspace();
            let out = engine.evaluate(&state, &at.step, &mut workspace)?;
            let unit = f64::from(-at.step.output_exponent).exp2();
            Ok(out.iter().map(|&y| f64::from(y) * unit).collect())
        })?;
        let psnr = self.median(|image| {
            let mut state = self.start(image);
            let mut x0 = vec![0; state.len()];
            let mut workspace = engine.workspace();
            for (index, step) in self.plan.iter().enumerate() {
                let at = &self.conditions[index][self.class(image)].step;
                let out = engine.evaluate(&state, at, &mut workspace)?.to_vec();
                let fixed = step.to_fixed()?;
                let (t, k) = (step.timestep, at.output_exponent);
                advance_fixed(t, &fixed, &mut state, &out, k, &mut x0, None)?;
            }
            Ok(state
                .iter()
                .map(|&x| diffuser_spec::sampler::pixel(x))
                .collect())
        })?;
        Ok((squares, psnr))
    }

    fn median(&self, picture: impl Fn(usize) -> Result<Vec<u8>> + Sync) -> Result<Option<f64>> {
        let psnr = |(image, want): (usize, &Vec<u8>)| {
            let got = picture(image)?;
            let pairs = got.iter().zip(want);
            let squares: f64 = pairs.map(|(&g, &w)| f64::from(g.abs_diff(w)).powi(2)).sum();
            Ok(10.0 * (255.0 * 255.0 * got.len() as f64 / squares).log10())
        };
        let mut values: Vec<f64> = self
            .finals
            .par_iter()
            .enumerate()
            .map(psnr)
            .collect::<Result<_>>()?;
        values.sort_by(f64::total_cmp);
        let n = values.len();
        Ok((n > 0).then(|| (values[n / 2] + values[(n - 1) / 2]) / 2.0))
    }
}

fn pixels(state: &[f64]) -> Vec<u8> {
    // the cast saturates
    let pixel = |&x: &f64| (x * STATE_ONE).round() as i32;
    state
        .iter()
        .map(|x| diffuser_spec::sampler::pixel(pixel(x)))
        .collect()
}

/// Sums over all images but one.
fn without(squares: &Squares, step: usize, image: Option<usize>, which: usize) -> f64 {
    let images = squares.iter().enumerate();
    images
        .filter(|&(i, _)| Some(i) != image)
        .map(|(_, s)| s[step][which])
        .sum()
}

/// Relative root mean square error, mean over steps.
pub fn error(squares: &Squares) -> f64 {
    let steps = squares[0].len();
    let at = |s| (without(squares, s, None, 0) / without(squares, s, None, 1)).sqrt();
    (0..steps).map(at).sum::<f64>() / steps as f64
}

/// Relative change of the squared error against another network, mean over steps, and the standard
/// error of that by a jackknife over images.
pub fn change(squares: &Squares, base: &Squares) -> (f64, f64) {
    let (steps, images) = (squares[0].len(), squares.len());
    let of = |image| {
        let at = |s| without(squares, s, image, 0) / without(base, s, image, 0) - 1.0;
        (0..steps).map(at).sum::<f64>() / steps as f64
    };
    let left_out: Vec<f64> = (0..images).map(|i| of(Some(i))).collect();
    let n = images as f64;
    let mean = left_out.iter().sum::<f64>() / n;
    let spread: f64 = left_out.iter().map(|x| (x - mean).powi(2)).sum();
    (of(None), ((n - 1.0) / n * spread).sqrt())
}
