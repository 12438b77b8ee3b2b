//! What the passes work on: layers of the accelerator, and what lies in its memories.

use std::collections::BTreeMap;
use std::ops::Range;

use diffuser_model::graph::{Resample, TensorId};
use diffuser_model::rewrite::Phase;

use crate::schedule::NO_NODE;
use crate::target::{Memory, Shape};

/// Where the lanes of padded blocks come from: the channel of the tensor, or none for padding.
pub type Lanes = Vec<Option<usize>>;

/// A network as a list of layers in the order of execution, between the passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// In the order of execution.
    pub list: Vec<Layer>,
    /// How each operand lies in the operand memory.
    pub operands: BTreeMap<TensorId, OperandForm>,
    /// How K and V of each attention lie in the weight memory: words of each.
    pub cached: BTreeMap<TensorId, usize>,
    /// Streams by tensor; those loaded from DDR have numbers behind the graph's.
    pub streams: BTreeMap<TensorId, StreamForm>,
    /// Streams that wait in DDR: each with those that were loaded from there.
    pub spilled: Vec<Vec<TensorId>>,
    /// Homes of streams in DDR: the first of the stream words there.
    pub homes: BTreeMap<TensorId, usize>,
    /// Stream words that the homes take.
    pub home_words: usize,
    /// Rows and columns of bands of the state.
    pub states: BTreeMap<TensorId, [usize; 2]>,
    /// Pixels of an image's state.
    pub state_pixels: usize,
    /// Whether states live in DDR.
    pub state_in_ddr: bool,
    /// Images of the batch.
    pub images: usize,
}

/// Rows between DDR and an on-chip memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The rows on the chip: a stream, or a band of the state.
    pub stream: TensorId,
    /// The stream whose home in DDR they are of; of the state, nothing.
    pub home: TensorId,
    /// The first row there.
    pub row: usize,
}

/// One layer: what one unit does, in one descriptor or in several of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the graph's node that it belongs to.
    pub name: String,
    /// That node; none for the sampler.
    pub node: Option<usize>,
    /// What is done.
    pub work: Work,
    /// Image of the batch that it belongs to.
    pub image: usize,
    /// Place in the order of one image: where it stood before the pass `batch`.
    pub place: usize,
}

/// What a layer does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Sums to affine maps.
    Norm(NormWork),
    /// Streams or state to an operand, or a stream resampled.
    Prep(PrepWork),
    /// Convolution or linear layer.
    Conv(ConvWork),
    /// All heads of one attention.
    Attention(AttentionWork),
    /// The sampler's step.
    Sample(SampleWork),
    /// A stream to DDR.
    Store(Transfer),
    /// A stream from DDR.
    Load(Transfer),
    /// Rows of the state to DDR.
    StoreState(Transfer),
    /// Rows of the state from DDR.
    LoadState(Transfer),
}

/// The sampler's step on some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleWork {
    /// The network's output.
    pub stream: TensorId,
    /// First row in that stream.
    pub stream_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// The band of the state, where that lives in DDR.
    pub state: Option<TensorId>,
    /// First row in the state, or in the band.
    pub row: usize,
}

/// Affine maps of one normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct NormWork {
    /// One or two streams.
    pub streams: Vec<TensorId>,
    /// Number of groups.
    pub groups: usize,
    /// The operand for which the maps are made; it names them.
    pub operand: TensorId,
    /// Groups of each descriptor; all in one before the pass `tile`.
    pub parts: Vec<Range<usize>>,
}

/// `kind` of a `prep`, docs/isa.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrepKind {
    /// Affine map, SiLU if wanted, one plane.
    Norm {
        /// Whether SiLU follows the affine map.
        silu: bool,
    },
    /// Stream to one plane.
    Single,
    /// Stream to two planes.
    StreamPlanes,
    /// State to two planes.
    StatePlanes,
    /// Stream to stream.
    Stream,
}

impl PrepKind {
    /// Value of the field.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Norm { .. } => 0,
            Self::Single => 1,
            Self::StreamPlanes => 2,
            Self::StatePlanes => 3,
            Self::Stream => 4,
        }
    }
}

