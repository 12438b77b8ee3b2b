//! What a descriptor reads and writes: the ranges that waits follow from.

use std::ops::Range;

use diffuser_isa::{Op, Space};

use crate::records::ALIGNMENT;
use crate::target::{Memory, Target};

/// Words of one memory that a descriptor reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which memory.
    pub memory: Memory,
    /// First word and the word behind the last.
    pub words: Range<u64>,
    /// Whether they are written (and perhaps read).
    pub write: bool,
}

impl Access {
    /// Whether one must be ordered behind the other.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        self.memory == other.memory
            && (self.write || other.write)
            && self.words.start < other.words.end
            && other.words.start < self.words.end
    }
}

fn access(memory: Memory, write: bool, first: u32, words: usize) -> Access {
    let first = u64::from(first);
    Access {
        memory,
        words: first..first + words as u64,
        write,
    }
}

const READ: bool = false;
const WRITE: bool = true;

/// All accesses of an operation.
///
/// Where what is touched is not one range, all between is taken with it: K and V, whose tiles do
/// not lie together, are taken whole.
#[must_use]
pub fn accesses(op: &Op, target: &Target) -> Vec<Access> {
    let [p, o, i] = [
        target.shape.pixels,
        target.shape.outputs,
        target.shape.inputs,
    ];
    let blocks = |channels: u32, of: usize| (channels as usize).div_ceil(of);
    match op {
        Op::Load(l) => {
            let memory = match l.space {
                s if s == Space::Param as u32 => Memory::Param,
                s if s == Space::Stream as u32 => Memory::Stream,
                s if s == Space::State as u32 => Memory::State,
                _ => Memory::Weight,
            };
            let words = l.words as usize;
            let mut list = vec![access(memory, WRITE, l.address, words)];
            // the only data that a program writes and reads again
            let bytes = match memory {
                Memory::Stream => 2 * o,
                Memory::State => 16,
                _ => 0,
            };
            if bytes > 0 {
                let units = (words * bytes).div_ceil(ALIGNMENT);
                list.push(access(Memory::Ddr, READ, l.ddr, units));
            }
            list
        }
        Op::Store(s) => {
            let (memory, bytes) = match s.space {
                space if space == Space::Stream as u32 => (Memory::Stream, 2 * o),
                space if space == Space::State as u32 => (Memory::State, 16),
                _ => (Memory::State, 4),
            };
            let words = s.words as usize;
            let units = (words * bytes).div_ceil(ALIGNMENT);
            vec![
                access(memory, READ, s.address, words),
                access(Memory::Ddr, WRITE, s.ddr, units),
            ]
        }
        Op::Norm(n) => {
            let first = n.first_group * n.group_channels;
            let end = first + n.groups * n.group_channels;
            let a = n.channels_a;
            let channels = (end - first) as usize;
            let mut list = vec![
                access(Memory::Param, READ, n.param, 2),
                access(Memory::Param, READ, n.param + 2 + first, channels),
                access(Memory::Affine, WRITE, n.affine + first, channels),
            ];
            if first < a {
                let words = (end.min(a) - first) as usize;
                list.push(access(Memory::Sums, READ, n.sums_a + first, words));
            }
            if end > a {
                let first = first.max(a) - a;
                let words = (end - a - first) as usize;
                list.push(access(Memory::Sums, READ, n.sums_b + first, words));
            }
            list
        }
        Op::Prep(prep) => {
            let pixels = (prep.width * prep.height) as usize;
            let result = match prep.resample {
                0 => pixels,
                1 => 4 * pixels,
                _ => pixels / 4,
            };
            let stream = |at: u32, channels: u32, plane: u32| {
                let words = (blocks(channels, o) - 1) * plane as usize + pixels;
                access(Memory::Stream, READ, at, words)
            };
            let mut list = Vec::new();
            if prep.kind == 3 {
                list.push(access(Memory::State, READ, prep.stream_a, pixels));
            } else {
                list.push(stream(prep.stream_a, prep.channels_a, prep.plane_a));
            }
            if prep.channels_b > 0 {
                list.push(stream(prep.stream_b, prep.channels_b, prep.plane_b));
            }
            if prep.kind == 0 {
                let channels = (prep.channels_a + prep.channels_b) as usize;
                list.push(access(Memory::Affine, READ, prep.affine, channels));
            }
            if [0, 1, 3].contains(&prep.kind) {
                list.push(access(Memory::Param, READ, prep.param, 1));
            }
            if prep.kind == 4 {
                let words = (blocks(prep.channels_a, o) - 1) * prep.plane_dest as usize + result;
                list.push(access(Memory::Stream, WRITE, prep.dest, words));
            } else {
                let planes = if prep.kind >= 2 { 2 } else { 1 };
                let b = blocks(prep.channels_a, i) + blocks(prep.channels_b, i);
                let rows = planes * b * result.div_ceil(p);
                list.push(access(Memory::Operand, WRITE, prep.dest, rows));
            }
            if prep.sums {
                let channels = prep.channels_a as usize;
                list.push(access(Memory::Sums, WRITE, prep.sums_base, channels));
            }
            list
        }
        Op::Conv(c) => conv(c, [p, o, i]),
        Op::Attention(a) => {
            let n = a.pixels as usize;
            let (heads, d) = (a.heads as usize, a.head_blocks as usize);
            let operand = heads * d * n.div_ceil(p);
            vec![
                access(Memory::Operand, READ, a.query, operand),
                access(Memory::Operand, WRITE, a.dest, operand),
                access(Memory::Weight, READ, a.key, heads * n.div_ceil(o) * d),
                access(
                    Memory::Weight,
                    READ,
                    a.value,
                    heads * (d * i).div_ceil(o) * n.div_ceil(i),
                ),
                access(Memory::Param, READ, a.param, 1),
            ]
        }
        Op::Sample(s) => {
            let pixels = s.pixels as usize;
            vec![
                access(Memory::Stream, READ, s.stream, pixels),
                access(Memory::State, WRITE, s.state, pixels),
                access(Memory::Param, READ, s.param, 11),
            ]
        }
        Op::End(_) | Op::Loop(_) => vec![],
    }
}

