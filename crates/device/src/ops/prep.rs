//! `prep`: operands of streams or of the state, and streams of streams.

use diffuser_isa::generated::{Prep, PrepHead};
use diffuser_spec::norm::Sums;
use diffuser_spec::operand::{
    pool_operands, pool_states, pool_streams, quantise, state_planes, stream_planes,
};
use diffuser_spec::silu::silu;

use super::{Access, check, parameters, require};
use crate::fault::Fault;
use crate::memories::{Memories, Memory, Shape};

/// Kinds, as `docs/isa.md` numbers them.
mod kind {
    pub const NORM: u32 = 0;
    pub const SINGLE: u32 = 1;
    pub const STREAM_PLANES: u32 = 2;
    pub const STATE_PLANES: u32 = 3;
    pub const STREAM: u32 = 4;
}

/// `resample`: nearest 2x.
const NEAREST: u32 = 1;
/// `resample`: mean of 2x2.
const MEAN: u32 = 2;

/// Columns and rows of the result.
#[must_use]
pub const fn result_size(op: &Prep) -> (u64, u64) {
    let (w, h) = (op.width as u64, op.height as u64);
    match op.resample {
        NEAREST => (2 * w, 2 * h),
        MEAN => (w / 2, h / 2),
        _ => (w, h),
    }
}

/// Planes of the operand; 1 for kind 4.
#[must_use]
pub const fn planes(op: &Prep) -> u64 {
    match op.kind {
        kind::STREAM_PLANES | kind::STATE_PLANES => 2,
        _ => 1,
    }
}

/// Blocks of I channels in a plane of the operand.
#[must_use]
pub const fn blocks(op: &Prep, shape: Shape) -> u64 {
    let i = shape.inputs as u64;
    (op.channels_a as u64).div_ceil(i) + (op.channels_b as u64).div_ceil(i)
}

/// See [`rules`](super::rules).
pub(super) fn rules(op: &Prep) -> Result<(), Fault> {
    let norm = op.kind == kind::NORM;
    let resampling = op.kind == kind::STREAM;
    require(
        op.kind != kind::STATE_PLANES || op.channels_a <= 4,
        "prep: the state has at most 4 channels",
    )?;
    require(
        norm || op.channels_b == 0,
        "prep: only a norm reads two streams",
    )?;
    require(
        norm || (!op.silu && op.affine == 0),
        "prep: silu and affine belong to kind 0",
    )?;
    require(
        resampling || (!op.sums && op.plane_dest == 0),
        "prep: sums and plane_dest belong to kind 4",
    )?;
    require(
        !resampling || !op.spread,
        "prep: a stream is not spread over banks",
    )?;
    require(op.sums || op.sums_base == 0, "prep: sums_base without sums")?;
    require(
        op.channels_b != 0 || (op.stream_b == 0 && op.plane_b == 0),
        "prep: fields of a second stream that is not there",
    )?;
    require(
        op.resample != MEAN || (op.width.is_multiple_of(2) && op.height.is_multiple_of(2)),
        "prep: the mean of 2x2 needs even sizes",
    )
}

