//! `norm`: a channel a cycle, with a least time for each group's factors.

use diffuser_isa::generated::Norm;

use super::{Cost, Timing};

pub(crate) fn norm(op: &Norm, timing: &Timing, start: u64) -> Cost {
    let busy = u64::from(op.groups) * timing.norm_group.max(op.group_channels.into());
    Cost {
        end: start + timing.norm_latency + busy,
        busy,
        ..Cost::default()
    }
}
