//! Transfers: a latency, then so many bytes a cycle on the bus of its direction.

use diffuser_isa::generated::{Load, Store};

use super::{Cost, Timing};
use crate::memories::Shape;
use crate::ops;

/// When the two directions of the bus are free again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BusTime {
    read: u64,
    write: u64,
    /// Retirement of the last transfer: they retire in order.
    retired: u64,
}

pub(crate) fn load(
    op: &Load,
    shape: Shape,
    timing: &Timing,
    start: u64,
    bus: &mut BusTime,
) -> Cost {
    let read_bytes = ops::load::bytes(op, shape) as u64;
    let busy = read_bytes.div_ceil(timing.dma_bytes);
    bus.read = busy + bus.read.max(start + timing.load_latency);
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
    let busy = (ops::store::bytes(op, shape) as u64).div_ceil(timing.dma_bytes);
    bus.write = busy + bus.write.max(start + timing.store_start);
    bus.retired = bus.retired.max(bus.write + timing.store_latency);
    Cost {
        end: bus.retired,
        busy,
        ..Cost::default()
    }
}