/// Streams or state to an operand, or a stream resampled.
#[derive(Clone, Debug, PartialEq)]
pub struct PrepWork {
    /// What is done.
    pub kind: PrepKind,
    /// Change of resolution.
    pub resample: Option<Resample>,
    /// One or two streams, or the graph's input for the state.
    pub inputs: Vec<TensorId>,
    /// The operand, or the stream for [`PrepKind::Stream`].
    pub output: TensorId,
    /// Rows and columns of the inputs that are read.
    pub size: [usize; 2],
    /// First row that is read of each input.
    pub from_rows: Vec<usize>,
    /// First row of a resulting stream that is made.
    pub to_row: usize,
    /// The operand that names the affine maps.
    pub maps: TensorId,
    /// Whether the input is a band of the state.
    pub state_band: bool,
    /// Whether channel sums of the resulting stream are kept.
    pub sums: bool,
}

/// Where a convolution's result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest {
    /// A stream.
    Stream,
    /// Q: operand memory.
    Query,
    /// K: weight memory.
    Key,
    /// V: weight memory.
    Value,
}

impl Dest {
    /// Value of the field `dest_kind`.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Stream => 0,
            Self::Query => 1,
            Self::Key => 2,
            Self::Value => 3,
        }
    }
}

/// Convolution or linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvWork {
    /// Operand that is read.
    pub input: TensorId,
    /// Tensor that is made.
    pub output: TensorId,
    /// Where it goes.
    pub dest: Dest,
    /// 1, 3, or 2 for phases.
    pub kernel: usize,
    /// Whether it consists of four phases, each a descriptor that makes its pixels of a result of twice the size.
    pub phases: bool,
    /// 1 or 2.
    pub stride: usize,
    /// Padding above and at the left; phases have their own.
    pub padding: [usize; 2],
    /// Whether the operand is read as if it were twice as high and wide.
    pub upsample: bool,
    /// Stream that is added.
    pub residual: Option<TensorId>,
    /// Whether channel sums of the result are kept.
    pub sums: bool,
    /// Whether they go on from those of the bands above.
    pub add_sums: bool,
    /// The stream that names them.
    pub sums_of: TensorId,
    /// First row of the stream that is made.
    pub to_row: usize,
    /// First row of the residual that is added.
    pub residual_row: usize,
    /// Of phases, which have their rows of the result, 0 or 1, where not all are made at once.
    pub half: Option<usize>,
    /// Rows and columns of the result, or of what one phase makes of it.
    pub size: [usize; 2],
    /// Output channel of each lane of the tiles: whole tiles of O.
    pub lanes: Lanes,
    /// Blocks of I channels of one head, for K and V.
    pub head_blocks: usize,
    /// Tiles of each descriptor; all tiles of the layer in one before the pass `tile`. Phases have four descriptors of the
    /// same tiles, one after the other.
    pub parts: Vec<Range<usize>>,
}

impl ConvWork {
    /// The number of a descriptor among those of all layers of the node: bands have the same ones, layers of
    /// some tiles others.
    #[must_use]
    pub fn number(&self, part: usize) -> usize {
        match self.half {
            None if !self.phases => self.parts[part].start,
            None => part,
            Some(row) => part / 2 * Phase::ALL.len() + 2 * row + part % 2,
        }
    }

    /// Rows of the result for each row of `size`.
    #[must_use]
    pub const fn scale(&self) -> usize {
        if self.phases { 2 } else { 1 }
    }

    /// The number of the phase that a descriptor makes, and the phase; none where there are no phases.
    #[must_use]
    pub fn phase(&self, part: usize) -> Option<(usize, Phase)> {
        let index = self.number(part) % Phase::ALL.len();
        self.phases.then(|| (index, Phase::ALL[index]))
    }

    /// For each lane of a descriptor's tiles of `outputs` channels the row of weights (and of biases and
    /// multipliers) that it stands for.
    #[must_use]
    pub fn rows(&self, part: usize, outputs: usize) -> Lanes {
        let tiles = &self.parts[part];
        let first = self
            .phase(part)
            .map_or(0, |(index, _)| index * self.lanes.iter().flatten().count());
        let lanes = &self.lanes[tiles.start * outputs..tiles.end * outputs];
        lanes.iter().map(|lane| lane.map(|c| first + c)).collect()
    }
}

/// All heads of one attention.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionWork {
    /// Q, K and V.
    pub inputs: [TensorId; 3],
    /// The result, which takes Q's place.
    pub output: TensorId,
    /// Number of heads.
    pub heads: usize,
    /// Blocks of I channels of one head.
    pub head_blocks: usize,
    /// Queries, and keys.
    pub pixels: usize,
}

