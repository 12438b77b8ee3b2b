//! Random memories and descriptors for `conv`.

use std::collections::BTreeSet;

use diffuser_cosim::bench::Random;
use diffuser_device::{Memories, Shape, Sizes, ops};
use diffuser_isa::generated::{Conv, ConvChannel, ConvHead};
use diffuser_spec::norm::Sums;

/// Memories are cut in halves: what a descriptor reads lies in one, what it writes in the other. Descriptors
/// one after the other choose anew, so that they read each other's results.
#[derive(Clone, Copy)]
pub struct Halves {
    pub operand: u32,
    pub weight: u32,
    pub stream: u32,
}

pub fn halves(shape: Shape) -> Halves {
    let sizes = sizes(shape);
    Halves {
        operand: sizes.operand as u32 / 2,
        weight: sizes.weight as u32 / 2,
        stream: sizes.stream as u32 / 2,
    }
}

fn sizes(_: Shape) -> Sizes {
    Sizes {
        weight: 1 << 11,
        ..Sizes::SMALL
    }
}

fn operand(random: &mut Random) -> i8 {
    match random.below(8) {
        0 => 127,
        1 => -127,
        _ => random.range(-127, 127) as i8,
    }
}

/// Memories of random values, extremes among them.
pub fn memories(random: &mut Random, shape: Shape) -> Memories {
    let mut m = Memories::new(shape, sizes(shape));
    m.stream.fill_with(|| match random.below(8) {
        0 => i16::MAX,
        1 => i16::MIN,
        2..5 => random.bits() as i16,
        _ => random.range(-300, 300) as i16,
    });
    m.operand.fill_with(|| operand(random));
    m.weight.fill_with(|| operand(random));
    m.sums.fill_with(|| Sums {
        sum: random.bits() as i64,
        sum_sq: random.bits(),
    });
    m
}

/// A parameter block for `op` at its place: usual and extreme factors, lanes that are no channel, shifts both ways.
fn parameters(random: &mut Random, m: &mut Memories, op: &Conv) {
    let head = ConvHead {
        zero_point: random.range(-127, 127) as i32,
        residual_shift: match random.below(7) {
            0 => random.range(-62, 62),
            1 => 0,
            2 => [-62, 62][random.below(2) as usize],
            3 => random.range(-40, -10),
            _ => random.range(-5, 5),
        } as i32,
    };
    let at = op.param as usize;
    m.param[at] = head.encode().unwrap()[0];
    let products = u64::from(op.blocks) * [1, 9, 4][op.kernel as usize];
    let products = products * m.shape.inputs as u64;
    let spread = 6 + products.ilog2() / 2 + if op.planes { 7 } else { 0 } + 6;
    for o in 0..op.tiles as usize * m.shape.outputs {
        let bits = if op.dest_kind == 0 { 13 } else { 6 };
        let usual = (15 + spread).saturating_sub(bits).max(1);
        let mut channel = ConvChannel {
            bias: random.range(-(1 << spread), 1 << spread) as i32,
            mantissa: [65535, random.range(32768, 65535)][random.below(2) as usize] as u32,
            shift: usual,
        };
        match random.below(10) {
            0 => channel.shift = random.range(1, 62) as u32,
            1 => {
                channel.bias = [i32::MIN, i32::MAX, random.bits() as i32][random.below(3) as usize]
            }
            2 => (channel.mantissa, channel.shift) = (0, 0),
            3 if random.chance(64) => channel.mantissa = 0,
            4 if random.chance(64) => channel.shift = 0,
            _ => {}
        }
        m.param[at + 1 + o] = channel.encode().unwrap()[0];
    }
}

