//! Making images.

use std::time::{Duration, Instant};

use diffuser_compiler::{Options as Compilation, Stage as CompilerStage, Target};
use diffuser_engine::KernelChoice;
use diffuser_model::sampling::{Sampler, SamplerOptions, SamplerStep, Spacing, plan};

use crate::accelerator::{self, Device, Program};
use crate::compare::Comparison;
use crate::crew::Crew;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::model::{FloatModel, Model, Profile};
use crate::network::{Float, Integer, Network, State, Stream};
use crate::output::Tensor;
use crate::progress::{Counter, Progress, Stepped};

/// Most images of one run: their states are all in memory.
pub const MAX_COUNT: usize = 100_000;

/// What a run made, and how.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The images.
    pub images: Vec<Image>,
    /// The class of each, for a model with classes.
    pub classes: Vec<Option<usize>>,
    /// How they were sampled.
    pub options: SamplerOptions,
    /// Time steps, first to last.
    pub timesteps: Vec<u32>,
    /// What the network was evaluated with: a kernel's name, `float`, `simulator` or `rtl`.
    pub kernel: &'static str,
    /// Threads that took part.
    pub threads: usize,
    /// Clock cycles of the accelerator for all images, where it made them.
    pub cycles: Option<u64>,
    /// Time to pack weights, or to compile.
    pub setup_time: Duration,
    /// Time from noise to pixels.
    pub sampling_time: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Integer(&'a Model),
    Float(&'a FloatModel),
}

/// Makes images with a model. Whatever is not set is the model's default.
///
/// An image depends on the model, the sampler, the seed, its index and its class: never on how many
/// others are made, nor on threads or kernel.
///
/// ```
/// let model = diffuser::Model::embedded()?;
/// let generator = diffuser::Generator::new(&model).seed(7).steps(2);
/// let two = generator.clone().count(2).run()?.images;
/// // The second one alone, on one thread:
/// let one = generator.first(1).count(1).threads(1).run()?.images;
/// assert_eq!(one[0], two[1]);
/// # Ok::<(), diffuser::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Generator<'a> {
    source: Source<'a>,
    count: Option<usize>,
    first: u64,
    seed: u64,
    classes: Vec<usize>,
    sampler: Option<Sampler>,
    steps: Option<u32>,
    eta: f64,
    spacing: Option<Spacing>,
    latents: Option<&'a Tensor>,
    threads: usize,
    kernel: KernelChoice,
    device: Device,
    batch: Option<usize>,
}

/// One image to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub stream: Stream,
    pub class: Option<usize>,
    /// Where among the run's distinct classes.
    pub class_slot: usize,
}

/// All that is decided before the first evaluation.
pub(crate) struct Run {
    pub options: SamplerOptions,
    pub plan: Vec<SamplerStep>,
    pub jobs: Vec<Job>,
    /// Distinct classes in order of first use.
    pub classes: Vec<Option<usize>>,
    pub crew: Crew,
}

/// What the compiler is told for so many images a run.
fn compilation(images: usize) -> Compilation {
    Compilation {
        images,
        ..Compilation::default()
    }
}

impl<'a> Generator<'a> {
    /// Makes images in integers.
    #[must_use]
    pub fn new(model: &'a Model) -> Self {
        Self::of(Source::Integer(model))
    }

    /// Makes images in floating point: the reference.
    #[must_use]
    pub fn float(model: &'a FloatModel) -> Self {
        Self::of(Source::Float(model))
    }

    fn of(source: Source<'a>) -> Self {
        Self {
            source,
            count: None,
            first: 0,
            seed: 0,
            classes: Vec::new(),
            sampler: None,
            steps: None,
            eta: 0.0,
            spacing: None,
            latents: None,
            threads: 0,
            kernel: KernelChoice::default(),
            device: Device::default(),
            batch: None,
        }
    }

    /// What makes the images; all give the same.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Images that one run of an accelerator makes; by default two, where there are two and they fit.
    #[must_use]
    pub fn batch(mut self, images: Option<usize>) -> Self {
        self.batch = images;
        self
    }