/// See [`accesses`](super::accesses).
pub(super) fn accesses(op: &Prep, shape: Shape) -> Vec<Access> {
    let mut list = Vec::new();
    let pixels = u64::from(op.width) * u64::from(op.height);
    let (w, h) = result_size(op);
    let dest = u64::from(op.dest);
    let words = |channels: u32| u64::from(channels).div_ceil(shape.outputs as u64);
    if op.kind == kind::STATE_PLANES {
        let first = u64::from(op.stream_a);
        list.push(Access::read(Memory::State, first, pixels, "prep: state"));
    } else {
        let streams = [
            (op.stream_a, op.plane_a, op.channels_a, "prep: first stream"),
            (
                op.stream_b,
                op.plane_b,
                op.channels_b,
                "prep: second stream",
            ),
        ];
        for (first, plane, channels, what) in streams {
            for block in 0..words(channels) {
                let first = u64::from(first) + block * u64::from(plane);
                list.push(Access::read(Memory::Stream, first, pixels, what));
            }
        }
    }
    if op.kind == kind::NORM {
        let channels = u64::from(op.channels_a) + u64::from(op.channels_b);
        list.push(Access::read(
            Memory::Affine,
            op.affine.into(),
            channels,
            "prep: affine maps",
        ));
    }
    if matches!(op.kind, kind::NORM | kind::SINGLE | kind::STATE_PLANES) {
        let entries = PrepHead::ENTRIES as u64;
        list.push(Access::read(
            Memory::Param,
            op.param.into(),
            entries,
            "prep: head",
        ));
    }
    if op.kind == kind::STREAM {
        for block in 0..words(op.channels_a) {
            let first = dest + block * u64::from(op.plane_dest);
            list.push(Access::write(Memory::Stream, first, w * h, "prep: result"));
        }
        if op.sums {
            list.push(Access::write(
                Memory::Sums,
                op.sums_base.into(),
                op.channels_a.into(),
                "prep: sums",
            ));
        }
    } else {
        let rows = planes(op) * blocks(op, shape) * shape.rows(w * h);
        list.push(Access::write(Memory::Operand, dest, rows, "prep: result"));
    }
    list
}

/// One result: which source pixels it is made of.
enum From {
    /// A copy of this pixel.
    One(usize),
    /// The mean of four.
    Four([usize; 4]),
}

/// Where pixel `n` of the result comes from.
const fn source(op: &Prep, n: usize) -> From {
    let width = op.width as usize;
    match op.resample {
        NEAREST => {
            let (y, x) = (n / (2 * width), n % (2 * width));
            From::One(y / 2 * width + x / 2)
        }
        MEAN => {
            let (y, x) = (n / (width / 2), n % (width / 2));
            let at = 2 * y * width + 2 * x;
            From::Four([at, at + 1, at + width, at + width + 1])
        }
        _ => From::One(n),
    }
}

/// Value of the result from values of the source, and how four are pooled.
fn resampled<T>(from: &From, value: impl Fn(usize) -> T, pool: impl Fn([T; 4]) -> T) -> T {
    match *from {
        From::One(n) => value(n),
        From::Four(four) => pool(four.map(value)),
    }
}

/// The whole operand or stream.
///
/// # Errors
/// See [`execute`](super::execute).
pub fn execute(op: &Prep, memories: &mut Memories) -> Result<(), Fault> {
    rules(op)?;
    check(memories, &accesses(op, memories.shape))?;
    match op.kind {
        kind::NORM | kind::SINGLE => one_plane(op, memories),
        kind::STREAM_PLANES => {
            let stream = |memories: &Memories, n: usize, c: usize| {
                stream_value(memories, op.stream_a, op.plane_a, n, c)
            };
            two_planes(op, memories, |memories, from, c| {
                let x = resampled(from, |n| stream(memories, n, c), pool_streams);
                stream_planes(x)
            });
            Ok(())
        }
        kind::STATE_PLANES => {
            let head = parameters(memories, op.param as usize, PrepHead::decode)?;
            two_planes(op, memories, |memories, from, c| {
                let value = |n: usize| memories.state[op.stream_a as usize + n][c];
                state_planes(resampled(from, value, pool_states), head.shift)
            });
            Ok(())
        }
        _ => {
            stream(op, memories);
            Ok(())
        }
    }
}

/// Channel `c` of pixel `n` of a stream.
fn stream_value(memories: &Memories, first: u32, plane: u32, n: usize, c: usize) -> i16 {
    let outputs = memories.shape.outputs;
    let word = first as usize + c / outputs * plane as usize + n;
    memories.stream[memories.stream_at(word) + c % outputs]
}