/// A descriptor that keeps every rule, its parameters written to `m` from entry `param` on.
pub fn descriptor(random: &mut Random, m: &mut Memories, dest_kind: u32, param: u32) -> Conv {
    let shape = m.shape;
    let half = halves(shape);
    let mut pick = |size: u32| {
        if random.chance(128) {
            (0, size)
        } else {
            (size, 0)
        }
    };
    let (operand, operand_dest) = pick(half.operand);
    let (weights, weight_dest) = pick(half.weight);
    let (stream, other) = pick(half.stream);
    let kernel = random.below(3) as u32;
    let stride = u32::from(random.chance(80));
    let upsample = random.chance(64);
    let (in_width, in_height) = (random.range(1, 10) as u32, random.range(1, 7) as u32);
    let (mut pad_top, mut pad_left) = match kernel {
        2 => (random.below(2) as u32, random.below(2) as u32),
        same => (same, same),
    };
    let full = |n: u32| if upsample { 2 * n } else { n }.div_ceil(stride + 1);
    let (mut out_width, mut out_height) = (full(in_width), full(in_height));
    // whatever else the sizes may be
    if random.chance(100) {
        (pad_top, pad_left) = (random.below(4) as u32, random.below(4) as u32);
        out_width = random.range(1, 13) as u32;
        out_height = random.range(1, 6) as u32;
    }
    let pixels = out_width * out_height;
    let in_rows = shape.rows(u64::from(in_width * in_height)) as u32;
    let blocks = random.range(1, 4) as u32;
    let tiles = random.range(1, 3) as u32;
    let stream_kind = dest_kind == 0;
    let interleave = stream_kind && random.chance(if kernel == 2 { 180 } else { 40 });
    let residual = stream_kind && !interleave && random.chance(128);
    let sums = stream_kind && random.chance(128);
    let dest_plane = if stream_kind {
        pixels * if interleave { 4 } else { 1 } + random.below(7) as u32
    } else {
        0
    };
    let (dest, residual_at) = match dest_kind {
        0 => {
            let dest = stream + random.below(50) as u32;
            let in_place = random.chance(100);
            let residual_at = if in_place {
                dest
            } else {
                other + random.below(50) as u32
            };
            (dest, if residual { residual_at } else { 0 })
        }
        1 => (operand_dest + random.below(20) as u32, 0),
        _ => (weight_dest + random.below(20) as u32, 0),
    };
    let spread = random.chance(if stride == 1 { 150 } else { 40 });
    let op = Conv {
        dest_kind,
        planes: random.chance(80),
        kernel,
        stride,
        upsample,
        residual,
        sums,
        add_sums: sums && random.chance(100),
        interleave,
        pad_top,
        pad_left,
        spread,
        blocks,
        operand: operand + random.below(20) as u32,
        tiles,
        weights: weights + random.below(20) as u32,
        in_width,
        in_height,
        out_width,
        out_height,
        dest,
        residual_at,
        dest_plane,
        param,
        sums_base: if sums { random.below(300) as u32 } else { 0 },
        first_tile: if dest_kind == 0 {
            0
        } else {
            random.below(4) as u32
        },
        head_blocks: if dest_kind < 2 {
            0
        } else {
            random.range(1, 5) as u32
        },
    };
    assert!(op.operand + 2 * blocks * in_rows < operand + half.operand);
    parameters(random, m, &op);
    op
}

/// Products, a cycle each where no two lanes read one bank.
pub fn issues(op: &Conv, shape: Shape) -> u64 {
    let taps = ops::conv::kernel(op) * ops::conv::kernel(op) * u64::from(op.blocks);
    u64::from(op.tiles) * shape.rows(ops::conv::out_pixels(op)) * taps * ops::conv::planes(op)
}

/// Cycles beyond that: of a tap's lanes, those that read one bank in different rows take one each.
pub fn conflicts(op: &Conv, shape: Shape) -> u64 {
    let (pixels, size) = (ops::conv::out_pixels(op), shape.pixels as u64);
    let k = ops::conv::kernel(op);
    let mut lost = 0;
    for first in (0..pixels).step_by(shape.pixels) {
        for (ky, kx) in (0..k).flat_map(|ky| (0..k).map(move |kx| (ky, kx))) {
            let lanes = first..pixels.min(first + size);
            let read: BTreeSet<u64> = lanes
                .filter_map(|n| ops::conv::tap(op, n, ky, kx))
                .collect();
            let most = (0..size).map(|b| {
                read.iter()
                    .filter(|&&m| shape.bank(m, op.spread) == b)
                    .count()
            });
            lost += most.max().unwrap_or(0).saturating_sub(1) as u64;
        }
    }
    lost * u64::from(op.tiles) * u64::from(op.blocks) * ops::conv::planes(op)
}

/// Bits of a port, whatever type its width gives.
pub trait Bits {
    /// Bit number `bit`.
    fn bit(&self, bit: usize) -> bool;
}

impl Bits for u64 {
    fn bit(&self, bit: usize) -> bool {
        self >> bit & 1 == 1
    }
}

impl<const N: usize> Bits for [u32; N] {
    fn bit(&self, bit: usize) -> bool {
        self[bit / 32] >> (bit % 32) & 1 == 1
    }
}

/// What some descriptors took.
#[derive(Debug, Default)]
pub struct Run {
    /// From the first one offered to the last one retired.
    pub cycles: u64,
    /// Cycles with a product.
    pub busy: u64,
    /// From the first product to the last.
    pub span: u64,
    pub stall_operand: u64,
    pub stall_bank: u64,
    pub stall_store: u64,
    pub errors: Vec<u8>,
}

/// A chained `conv`, and the groups that its operand has so far.
pub struct Chain {
    pub op: Conv,
    pub groups: u64,
    pub rows: u64,
}
