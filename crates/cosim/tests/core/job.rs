//! From a model to a job.

use diffuser_compiler::{CompileError, Compiled, Options, Source, Target, compile_with};
use diffuser_device::host::Job;
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};

use crate::common::runner::{IMAGE, SEED};
use crate::common::simulate;
use crate::run::TARGET;

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
    let starts: Vec<_> = (0..images as u64)
        .map(|image| noise(SEED, IMAGE + image, Purpose::Start, values))
        .collect();
    let starts: Vec<&[i32]> = starts.iter().map(|start| &start[..]).collect();
    let job = simulate::job(&compiled, &starts);
    Ok((compiled, job))
}
