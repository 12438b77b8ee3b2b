//! From a model to a job.

use diffuser_compiler::{CompileError, Compiled, Source, Target, compile};
use diffuser_device::host::Job;
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};

use crate::run::TARGET;

const SEED: u64 = 0x0123_4567_89ab;

/// A program for some steps, and the job that begins with an image's noise.
pub fn network(
    model: &QuantisedModel,
    sampler: Sampler,
    count: u32,
    class: Option<usize>,
) -> (Compiled, Job) {
    network_on(model, sampler, count, class, &TARGET).expect("it fits")
}

/// The same for a build that may have less memory than the RTL.
pub fn network_on(
    model: &QuantisedModel,
    sampler: Sampler,
    count: u32,
    class: Option<usize>,
    target: &Target,
) -> Result<(Compiled, Job), CompileError> {
    let options = SamplerOptions {
        sampler,
        steps: count,
        eta: 0.0,
        spacing: None,
    };
    let plan = plan(&SchedulerConfig::default(), &options).expect("a plan");
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
    let compiled = compile(&source, target)?;
    let start = noise(
        SEED,
        7,
        Purpose::Start,
        model.graph.tensors[Graph::INPUT].len(),
    );
    let state = compiled.state_bytes(&start);
    let mut data = compiled.data.clone();
    data[compiled.layout.state_in..][..state.len()].copy_from_slice(&state);
    let job = Job {
        program: compiled.program_bytes.clone(),
        data,
        records: compiled.records.clone(),
        record_stride: compiled.stride as u32,
        steps: compiled.steps as u32,
        seed: SEED,
        image: 7,
    };
    Ok((compiled, job))
}
