//! What lies in the memories, and how.

use diffuser_model::graph::TensorId;

use super::Lanes;
use crate::target::{Memory, Shape};

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
