//! Running the float network along the sampler's trajectory and looking at every tensor.

use diffuser_model::graph::{Graph, TensorId};
use diffuser_model::import::Pipeline;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::{Sampler, SamplerOptions, SamplerStep, SchedulerConfig, plan};
use diffuser_reference::{FloatUnet, Observer};
use diffuser_spec::STATE_FRACTION_BITS;
use rayon::prelude::*;

use crate::quantise::QuantiseError;
use crate::resume;
use crate::rounding::{self, Inputs, Patches, Rounding, State};
use crate::statistics::Statistics;

/// What calibration runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationSettings {
    /// Sampler whose trajectory is followed.
    pub sampler: Sampler,
    /// Its number of steps.
    pub steps: u32,
    /// Number of images; classes take turns.
    pub images: u32,
    /// Seed of their noise.
    pub seed: u64,
    /// How weights will be rounded: what that needs to know is collected too.
    pub rounding: Rounding,
    /// What the network is rewritten with, and will be quantised with.
    pub rewrites: Rewrites,
}

/// Statistics of every tensor at every time step.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// What was run.
    pub settings: CalibrationSettings,
    /// Time steps, ascending.
    pub timesteps: Vec<u32>,
    /// `statistics[i][t]`: tensor `t` at `timesteps[i]`.
    pub statistics: Vec<Vec<Statistics>>,
    /// Moments of what convolutions read, over all time steps; `None` if the rounding needs none.
    pub inputs: Option<Inputs>,
    /// What the network read in some of the evaluations; none if the rounding needs none.
    pub states: Vec<State>,
}

struct Collector<'a> {
    statistics: Vec<Statistics>,
    /// Tensors of which the values before pooling were seen.
    pooled: Vec<TensorId>,
    drawn: Option<(&'a Inputs, Patches)>,
}

impl Observer for Collector<'_> {
    fn tensor(&mut self, id: TensorId, values: &[f32]) {
        if let Some((inputs, patches)) = &mut self.drawn {
            inputs.draw(patches, id, values);
        }
        if !self.pooled.contains(&id) {
            self.statistics[id].observe(values);
        }
    }

    /// Integers average operands: those must hold what is averaged, not only the means.
    fn before_pooling(&mut self, id: TensorId, values: &[f32]) {
        self.statistics[id].observe(values);
        self.pooled.push(id);
    }
}

/// One image on its way.
pub(crate) struct Trajectory {
    index: u64,
    class: Option<usize>,
    pub(crate) state: Vec<f64>,
    pub(crate) x0: Vec<f64>,
}

impl Trajectory {
    /// What the network reads.
    fn sample(&self) -> Vec<f32> {
        self.state.iter().map(|&x| x as f32).collect()
    }

    /// Go step `i`, and return what the collector saw.
    fn advance(
        &mut self,
        unet: &FloatUnet,
        (i, step): (u32, &SamplerStep),
        seed: u64,
        mut collector: Collector,
    ) -> Result<(Vec<Statistics>, Option<Patches>), QuantiseError> {
        let graph = unet.graph();
        let embedding = unet.embedding(step.timestep.into(), self.class)?;
        let sample = self.sample();
        let out = unet.evaluate(&sample, &embedding, &mut collector)?;
        if out.iter().any(|v| !v.is_finite()) {
            return Err(QuantiseError::NotFinite(
                graph.tensors[graph.output].name.clone(),
            ));
        }
        let out: Vec<f64> = out.into_iter().map(f64::from).collect();
        let length = self.state.len();
        let z = step
            .adds_noise()
            .then(|| real(&noise(seed, self.index, Purpose::Step(i), length)));
        step.advance(&mut self.state, &out, &mut self.x0, z.as_deref())?;
        Ok((collector.statistics, collector.drawn.map(|(_, p)| p)))
    }
}

fn real(values: &[i32]) -> Vec<f64> {
    let unit = 1.0 / f64::from(1u32 << STATE_FRACTION_BITS);
    values.iter().map(|&v| f64::from(v) * unit).collect()
}

