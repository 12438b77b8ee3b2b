//! What is compiled for: the array's shape and the sizes of the memories.

use std::fmt;

/// Bytes that DDR gives to loads in a cycle, refreshes counted.
pub const LOAD_BYTES: usize = 59;

/// Bytes that stores get of it in a cycle while loads take all that they can.
pub const STORE_BYTES: usize = 9;

/// The array: P pixels x O output channels x I input channels, powers of two, O a multiple of I.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// P.
    pub pixels: usize,
    /// O.
    pub outputs: usize,
    /// I.
    pub inputs: usize,
}

/// An on-chip memory, or DDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Memory {
    /// Streams: words of O values of 16 bits.
    Stream,
    /// Operands: rows of P words of I bytes.
    Operand,
    /// Weights, K and V: words of O x I bytes.
    Weight,
    /// Parameter blocks: entries of 64 bits.
    Param,
    /// Affine maps of norms: one entry a channel.
    Affine,
    /// Channel sums of streams: one entry a channel.
    Sums,
    /// State of the sampler: one word a pixel.
    State,
    /// Memory outside of the chip, in units of 64 bytes.
    Ddr,
}

impl Memory {
    /// Its name in listings and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Operand => "operand",
            Self::Weight => "weight",
            Self::Param => "param",
            Self::Affine => "affine",
            Self::Sums => "sums",
            Self::State => "state",
            Self::Ddr => "ddr",
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A build of the accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The array.
    pub shape: Shape,
    /// Words of the stream memory.
    pub stream: usize,
    /// Rows of the operand memory; a row is a word in each of the P banks.
    pub operand: usize,
    /// Words of the weight memory, K and V among them.
    pub weight: usize,
    /// Entries of the parameter memory.
    pub param: usize,
    /// Entries of the affine memory.
    pub affine: usize,
    /// Entries of the memory of channel sums.
    pub sums: usize,
    /// Words of the state memory.
    pub state: usize,
    /// Keys (pixels) that an attention may have: room for the logits of a query.
    pub keys: usize,
}

impl Target {
    /// The board's chip. Block RAMs (BRAM36, 72 bits x 512) in brackets, of 912; there is no UltraRAM.
    ///
    /// - stream (8 x 52 = 416): the 35.7 M U-Net of CIFAR-10 holds 24,576 words at its peak, the first
    ///   block of 32x32 on the way up: its input of 256 channels, three skips and the shortcut;
    /// - operand (8 banks x 15 = 120): that block's two inputs as operands together, and one more
    ///   of the size of a whole layer, so that `prep` works ahead of the array;
    /// - weight (64 x 2 = 128): 512 KB, three and a half tiles of the widest layer (288 words); K and V
    ///   of 256 pixels and channels take a quarter. Twice as much saves 0.2 % of the cycles
    ///   (docs/decisions/0009-weight-memory.md);
    /// - param (8), affine (channels of two of the widest norms; distributed RAM), sums (15), state (16,
    ///   and 24 for the predicted image of the step before): 64x64 pixels.
    pub const ZU9EG: Self = Self {
        name: "zu9eg",
        shape: Shape {
            pixels: 8,
            outputs: 32,
            inputs: 16,
        },
        stream: 26_624,
        operand: 4096,
        weight: 1024,
        param: 4096,
        affine: 2048,
        sums: 4096,
        state: 4096,
        keys: 256,
    };

    /// For tests of the RTL: the smallest array, memories for 32x32 pixels and up to 128 channels.
    pub const SMALL: Self = Self {
        name: "small",
        shape: Shape {
            pixels: 4,
            outputs: 8,
            inputs: 8,
        },
        stream: 32_768,
        operand: 8192,
        weight: 4096,
        param: 2048,
        affine: 1024,
        sums: 2048,
        state: 1024,
        keys: 1024,
    };

    /// All targets.
    pub const ALL: [Self; 2] = [Self::ZU9EG, Self::SMALL];

    /// The target of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name == name)
    }

    /// Words (rows, entries) of an on-chip memory; as many as there can be of DDR.
    #[must_use]
    pub const fn words(&self, memory: Memory) -> usize {
        match memory {
            Memory::Stream => self.stream,
            Memory::Operand => self.operand,
            Memory::Weight => self.weight,
            Memory::Param => self.param,
            Memory::Affine => self.affine,
            Memory::Sums => self.sums,
            Memory::State => self.state,
            Memory::Ddr => u32::MAX as usize,
        }
    }

    /// Bytes of a word of the weight memory.
    #[must_use]
    pub const fn weight_bytes(&self) -> usize {
        self.shape.outputs * self.shape.inputs
    }
}
