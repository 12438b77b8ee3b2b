//! All passes one after the other.

use diffuser_isa::{Descriptor, Op, Space};
use diffuser_model::graph::{Graph, TensorId};
use diffuser_model::quantised::NodeParams;
use diffuser_model::step::StepParams;
use diffuser_spec::sampler::Step;

use crate::allocate::{Overflow, Places, allocate};
use crate::encode::{assemble, encode};
use crate::error::CompileError;
use crate::fuse::fuse;
use crate::layer::{Layers, Value};
use crate::listing::listing;
use crate::lower::lower;
use crate::order::{order, shortcuts};
use crate::records::RecordLayout;
use crate::schedule::{DataLayout, schedule};
use crate::spill::spill;
use crate::target::{Memory, Target};
use crate::tile::tile;
use crate::waits::waits;

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

/// A program for one target, and its memory image.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What it was compiled for.
    pub target: Target,
    /// Descriptors in order.
    pub program: Vec<Descriptor>,
    /// The same as bytes, 64 a descriptor.
    pub program_bytes: Vec<u8>,
    /// What lies at the data's base: room for the states and the pixels, then the weights.
    pub data: Vec<u8>,
    /// Where states and pixels lie in `data`.
    pub layout: DataLayout,
    /// The steps' records, one behind the other.
    pub records: Vec<u8>,
    /// Bytes from one record to the next.
    pub stride: usize,
    /// Number of steps.
    pub steps: usize,
    /// Rows, columns and channels of the image.
    pub image: [usize; 3],
    /// Names of the graph's nodes: a descriptor's tag is an index here.
    pub names: Vec<String>,
    /// Words of each memory that are taken at most.
    pub taken: Vec<(Memory, usize)>,
    record_layout: RecordLayout,
    layers: Layers,
    places: Places,
}

/// Compile a network for a target.
///
/// # Errors
/// What does not fit the target, or what it has no operation for, by the name of the layer.
pub fn compile(source: &Source, target: &Target) -> Result<Compiled, CompileError> {
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
    let (mut layers, places) = ordered(graph, first, target)?;
    let cached = places.taken.get(&Memory::Weight).copied().unwrap_or(0);
    tile(&mut layers, target, target.weight - cached)?;
    let noise = sampling.iter().any(|s| s.next[4] != 0);
    let schedule = schedule(graph, nodes, &layers, &places, target, noise)?;
    let records = schedule.records.encode(steps, sampling)?;
    let program = assemble(&waits(&schedule, target));
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
        image: [image.height, image.width, image.channels],
        names,
        taken: places.taken.iter().map(|(&m, &n)| (m, n)).collect(),
        record_layout: schedule.records,
        layers,
        places,
    })
}

/// What a pass before the finished program leaves, as text.
///
/// # Errors
/// As [`compile`].
pub fn stage(source: &Source, target: &Target, stage: Stage) -> Result<String, CompileError> {
    let Some(first) = source.steps.first() else {
        return Err(CompileError::mismatch("there is no step"));
    };
    match stage {
        Stage::Lower => Ok(lower(source.graph, first, target)?.to_string()),
        Stage::Fuse => Ok(fused(source.graph, first, target)?.to_string()),
        Stage::Order => Ok(ordered(source.graph, first, target)?.0.to_string()),
        Stage::Tile => Ok(compile(source, target)?.layers.to_string()),
        Stage::Program => Ok(compile(source, target)?.listing()),
    }
}

fn fused(graph: &Graph, step: &StepParams, target: &Target) -> Result<Layers, CompileError> {
    let mut layers = lower(graph, step, target)?;
    fuse(&mut layers);
    Ok(layers)
}

