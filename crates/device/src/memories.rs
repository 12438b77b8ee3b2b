//! The on-chip memories, laid out as `docs/isa.md` says.

use std::fmt;
use std::ops::Range;

use diffuser_spec::norm::{Affine, Sums};

use crate::fault::Fault;

/// The array: pixels x output channels x input channels, all powers of two, `outputs` a multiple
/// of `inputs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// P.
    pub pixels: usize,
    /// O.
    pub outputs: usize,
    /// I.
    pub inputs: usize,
}

impl Shape {
    /// For tests.
    pub const SMALL: Self = Self {
        pixels: 4,
        outputs: 8,
        inputs: 8,
    };

    /// For the ZU9EG.
    pub const ZU9EG: Self = Self {
        pixels: 8,
        outputs: 32,
        inputs: 16,
    };

    /// Value of the register `SHAPE`.
    #[must_use]
    pub const fn register(self) -> u32 {
        self.pixels as u32 | (self.outputs as u32) << 8 | (self.inputs as u32) << 16
    }

    /// Bytes of a word of weight memory, O x I.
    #[must_use]
    pub const fn weight_bytes(self) -> usize {
        self.outputs * self.inputs
    }

    /// Rows of operand memory that one block of `pixels` pixels takes.
    #[must_use]
    pub const fn rows(self, pixels: u64) -> u64 {
        pixels.div_ceil(self.pixels as u64)
    }

    /// Bank in which pixel `n` of an operand lies, in row `n div P` of its block either way.
    #[must_use]
    pub const fn bank(self, n: u64, spread: bool) -> u64 {
        let p = self.pixels as u64;
        if spread { (n % p) ^ (n / p % 2) } else { n % p }
    }
}

/// Words of each memory, in the units of `docs/isa.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Words of O values.
    pub stream: usize,
    /// Rows of P banks of I bytes.
    pub operand: usize,
    /// Words of O x I bytes.
    pub weight: usize,
    /// Entries of 64 bits.
    pub param: usize,
    /// Channels of norms.
    pub affine: usize,
    /// Channels of streams.
    pub sums: usize,
    /// Pixels.
    pub state: usize,
    /// Keys that an attention may have: the array has room for so many logits of a query.
    pub keys: usize,
}

impl Sizes {
    /// For tests, with [`Shape::SMALL`].
    pub const SMALL: Self = Self {
        stream: 32_768,
        operand: 8192,
        weight: 4096,
        param: 2048,
        affine: 1024,
        sums: 2048,
        state: 1024,
        keys: 1024,
    };

    /// For the ZU9EG, with [`Shape::ZU9EG`].
    pub const ZU9EG: Self = Self {
        stream: 26_624,
        operand: 4096,
        weight: 1024,
        param: 4096,
        affine: 2048,
        sums: 4096,
        state: 4096,
        keys: 256,
    };

    /// Words of `memory`.
    #[must_use]
    pub const fn of(&self, memory: Memory) -> usize {
        match memory {
            Memory::Stream => self.stream,
            Memory::Operand => self.operand,
            Memory::Weight => self.weight,
            Memory::Param => self.param,
            Memory::Affine => self.affine,
            Memory::Sums => self.sums,
            Memory::State => self.state,
        }
    }
}

/// One of the memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Memory {
    /// Words of O values of 16 bits.
    Stream,
    /// Rows of P banks of I bytes.
    Operand,
    /// Words of O x I bytes.
    Weight,
    /// Entries of 64 bits.
    Param,
    /// One affine map a channel.
    Affine,
    /// One pair of sums a channel.
    Sums,
    /// Words of 4 values of 32 bits, one a pixel.
    State,
}

impl Memory {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::Stream,
        Self::Operand,
        Self::Weight,
        Self::Param,
        Self::Affine,
        Self::Sums,
        Self::State,
    ];
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Operand => "operand",
            Self::Weight => "weight",
            Self::Param => "param",
            Self::Affine => "affine",
            Self::Sums => "sums",
            Self::State => "state",
        })
    }
}

/// Contents of all memories; zeros at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memories {
    /// The array.
    pub shape: Shape,
    /// Words of each memory.
    pub sizes: Sizes,
    /// Lane l of word w is `stream[w * O + l]`.
    pub stream: Vec<i16>,
    /// Byte i of bank b in row r is `operand[(r * P + b) * I + i]`: a block's pixels lie one after
    /// another, pixel n at `(base * P + n) * I`.
    pub operand: Vec<i8>,
    /// Byte j of word w is `weight[w * O * I + j]`.
    pub weight: Vec<i8>,
    /// Entries.
    pub param: Vec<u64>,
    /// One map a channel of a norm.
    pub affine: Vec<Affine>,
    /// Sums of one channel of a stream.
    pub sums: Vec<Sums>,
    /// The sampler's state, one word a pixel, channels in lanes.
    pub state: Vec<[i32; 4]>,
    /// `x0_previous` of each value of the state; no transfer reaches it.
    pub previous: Vec<[i64; 4]>,
}

impl Memories {
    /// Memories of zeros.
    #[must_use]
    pub fn new(shape: Shape, sizes: Sizes) -> Self {
        Self {
            shape,
            sizes,
            stream: vec![0; sizes.stream * shape.outputs],
            operand: vec![0; sizes.operand * shape.pixels * shape.inputs],
            weight: vec![0; sizes.weight * shape.weight_bytes()],
            param: vec![0; sizes.param],
            affine: vec![Affine::default(); sizes.affine],
            sums: vec![Sums::default(); sizes.sums],
            state: vec![[0; 4]; sizes.state],
            previous: vec![[0; 4]; sizes.state],
        }
    }

    /// Index into `stream` of lane 0 of a word.
    #[must_use]
    pub const fn stream_at(&self, word: usize) -> usize {
        word * self.shape.outputs
    }

    /// Index into `operand` of byte 0 of pixel `n` of a block that begins at `row`, not spread.
    #[must_use]
    pub const fn operand_at(&self, row: usize, n: usize) -> usize {
        (row * self.shape.pixels + n) * self.shape.inputs
    }

    /// The same of a block that is spread or not.
    #[must_use]
    pub const fn pixel_at(&self, row: usize, n: usize, spread: bool) -> usize {
        let p = self.shape.pixels;
        self.operand_at(row, n / p * p + self.shape.bank(n as u64, spread) as usize)
    }

    /// Index into `weight` of byte 0 of a word.
    #[must_use]
    pub const fn weight_at(&self, word: usize) -> usize {
        word * self.shape.weight_bytes()
    }

    /// `words` is inside of `memory`.
    ///
    /// # Errors
    /// Code `field` where it is not; `what` names what lies there.
    pub fn check(&self, memory: Memory, words: &Range<u64>, what: &str) -> Result<(), Fault> {
        let size = self.sizes.of(memory);
        if words.end <= size as u64 {
            return Ok(());
        }
        let (first, last) = (words.start, words.end - 1);
        Err(Fault::field(format!(
            "{what}: words {first} to {last} of {memory} memory, which has {size}"
        )))
    }
}
