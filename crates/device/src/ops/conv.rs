//! `conv`: convolution or linear layer, some tiles of O output channels over all pixels.

use diffuser_isa::generated::{Conv, ConvChannel, ConvHead};
use diffuser_spec::conv::{combine_planes, requantise, residual, to_stream};
use diffuser_spec::norm::Sums;
use diffuser_spec::{Multiplier, saturate_operand};

use super::dot::{accumulate, widen};
use super::{Access, check, parameters, require};
use crate::fault::Fault;
use crate::memories::{Memories, Memory, Shape};

/// Where the result goes, as `docs/isa.md` numbers `dest_kind`.
mod dest {
    pub const STREAM: u32 = 0;
    pub const OPERAND: u32 = 1;
    pub const KEY: u32 = 2;
}

/// Rows and columns of the kernel.
#[must_use]
pub const fn kernel(op: &Conv) -> u64 {
    match op.kernel {
        0 => 1,
        1 => 3,
        _ => 2,
    }
}

/// Planes of the operand.
#[must_use]
pub const fn planes(op: &Conv) -> u64 {
    if op.planes { 2 } else { 1 }
}

/// Pixels of the operand.
#[must_use]
pub const fn in_pixels(op: &Conv) -> u64 {
    op.in_width as u64 * op.in_height as u64
}

/// Pixels of the result.
#[must_use]
pub const fn out_pixels(op: &Conv) -> u64 {
    op.out_width as u64 * op.out_height as u64
}

/// Pixel of the operand that tap (`ky`, `kx`) of output pixel `n` reads; none for padding.
#[must_use]
pub const fn tap(op: &Conv, n: u64, ky: u64, kx: u64) -> Option<u64> {
    let width = op.out_width as u64;
    let stride = if op.stride == 0 { 1 } else { 2 };
    let up = if op.upsample { 2 } else { 1 };
    let y = (n / width * stride + ky) as i64 - op.pad_top as i64;
    let x = (n % width * stride + kx) as i64 - op.pad_left as i64;
    if y < 0 || x < 0 || y >= op.in_height as i64 * up || x >= op.in_width as i64 * up {
        return None;
    }
    Some((y / up * op.in_width as i64 + x / up) as u64)
}

/// Word of output pixel `n` of a stream, counted from that of pixel 0.
const fn place(op: &Conv, n: u64) -> u64 {
    if op.interleave {
        let width = op.out_width as u64;
        2 * (n % width) + 4 * width * (n / width)
    } else {
        n
    }
}

/// See [`rules`](super::rules).
pub(super) fn rules(op: &Conv) -> Result<(), Fault> {
    let stream = op.dest_kind == dest::STREAM;
    require(
        stream || !(op.residual || op.sums),
        "conv: only a stream has a residual or sums",
    )?;
    require(
        stream && !op.residual || !op.interleave,
        "conv: only a stream without a residual is interleaved",
    )?;
    require(op.sums || !op.add_sums, "conv: add_sums without sums")?;
    require(
        !matches!(op.dest_kind, 2 | 3) || op.head_blocks > 0,
        "conv: K and V need head_blocks",
    )
}

/// Words of weight memory that no accelerator has; up to here the words of K are listed one by one.
const MOST_WORDS: u64 = 1 << 20;

/// Words of weight memory that K or V of the descriptor's tiles lie in.
fn attention_words(op: &Conv, shape: Shape, list: &mut Vec<Access>) {
    let (o, i) = (shape.outputs as u64, shape.inputs as u64);
    let (dest, heads) = (u64::from(op.dest), u64::from(op.head_blocks));
    let pixels = out_pixels(op);
    let first = u64::from(op.first_tile);
    let end = first + u64::from(op.tiles);
    if op.dest_kind != dest::KEY {
        let blocks = pixels.div_ceil(i);
        let (word, words) = (dest + first * blocks, (end - first) * blocks);
        list.push(Access::write(Memory::Weight, word, words, "conv: V"));
        return;
    }
    let tiles = pixels.div_ceil(o);
    // key tile `kt` of channel block `block` of the whole result
    let word = |block: u64, kt: u64| dest + (block / heads * tiles + kt) * heads + block % heads;
    let blocks = first * o / i..end * o / i;
    let last = word(blocks.end - 1, tiles - 1);
    if last > MOST_WORDS {
        list.push(Access::write(Memory::Weight, last, 1, "conv: K"));
        return;
    }
    for block in blocks {
        list.extend((0..tiles).map(|kt| {
            let word = word(block, kt);
            Access::write(Memory::Weight, word, 1, "conv: K")
        }));
    }
}