/// How an operand lies in the operand memory.
#[derive(Clone, Debug, PartialEq)]
pub struct OperandForm {
    /// Rows and columns.
    pub size: [usize; 2],
    /// 1 or 2.
    pub planes: usize,
    /// Channel of the tensor in each lane: whole blocks of I.
    pub lanes: Lanes,
    /// Blocks to leave room for; at least those of `lanes`.
    pub room: usize,
    /// Neighbours exchange banks in every second row: for convolutions with a stride of 2.
    pub spread: bool,
}

impl OperandForm {
    /// Blocks of I channels of one plane.
    #[must_use]
    pub fn blocks(&self, shape: Shape) -> usize {
        self.lanes.len() / shape.inputs
    }

    /// Rows of the operand memory.
    #[must_use]
    pub fn rows(&self, shape: Shape) -> usize {
        self.planes * self.room * (self.size[0] * self.size[1]).div_ceil(shape.pixels)
    }
}

/// How a stream lies in the stream memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamForm {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Channels.
    pub channels: usize,
}

impl StreamForm {
    /// Pixels, the words of one block of O channels.
    #[must_use]
    pub const fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Words of the stream memory.
    #[must_use]
    pub const fn words(&self, shape: Shape) -> usize {
        self.channels.div_ceil(shape.outputs) * self.pixels()
    }

    /// Bytes of these words.
    #[must_use]
    pub const fn bytes(&self, shape: Shape) -> usize {
        self.words(shape) * 2 * shape.outputs
    }

    /// Entries of its channel sums: a convolution writes whole tiles.
    #[must_use]
    pub const fn sums(&self, shape: Shape) -> usize {
        self.channels.div_ceil(shape.outputs) * shape.outputs
    }
}

/// Something that lies in an on-chip memory between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A stream.
    Stream(TensorId),
    /// An operand.
    Operand(TensorId),
    /// K or V.
    Cached(TensorId),
    /// Affine maps for the norm of an operand.
    Affine(TensorId),
    /// Channel sums of a stream.
    Sums(TensorId),
    /// Rows of the state.
    State(TensorId),
}

impl Value {
    /// The tensor that names it.
    #[must_use]
    pub const fn tensor(self) -> TensorId {
        match self {
            Self::Stream(t)
            | Self::Operand(t)
            | Self::Cached(t)
            | Self::Affine(t)
            | Self::Sums(t)
            | Self::State(t) => t,
        }
    }

    /// Where it lies.
    #[must_use]
    pub const fn memory(self) -> Memory {
        match self {
            Self::Stream(_) => Memory::Stream,
            Self::Operand(_) => Memory::Operand,
            Self::Cached(_) => Memory::Weight,
            Self::Affine(_) => Memory::Affine,
            Self::Sums(_) => Memory::Sums,
            Self::State(_) => Memory::State,
        }
    }
}

impl Work {
    /// Every tensor goes by another number.
    pub fn rename(&mut self, name: impl Fn(TensorId) -> TensorId) {
        let all = |tensors: &mut [TensorId]| {
            for t in tensors {
                *t = name(*t);
            }
        };
        match self {
            Self::Norm(norm) => {
                all(&mut norm.streams);
                norm.operand = name(norm.operand);
            }
            Self::Prep(prep) => {
                all(&mut prep.inputs);
                prep.output = name(prep.output);
                prep.maps = name(prep.maps);
            }
            Self::Conv(conv) => {
                conv.input = name(conv.input);
                conv.output = name(conv.output);
                conv.sums_of = name(conv.sums_of);
                conv.residual = conv.residual.map(name);
            }
            Self::Attention(attention) => {
                all(&mut attention.inputs);
                attention.output = name(attention.output);
            }
            Self::Sample(sample) => sample.stream = name(sample.stream),
            Self::Store(t) | Self::Load(t) | Self::StoreState(t) | Self::LoadState(t) => {
                (t.stream, t.home) = (name(t.stream), name(t.home));
            }
        }
    }
}

