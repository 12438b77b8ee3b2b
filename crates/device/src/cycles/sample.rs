//! `sample`, one value after another.

use diffuser_isa::generated::Sample;

use super::{Cost, Timing};

pub(crate) fn sample(op: &Sample, timing: &Timing, start: u64) -> Cost {
    let busy = u64::from(op.pixels) * u64::from(op.channels) * timing.sample_value;
    Cost {
        end: start + timing.sample_start + busy,
        busy,
        ..Cost::default()
    }
}
