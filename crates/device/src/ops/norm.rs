//! `norm`: channel sums of streams to one affine map a channel.

use diffuser_isa::generated::{Norm, NormChannel, NormHead};
use diffuser_spec::norm::{Sums, channel_affine, group_factors};

use super::{Access, check, parameters, require};
use crate::fault::Fault;
use crate::memories::{Memories, Memory};

/// Channels of the norm that the range of groups holds, first and past the last.
fn channels(op: &Norm) -> (u64, u64) {
    let size = u64::from(op.group_channels);
    let first = u64::from(op.first_group) * size;
    (first, first + u64::from(op.groups) * size)
}

/// See [`rules`](super::rules).
pub(super) fn rules(op: &Norm) -> Result<(), Fault> {
    let all = u64::from(op.channels_a) + u64::from(op.channels_b);
    require(
        all % u64::from(op.group_channels) == 0,
        "norm: the channels are not whole groups",
    )?;
    require(
        channels(op).1 <= all,
        "norm: the range of groups goes past the channels",
    )
}

/// See [`accesses`](super::accesses).
pub(super) fn accesses(op: &Norm) -> Vec<Access> {
    let (first, end) = channels(op);
    let a = u64::from(op.channels_a);
    let (param, head) = (u64::from(op.param), NormHead::ENTRIES as u64);
    let mut list = vec![
        Access::read(Memory::Param, param, head, "norm: head"),
        Access::read(
            Memory::Param,
            param + head + first,
            end - first,
            "norm: channels",
        ),
        Access::write(
            Memory::Affine,
            u64::from(op.affine) + first,
            end - first,
            "norm: affine maps",
        ),
    ];
    if first < a {
        let words = end.min(a) - first;
        let first = u64::from(op.sums_a) + first;
        list.push(Access::read(
            Memory::Sums,
            first,
            words,
            "norm: sums of the first stream",
        ));
    }
    if end > a {
        let first = first.max(a) - a;
        let words = end - a - first;
        let first = u64::from(op.sums_b) + first;
        list.push(Access::read(
            Memory::Sums,
            first,
            words,
            "norm: sums of the second stream",
        ));
    }
    list
}

/// Sums of values `2^gap` times as large, modulo 2^64 as registers are.
const fn rescaled(sums: Sums, gap: u32) -> Sums {
    Sums {
        sum: sums.sum.wrapping_shl(gap),
        sum_sq: sums.sum_sq.wrapping_shl(2 * gap),
    }
}

/// Affine maps of the range's channels.
///
/// # Errors
/// See [`execute`](super::execute); also where the sums cannot be those of `count` values.
pub fn execute(op: &Norm, memories: &mut Memories) -> Result<(), Fault> {
    rules(op)?;
    check(memories, &accesses(op))?;
    let param = op.param as usize;
    let head = parameters(memories, param, NormHead::decode)?;
    let size = op.group_channels as usize;
    let channels_a = op.channels_a as usize;
    let first = op.first_group as usize;
    for group in first..first + op.groups as usize {
        let channels = group * size..(group + 1) * size;
        // where a channel's sums lie, and how much coarser its stream is
        let place = |c: usize| match c.checked_sub(channels_a) {
            None => (op.sums_a as usize + c, head.gap_a),
            Some(b) => (op.sums_b as usize + b, head.gap_b),
        };
        let sums = channels.clone().fold(Sums::default(), |total, c| {
            let (at, gap) = place(c);
            let sums = rescaled(memories.sums[at], gap);
            Sums {
                sum: total.sum.wrapping_add(sums.sum),
                sum_sq: total.sum_sq.wrapping_add(sums.sum_sq),
            }
        });
        // the variance of real values is never negative
        let square = u128::from(sums.sum.unsigned_abs()).pow(2);
        if u128::from(op.count) * u128::from(sums.sum_sq) < square {
            let count = op.count;
            return Err(Fault::field(format!(
                "norm: the sums of group {group} are not those of {count} values"
            )));
        }
        let factors = group_factors(sums, op.count, head.eps, head.exponent);
        for c in channels {
            let at = param + NormHead::ENTRIES + c;
            let channel = parameters(memories, at, NormChannel::decode)?;
            memories.affine[op.affine as usize + c] =
                channel_affine(factors, channel.gamma, channel.beta, place(c).1);
        }
    }
    Ok(())
}
