//! The array: issue cycles of `conv` and `attention`, bank conflicts, and the drain.

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
/// `reads` are pixels of the operand; bank `m mod P`, row `m div P`.
fn conflicts(reads: &[u64], banks: u64) -> u64 {
    let mut rows = [0u64; 256];
    for (j, read) in reads.iter().enumerate() {
        // distinct pixels in a bank are distinct rows of it
        if !reads[..j].contains(read) {
            rows[(read % banks) as usize] += 1;
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
            group.conflicts += conflicts(&reads, size);
            group.last = group.last.max(reads.iter().copied().max());
        }
        group
    };
    (0..shape.rows(pixels)).map(|g| group(g * size)).collect()
}

/// A `conv` that starts at `start`; `chain` is the progress of the `prep` that it follows.
pub(crate) fn conv(
    op: &Conv,
    shape: Shape,
    timing: &Timing,
    start: u64,
    chain: Option<Progress>,
) -> Cost {
    let groups = groups(op, shape);
    let (taps, repeats) = (kernel(op) * kernel(op), planes(op) * u64::from(op.blocks));
    let outputs = shape.outputs as u64;
    // a pixel's O lanes are one word, but for K: there they lie in O / I words
    let words = if op.dest_kind == 2 {
        outputs / shape.inputs as u64
    } else {
        1
    };
    let mut cost = Cost::default();
    // bias and multipliers of the first tile; later ones are read meanwhile
    let mut now = start + timing.array_start + outputs;
    let mut drained = now;
    for tile in 0..op.tiles {
        for group in &groups {
            if let (0, Some(chain), Some(last)) = (tile, chain, group.last) {
                let ready = chain.at(last / shape.pixels as u64);
                cost.stall_operand += ready.saturating_sub(now);
                now = now.max(ready);
            }
            let bank = group.conflicts * repeats;
            cost.busy += taps * repeats;
            cost.stall_bank += bank;
            // the last issue waits until the drain can take its accumulators
            let natural = now + taps * repeats + bank;
            now = natural.max(drained.saturating_sub(timing.mac_latency));
            cost.stall_store += now - natural;
            drained = now + timing.mac_latency + group.pixels * words;
        }
    }
    // the last tile's sums are written behind its last word
    let sums = if op.sums { outputs } else { 0 };
    cost.end = drained + timing.drain_latency + sums;
    cost
}

/// An `attention`: while a group's softmax works the next group's logits are made.
pub(crate) fn attention(op: &Attention, shape: Shape, timing: &Timing, start: u64) -> Cost {
    let pixels = u64::from(op.pixels);
    let (p, groups) = (shape.pixels as u64, shape.rows(pixels));
    let (kt, dt) = (key_tiles(op, shape), value_tiles(op, shape));
    let (dot, mean) = (u64::from(op.head_blocks), key_blocks(op, shape));
    let issue = kt * dot + dt * mean;
    // O lanes of one pixel leave the array in a cycle
    let multiply = kt * dot.max(p) + dt * mean.max(p);
    let softmax = p * pixels.div_ceil(timing.exponentials);
    let each = multiply.max(softmax);
    let head = groups * each + softmax + timing.softmax_latency;
    let heads = u64::from(op.heads);
    Cost {
        end: start + timing.array_start + heads * head,
        busy: heads * groups * issue,
        stall_store: heads * groups * (multiply - issue),
        ..Cost::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(conflicts(&[], 8), 0);
        assert_eq!(conflicts(&[0, 1, 2, 3, 4, 5, 6, 7], 8), 0);
        assert_eq!(conflicts(&[3, 3, 3, 3], 8), 0, "one row serves many");
        assert_eq!(conflicts(&[0, 2, 4, 6, 8, 10, 12, 14], 8), 1);
        assert_eq!(conflicts(&[0, 8, 16, 24, 1, 9], 8), 3);
    }

    #[test]
    fn a_stride_of_one_over_wide_rows_has_no_conflicts() {
        for size in [8, 16, 32] {
            let cost = conv(&square(size, 1), SHAPE, &Timing::default(), 0, None);
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
        let cost = conv(&op, SHAPE, &Timing::default(), 0, None);
        assert_eq!(cost.busy, 256 / 8 * 4 * 3);
        assert_eq!(cost.stall_bank, cost.busy);
    }

    #[test]
    fn short_sums_wait_for_the_drain() {
        // 4 issues a group of 8 pixels: the drain's 8 cycles decide
        let timing = Timing::default();
        let cost = conv(&square(16, 0), SHAPE, &timing, 100, None);
        let groups = 3 * 256 / 8;
        assert_eq!(cost.busy, groups * 4);
        let first = 100 + timing.array_start + 32 + 4 + timing.mac_latency;
        assert_eq!(cost.end, first + groups * 8 + timing.drain_latency);
        assert_eq!(cost.stall_store, (groups - 1) * 4);
    }

    #[test]
    fn a_chained_conv_follows_its_operand() {
        let timing = Timing::default();
        let progress = Progress {
            first: 1000,
            each: 500,
        };
        let cost = conv(&square(16, 1), SHAPE, &timing, 0, Some(progress));
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
    fn attention_takes_what_its_slowest_part_takes() {
        let op = Attention {
            heads: 2,
            head_blocks: 2,
            pixels: 256,
            ..Attention::default()
        };
        let timing = Timing::default();
        let cost = attention(&op, SHAPE, &timing, 0);
        assert_eq!(cost.busy, 2 * 32 * (8 * 2 + 16));
        let slow = Timing {
            exponentials: 1,
            ..timing
        };
        let slow = attention(&op, SHAPE, &slow, 0);
        assert_eq!(slow.busy, cost.busy);
        assert!(slow.end > 10 * cost.end, "{} {}", slow.end, cost.end);
    }
}