    /// Number of images; by default 1, or as many as there are latents.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// Index of the first image: image `k` of a seed is the same in every run.
    #[must_use]
    pub fn first(mut self, index: u64) -> Self {
        self.first = index;
        self
    }

    /// Seed of all noise; 0 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Classes that the images take in turns; all of the model's by default.
    #[must_use]
    pub fn classes(mut self, classes: impl Into<Vec<usize>>) -> Self {
        self.classes = classes.into();
        self
    }

    /// Which sampler.
    #[must_use]
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Number of the sampler's steps.
    #[must_use]
    pub fn steps(mut self, steps: u32) -> Self {
        self.steps = Some(steps);
        self
    }

    /// DDIM's noise, 0 (none, the default) to 1 (as much as DDPM).
    #[must_use]
    pub fn eta(mut self, eta: f64) -> Self {
        self.eta = eta;
        self
    }

    /// Which of the training time steps are sampled.
    #[must_use]
    pub fn spacing(mut self, spacing: Spacing) -> Self {
        self.spacing = Some(spacing);
        self
    }

    /// Starts from these states rather than from noise of the seed: image `k` from latent `k`.
    ///
    /// For integers, the values are rounded once to multiples of `2^-24`.
    #[must_use]
    pub fn latents(mut self, latents: &'a Tensor) -> Self {
        self.latents = Some(latents);
        self
    }

    /// Number of threads; 0, the default, for as many as there are processors.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Which implementation of the integer layers; all give the same images.
    #[must_use]
    pub fn kernel(mut self, kernel: KernelChoice) -> Self {
        self.kernel = kernel;
        self
    }

