//! Pass `fuse`: what rides along with a neighbour.
//!
//! Before: as `lower` leaves it. After:
//!
//! - nearest upsampling of an operand that convolutions read is done by the convolutions' `upsample`:
//!   the operand is a quarter of the size, and `prep` works a quarter of the time;
//! - the layer that makes a stream which a norm reads keeps its channel sums.

use std::collections::BTreeSet;

use diffuser_model::graph::{Resample, TensorId};

use crate::layer::{Layers, PrepKind, Work};

/// Run the pass.
pub fn fuse(layers: &mut Layers) {
    upsample(layers);
    sums(layers);
}

fn upsample(layers: &mut Layers) {
    let mut fused: BTreeSet<TensorId> = BTreeSet::new();
    for layer in &mut layers.list {
        let Work::Prep(prep) = &mut layer.work else {
            continue;
        };
        if prep.kind == PrepKind::Stream || prep.resample != Some(Resample::Nearest2x) {
            continue;
        }
        // what `prep` makes is read by convolutions alone: attention reads what convolutions make
        prep.resample = None;
        fused.insert(prep.output);
        if let Some(form) = layers.operands.get_mut(&prep.output) {
            form.size = prep.size;
        }
    }
    for layer in &mut layers.list {
        if let Work::Conv(conv) = &mut layer.work {
            conv.upsample = fused.contains(&conv.input);
        }
    }
}

fn sums(layers: &mut Layers) {
    let read: BTreeSet<TensorId> = layers
        .list
        .iter()
        .filter_map(|layer| match &layer.work {
            Work::Norm(norm) => Some(norm.streams.iter().copied()),
            _ => None,
        })
        .flatten()
        .collect();
    for layer in &mut layers.list {
        match &mut layer.work {
            Work::Conv(conv) => conv.sums = read.contains(&conv.output),
            Work::Prep(prep) => {
                prep.sums = prep.kind == PrepKind::Stream && read.contains(&prep.output);
            }
            _ => {}
        }
    }
}
