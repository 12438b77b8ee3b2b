//! The array: issue cycles of `conv` and `attention`, bank conflicts, and the drain.

use std::collections::VecDeque;

use diffuser_isa::generated::{Attention, Conv};

use super::{Cost, Progress, Timing};
use crate::memories::Shape;
use crate::ops::attention::{key_blocks, key_tiles, value_tiles};
use crate::ops::conv::{kernel, out_pixels, planes, tap};

/// What a group of output pixels reads.
struct Group {
    /// Cycles that its taps lose to bank conflicts, for one block of one plane.
    conflicts: u64,
    /// Last pixel of the operand that it reads, if it reads any.
    last: Option<u64>,
    /// Output pixels of it, P but for the last group.
    pixels: u64,
}

/// Cycles that one tap of a group loses: a bank gives one row a cycle.
///
/// `reads` are pixels of the operand.
fn conflicts(reads: &[u64], shape: Shape, spread: bool) -> u64 {
    let mut rows = [0u64; 256];
    for (j, read) in reads.iter().enumerate() {
        // distinct pixels in a bank are distinct rows of it
        if !reads[..j].contains(read) {
            rows[shape.bank(*read, spread) as usize] += 1;
        }
    }
    rows.into_iter().max().unwrap_or(0).max(1) - 1
}

fn groups(op: &Conv, shape: Shape) -> Vec<Group> {
    let (pixels, size, k) = (out_pixels(op), shape.pixels as u64, kernel(op));
    let group = |first: u64| {
        let end = pixels.min(first + size);
        let mut group = Group {
            conflicts: 0,
            last: None,
            pixels: end - first,
        };
        let mut reads = Vec::with_capacity(shape.pixels);
        for (ky, kx) in (0..k).flat_map(|ky| (0..k).map(move |kx| (ky, kx))) {
            reads.clear();
            reads.extend((first..end).filter_map(|n| tap(op, n, ky, kx)));
            group.conflicts += conflicts(&reads, shape, op.spread);
            group.last = group.last.max(reads.iter().copied().max());
        }
        group
    };
    (0..shape.rows(pixels)).map(|g| group(g * size)).collect()
}

/// When the array can do what for a `conv`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Its waits are fulfilled and it is at the head of its queue.
    pub ready: u64,
    /// The last product of the descriptor before has been issued.
    pub free: u64,
    /// The last accumulators of the descriptors before have left for requantisation.
    pub drained: u64,
    /// Progress of the `prep` that it follows.
    pub chain: Option<Progress>,
}

/// A `conv`: it is set up while the descriptor before is multiplied, and multiplies while that drains.
pub(crate) fn conv(op: &Conv, shape: Shape, timing: &Timing, start: Start) -> Cost {
    let groups = groups(op, shape);
    let taps = kernel(op) * kernel(op);
    let repeats = planes(op) * u64::from(op.blocks);
    let outputs = shape.outputs as u64;
    // a pixel's O lanes are one word, but for Q and K: there they lie in O / I rows or words
    let words = if matches!(op.dest_kind, 1 | 2) {
        outputs / shape.inputs as u64
    } else {
        1
    };
    let mut cost = Cost::default();
    let set_up = start.ready + timing.array_start;
    let mut now = set_up.max(start.free);
    // bias and multipliers of the first tile come meanwhile, its drain waits for them; those of later tiles are there
    let mut drained = start.drained.max(set_up + outputs);
    // Q goes to the operand memory, whose write port it shares with the `prep` that it follows
    let mut written = 0;
    // when the groups that wait for the drain have left, and when the last one was issued
    let mut waiting = VecDeque::new();
    let mut last_issue = None;
    for tile in 0..op.tiles {
        if tile > 0 {
            drained += timing.drain_tile;
        }
        for group in &groups {
            if let (0, Some(chain), Some(last)) = (tile, start.chain, group.last) {
                let ready = chain.at(last / shape.pixels as u64) + written;
                cost.stall_operand += ready.saturating_sub(now);
                now = now.max(ready);
            }
            let bank = group.conflicts * repeats;
            cost.busy += taps * repeats;
            cost.stall_bank += bank;
            // the last issue waits for room for its accumulators, and until those before have moved on
            let natural = now + taps * repeats + bank;
            now = natural;
            if waiting.len() == timing.drain_groups {
                now = now.max(waiting.pop_front().unwrap_or_default());
            }
            if let Some(last) = last_issue {
                now = now.max(last + shape.pixels as u64);
            }
            last_issue = Some(now);
            cost.stall_store += now - natural;
            drained = drained.max(now + timing.mac_latency) + group.pixels * words;
            if op.dest_kind == 1 {
                written += group.pixels * words;
            }
            waiting.push_back(drained);
        }
    }
    // the last tile's sums are written behind its last word
    let sums = if op.sums { outputs } else { 0 };
    cost.drained = drained;
    cost.end = drained + timing.drain_latency + sums;
    // what comes next may read what a Q, K or V writes
    cost.issued = if op.dest_kind == 0 { now } else { cost.end };
    cost
}

