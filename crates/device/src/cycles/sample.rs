//! `sample`, one value after another.

use diffuser_isa::generated::Sample;

use super::{Cost, Timing};

pub(crate) fn sample(op: &Sample, timing: &Timing, start: u64) -> Cost {
    let busy = u64::from(op.pixels) * u64::from(op.channels) * timing.sample_value;
    let noise = if op.noise { timing.noise_latency } else { 0 };
    Cost {
        end: start + timing.sample_latency + noise + busy,
        busy,
        ..Cost::default()
    }
}

/// Cycles of a `sample` from its start to its retirement, as [`Simulator`](crate::Simulator) counts them.
#[must_use]
pub fn sample_cycles(op: &Sample) -> u64 {
    sample(op, &Timing::default(), 0).end
}