/// Layers in the fastest order that fits the memories, and where their values lie.
fn ordered(
    graph: &Graph,
    step: &StepParams,
    target: &Target,
) -> Result<(Layers, Places), CompileError> {
    let fused = fused(graph, step, target)?;
    let mut shortcuts = shortcuts(&fused);
    loop {
        let mut layers = fused.clone();
        let blocks = order(&mut layers, &shortcuts);
        let overflow = match allocate(&layers, target) {
            Ok(places) => return Ok((layers, places)),
            Err(overflow) => overflow,
        };
        // the block in which it is takes less; where it cannot, streams wait in DDR
        let mut inside = shortcuts
            .iter_mut()
            .zip(&blocks)
            .filter(|(_, b)| b.contains(&overflow.layer));
        if !inside.any(|(s, _)| s.reduce()) {
            let places = spilled(&mut layers, overflow, target)?;
            return Ok((layers, places));
        }
    }
}

/// Where values lie once enough streams wait in DDR.
fn spilled(
    layers: &mut Layers,
    mut overflow: Overflow,
    target: &Target,
) -> Result<Places, CompileError> {
    loop {
        let stream = matches!(
            overflow.error,
            CompileError::Memory {
                memory: Memory::Stream,
                ..
            }
        );
        if !stream || !spill(layers, overflow.layer, target.shape) {
            return Err(overflow.error);
        }
        match allocate(layers, target) {
            Ok(places) => return Ok(places),
            Err(next) => overflow = next,
        }
    }
}

impl Compiled {
    /// The program as text.
    #[must_use]
    pub fn listing(&self) -> String {
        listing(&self.program, &self.names)
    }

    /// Records of other steps of the same network: another class, another schedule. The program
    /// stays valid for them unless it adds no noise and they do.
    ///
    /// # Errors
    /// Where the steps do not fit the network.
    pub fn encode_records(
        &self,
        steps: &[StepParams],
        sampling: &[Step],
    ) -> Result<Vec<u8>, CompileError> {
        self.record_layout.encode(steps, sampling)
    }

    /// Bytes that each pass loads from DDR.
    #[must_use]
    pub fn bytes_per_pass(&self) -> usize {
        let body = self.program.iter().skip_while(|d| !d.common.first);
        let body = body.take_while(|d| !matches!(d.op, Op::Loop(_)));
        let bytes = |d: &Descriptor| match d.op {
            Op::Load(load) => {
                let word = match Space::from_value(load.space) {
                    Some(Space::Weight) => self.target.weight_bytes(),
                    Some(Space::Weight4) => self.target.weight_bytes() / 2,
                    Some(Space::Stream) => 2 * self.target.shape.outputs,
                    Some(Space::State) => 16,
                    _ => 8,
                };
                load.words as usize * word
            }
            _ => 0,
        };
        body.map(bytes).sum()
    }

    /// First word of a stream in the stream memory; none for a tensor that is no stream.
    #[must_use]
    pub fn stream_place(&self, tensor: TensorId) -> Option<usize> {
        let is_stream = self.layers.streams.contains_key(&tensor);
        is_stream.then(|| self.places.of(Value::Stream(tensor)))
    }

    /// A start state (height x width x channels, Q24) as it goes to [`DataLayout::state_in`].
    ///
    /// # Panics
    /// When `state` has not the size of the image.
    #[must_use]
    pub fn state_bytes(&self, state: &[i32]) -> Vec<u8> {
        let [height, width, channels] = self.image;
        assert_eq!(
            state.len(),
            height * width * channels,
            "values of the state"
        );
        let mut bytes = Vec::with_capacity(16 * height * width);
        for pixel in state.chunks_exact(channels) {
            for c in 0..4 {
                let value = pixel.get(c).copied().unwrap_or(0);
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    /// The inverse of [`Compiled::state_bytes`].
    #[must_use]
    pub fn state_of(&self, bytes: &[u8]) -> Vec<i32> {
        let channels = self.image[2];
        let value = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        bytes
            .chunks_exact(16)
            .flat_map(|pixel| pixel.chunks_exact(4).take(channels).map(value))
            .collect()
    }

    /// Pixels (height x width x channels) of what lies at [`DataLayout::pixels_out`].
    #[must_use]
    pub fn pixels_of(&self, bytes: &[u8]) -> Vec<u8> {
        let channels = self.image[2];
        bytes
            .chunks_exact(4)
            .flat_map(|pixel| pixel[..channels].to_vec())
            .collect()
    }
}
