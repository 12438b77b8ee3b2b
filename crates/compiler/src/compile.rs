//! All passes one after the other.

use std::ops::Range;

use diffuser_isa::{Descriptor, Op, Space};
use diffuser_model::graph::{Graph, TensorId};
use diffuser_model::quantised::NodeParams;
use diffuser_model::step::StepParams;
use diffuser_spec::sampler::Step;

use crate::allocate::{Overflow, Places, allocate};
use crate::band::{Banding, band};
use crate::batch::{Turns, batch};
use crate::encode::{assemble, encode};
use crate::error::CompileError;
use crate::fuse::fuse;
use crate::homes::homes;
use crate::layer::{Layers, StreamForm, Value, Work};
use crate::listing::listing;
use crate::lower::lower;
use crate::operations::home_pitch;
use crate::order::{order, shortcuts};
use crate::records::RecordLayout;
use crate::resum::resum;
use crate::schedule::{DataLayout, Flags, schedule};
use crate::spill::spill;
use crate::target::{Memory, Target};
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
    /// Images that one run makes.
    pub images: usize,
    /// Whether each has parameters of its own.
    pub own_conditions: bool,
    /// Rows, columns and channels of an image.
    pub image: [usize; 3],
    /// Names of the graph's nodes: a descriptor's tag is an index here.
    pub names: Vec<String>,
    /// Words of each memory that are taken at most.
    pub taken: Vec<(Memory, usize)>,
    /// Image of each descriptor.
    images_of: Vec<usize>,
    record_layout: RecordLayout,
    /// Numbers from a tensor of one image to that of the next.
    stride_of_tensors: usize,
    layers: Layers,
    places: Places,
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
    let stride_of_tensors = fused(graph, first, target)?.next_tensor();
    let (mut layers, places) = ordered(graph, first, target, images)?;
    one_sample(graph, &layers, sampling)?;
    let cached = places.taken.get(&Memory::Weight).copied().unwrap_or(0);
    tile(&mut layers, target, target.weight - cached)?;
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
            let layers = ordered(source.graph, first, target, options.images)?.0;
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

