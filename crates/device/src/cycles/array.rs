//! The array: issue cycles of `conv` and `attention`, bank conflicts, and the drain.

use std::collections::VecDeque;

use diffuser_isa::generated::{Attention, Conv};

use super::{Cost, Progress, Timing};
use crate::memories::Shape;
use crate::ops::attention::{key_blocks, key_tiles, value_tiles};
use crate::ops::conv::{kernel, out_pixels, planes, tap};

/// What a group of output pixels reads.
struct Group {
    taps: Vec<Tap>,
    /// Output pixels of it, P but for the last group.
    pixels: u64,
}

/// What one tap of a group reads.
struct Tap {
    /// Cycles that it loses to bank conflicts, for one block of one plane.
    conflicts: u64,
    /// Last pixel of the operand that it reads, if it reads any.
    last: Option<u64>,
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
        let taps = (0..k).flat_map(|ky| (0..k).map(move |kx| (ky, kx)));
        let taps = taps.map(|(ky, kx)| {
            let reads: Vec<u64> = (first..end).filter_map(|n| tap(op, n, ky, kx)).collect();
            Tap {
                conflicts: conflicts(&reads, shape, op.spread),
                last: reads.into_iter().max(),
            }
        });
        Group {
            taps: taps.collect(),
            pixels: end - first,
        }
    };
    (0..shape.rows(pixels)).map(|g| group(g * size)).collect()
}

/// When the array can do what for a `conv`.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Its waits are fulfilled and it is at the head of its queue.
    pub ready: u64,
    /// The last product of the descriptor before has been issued.
    pub free: u64,
    /// The descriptor before follows no `prep` any more: the next one is set up then.
    pub open: u64,
    /// The descriptor before has retired.
    pub retired: u64,
    /// What the descriptors before have left.
    pub drain: Drain,
    /// Progress of the `prep` that it follows.
    pub chain: Option<Progress>,
}

/// What descriptors leave to those behind them: accumulators on their way to requantisation, tile after tile of all descriptors,
/// and parameters, which come one a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drain {
    /// When the last group's last product was issued, where there was one.
    issued: Option<u64>,
    /// When each of the groups leaves that may still wait.
    groups: VecDeque<u64>,
    /// The last ones have left.
    left: u64,
    /// They have gone to the memory's port.
    wrote: u64,
    /// The last descriptor's parameters have come, where there was one: the next one's are asked for.
    params: Option<u64>,
    /// A bank for the next tile's channels is free, for the one behind it.
    free: [u64; 2],
    /// The last tile's sums are written: the next one's last pixel may leave.
    summed: u64,
}

impl Drain {
    /// A tile begins whose channels are asked for at `from` at the earliest. Returns when all have been.
    fn begin(&mut self, from: u64, outputs: u64, timing: &Timing) -> u64 {
        let asked = self.free[0].max(from) + outputs;
        self.left = self.left.max(asked + timing.param_latency);
        asked
    }

    /// A group of so many pixels, `words` to write each, leaves after its last product.
    fn group(&mut self, pixels: u64, words: u64, timing: &Timing) {
        let begin = self.left.max(self.issued.unwrap_or(0) + timing.mac_latency);
        self.wrote = self.wrote.max(begin + timing.requantise) + pixels * words;
        // there is room for some behind requantisation
        let room = timing.drain_pixels * words;
        self.left = (begin + pixels).max(self.wrote.saturating_sub(room));
    }

    /// A tile has ended; the lanes past its last pixel go by.
    fn end(&mut self, past: u64, timing: &Timing) {
        self.free = [self.free[1], self.left + timing.drain_channels];
        self.left += past.max(timing.drain_tile);
    }
}