/// Follow the sampler with the float network; `progress` gets evaluations done and in all.
///
/// The result depends on the settings alone, not on the number of threads.
///
/// # Errors
/// When the network or the schedule is not usable, or gives numbers that are not finite.
pub fn calibrate(
    pipeline: &Pipeline,
    scheduler: &SchedulerConfig,
    settings: CalibrationSettings,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Calibration, QuantiseError> {
    let mut calibrator = Calibrator::new(pipeline, scheduler, settings)?;
    while calibrator.step(progress)? {}
    Ok(calibrator.finish())
}

/// A calibration under way, one time step at a time; between two it can be saved ([`Calibrator::save`]).
pub struct Calibrator {
    unet: FloatUnet,
    /// What it depends on, in words.
    pub(crate) identity: String,
    settings: CalibrationSettings,
    steps: Vec<SamplerStep>,
    pub(crate) images: Vec<Trajectory>,
    pub(crate) inputs: Option<Inputs>,
    /// Number of evaluations whose states are kept, at most.
    most_states: usize,
    pub(crate) states: Vec<State>,
    /// What was seen at each step so far, in the sampler's order.
    pub(crate) rows: Vec<Vec<Statistics>>,
}

impl Calibrator {
    /// Nothing done yet.
    ///
    /// # Errors
    /// When the network or the schedule is not usable.
    pub fn new(
        pipeline: &Pipeline,
        scheduler: &SchedulerConfig,
        settings: CalibrationSettings,
    ) -> Result<Self, QuantiseError> {
        // images run side by side, each on one thread
        let (config, weights) = (&pipeline.config, &pipeline.weights);
        let unet = FloatUnet::with_rewrites(config, weights, settings.rewrites)?.with_threads(1);
        let graph = unet.graph();
        let options = SamplerOptions {
            sampler: settings.sampler,
            steps: settings.steps,
            eta: 0.0,
            spacing: None,
        };
        let steps = plan(scheduler, &options)?;
        let length = graph.tensors[Graph::INPUT].len();
        let classes = pipeline.config.num_class_embeds;
        let images = (0..u64::from(settings.images))
            .map(|index| Trajectory {
                index,
                class: classes.map(|n| index as usize % n),
                state: real(&noise(settings.seed, index, Purpose::Start, length)),
                x0: vec![0.0; length],
            })
            .collect();
        let inputs = match settings.rounding {
            Rounding::Nearest => None,
            Rounding::ErrorFeedback | Rounding::Sequential | Rounding::AdaRound => Some(
                Inputs::new(graph, settings.seed, settings.images, steps.len()),
            ),
        };
        let most_states = match settings.rounding {
            Rounding::Sequential => rounding::evaluations(&unet),
            _ => 0,
        };
        Ok(Self {
            most_states,
            states: vec![],
            identity: resume::identity(pipeline, scheduler, settings),
            unet,
            settings,
            rows: Vec::with_capacity(steps.len()),
            steps,
            images,
            inputs,
        })
    }

    /// Number of time steps that are done, and that there are.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        (self.rows.len(), self.steps.len())
    }

    /// The network, to know the tensors of.
    pub(crate) fn graph(&self) -> &Graph {
        self.unet.graph()
    }

    /// The images whose states at step `i` are kept: evenly over steps and images.
    pub(crate) fn kept(&self, i: usize) -> impl Iterator<Item = usize> + use<> {
        let (count, all) = (self.images.len(), self.images.len() * self.steps.len());
        let kept = self.most_states.min(all);
        let is_kept = move |&k: &usize| {
            let n = i * count + k;
            (n + 1) * kept / all > n * kept / all
        };
        // each step begins with another image
        (0..count).filter(is_kept).map(move |k| (k + i) % count)
    }

    /// What the network read of image `k` at step `i`.
    pub(crate) fn state(&self, i: usize, k: usize, values: Vec<f32>) -> State {
        State {
            timestep: self.steps[i].timestep,
            class: self.images[k].class,
            values,
        }
    }

    /// Go one time step; `false` when there was none left. `progress` gets evaluations done and in all.
    ///
    /// # Errors
    /// When the network gives numbers that are not finite.
    pub fn step(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<bool, QuantiseError> {
        let i = self.rows.len();
        let Some(step) = self.steps.get(i) else {
            return Ok(false);
        };
        let (unet, settings) = (&self.unet, self.settings);
        let graph = unet.graph();
        let count = self.images.len() as u64;
        let all = count * self.steps.len() as u64;
        let done = std::sync::atomic::AtomicU64::new(count * i as u64);
        let finished = || {
            let n = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(n, all);
        };
        let states = self
            .kept(i)
            .map(|k| self.state(i, k, self.images[k].sample()));
        let states: Vec<State> = states.collect();
        self.states.extend(states);
        let mut seen: Vec<Vec<Statistics>> = Vec::with_capacity(self.images.len());
        let batch = (self.inputs.as_ref()).map_or(self.images.len(), Inputs::batch);
        for batch in self.images.chunks_mut(batch.max(1)) {
            let inputs = self.inputs.as_ref();
            let collected = batch
                .par_iter_mut()
                .map(|image| {
                    let collector = Collector {
                        statistics: vec![Statistics::default(); graph.tensors.len()],
                        pooled: Vec::new(),
                        drawn: inputs.map(|inputs| (inputs, inputs.patches(image.index, i as u32))),
                    };
                    let seen = image.advance(unet, (i as u32, step), settings.seed, collector)?;
                    finished();
                    Ok(seen)
                })
                .collect::<Result<Vec<_>, QuantiseError>>()?;
            // in the order of the images, whoever computed them
            let (statistics, drawn): (Vec<_>, Vec<_>) = collected.into_iter().unzip();
            seen.extend(statistics);
            if let Some(inputs) = &mut self.inputs {
                inputs.add(&drawn.into_iter().flatten().collect::<Vec<_>>());
            }
        }
        let row = (0..graph.tensors.len())
            .map(|t| Statistics::merged(seen.iter().map(|s| &s[t])))
            .collect();
        self.rows.push(row);
        Ok(true)
    }

    /// What was seen, by ascending time step.
    #[must_use]
    pub fn finish(self) -> Calibration {
        let timesteps = self.steps.iter().map(|s| s.timestep);
        let mut rows: Vec<_> = timesteps.zip(self.rows).collect();
        rows.sort_by_key(|(t, _)| *t);
        let (timesteps, statistics) = rows.into_iter().unzip();
        Calibration {
            settings: self.settings,
            timesteps,
            statistics,
            inputs: self.inputs,
            states: self.states,
        }
    }
}