impl Layer {
    /// Tag of its descriptors.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.node.map_or(NO_NODE, |n| n as u32)
    }

    /// What it reads, the state excluded.
    #[must_use]
    pub fn reads(&self) -> Vec<Value> {
        match &self.work {
            Work::Norm(n) => n.streams.iter().map(|&t| Value::Sums(t)).collect(),
            Work::Prep(p) if p.kind == PrepKind::StatePlanes => {
                let band = p.state_band.then_some(Value::State(p.inputs[0]));
                band.into_iter().collect()
            }
            Work::Prep(p) => {
                let affine =
                    matches!(p.kind, PrepKind::Norm { .. }).then_some(Value::Affine(p.maps));
                let streams = p.inputs.iter().map(|&t| Value::Stream(t));
                streams.chain(affine).collect()
            }
            Work::Conv(c) => {
                let residual = c.residual.map(Value::Stream);
                [Value::Operand(c.input)]
                    .into_iter()
                    .chain(residual)
                    .collect()
            }
            Work::Attention(a) => {
                let [q, k, v] = a.inputs;
                vec![Value::Operand(q), Value::Cached(k), Value::Cached(v)]
            }
            Work::Sample(sample) => {
                let state = sample.state.map(Value::State);
                [Value::Stream(sample.stream)]
                    .into_iter()
                    .chain(state)
                    .collect()
            }
            Work::Store(t) => vec![Value::Stream(t.stream)],
            Work::StoreState(t) => vec![Value::State(t.stream)],
            Work::Load(_) | Work::LoadState(_) => vec![],
        }
    }

    /// What it writes, the state excluded.
    #[must_use]
    pub fn writes(&self) -> Vec<Value> {
        match &self.work {
            Work::Norm(n) => vec![Value::Affine(n.operand)],
            Work::Prep(PrepWork {
                kind: PrepKind::Stream,
                output,
                maps: sums_of,
                sums,
                ..
            })
            | Work::Conv(ConvWork {
                dest: Dest::Stream,
                output,
                sums_of,
                sums,
                ..
            }) => {
                let sums = sums.then_some(Value::Sums(*sums_of));
                [Value::Stream(*output)].into_iter().chain(sums).collect()
            }
            Work::Prep(p) => vec![Value::Operand(p.output)],
            Work::Conv(c) if c.dest == Dest::Query => vec![Value::Operand(c.output)],
            Work::Conv(c) => vec![Value::Cached(c.output)],
            Work::Attention(a) => vec![Value::Operand(a.output)],
            Work::Load(t) => vec![Value::Stream(t.stream)],
            Work::LoadState(t) => vec![Value::State(t.stream)],
            Work::Sample(_) | Work::Store(_) | Work::StoreState(_) => vec![],
        }
    }
}

impl Layers {
    /// Pixels from one image's state to the next in DDR. Bands of states begin at multiples of 64 bytes, and so do their pixels.
    #[must_use]
    pub const fn state_pitch(&self) -> usize {
        if self.state_in_ddr {
            self.state_pixels.next_multiple_of(16)
        } else {
            self.state_pixels
        }
    }

    /// For each value the layers that read or write it, in order; stores are no readers.
    #[must_use]
    pub fn uses(&self) -> BTreeMap<Value, Vec<usize>> {
        let mut uses: BTreeMap<Value, Vec<usize>> = BTreeMap::new();
        for (i, layer) in self.list.iter().enumerate() {
            if matches!(layer.work, Work::Store(_)) {
                continue;
            }
            for value in layer.reads().into_iter().chain(layer.writes()) {
                let uses = uses.entry(value).or_default();
                if uses.last() != Some(&i) {
                    uses.push(i);
                }
            }
        }
        uses
    }

    /// The lowest number that no tensor has.
    #[must_use]
    pub fn next_tensor(&self) -> TensorId {
        let last = [
            self.streams.keys().max(),
            self.operands.keys().max(),
            self.cached.keys().max(),
            self.states.keys().max(),
        ];
        last.into_iter().flatten().max().map_or(0, |t| t + 1)
    }

    /// Words (rows, entries) that a value takes.
    #[must_use]
    pub fn size(&self, value: Value, shape: Shape) -> usize {
        match value {
            Value::Stream(t) => self.streams[&t].words(shape),
            Value::Operand(t) => self.operands[&t].rows(shape),
            Value::Cached(t) => self.cached[&t],
            // the norm's channels are not padded
            Value::Affine(t) => self.operands[&t].lanes.iter().flatten().count(),
            Value::Sums(t) => self.streams[&t].sums(shape),
            Value::State(t) => self.states[&t].iter().product(),
        }
    }
}