/// See [`accesses`](super::accesses). An interleaved result counts from its first word to its last: the words between are other
/// descriptors' of the same tensor.
pub(super) fn accesses(op: &Conv, shape: Shape) -> Vec<Access> {
    let (pixels, tiles) = (out_pixels(op), u64::from(op.tiles));
    let channels = tiles * shape.outputs as u64;
    let blocks = u64::from(op.blocks);
    let operand = planes(op) * blocks * shape.rows(in_pixels(op));
    let weights = tiles * kernel(op) * kernel(op) * blocks;
    let entries = ConvHead::ENTRIES as u64 + channels;
    let mut list = vec![
        Access::read(Memory::Operand, op.operand.into(), operand, "conv: operand"),
        Access::read(Memory::Weight, op.weights.into(), weights, "conv: weights"),
        Access::read(Memory::Param, op.param.into(), entries, "conv: parameters"),
    ];
    match op.dest_kind {
        dest::STREAM => {
            let words = place(op, pixels - 1) + 1;
            let mut streams = |first: u32, write: bool, what| {
                list.extend((0..tiles).map(|t| Access {
                    write,
                    ..Access::read(
                        Memory::Stream,
                        u64::from(first) + t * u64::from(op.dest_plane),
                        words,
                        what,
                    )
                }));
            };
            if op.residual {
                streams(op.residual_at, false, "conv: residual");
            }
            streams(op.dest, true, "conv: result");
            if op.sums {
                let first = u64::from(op.sums_base);
                if op.add_sums {
                    list.push(Access::read(Memory::Sums, first, channels, "conv: sums"));
                }
                list.push(Access::write(Memory::Sums, first, channels, "conv: sums"));
            }
        }
        dest::OPERAND => {
            let tile = shape.outputs as u64 / shape.inputs as u64 * shape.rows(pixels);
            let first = u64::from(op.dest) + u64::from(op.first_tile) * tile;
            list.push(Access::write(
                Memory::Operand,
                first,
                tiles * tile,
                "conv: Q",
            ));
        }
        _ => attention_words(op, shape, &mut list),
    }
    list
}

/// What a tile needs for every pixel.
struct Tile {
    /// Words of the tile, widened.
    weights: Vec<i16>,
    /// Bias and multiplier of each lane; none for a lane that is no channel.
    channels: Vec<Option<(i32, Multiplier)>>,
}

fn load_tile(op: &Conv, memories: &Memories, t: usize) -> Result<Tile, Fault> {
    let outputs = memories.shape.outputs;
    let words = (kernel(op) * kernel(op)) as usize * op.blocks as usize;
    let first = memories.weight_at(op.weights as usize + t * words);
    let end = first + words * memories.shape.weight_bytes();
    let mut weights = Vec::new();
    widen(&mut weights, &memories.weight[first..end]);
    let at = op.param as usize + ConvHead::ENTRIES + t * outputs;
    let channels = (at..at + outputs).map(|at| {
        let channel = parameters(memories, at, ConvChannel::decode)?;
        let multiplier = Multiplier {
            mantissa: channel.mantissa as u16,
            shift: channel.shift as u8,
        };
        let there = channel.mantissa != 0 && channel.shift != 0;
        Ok(there.then_some((channel.bias, multiplier)))
    });
    Ok(Tile {
        channels: channels.collect::<Result<_, _>>()?,
        weights,
    })
}

/// Accumulators of output pixel `n`, one a lane.
fn multiply(op: &Conv, memories: &Memories, weights: &[i16], padding: &[i8], n: u64) -> Vec<i32> {
    let shape = memories.shape;
    let (blocks, k) = (op.blocks as usize, kernel(op));
    let rows = shape.rows(in_pixels(op)) as usize;
    let word = shape.weight_bytes();
    let plane = |p: usize| {
        let mut acc = vec![0; shape.outputs];
        let taps = (0..k).flat_map(|ky| (0..k).map(move |kx| (ky, kx)));
        for ((ky, kx), weights) in taps.zip(weights.chunks_exact(blocks * word)) {
            let from = tap(op, n, ky, kx);
            if from.is_none() && padding[0] == 0 {
                continue;
            }
            for (b, weights) in weights.chunks_exact(word).enumerate() {
                let x = match from {
                    None => padding,
                    Some(m) => {
                        let row = op.operand as usize + (p * blocks + b) * rows;
                        let at = memories.pixel_at(row, m as usize, op.spread);
                        &memories.operand[at..at + shape.inputs]
                    }
                };
                accumulate(&mut acc, x, weights);
            }
        }
        acc
    };
    let mut acc = plane(0);
    if op.planes {
        for (high, low) in acc.iter_mut().zip(plane(1)) {
            *high = combine_planes(*high, low);
        }
    }
    acc
}