/// An `attention`: the softmax of a group of P queries has the time of the products of another.
pub(crate) fn attention(op: &Attention, shape: Shape, timing: &Timing, start: u64) -> Cost {
    let p = shape.pixels as u64;
    let (keys, channels) = (key_tiles(op, shape), u64::from(op.head_blocks));
    let issue = keys * channels + value_tiles(op, shape) * key_blocks(op, shape);
    // rows of logits are read twice, results leave I lanes of a query a cycle
    let each = issue.max(2 * p * keys).max(p * channels);
    let groups = u64::from(op.heads) * shape.rows(op.pixels.into());
    // two groups at most are between the begin of their softmax and their result
    let open = groups.saturating_sub(2) * (timing.attention_group + p * keys);
    // the first one's softmax lies behind the logits of two groups
    let first = (timing.attention_softmax + 4 * p * keys).saturating_sub(2 * keys * channels);
    let overhead = timing.array_start + timing.attention_latency + first;
    let end = start + overhead + open.max(groups * each);
    // what it waits for itself is no wait for the drain: its counters have only products
    Cost {
        end,
        busy: groups * issue,
        issued: end,
        ..Cost::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At time `ready` on an idle array.
    fn at(ready: u64, chain: Option<Progress>) -> Start {
        Start {
            ready,
            free: 0,
            drained: 0,
            chain,
        }
    }

    const SHAPE: Shape = Shape::ZU9EG;

    fn square(size: u32, kernel: u32) -> Conv {
        Conv {
            kernel,
            pad_top: kernel,
            pad_left: kernel,
            blocks: 4,
            tiles: 3,
            in_width: size,
            in_height: size,
            out_width: size,
            out_height: size,
            ..Conv::default()
        }
    }

    #[test]
    fn conflicts_are_the_most_rows_of_a_bank() {
        let plain = |reads: &[u64]| conflicts(reads, SHAPE, false);
        assert_eq!(plain(&[]), 0);
        assert_eq!(plain(&[0, 1, 2, 3, 4, 5, 6, 7]), 0);
        assert_eq!(plain(&[3, 3, 3, 3]), 0, "one row serves many");
        assert_eq!(plain(&[0, 2, 4, 6, 8, 10, 12, 14]), 1);
        assert_eq!(plain(&[0, 8, 16, 24, 1, 9]), 3);
    }

    #[test]
    fn every_other_pixel_of_a_spread_operand_has_its_own_bank() {
        for shape in [Shape::SMALL, Shape::ZU9EG] {
            let p = shape.pixels as u64;
            for first in 0..100 {
                let every_other: Vec<u64> = (0..p).map(|j| first + 2 * j).collect();
                assert_eq!(conflicts(&every_other, shape, true), 0, "{first}");
                assert_eq!(conflicts(&every_other, shape, false), 1, "{first}");
                // the pixels of a row still have one each
                let row: Vec<u64> = (0..p).map(|j| first * p + j).collect();
                assert_eq!(conflicts(&row, shape, true), 0, "{first}");
            }
        }
    }

    #[test]
    fn a_stride_of_one_over_wide_rows_has_no_conflicts() {
        for size in [8, 16, 32] {
            let cost = conv(&square(size, 1), SHAPE, &Timing::default(), at(0, None));
            let pixels = u64::from(size * size);
            assert_eq!(cost.busy, pixels / 8 * 9 * 4 * 3, "{size}");
            assert_eq!((cost.stall_bank, cost.stall_store), (0, 0), "{size}");
        }
    }

    #[test]
    fn a_stride_of_two_costs_twice_where_a_group_lies_in_one_row() {
        let op = Conv {
            stride: 1,
            out_width: 16,
            out_height: 16,
            ..square(32, 0)
        };
        let cost = conv(&op, SHAPE, &Timing::default(), at(0, None));
        assert_eq!(cost.busy, 256 / 8 * 4 * 3);
        assert_eq!(cost.stall_bank, cost.busy);
        let spread = Conv { spread: true, ..op };
        let cost = conv(&spread, SHAPE, &Timing::default(), at(0, None));
        assert_eq!((cost.busy, cost.stall_bank), (256 / 8 * 4 * 3, 0));
    }

    #[test]
    fn short_sums_wait_for_the_drain() {
        // 4 issues a group of 8 pixels: the drain's 8 cycles decide
        let timing = Timing::default();
        let cost = conv(&square(16, 0), SHAPE, &timing, at(100, None));
        let groups = 3 * 256 / 8;
        assert_eq!(cost.busy, groups * 4);
        // the first tile's entries come later than the first group's sums
        let first = 100 + timing.array_start + 32;
        assert!(first > 100 + timing.array_start + 4 + timing.mac_latency);
        let between = 2 * timing.drain_tile;
        assert_eq!(
            cost.end,
            first + groups * 8 + between + timing.drain_latency
        );
        // 8 cycles from one group's last product to the next one's
        assert_eq!(cost.issued, 100 + timing.array_start + 4 + (groups - 1) * 8);
        assert_eq!(
            cost.stall_store,
            cost.issued - 100 - timing.array_start - groups * 4
        );
    }

    #[test]
    fn a_chained_conv_follows_its_operand() {
        let timing = Timing::default();
        let progress = Progress {
            first: 1000,
            each: 500,
        };
        let cost = conv(&square(16, 1), SHAPE, &timing, at(0, Some(progress)));
        // four groups of output read the last of 32, which is finished at 16,500; then two tiles remain
        let tile = 32 * 9 * 4;
        let last = progress.at(31) + 4 * 36 + 2 * tile;
        assert_eq!(
            cost.end,
            last + timing.mac_latency + 8 + timing.drain_latency
        );
        assert!(cost.stall_operand > 14_000, "{cost:?}");
    }

    #[test]
    fn a_conv_multiplies_while_the_one_before_drains() {
        let timing = Timing::default();
        let op = square(16, 1);
        let first = conv(&op, SHAPE, &timing, at(0, None));
        assert!(first.issued < first.end);
        let start = Start {
            ready: 0,
            free: first.issued,
            drained: first.drained,
            chain: None,
        };
        let second = conv(&op, SHAPE, &timing, start);
        assert_eq!(second.end - first.end, second.busy);
        // not where it may read what the one before writes
        let key = Conv {
            dest_kind: 2,
            head_blocks: 1,
            ..op
        };
        let key = conv(&key, SHAPE, &timing, at(0, None));
        assert_eq!(key.issued, key.end);
    }

    #[test]
    fn attention_takes_what_its_slowest_part_takes() {
        let op = |pixels, head_blocks| Attention {
            heads: 2,
            head_blocks,
            pixels,
            ..Attention::default()
        };
        let timing = Timing::default();
        let overhead = timing.array_start + timing.attention_latency;
        let long = attention(&op(256, 16), SHAPE, &timing, 0);
        // 8 tiles of keys, 8 of values: 8 * 16 + 8 * 16 products
        assert_eq!(long.busy, 2 * 32 * 256);
        // its first softmax has the time of 2 * 8 * 16 products
        let first = timing.attention_softmax + 4 * 8 * 8 - 2 * 8 * 16;
        assert_eq!(long.end, overhead + first + long.busy);
        // reading the logits twice takes longer than 8 * 2 + 16 products
        let short = attention(&op(256, 2), SHAPE, &timing, 0);
        assert_eq!(short.busy, 2 * 32 * 32);
        let first = timing.attention_softmax + 4 * 8 * 8 - 2 * 8 * 2;
        assert_eq!(short.end, overhead + first + 2 * 32 * 128);
        // eight keys: the latency of a softmax is all that counts
        let few = attention(&op(8, 1), SHAPE, &timing, 0);
        let first = timing.attention_softmax + 4 * 8 - 2;
        assert_eq!(few.end, overhead + first + 16 * 2);
        let few = attention(&op(64, 1), SHAPE, &timing, 0);
        let first = timing.attention_softmax + 4 * 8 * 2 - 2 * 2;
        let open = 14 * (timing.attention_group + 16);
        assert_eq!(few.end, overhead + first + open);
    }
}