    /// The model's profile.
    #[must_use]
    pub fn profile(&self) -> &'a Profile {
        match self.source {
            Source::Integer(model) => model.profile(),
            Source::Float(model) => model.profile(),
        }
    }

    /// Makes the images.
    ///
    /// # Errors
    ///
    /// When the settings do not fit the model or each other.
    pub fn run(&self) -> Result<Generated> {
        self.run_with(&())
    }

    /// Makes the images and tells `progress` of it.
    ///
    /// # Errors
    ///
    /// When the settings do not fit the model or each other.
    pub fn run_with(&self, progress: &dyn Progress) -> Result<Generated> {
        let run = self.prepare()?;
        self.check_viewable()?;
        let begun = Instant::now();
        match (self.source, self.device) {
            (_, device @ (Device::Simulator(_) | Device::Rtl(_))) => {
                let model = self.quantised()?;
                accelerator::generate(self, model, (device, self.batch), run, begun, progress)
            }
            (Source::Integer(model), Device::Cpu) => {
                let network = Integer::new(model, &run.plan, self.kernel)?;
                let kernel = network.kernel();
                self.sample(&network, run, kernel, begun, progress)
            }
            (Source::Float(model), Device::Cpu) => {
                let network = Float::new(model, &run.plan)?;
                self.sample(&network, run, "float", begun, progress)
            }
        }
    }

    /// Makes the images twice, with this generator's integers and with the float model that they
    /// come from, on the same noise, and measures where they part.
    ///
    /// # Errors
    ///
    /// When the settings do not fit the models or each other, or the models differ in more than
    /// arithmetic, or this generator makes its images in floating point itself.
    pub fn compare(&self, float: &FloatModel, progress: &dyn Progress) -> Result<Comparison> {
        let Source::Integer(model) = self.source else {
            return Err(Error::setting(
                "expected a quantised model to compare with a float one",
            ));
        };
        if model.profile() != float.profile() {
            return Err(Error::setting(
                "the quantised model was made from another float model: their configurations differ",
            ));
        }
        let run = self.prepare()?;
        self.check_viewable()?;
        let integer = Integer::new(model, &run.plan, self.kernel)?;
        let reference = Float::new(float, &run.plan)?;
        crate::compare::compare(self, &run, &integer, &reference, progress)
    }

    /// Pictures need one or three channels.
    fn check_viewable(&self) -> Result<()> {
        let [_, _, channels] = self.profile().sample_shape();
        if channels != 1 && channels != 3 {
            return Err(Error::setting(format!(
                "this model's samples have {channels} channels, but pictures have 1 or 3; \
                 it can be evaluated with `diffuser predict`"
            )));
        }
        let out = self.profile().config.out_channels;
        if out != channels {
            return Err(Error::setting(format!(
                "this model takes {channels} channels but makes {out}: no sampler here can use it"
            )));
        }
        Ok(())
    }

    /// Checks the settings and decides all that follows from them.
    pub(crate) fn prepare(&self) -> Result<Run> {
        let profile = self.profile();
        let options = self.options();
        let plan = plan(&profile.scheduler, &options).map_err(Error::setting)?;
        let jobs = self.jobs()?;
        let count = jobs.len();
        let mut classes = Vec::new();
        let jobs = jobs
            .into_iter()
            .map(|(stream, class)| {
                let class_slot = classes.iter().position(|&c| c == class).unwrap_or_else(|| {
                    classes.push(class);
                    classes.len() - 1
                });
                Job {
                    stream,
                    class,
                    class_slot,
                }
            })
            .collect();
        let crew = Crew::new(self.threads, count)?;
        Ok(Run {
            options,
            plan,
            jobs,
            classes,
            crew,
        })
    }

    /// How images will be sampled: what was set, and the model's defaults.
    #[must_use]
    pub fn options(&self) -> SamplerOptions {
        let profile = self.profile();
        let sampler = self.sampler.unwrap_or(profile.default_sampler());
        SamplerOptions {
            sampler,
            steps: self.steps.unwrap_or(profile.default_steps(sampler)),
            eta: self.eta,
            spacing: self.spacing,
        }
    }

    /// The classes that images take in turns: image `k` has entry `k` modulo their number.
    ///
    /// # Errors
    ///
    /// When the model does not have one of them.
    pub fn class_cycle(&self) -> Result<Vec<Option<usize>>> {
        match (self.classes.as_slice(), self.profile().classes()) {
            ([], 0) => Ok(vec![None]),
            ([], n) => Ok((0..n).map(Some).collect()),
            (given, n) => match given.iter().find(|&&c| c >= n) {
                Some(bad) => Err(Error::setting(format!(
                    "class {bad}: this model has {n} classes"
                ))),
                None => Ok(given.iter().copied().map(Some).collect()),
            },
        }
    }

    /// Number of images that [`Generator::run`] will make.
    ///
    /// # Errors
    ///
    /// When there are not as many latents, or it is out of range.
    pub fn image_count(&self) -> Result<usize> {
        let available = self.latents.map(|l| l.shape[0]);
        let count = match (self.count, available) {
            (Some(count), Some(there))
                if self.first.saturating_add(count as u64) > there as u64 =>
            {
                return Err(Error::setting(format!(
                    "{count} images from number {} are wanted, but there are {there} latents, from number 0",
                    self.first
                )));
            }
            (Some(count), _) => count,
            (None, Some(there)) if self.first >= there as u64 => {
                return Err(Error::setting(format!(
                    "images from number {} are wanted, but there are {there} latents, from number 0",
                    self.first
                )));
            }
            (None, Some(there)) => there - self.first as usize,
            (None, None) => 1,
        };
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(Error::setting(format!(
                "{count} images; expected 1 to {MAX_COUNT}"
            )));
        }
        Ok(count)
    }

    /// Noise and class of each image.
    fn jobs(&self) -> Result<Vec<(Stream, Option<usize>)>> {
        let profile = self.profile();
        if let Some(latents) = self.latents {
            let [h, w, c] = profile.sample_shape();
            if latents.shape[1..] != [c, h, w] {
                return Err(Error::setting(format!(
                    "latents of shape {:?}; expected [N, {c}, {h}, {w}] (N x C x H x W)",
                    latents.shape
                )));
            }
        }
        let count = self.image_count()?;
        let classes = self.class_cycle()?;
        let last = self.first.checked_add(count as u64 - 1);
        let Some(last) = last else {
            return Err(Error::setting("image numbers end at 2^64 - 1"));
        };
        Ok((self.first..=last)
            .map(|index| {
                let stream = Stream {
                    seed: self.seed,
                    index,
                };
                (stream, classes[(index % classes.len() as u64) as usize])
            })
            .collect())
    }

    /// Compiles the model for the accelerator, for the first of the classes, `batch` images a run.
    ///
    /// # Errors
    ///
    /// When the settings do not fit the model, or the model does not fit the target.
    pub fn compile(&self, target: &Target, batch: usize) -> Result<Program> {
        let model = self.quantised()?;
        let run = self.prepare()?;
        Program::new(model, target, &run, run.classes[0], &compilation(batch))
    }

    /// What a pass of the compiler leaves, as text.
    ///
    /// # Errors
    ///
    /// As [`Generator::compile`].
    pub fn compiler_stage(
        &self,
        target: &Target,
        batch: usize,
        stage: CompilerStage,
    ) -> Result<String> {
        let model = self.quantised()?;
        let run = self.prepare()?;
        accelerator::stage_text(model, target, &run, &compilation(batch), stage)
    }

    /// The model of integers, which is all that the accelerator takes.
    fn quantised(&self) -> Result<&'a Model> {
        match self.source {
            Source::Integer(model) => Ok(model),
            Source::Float(_) => Err(Error::setting(
                "the accelerator has integers only: expected a quantised model",
            )),
        }
    }

    /// The latent of an image, where there are latents.
    pub(crate) fn latent(&self, index: u64) -> Option<Vec<f32>> {
        // The index is below the number of latents, as `jobs` has checked.
        self.latents.map(|l| l.image_hwc(index as usize))
    }

    /// The start states of all images.
    pub(crate) fn start<N: Network>(
        &self,
        network: &N,
        run: &Run,
    ) -> Result<Vec<State<N::X, N::P>>> {
        run.crew.map(&run.jobs, |job| {
            let latent = self.latent(job.stream.index);
            network.start(job.stream, latent.as_deref())
        })
    }

    fn sample<N: Network>(
        &self,
        network: &N,
        run: Run,
        kernel: &'static str,
        begun: Instant,
        progress: &dyn Progress,
    ) -> Result<Generated> {
        let setup_time = begun.elapsed();
        let begun = Instant::now();
        let pixels = self.sample_all(network, &run, progress)?;
        let sampling_time = begun.elapsed();
        Ok(Generated {
            images: pixels
                .into_iter()
                .map(|p| picture(self.profile(), p))
                .collect(),
            classes: run.jobs.iter().map(|j| j.class).collect(),
            options: run.options,
            timesteps: run.plan.iter().map(|s| s.timestep).collect(),
            kernel,
            threads: run.crew.threads(),
            cycles: None,
            setup_time,
            sampling_time,
        })
    }

    /// Steps all images together, so that what a time step and a class need is prepared once and
    /// only one step's worth of it is in memory.
    fn sample_all<N: Network>(
        &self,
        network: &N,
        run: &Run,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<u8>>> {
        let mut states = self.start(network, run)?;
        let counter = Counter::new(progress, states.len() * run.plan.len());
        for (index, step) in run.plan.iter().enumerate() {
            let conditions = run.conditions(network, step.timestep)?;
            run.crew
                .for_each(states.iter_mut().zip(&run.jobs), |(state, job)| {
                    let output = network.evaluate(&state.x, &conditions[job.class_slot])?;
                    counter.count();
                    network.advance(index, state, &output, job.stream)
                })?;
            let predicted = |most: usize| {
                let shown = states.iter().take(most);
                shown
                    .map(|s| picture(self.profile(), N::predicted_pixels(&s.x0)))
                    .collect()
            };
            progress.stepped(&Stepped::new(index, run.plan.len(), &predicted));
        }
        Ok(states.iter().map(|s| N::pixels(&s.x)).collect())
    }
}

impl Run {
    /// What the network is told at one time step, for each class.
    pub fn conditions<N: Network>(&self, network: &N, timestep: u32) -> Result<Vec<N::Conditions>> {
        self.crew
            .map(&self.classes, |&class| network.conditions(timestep, class))
    }
}

/// The picture of one sample's pixels.
pub(crate) fn picture(profile: &Profile, pixels: Vec<u8>) -> Image {
    let [height, width, channels] = profile.sample_shape();
    Image::new(width, height, channels, pixels).expect("viewable, as was checked before sampling")
}
