//! Transfers: a latency, then so many bytes a cycle on the bus of its direction, or so many words of
//! the memory where those are slower.

use diffuser_isa::Space;
use diffuser_isa::generated::{Load, Store};

use super::{Cost, Timing};
use crate::memories::Shape;
use crate::ops;
use crate::ops::load::space_of;

/// When the two directions of the bus are free again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BusTime {
    read: u64,
    write: u64,
    /// Retirement of the last transfer: they retire in order.
    retired: u64,
}

/// Cycles that `words` words of a space take at their memory: one a cycle, but a weight word as
/// many as its bytes take on the bus, and a pixel one for each of its channels.
fn memory_cycles(space: Space, words: u32, shape: Shape, timing: &Timing) -> u64 {
    let word = match space {
        Space::Weight => (shape.weight_bytes() as u64).div_ceil(timing.dma_bytes),
        Space::Weight4 => (shape.weight_bytes() as u64).div_ceil(2 * timing.dma_bytes),
        Space::Param | Space::Stream | Space::State => 1,
        Space::Pixel => 4,
    };
    u64::from(words) * word
}

/// Cycles that `bytes` take on a bus of `width` bytes.
fn on_bus(bytes: u64, width: u64, timing: &Timing) -> u64 {
    (bytes.div_ceil(width) * 256).div_ceil(256 - timing.dma_lost)
}

pub(crate) fn load(
    op: &Load,
    shape: Shape,
    timing: &Timing,
    start: u64,
    bus: &mut BusTime,
) -> Cost {
    let read_bytes = ops::load::bytes(op, shape) as u64;
    let memory = memory_cycles(space_of(op.space), op.words, shape, timing);
    let busy = on_bus(read_bytes, timing.dma_bytes, timing).max(memory);
    let step = if op.per_step == 0 {
        0
    } else {
        timing.step_latency
    };
    bus.read = busy + bus.read.max(start + timing.load_latency + step);
    bus.retired = bus.retired.max(bus.read);
    Cost {
        end: bus.retired,
        busy,
        read_bytes,
        ..Cost::default()
    }
}

pub(crate) fn store(
    op: &Store,
    shape: Shape,
    timing: &Timing,
    start: u64,
    bus: &mut BusTime,
) -> Cost {
    let memory = memory_cycles(space_of(op.space), op.words, shape, timing);
    let bytes = ops::store::bytes(op, shape) as u64;
    let busy = on_bus(bytes, timing.store_bytes, timing).max(memory);
    bus.write = busy + bus.write.max(start + timing.store_start);
    bus.retired = bus.retired.max(bus.write + timing.store_latency);
    Cost {
        end: bus.retired,
        busy,
        ..Cost::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::ZU9EG;

    fn busy(space: Space, words: u32) -> u64 {
        let op = Load {
            space: space as u32,
            words,
            ..Load::default()
        };
        let mut bus = BusTime::default();
        load(&op, SHAPE, &even(), 0, &mut bus).busy
    }

    /// DDR that gives something in every cycle.
    fn even() -> Timing {
        Timing {
            dma_lost: 0,
            ..Timing::default()
        }
    }

    #[test]
    fn refreshes_take_their_part() {
        let timing = Timing {
            dma_lost: 64,
            ..Timing::default()
        };
        let op = Load {
            space: Space::Weight as u32,
            words: 30,
            ..Load::default()
        };
        let mut bus = BusTime::default();
        let cost = load(&op, SHAPE, &timing, 0, &mut bus);
        assert_eq!(cost.busy, 240 * 4 / 3);
    }

    #[test]
    fn the_bus_or_the_memory_decides() {
        assert_eq!(busy(Space::Weight, 10), 80);
        assert_eq!(busy(Space::Weight4, 10), 40, "half of the bytes");
        // a word a cycle, not two
        let op = Load {
            space: Space::Weight4 as u32,
            words: 10,
            ..Load::default()
        };
        let mut bus = BusTime::default();
        let small = load(&op, Shape::SMALL, &even(), 0, &mut bus);
        assert_eq!(small.busy, 10);
        assert_eq!(busy(Space::Param, 10), 10);
        assert_eq!(busy(Space::Stream, 10), 10);
        assert_eq!(busy(Space::State, 10), 10);
    }

    #[test]
    fn transfers_follow_each_other_without_the_latency_and_retire_in_order() {
        let timing = even();
        let mut bus = BusTime::default();
        let op = Load {
            words: 100,
            ..Load::default()
        };
        let first = load(&op, SHAPE, &timing, 0, &mut bus);
        assert_eq!(first.end, timing.load_latency + 800);
        let second = load(&op, SHAPE, &timing, 10, &mut bus);
        assert_eq!(second.end, first.end + 800);
        // a short store beside them, behind them
        let op = Store {
            space: Space::Pixel as u32,
            words: 16,
            ..Store::default()
        };
        let third = store(&op, SHAPE, &timing, 20, &mut bus);
        assert_eq!((third.busy, third.end), (64, second.end));
    }
}