/// All tiles, one after the other, as the array goes through them.
///
/// # Errors
/// See [`execute`](super::execute).
pub fn execute(op: &Conv, memories: &mut Memories) -> Result<(), Fault> {
    rules(op)?;
    let shape = memories.shape;
    check(memories, &accesses(op, shape))?;
    let head = parameters(memories, op.param as usize, ConvHead::decode)?;
    let zero_point = if op.planes { 0 } else { head.zero_point as i8 };
    let padding = vec![zero_point; shape.inputs];
    for t in 0..op.tiles as usize {
        let tile = load_tile(op, memories, t)?;
        let mut sums = vec![Sums::default(); shape.outputs];
        let first_sum = op.sums_base as usize + t * shape.outputs;
        if op.add_sums {
            sums.copy_from_slice(&memories.sums[first_sum..first_sum + shape.outputs]);
        }
        for n in 0..out_pixels(op) {
            let acc = multiply(op, memories, &tile.weights, &padding, n);
            // none: no channel, the lane stores 0
            let lanes = acc.iter().zip(&tile.channels).map(|(&acc, channel)| {
                channel.map(|(bias, multiplier)| requantise(acc, bias, multiplier))
            });
            if op.dest_kind == dest::STREAM {
                let word = t * op.dest_plane as usize + place(op, n) as usize;
                let to = memories.stream_at(op.dest as usize + word);
                let from = memories.stream_at(op.residual_at as usize + word);
                for (lane, y) in lanes.enumerate() {
                    let r = if op.residual {
                        residual(memories.stream[from + lane], head.residual_shift)
                    } else {
                        0
                    };
                    let x = y.map_or(0, |y| to_stream(y, r));
                    memories.stream[to + lane] = x;
                    add(&mut sums[lane], x);
                }
            } else {
                let tile = op.first_tile as usize + t;
                for (lane, y) in lanes.enumerate() {
                    let q = y.map_or(0, saturate_operand);
                    store_operand(op, memories, tile, lane, n as usize, q);
                }
            }
        }
        if op.sums {
            memories.sums[first_sum..first_sum + shape.outputs].copy_from_slice(&sums);
        }
    }
    Ok(())
}

/// One value more, modulo 2^64 as registers are.
fn add(sums: &mut Sums, x: i16) {
    let x = i64::from(x);
    sums.sum = sums.sum.wrapping_add(x);
    sums.sum_sq = sums.sum_sq.wrapping_add((x * x) as u64);
}

/// Lane `lane` of tile `tile` of the whole result, for pixel (query or key) `n`.
fn store_operand(op: &Conv, memories: &mut Memories, tile: usize, lane: usize, n: usize, q: i8) {
    let (outputs, inputs) = (memories.shape.outputs, memories.shape.inputs);
    let (dest, heads) = (op.dest as usize, op.head_blocks as usize);
    let pixels = out_pixels(op) as usize;
    let channel = tile * outputs + lane;
    let (block, i) = (channel / inputs, channel % inputs);
    match op.dest_kind {
        dest::OPERAND => {
            let row = dest + block * memories.shape.rows(pixels as u64) as usize;
            let at = memories.operand_at(row, n);
            memories.operand[at + i] = q;
        }
        dest::KEY => {
            let (h, db) = (block / heads, block % heads);
            let tiles = pixels.div_ceil(outputs);
            let at = memories.weight_at(dest + (h * tiles + n / outputs) * heads + db);
            memories.weight[at + n % outputs * inputs + i] = q;
        }
        _ => {
            // (h, dt) counts tiles of V in order: h * DT + dt is the tile's number
            let blocks = pixels.div_ceil(inputs);
            let at = memories.weight_at(dest + tile * blocks + n / inputs);
            memories.weight[at + lane * inputs + n % inputs] = q;
        }
    }
}
