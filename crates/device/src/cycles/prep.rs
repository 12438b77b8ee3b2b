//! `prep`: I lanes of one plane a cycle, group after group of P pixels of the result.

use diffuser_isa::generated::Prep;

use super::{Cost, Progress, Timing};
use crate::memories::Shape;
use crate::ops::prep::{blocks, planes, result_size};

pub(crate) fn prep(op: &Prep, shape: Shape, timing: &Timing, start: u64) -> Cost {
    let (width, height) = result_size(op);
    let pixels = width * height;
    // the mean of 2x2 reads four pixels for one
    let reads = if op.resample == 2 { 4 } else { 1 };
    let pixel = blocks(op, shape) * planes(op) * reads;
    let each = shape.pixels as u64 * pixel;
    let overhead = timing.prep_start + timing.prep_latency;
    Cost {
        end: start + overhead + pixels * pixel,
        busy: pixels * pixel,
        progress: Some(Progress {
            first: start + overhead + each,
            each,
        }),
        ..Cost::default()
    }
}
