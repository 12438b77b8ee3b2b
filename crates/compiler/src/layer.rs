//! What the passes work on: layers of the accelerator, and what lies in its memories.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use diffuser_model::graph::{Resample, TensorId};
use diffuser_model::rewrite::Phase;

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
    /// Streams that wait in DDR.
    pub spilled: Vec<Spilled>,
    /// Stream words that they take there.
    pub spill_words: usize,
}

/// A stream that waits in DDR.
#[derive(Clone, Debug, PartialEq)]
pub struct Spilled {
    /// First word of its place there, in stream words.
    pub slot: usize,
    /// The stream, and each that was loaded from there.
    pub copies: Vec<TensorId>,
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
    Sample {
        /// The network's output.
        stream: TensorId,
    },
    /// A stream to DDR.
    Store {
        /// The stream.
        stream: TensorId,
        /// Where to, in stream words.
        slot: usize,
    },
    /// A stream from DDR.
    Load {
        /// The stream that it becomes.
        stream: TensorId,
        /// Where from, in stream words.
        slot: usize,
    },
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
    /// Rows and columns of the inputs.
    pub size: [usize; 2],
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
    /// Rows and columns of the result, or of what one phase makes of it.
    pub size: [usize; 2],
    /// Output channel of each lane of the tiles: whole tiles of O.
    pub lanes: Lanes,
    /// Blocks of I channels of one head, for K and V.
    pub head_blocks: usize,
    /// Tiles of each descriptor; all tiles in one before the pass `tile`. Phases have four descriptors of the
    /// same tiles, one after the other.
    pub parts: Vec<Range<usize>>,
}

impl ConvWork {
    /// The number of the phase that a descriptor makes, and the phase; none where there are no phases.
    #[must_use]
    pub fn phase(&self, part: usize) -> Option<(usize, Phase)> {
        let index = part % Phase::ALL.len();
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
}

impl Value {
    /// Where it lies.
    #[must_use]
    pub const fn memory(self) -> Memory {
        match self {
            Self::Stream(_) => Memory::Stream,
            Self::Operand(_) => Memory::Operand,
            Self::Cached(_) => Memory::Weight,
            Self::Affine(_) => Memory::Affine,
            Self::Sums(_) => Memory::Sums,
        }
    }
}

impl Layer {
    /// What it reads, the state excluded.
    #[must_use]
    pub fn reads(&self) -> Vec<Value> {
        match &self.work {
            Work::Norm(n) => n.streams.iter().map(|&t| Value::Sums(t)).collect(),
            Work::Prep(p) if p.kind == PrepKind::StatePlanes => vec![],
            Work::Prep(p) => {
                let affine =
                    matches!(p.kind, PrepKind::Norm { .. }).then_some(Value::Affine(p.output));
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
            Work::Sample { stream } | Work::Store { stream, .. } => vec![Value::Stream(*stream)],
            Work::Load { .. } => vec![],
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
                sums,
                ..
            })
            | Work::Conv(ConvWork {
                dest: Dest::Stream,
                output,
                sums,
                ..
            }) => {
                let sums = sums.then_some(Value::Sums(*output));
                [Value::Stream(*output)].into_iter().chain(sums).collect()
            }
            Work::Prep(p) => vec![Value::Operand(p.output)],
            Work::Conv(c) if c.dest == Dest::Query => vec![Value::Operand(c.output)],
            Work::Conv(c) => vec![Value::Cached(c.output)],
            Work::Attention(a) => vec![Value::Operand(a.output)],
            Work::Load { stream, .. } => vec![Value::Stream(*stream)],
            Work::Sample { .. } | Work::Store { .. } => vec![],
        }
    }
}

impl Layers {
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
        }
    }
}

impl fmt::Display for Layers {
    /// One line a layer: what snapshots of the passes show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.list {
            writeln!(f, "{layer}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[TensorId]| {
            let texts: Vec<String> = values.iter().map(|t| format!("%{t}")).collect();
            texts.join(" ")
        };
        match &self.work {
            Work::Norm(n) => write!(
                f,
                "norm      {} -> affine of %{}  groups {:?}",
                list(&n.streams),
                n.operand,
                n.parts
            )?,
            Work::Prep(p) => {
                write!(
                    f,
                    "prep      {} -> %{}  {:?} {}x{}",
                    list(&p.inputs),
                    p.output,
                    p.kind,
                    p.size[0],
                    p.size[1]
                )?;
                if let Some(r) = p.resample {
                    write!(f, " {r:?}")?;
                }
                if p.sums {
                    f.write_str(" sums")?;
                }
            }
            Work::Conv(c) => {
                write!(
                    f,
                    "conv      %{} -> %{}  {:?} {}x{} kernel {} stride {}",
                    c.input, c.output, c.dest, c.size[0], c.size[1], c.kernel, c.stride
                )?;
                if let Some(r) = c.residual {
                    write!(f, " + %{r}")?;
                }
                let flags = [
                    ("phases", c.phases),
                    ("upsample", c.upsample),
                    ("sums", c.sums),
                ];
                for (name, set) in flags {
                    if set {
                        write!(f, " {name}")?;
                    }
                }
                write!(f, " tiles {:?}", c.parts)?;
            }
            Work::Attention(a) => write!(
                f,
                "attention {} -> %{}  heads {} blocks {} pixels {}",
                list(&a.inputs),
                a.output,
                a.heads,
                a.head_blocks,
                a.pixels
            )?,
            Work::Sample { stream } => write!(f, "sample    %{stream}")?,
            Work::Store { stream, slot } => write!(f, "store     %{stream} -> ddr {slot}")?,
            Work::Load { stream, slot } => write!(f, "load      ddr {slot} -> %{stream}")?,
        }
        write!(f, "  # {}", self.name)
    }
}
