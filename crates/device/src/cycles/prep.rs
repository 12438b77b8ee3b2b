//! `prep`: a word of a stream a cycle, group after group of P pixels of the result.
//!
//! Neighbouring pixels are taken together as a *chunk*. Its words are read one a cycle; beside that, each
//! block of I channels of the words takes a cycle in each plane. The longer of both counts.

use diffuser_isa::generated::Prep;

use super::{Cost, Progress, Timing};
use crate::memories::Shape;
use crate::ops::prep::{planes, result_size};

/// Kind that writes a stream.
const TO_STREAM: u32 = 4;
/// `resample`: mean of 2x2.
const MEAN: u32 = 2;

/// Pixels of a chunk, 1 where each block is read for itself.
fn chunk(op: &Prep, shape: Shape) -> u64 {
    let pixels = match op.kind {
        _ if op.resample == MEAN || op.kind == TO_STREAM => 1,
        2 => 2 * shape.outputs / shape.inputs,
        3 => 2,
        _ => shape.outputs / shape.inputs,
    };
    pixels.min(shape.pixels) as u64
}

/// Writes to the operand memory.
pub(crate) fn writes(op: &Prep, shape: Shape) -> u64 {
    if op.kind == TO_STREAM {
        return 0;
    }
    let (width, height) = result_size(op);
    let channels = op.channels_a.div_ceil(shape.inputs as u32);
    let channels = channels + op.channels_b.div_ceil(shape.inputs as u32);
    (width * height).div_ceil(chunk(op, shape)) * u64::from(channels) * planes(op)
}

/// Cycles that `pixels` neighbouring pixels take, all channels of them.
fn cycles(op: &Prep, shape: Shape, pixels: u64) -> u64 {
    let chunk = chunk(op, shape);
    let (inputs, outputs) = (shape.inputs as u64, shape.outputs as u64);
    let word = |channels: u64| {
        if chunk > 1 {
            let slots = channels.div_ceil(inputs) * planes(op);
            let tail = pixels % chunk;
            let tail = if tail == 0 { 0 } else { tail.max(slots) };
            return pixels / chunk * chunk.max(slots) + tail;
        }
        // blocks of streams are written though they hold no channel
        let channels = if op.kind == TO_STREAM {
            outputs
        } else {
            channels
        };
        let reads = if op.resample == MEAN { 4 } else { 1 };
        pixels * channels.div_ceil(inputs) * planes(op) * reads
    };
    let stream = |channels: u32| {
        let channels = u64::from(channels);
        let rest = channels % outputs;
        let rest = if rest == 0 { 0 } else { word(rest) };
        channels / outputs * word(outputs) + rest
    };
    stream(op.channels_a) + stream(op.channels_b)
}

pub(crate) fn prep(op: &Prep, shape: Shape, timing: &Timing, start: u64) -> Cost {
    let (width, height) = result_size(op);
    let (pixels, group) = (width * height, shape.pixels as u64);
    let each = cycles(op, shape, group);
    let rest = if pixels.is_multiple_of(group) {
        0
    } else {
        cycles(op, shape, pixels % group)
    };
    let busy = pixels / group * each + rest;
    let overhead = timing.prep_start + timing.prep_latency;
    Cost {
        end: start + overhead + busy,
        busy,
        progress: Some(Progress {
            first: start + overhead + each,
            each,
        }),
        ..Cost::default()
    }
}

/// Cycles of a `prep` from its start to its retirement, as [`Simulator`](crate::Simulator) counts them.
#[must_use]
pub fn prep_cycles(op: &Prep, shape: Shape) -> u64 {
    prep(op, shape, &Timing::default(), 0).end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(kind: u32, resample: u32, channels: u32) -> u64 {
        let op = Prep {
            kind,
            resample,
            channels_a: channels,
            width: 8,
            height: 8,
            ..Prep::default()
        };
        prep(&op, Shape::ZU9EG, &Timing::default(), 0).busy
    }

    #[test]
    fn a_word_a_cycle() {
        for kind in [0, 1, 2] {
            assert_eq!(busy(kind, 0, 32), 64);
            assert_eq!(busy(kind, 0, 96), 192);
            assert_eq!(busy(kind, 1, 32), 256);
            // one block of a word: it is read all the same
            assert_eq!(busy(kind, 0, 48), 128);
        }
        assert_eq!(busy(3, 0, 3), 64);
    }

    #[test]
    fn means_and_copies_take_a_block_a_read() {
        assert_eq!(busy(0, 2, 32), 16 * 4 * 2);
        assert_eq!(busy(2, 2, 32), 16 * 4 * 4);
        assert_eq!(busy(3, 2, 3), 16 * 4 * 2);
        assert_eq!(busy(4, 0, 32), 64 * 2);
        assert_eq!(busy(4, 0, 3), 64 * 2);
    }

    #[test]
    fn a_last_chunk_that_is_not_full() {
        let op = Prep {
            kind: 2,
            channels_a: 16,
            width: 5,
            height: 1,
            ..Prep::default()
        };
        // four words and two planes; one word and two planes
        let cost = prep(&op, Shape::ZU9EG, &Timing::default(), 0);
        assert_eq!(cost.busy, 4 + 2);
    }
}