/// Layers of all images in the fastest order that fits the memories, and where their values lie.
fn ordered(
    graph: &Graph,
    step: &StepParams,
    target: &Target,
    images: usize,
) -> Result<(Layers, Places), CompileError> {
    let fused = fused(graph, step, target)?;
    // the fewer streams live in DDR, the better
    let mut sizes: Vec<usize> = fused.streams.values().map(StreamForm::pixels).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let larger = |form: &&StreamForm| form.words(target.shape) > target.stream;
    let larger = fused.streams.values().filter(larger);
    let mut pixels = larger.map(StreamForm::pixels).min().unwrap_or(usize::MAX);
    sizes.retain(|&size| size < pixels);
    loop {
        match fitted(&fused, Banding::new(pixels), target, images) {
            Ok((mut layers, places)) => {
                homes(&mut layers, target);
                return Ok((layers, places));
            }
            Err(
                error @ CompileError::Memory {
                    memory: Memory::Stream | Memory::Operand,
                    ..
                },
            ) => match sizes.pop() {
                Some(next) => pixels = next,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

/// The same where some streams live in DDR.
fn fitted(
    fused: &Layers,
    mut banding: Banding,
    target: &Target,
    images: usize,
) -> Result<(Layers, Places), CompileError> {
    let mut shortcuts = shortcuts(fused);
    let mut turns = Turns::new(fused, images, target);
    loop {
        let mut one = fused.clone();
        let blocks = order(&mut one, &shortcuts);
        let mut layers = batch(&one, &turns);
        band(&mut layers, &banding, target)?;
        let mut overflow = match allocate(&layers, target) {
            Ok(places) => return Ok((layers, places)),
            Err(overflow) => overflow,
        };
        // streams of several images wait in DDR; what else does not fit takes turns, or its block takes less
        if images > 1 {
            match spilled(&mut layers, overflow, target) {
                Ok(places) => return Ok((layers, places)),
                Err(rest) => overflow = rest,
            }
        }
        let place = layers.list[overflow.layer].place;
        if turns.reduce(&one, place) {
            continue;
        }
        let mut inside = shortcuts
            .iter_mut()
            .zip(&blocks)
            .filter(|(_, b)| b.contains(&place));
        if inside.any(|(s, _)| s.reduce()) {
            continue;
        }
        if images == 1 {
            match spilled(&mut layers, overflow, target) {
                Ok(places) => return Ok((layers, places)),
                Err(rest) => overflow = rest,
            }
        }
        let place = layers.list[overflow.layer].place;
        if !banding.reduce(&layers, place) {
            return Err(overflow.error);
        }
    }
}

/// Where values lie once enough streams wait in DDR, and enough sums are made again.
fn spilled(
    layers: &mut Layers,
    mut overflow: Overflow,
    target: &Target,
) -> Result<Places, Overflow> {
    loop {
        let CompileError::Memory { memory, .. } = overflow.error else {
            return Err(overflow);
        };
        let mended = match memory {
            Memory::Sums => resum(layers, overflow.layer),
            Memory::Stream => spill(layers, overflow.layer, target.shape),
            _ => false,
        };
        if !mended {
            return Err(overflow);
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

    /// Records of other steps of the same network: another class, another schedule. Steps of one class for all
    /// images, or of each image's. The program stays valid for them unless it adds no noise and they do.
    ///
    /// # Errors
    /// Where the steps do not fit the network, or there are steps of several images for a program whose
    /// images share parameters.
    pub fn encode_records(
        &self,
        images: &[&[StepParams]],
        sampling: &[Step],
    ) -> Result<Vec<u8>, CompileError> {
        let most = if self.own_conditions { self.images } else { 1 };
        if images.len() != 1 && images.len() != most {
            return Err(CompileError::mismatch(format!(
                "steps of {} images, the program has parameters of {most}",
                images.len()
            )));
        }
        self.record_layout.encode(images, sampling)
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

    /// First word of an image's stream in the stream memory; none for one that is
    /// not there as a whole.
    #[must_use]
    pub fn stream_place(&self, tensor: TensorId, image: usize) -> Option<usize> {
        self.places
            .get(Value::Stream(tensor + image * self.stride_of_tensors))
    }

    /// Where a stream lies that lives in DDR: offset in `data` of its first word, and bytes from one block of
    /// channels to the next. Others take its place once nothing reads it any more.
    #[must_use]
    pub fn stream_home(&self, tensor: TensorId, image: usize) -> Option<[usize; 2]> {
        let stream = tensor + image * self.stride_of_tensors;
        let home = self.layers.homes.get(&stream)?;
        let word = 2 * self.target.shape.outputs;
        let pitch = home_pitch(&self.layers, &self.target, stream);
        Some([self.layout.streams + home * word, pitch * word])
    }

    /// Image that a descriptor of the program works on; 0 for what serves all.
    #[must_use]
    pub fn image_of(&self, index: usize) -> usize {
        self.images_of.get(index).copied().unwrap_or(0)
    }

    /// Where an image's start state lies in `data`.
    #[must_use]
    pub fn state_in(&self, image: usize) -> Range<usize> {
        self.of_image(self.layout.state_in, 16, image)
    }

    /// Where an image's last state lies.
    #[must_use]
    pub fn state_out(&self, image: usize) -> Range<usize> {
        self.of_image(self.layout.state_out, 16, image)
    }

    /// Where an image's pixels lie.
    #[must_use]
    pub fn pixels_out(&self, image: usize) -> Range<usize> {
        self.of_image(self.layout.pixels_out, 4, image)
    }

    fn of_image(&self, first: usize, bytes: usize, image: usize) -> Range<usize> {
        let first = first + image * bytes * self.layers.state_pitch();
        first..first + bytes * self.layers.state_pixels
    }

    /// A start state (height x width x channels, Q24) as it goes to [`Compiled::state_in`].
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

    /// Pixels (height x width x channels) of what lies at [`Compiled::pixels_out`].
    #[must_use]
    pub fn pixels_of(&self, bytes: &[u8]) -> Vec<u8> {
        let channels = self.image[2];
        bytes
            .chunks_exact(4)
            .flat_map(|pixel| pixel[..channels].to_vec())
            .collect()
    }
}
