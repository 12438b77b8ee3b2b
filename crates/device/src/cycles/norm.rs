//! `norm`, one group after another.

use diffuser_isa::generated::Norm;

use super::{Cost, Timing};

pub(crate) fn norm(op: &Norm, timing: &Timing, start: u64) -> Cost {
    let channel = timing.norm_sum + timing.norm_channel;
    let group = timing.norm_group + u64::from(op.group_channels) * channel;
    let busy = u64::from(op.groups) * group;
    Cost {
        end: start + timing.norm_start + busy,
        busy,
        ..Cost::default()
    }
}
