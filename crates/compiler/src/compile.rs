//! All passes one after the other.

use diffuser_model::graph::Graph;
use diffuser_model::quantised::NodeParams;
use diffuser_model::step::StepParams;
use diffuser_spec::sampler::Step;

use crate::compiled::Compiled;
use crate::encode::{assemble, encode};
use crate::error::CompileError;
use crate::fit::ordered;
use crate::fuse::fuse;
use crate::layer::{Layers, Work};
use crate::lower::lower;
use crate::schedule::{Flags, schedule};
use crate::target::Target;
use crate::tile::tile;
use crate::waits::waits;

/// Images that one program makes at most: the field `image` of `sample`.
const MAX_IMAGES: usize = 256;

/// What is compiled: a network, and what a schedule and a class make of it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// Parameters of its nodes.
    pub nodes: &'a [NodeParams],
    /// What changes with the time step, a step each ([`diffuser_model::prepare`]).
    pub steps: &'a [StepParams],
    /// Coefficients of the sampler, a step each.
    pub sampling: &'a [Step],
}

/// A pass, to look at what it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// the module `lower`.
    Lower,
    /// the module `fuse`.
    Fuse,
    /// the module `order`.
    Order,
    /// the module `tile`.
    Tile,
    /// The finished program.
    Program,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 5] = [
        Self::Lower,
        Self::Fuse,
        Self::Order,
        Self::Tile,
        Self::Program,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Fuse => "fuse",
            Self::Order => "order",
            Self::Tile => "tile",
            Self::Program => "program",
        }
    }
}

/// What a program is to do beside what its [`Source`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Images that one run makes, at least 1.
    pub images: usize,
    /// Whether each image has parameters of its own, for a class of its own; else all share them, and
    /// are of one class.
    pub own_conditions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            images: 1,
            own_conditions: false,
        }
    }
}

/// Compile a network for a target, one image a run.
///
/// # Errors
/// What does not fit the target, or what it has no operation for, by the name of the layer.
pub fn compile(source: &Source, target: &Target) -> Result<Compiled, CompileError> {
    compile_with(source, target, &Options::default())
}

/// Compile a network for a target.
///
/// # Errors
/// As [`compile`].
pub fn compile_with(
    source: &Source,
    target: &Target,
    options: &Options,
) -> Result<Compiled, CompileError> {
    let Source {
        graph,
        nodes,
        steps,
        sampling,
    } = *source;
    let Some(first) = steps.first() else {
        return Err(CompileError::mismatch("there is no step"));
    };
    if nodes.len() != graph.nodes.len() || steps.iter().any(|s| s.nodes.len() != nodes.len()) {
        return Err(CompileError::mismatch(
            "parameters and steps are not those of the graph's nodes",
        ));
    }
    if graph.nodes.len() >= crate::schedule::NO_NODE as usize {
        return Err(CompileError::mismatch(format!(
            "the graph has {} nodes, at most {} are possible",
            graph.nodes.len(),
            crate::schedule::NO_NODE
        )));
    }
    let images = options.images;
    if !(1..=MAX_IMAGES).contains(&images) {
        return Err(CompileError::mismatch(format!(
            "{images} images in one program, 1 to {MAX_IMAGES} are possible"
        )));
    }
    let fused = fused(graph, first, target)?;
    let stride_of_tensors = fused.next_tensor();
    let (mut layers, places) = ordered(&fused, nodes, target, images)?;
    one_sample(graph, &layers, sampling)?;
    tile(&mut layers, target)?;
    let flags = Flags {
        noise: sampling.iter().any(|s| s.next[4] != 0),
        own_conditions: options.own_conditions,
    };
    let schedule = schedule(nodes, &layers, &places, target, flags)?;
    let records = schedule.records.encode(&[steps], sampling)?;
    let program = assemble(&waits(&schedule, target));
    let images_of = schedule.images();
    let names: Vec<String> = graph.nodes.iter().map(|n| n.name.clone()).collect();
    let program_bytes = encode(&program, &names)?;
    let image = &graph.tensors[Graph::INPUT];
    Ok(Compiled {
        target: *target,
        program,
        program_bytes,
        data: schedule.data,
        layout: schedule.layout,
        records,
        stride: schedule.records.stride,
        steps: steps.len(),
        images,
        own_conditions: options.own_conditions,
        image: [image.height, image.width, image.channels],
        names,
        taken: places.taken.iter().map(|(&m, &n)| (m, n)).collect(),
        images_of,
        record_layout: schedule.records,
        stride_of_tensors,
        layers,
        places,
    })
}

/// What a pass before the finished program leaves, as text.
///
/// # Errors
/// As [`compile`].
pub fn stage(
    source: &Source,
    target: &Target,
    options: &Options,
    stage: Stage,
) -> Result<String, CompileError> {
    let Some(first) = source.steps.first() else {
        return Err(CompileError::mismatch("there is no step"));
    };
    match stage {
        Stage::Lower => Ok(lower(source.graph, first, target)?.to_string()),
        Stage::Fuse => Ok(fused(source.graph, first, target)?.to_string()),
        Stage::Order => {
            let fused = fused(source.graph, first, target)?;
            let layers = ordered(&fused, source.nodes, target, options.images)?.0;
            Ok(layers.to_string())
        }
        Stage::Tile => Ok(compile_with(source, target, options)?.layers.to_string()),
        Stage::Program => Ok(compile_with(source, target, options)?.listing()),
    }
}

/// An update of the sampler in bands numbers its noise from each band's start, and a state in DDR has
/// nothing of the step before beside it.
fn one_sample(graph: &Graph, layers: &Layers, sampling: &[Step]) -> Result<(), CompileError> {
    let cut = layers.list.iter().any(|l| match &l.work {
        Work::Sample(sample) => sample.rows < graph.tensors[Graph::INPUT].height,
        _ => false,
    });
    let noise = sampling.iter().any(|s| s.next[4] != 0);
    let previous = sampling.iter().any(|s| s.next[3] != 0);
    if cut && noise || layers.state_in_ddr && previous {
        let what = format!(
            "images of {} pixels are sampled in bands, which only a sampler without noise and without the step \
             before can do: ddim with eta 0",
            layers.state_pixels
        );
        return Err(CompileError::unsupported("sampler", what));
    }
    Ok(())
}

fn fused(graph: &Graph, step: &StepParams, target: &Target) -> Result<Layers, CompileError> {
    let mut layers = lower(graph, step, target)?;
    fuse(&mut layers);
    Ok(layers)
}