/// Kinds 0 and 1: means are taken of finished operands.
fn one_plane(op: &Prep, memories: &mut Memories) -> Result<(), Fault> {
    let head = parameters(memories, op.param as usize, PrepHead::decode)?;
    let (gain, zero_point) = (head.gain as i16, head.zero_point as i8);
    let inputs = memories.shape.inputs;
    let (w, h) = result_size(op);
    let pixels = (w * h) as usize;
    let rows = memories.shape.rows(w * h) as usize;
    let streams = [
        (op.stream_a, op.plane_a, op.channels_a, 0),
        (op.stream_b, op.plane_b, op.channels_b, op.channels_a),
    ];
    let mut row = op.dest as usize;
    for (first, plane, channels, before) in streams {
        let channels = channels as usize;
        for c0 in (0..channels).step_by(inputs) {
            let there = inputs.min(channels - c0);
            for n in 0..pixels {
                let from = source(op, n);
                let at = memories.pixel_at(row, n, op.spread);
                for i in 0..there {
                    let c = c0 + i;
                    let value = |n: usize| {
                        let x = stream_value(memories, first, plane, n, c);
                        let u = if op.kind == kind::NORM {
                            let map = memories.affine[(op.affine + before) as usize + c];
                            let u = map.apply(x);
                            if op.silu { silu(u) } else { u }
                        } else {
                            x
                        };
                        quantise(u, gain, zero_point)
                    };
                    memories.operand[at + i] = resampled(&from, value, pool_operands);
                }
                memories.operand[at + there..at + inputs].fill(0);
            }
            row += rows;
        }
    }
    Ok(())
}

/// Kinds 2 and 3: `split` gives the high and the low plane of a channel.
fn two_planes(
    op: &Prep,
    memories: &mut Memories,
    split: impl Fn(&Memories, &From, usize) -> (i8, i8),
) {
    let inputs = memories.shape.inputs;
    let (w, h) = result_size(op);
    let rows = memories.shape.rows(w * h) as usize;
    let channels = op.channels_a as usize;
    let plane = channels.div_ceil(inputs) * rows;
    for (block, c0) in (0..channels).step_by(inputs).enumerate() {
        let row = op.dest as usize + block * rows;
        for n in 0..(w * h) as usize {
            let from = source(op, n);
            let high = memories.pixel_at(row, n, op.spread);
            let low = memories.pixel_at(row + plane, n, op.spread);
            for i in 0..inputs {
                let (h, l) = if c0 + i < channels {
                    split(memories, &from, c0 + i)
                } else {
                    (0, 0)
                };
                memories.operand[high + i] = h;
                memories.operand[low + i] = l;
            }
        }
    }
}

/// Kind 4.
fn stream(op: &Prep, memories: &mut Memories) {
    let outputs = memories.shape.outputs;
    let (w, h) = result_size(op);
    let channels = op.channels_a as usize;
    for (block, c0) in (0..channels).step_by(outputs).enumerate() {
        let dest = op.dest as usize + block * op.plane_dest as usize;
        let mut sums = vec![Sums::default(); outputs];
        for n in 0..(w * h) as usize {
            let from = source(op, n);
            let at = memories.stream_at(dest + n);
            for (lane, sums) in sums.iter_mut().enumerate() {
                let c = c0 + lane;
                let x = if c < channels {
                    let value = |n| stream_value(memories, op.stream_a, op.plane_a, n, c);
                    resampled(&from, value, pool_streams)
                } else {
                    0
                };
                memories.stream[at + lane] = x;
                *sums = sums.plus(of(x));
            }
        }
        if op.sums {
            let there = outputs.min(channels - c0);
            let first = op.sums_base as usize + c0;
            memories.sums[first..first + there].copy_from_slice(&sums[..there]);
        }
    }
}

/// Sums of one value.
pub(super) const fn of(x: i16) -> Sums {
    Sums {
        sum: x as i64,
        sum_sq: (x as i64 * x as i64) as u64,
    }
}
