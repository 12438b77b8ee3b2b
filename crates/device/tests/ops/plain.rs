//! Random memories, and where values lie in them according to `docs/isa.md`.

use diffuser_device::{Context, Ddr, Fault, Memories, Shape, Sizes, ops};
use diffuser_isa::Op;
use diffuser_spec::norm::{Affine, Sums};
use proptest::prelude::*;

/// The two shapes, with memories that are quick to compare.
pub fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::SMALL), Just(Shape::ZU9EG)]
}

pub const SIZES: Sizes = Sizes {
    stream: 2048,
    operand: 2048,
    weight: 512,
    param: 2048,
    affine: 512,
    sums: 512,
    state: 512,
    keys: 64,
};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// `low` to `high`, both included.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// Memories that hold anything their kinds of number can be.
    pub fn memories(&mut self, shape: Shape) -> Memories {
        let mut m = Memories::new(shape, SIZES);
        m.stream.fill_with(|| self.next() as i16);
        m.operand.fill_with(|| self.within(-127, 127) as i8);
        m.weight.fill_with(|| self.within(-127, 127) as i8);
        m.param.fill_with(|| self.next());
        m.affine.fill_with(|| Affine {
            a: self.within(-32767, 32767) as i16,
            b: self.within(-(1 << 29), 1 << 29) as i32,
            shift: self.within(0, 22) as u8,
        });
        m.sums.fill_with(|| Sums {
            sum: self.within(-1_000_000, 1_000_000),
            sum_sq: self.within(1 << 40, 1 << 41) as u64,
        });
        m.state.fill_with(|| [(); 4].map(|()| self.next() as i32));
        m.previous
            .fill_with(|| [(); 4].map(|()| self.within(-(1 << 47), 1 << 47)));
        m
    }
}

/// `floor(x / 2^shift + 1/2)`.
pub fn rnd(x: i128, shift: u32) -> i128 {
    (2 * x + (1 << shift)).div_euclid(1 << (shift + 1))
}

pub fn sat(x: i128, bits: u32) -> i128 {
    let limit = 1i128 << (bits - 1);
    x.clamp(-limit, limit - 1)
}

pub fn sat8(x: i128) -> i8 {
    x.clamp(-127, 127) as i8
}

/// Channel c of pixel n of a stream.
pub fn stream_at(m: &Memories, base: u32, plane: u32, c: u64, n: u64) -> usize {
    let o = m.shape.outputs as u64;
    ((u64::from(base) + c / o * u64::from(plane) + n) * o + c % o) as usize
}

/// Byte i of plane p, block b, pixel n of an operand of `blocks` blocks and `pixels` pixels.
pub fn operand_at(m: &Memories, base: u32, block: [u64; 3], pixel: [u64; 2], i: u64) -> usize {
    spread_at(m, base, block, pixel, i, false)
}

/// The same of an operand that is spread or not.
pub fn spread_at(
    m: &Memories,
    base: u32,
    [p, b, blocks]: [u64; 3],
    [n, pixels]: [u64; 2],
    i: u64,
    spread: bool,
) -> usize {
    let banks = m.shape.pixels as u64;
    let row = u64::from(base) + (p * blocks + b) * pixels.div_ceil(banks) + n / banks;
    // in rows 1, 3 and so on of a block: 1 0 3 2 5 4 7 6
    let bank = match (spread && n / banks % 2 == 1, n % 2) {
        (false, _) => n % banks,
        (true, 0) => n % banks + 1,
        (true, _) => n % banks - 1,
    };
    ((row * banks + bank) * m.shape.inputs as u64 + i) as usize
}

/// Execute `op`, on DDR that is not used.
pub fn run(op: Op, m: &mut Memories) -> Result<(), Fault> {
    let mut ddr = Ddr::new(0);
    ops::execute(&op, m, &mut ddr, &Context::default())
}

/// The same contents, with a message that says where they differ.
pub fn same(got: &Memories, want: &Memories) -> Result<(), TestCaseError> {
    fn first<T: PartialEq + std::fmt::Debug>(
        what: &str,
        got: &[T],
        want: &[T],
    ) -> Result<(), TestCaseError> {
        if let Some(i) = (0..want.len()).find(|&i| got[i] != want[i]) {
            let (got, want) = (&got[i], &want[i]);
            return Err(TestCaseError::fail(format!(
                "{what}[{i}] is {got:?}, expected {want:?}"
            )));
        }
        Ok(())
    }
    first("stream", &got.stream, &want.stream)?;
    first("operand", &got.operand, &want.operand)?;
    first("weight", &got.weight, &want.weight)?;
    first("param", &got.param, &want.param)?;
    first("affine", &got.affine, &want.affine)?;
    first("sums", &got.sums, &want.sums)?;
    first("state", &got.state, &want.state)?;
    first("previous", &got.previous, &want.previous)
}