fn conv(c: &diffuser_isa::generated::Conv, [p, o, i]: [usize; 3]) -> Vec<Access> {
    let tiles = c.tiles as usize;
    let kernel = [1, 3, 2][c.kernel as usize];
    let from = (c.in_width * c.in_height) as usize;
    let pixels = (c.out_width * c.out_height) as usize;
    let planes = if c.planes { 2 } else { 1 };
    let blocks = c.blocks as usize;
    let rows = planes * blocks * from.div_ceil(p);
    let mut list = vec![
        access(Memory::Operand, READ, c.operand, rows),
        access(
            Memory::Weight,
            READ,
            c.weights,
            tiles * kernel * kernel * blocks,
        ),
        access(Memory::Param, READ, c.param, 1 + tiles * o),
    ];
    let first = c.first_tile as usize;
    let heads_blocks = c.head_blocks as usize;
    match c.dest_kind {
        0 => {
            // up to the last word, where an interleaved result leaves gaps, too
            let last = if c.interleave {
                4 * pixels - 2 * c.out_width as usize - 2
            } else {
                pixels - 1
            };
            let words = (tiles - 1) * c.dest_plane as usize + last + 1;
            list.push(access(Memory::Stream, WRITE, c.dest, words));
            if c.residual {
                list.push(access(Memory::Stream, READ, c.residual_at, words));
            }
        }
        1 => {
            let rows = pixels.div_ceil(p);
            let at = c.dest + (first * (o / i) * rows) as u32;
            list.push(access(Memory::Operand, WRITE, at, tiles * (o / i) * rows));
        }
        2 => {
            let heads = ((first + tiles) * o / i).div_ceil(heads_blocks);
            let words = heads * heads_blocks * pixels.div_ceil(o);
            list.push(access(Memory::Weight, WRITE, c.dest, words));
        }
        _ => {
            let words = (first + tiles) * pixels.div_ceil(i);
            list.push(access(Memory::Weight, WRITE, c.dest, words));
        }
    }
    if c.sums {
        list.push(access(Memory::Sums, WRITE, c.sums_base, tiles * o));
    }
    list
}
