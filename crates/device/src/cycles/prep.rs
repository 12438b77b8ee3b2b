//! `prep`: I lanes of one source pixel a cycle, group after group of P pixels of the result.

use diffuser_isa::generated::Prep;

use super::{Cost, Progress, Timing};
use crate::memories::Shape;
use crate::ops::prep::{blocks, result_size};

pub(crate) fn prep(op: &Prep, shape: Shape, timing: &Timing, start: u64) -> Cost {
    let (width, height) = result_size(op);
    let groups = shape.rows(width * height);
    // the mean of 2x2 reads four pixels for one
    let reads = if op.resample == 2 { 4 } else { 1 };
    let each = shape.pixels as u64 * blocks(op, shape) * reads;
    let first = start + timing.prep_start + each + timing.prep_latency;
    let progress = Progress { first, each };
    Cost {
        end: progress.at(groups - 1),
        busy: groups * each,
        progress: Some(progress),
        ..Cost::default()
    }
}