/// A `conv`: it is set up while the descriptor before is multiplied, and multiplies while that drains.
pub(crate) fn conv(op: &Conv, shape: Shape, timing: &Timing, start: Start) -> Cost {
    let groups = groups(op, shape);
    let repeats = planes(op) * u64::from(op.blocks);
    let outputs = shape.outputs as u64;
    // a pixel's O lanes are one word, but for Q and K: there they lie in O / I rows or words
    let words = if matches!(op.dest_kind, 1 | 2) {
        outputs / shape.inputs as u64
    } else {
        1
    };
    let mut cost = Cost::default();
    let mut drain = start.drain;
    // the head of its parameters comes behind those of the descriptor before
    let set_up = start.ready.max(start.open) + timing.array_start;
    let head = drain.params.map_or(0, |come| come + timing.head_latency);
    let mut now = set_up.max(head).max(start.free);
    drain.groups.retain(|&left| left > now);
    if op.residual {
        // results before may be what it reads
        drain.left = drain.left.max(start.retired + timing.residual_latency);
    }
    // Q goes to the operand memory, whose write port it shares with the `prep` that it follows
    let mut written = 0;
    let past = groups.last().map_or(0, |g| shape.pixels as u64 - g.pixels);
    let mut asked = set_up.max(head).saturating_sub(timing.param_latency);
    for tile in 0..op.tiles {
        asked = drain.begin(asked, outputs, timing);
        for (g, group) in groups.iter().enumerate() {
            for tap in &group.taps {
                if let (0, Some(chain)) = (tile, start.chain) {
                    // a tap of padding waits for the first group all the same
                    let last = tap.last.unwrap_or(0);
                    let ready = chain.at(last / shape.pixels as u64) + written;
                    cost.stall_operand += ready.saturating_sub(now);
                    now = now.max(ready);
                }
                let bank = tap.conflicts * repeats;
                cost.busy += repeats;
                cost.stall_bank += bank;
                now += repeats + bank;
            }
            // the last issue waits for room for its accumulators, and until those before have moved on
            let natural = now;
            if drain.groups.len() == timing.drain_groups {
                now = now.max(drain.groups.pop_front().unwrap_or_default());
            }
            if let Some(last) = drain.issued {
                now = now.max(last + shape.pixels as u64);
            }
            drain.issued = Some(now);
            cost.stall_store += now - natural;
            if op.sums && g + 1 == groups.len() {
                drain.left = drain.left.max(drain.summed.saturating_sub(group.pixels));
            }
            drain.group(group.pixels, words, timing);
            if op.sums && g + 1 == groups.len() {
                drain.summed = drain.left + outputs + timing.sums_latency;
            }
            if op.dest_kind == 1 {
                written += group.pixels * words;
            }
            drain.groups.push_back(drain.left);
        }
        drain.end(past, timing);
        if tile == 0 {
            cost.open = now + timing.chain_end;
        }
    }
    drain.params = Some(asked + timing.param_latency);
    cost.end = drain.wrote + timing.write_latency;
    if op.sums {
        cost.end = cost.end.max(drain.summed);
    }
    cost.drain = Some(drain);
    // what comes next may read what a Q, K or V writes
    cost.issued = if op.dest_kind == 0 { now } else { cost.end };
    cost
}

/// Writes to the operand memory, of a Q alone.
pub(crate) fn writes(op: &Conv, shape: Shape) -> u64 {
    if op.dest_kind == 1 {
        out_pixels(op) * u64::from(op.tiles) * (shape.outputs / shape.inputs) as u64
    } else {
        0
    }
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
            open: 0,
            retired: 0,
            drain: Drain::default(),
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
            first + groups * 8 + between + timing.requantise + timing.write_latency
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
        // four groups of output read the last of 32, which is finished at 16,500, the first of them with its last tap; then two tiles
        // remain
        let tile = 32 * 9 * 4;
        let last = progress.at(31) + 4 + 3 * 36 + 2 * tile;
        assert_eq!(
            cost.end,
            last + timing.mac_latency + 8 + timing.requantise + timing.write_latency
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
            open: 0,
            retired: first.end,
            drain: first.drain.unwrap_or_default(),
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
