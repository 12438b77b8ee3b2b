//! What layers do.

use std::ops::Range;

use diffuser_model::graph::{Resample, TensorId};
use diffuser_model::rewrite::Phase;

use super::Lanes;

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
