//! From a model to a job.

use diffuser_compiler::{CompileError, Compiled, Options, Source, Target, compile_with};
use diffuser_device::host::Job;
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};

use crate::run::TARGET;

const SEED: u64 = 0x0123_4567_89ab;

/// Number of the first image.
const IMAGE: u64 = 7;

/// A program for some steps, and the job that begins with an image's noise.
pub fn network(
    model: &QuantisedModel,
    sampler: Sampler,
    count: u32,
    class: Option<usize>,
) -> (Compiled, Job) {
    network_on(model, (sampler, count), class, &TARGET, 1).expect("it fits")
}

/// The same of a batch of images, for a build that may have less memory than the RTL.
pub fn network_on(
    model: &QuantisedModel,
    (sampler, count): (Sampler, u32),
    class: Option<usize>,
    target: &Target,
    images: usize,
) -> Result<(Compiled, Job), CompileError> {
    let scheduler = SchedulerConfig::default();
    network_by(model, &scheduler, (sampler, count), class, target, images)
}

/// The same, where the model was trained by another schedule, or predicts something else.
pub fn network_by(
    model: &QuantisedModel,
    scheduler: &SchedulerConfig,
    (sampler, count): (Sampler, u32),
    class: Option<usize>,
    target: &Target,
    images: usize,
) -> Result<(Compiled, Job), CompileError> {
    let options = SamplerOptions {
        sampler,
        steps: count,
        eta: 0.0,
        spacing: None,
    };
    let plan = plan(scheduler, &options).expect("a plan");
    let timesteps: Vec<u32> = plan.iter().map(|s| s.timestep).collect();
    let steps = model.prepare(&timesteps, class).expect("sound tables");
    let sampling: Vec<_> = plan
        .iter()
        .map(|s| s.to_fixed().expect("in range"))
        .collect();
    let source = Source {
        graph: &model.graph,
        nodes: &model.nodes,
        steps: &steps,
        sampling: &sampling,
    };
    let options = Options {
        images,
        ..Options::default()
    };
    let compiled = compile_with(&source, target, &options)?;
    let values = model.graph.tensors[Graph::INPUT].len();
    let mut data = compiled.data.clone();
    for image in 0..images {
        let start = noise(SEED, IMAGE + image as u64, Purpose::Start, values);
        data[compiled.state_in(image)].copy_from_slice(&compiled.state_bytes(&start));
    }
    let job = Job {
        program: compiled.program_bytes.clone(),
        data,
        records: compiled.records.clone(),
        record_stride: compiled.stride as u32,
        steps: compiled.steps as u32,
        seed: SEED,
        image: IMAGE,
    };
    Ok((compiled, job))
}
