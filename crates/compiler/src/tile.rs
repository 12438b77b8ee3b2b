//! Pass `tile`: convolutions cut into descriptors of some tiles of output channels, and norms along with them.
//!
//! Before: each convolution is one descriptor of all its tiles, each norm one of all its groups. After: phases are
//! four descriptors of the same tiles, so that a norm of these need not wait for others; each
//! descriptor's weights take at most a part of the weight memory, so that the next
//! one's are loaded while it runs, and its parameters at most a part of the parameter memory. A norm has
//! a descriptor for the groups that each descriptor of the last convolution in front of it completes:
//! only the last of them stands between the two layers.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::error::CompileError;
use diffuser_model::graph::TensorId;
use diffuser_model::rewrite::Phase;

use crate::layer::{ConvWork, Dest, Layer, Layers, NormWork, PrepKind, Work};
use crate::target::{Memory, Shape, Target};

/// Parts of the weight memory that one descriptor's weights may take: fewer, and a load waits long for room; more, and small
/// descriptors cost their start.
const WEIGHT_PARTS: usize = 4;

/// The same of the parameter memory.
const PARAM_PARTS: usize = 4;

/// Most tiles of a descriptor.
const MAX_TILES: usize = 255;

/// Words of the weight memory for one tile (of a phase).
#[must_use]
pub fn tile_words(conv: &ConvWork, layers: &Layers, shape: Shape) -> usize {
    conv.kernel * conv.kernel * layers.operands[&conv.input].blocks(shape)
}

/// Cycles in which the array multiplies for one tile (of a phase).
#[must_use]
pub fn tile_cycles(conv: &ConvWork, layers: &Layers, shape: Shape) -> usize {
    let groups = (conv.size[0] * conv.size[1]).div_ceil(shape.pixels);
    groups * tile_words(conv, layers, shape) * layers.operands[&conv.input].planes
}

/// The same for a whole layer.
#[must_use]
pub fn layer_cycles(layer: &Layer, layers: &Layers, shape: Shape) -> usize {
    let Work::Conv(conv) = &layer.work else {
        return 0;
    };
    let tiles = conv.lanes.len() / shape.outputs * conv.scale() * conv.scale();
    tiles * tile_cycles(conv, layers, shape)
}

/// Run the pass.
///
/// # Errors
/// [`CompileError::Memory`] where a single tile does not fit.
pub fn tile(layers: &mut Layers, target: &Target) -> Result<(), CompileError> {
    // images take turns part by part, so all have the same parts, though sums may be of use to some alone
    let keeps = |l: &&Layer| matches!(&l.work, Work::Conv(conv) if conv.sums);
    let keep = layers.list.iter().filter(keeps).map(|l| l.node);
    let keep: BTreeSet<Option<usize>> = keep.collect();
    for index in 0..layers.list.len() {
        let layer = &layers.list[index];
        let Work::Conv(conv) = &layer.work else {
            continue;
        };
        let words = tile_words(conv, layers, target.shape);
        if words > target.weight {
            return Err(CompileError::Memory {
                layer: layer.name.clone(),
                memory: Memory::Weight,
                target: target.name.into(),
                needed: words as u64,
                available: target.weight as u64,
            });
        }
        let by_weights = target.weight / WEIGHT_PARTS / words;
        let by_params = target.param / PARAM_PARTS / target.shape.outputs;
        let most = by_weights.min(by_params).clamp(1, MAX_TILES);
        let whole = conv.parts[0].clone();
        let tiles = whole.len();
        let mut parts = even_parts(whole, tiles.div_ceil(most));
        if keep.contains(&layer.node) && tiles > 1 {
            split_last(&mut parts);
        }
        if conv.phases {
            let all = Phase::ALL.len() / if conv.half.is_some() { 2 } else { 1 };
            parts = parts.into_iter().flat_map(|p| vec![p; all]).collect();
        }
        if let Work::Conv(conv) = &mut layers.list[index].work {
            conv.parts = parts;
        }
    }
    cut_norms(layers, target.shape);
    Ok(())
}

fn cut_norms(layers: &mut Layers, shape: Shape) {
    // streams with the channels that each of their descriptors completes
    let mut made: Vec<(TensorId, Vec<usize>)> = Vec::new();
    for index in 0..layers.list.len() {
        match &layers.list[index].work {
            Work::Conv(conv) if conv.dest == Dest::Stream => {
                let channels = layers.streams[&conv.output].channels;
                let ends = conv.parts.iter();
                let ends = ends.map(|p| (p.end * shape.outputs).min(channels));
                made.push((conv.sums_of, ends.collect()));
            }
            Work::Prep(prep) if prep.kind == PrepKind::Stream => {
                let channels = layers.streams[&prep.output].channels;
                made.push((prep.maps, vec![channels]));
            }
            Work::Norm(norm) => {
                let parts = norm_parts(norm, layers, &made);
                if let Work::Norm(norm) = &mut layers.list[index].work {
                    norm.parts = parts;
                }
            }
            _ => {}
        }
    }
}

/// First the groups for which nothing is awaited, then those that the last stream's descriptors
/// complete one after the other.
fn norm_parts(
    norm: &NormWork,
    layers: &Layers,
    made: &[(TensorId, Vec<usize>)],
) -> Vec<Range<usize>> {
    let channels = |t: &TensorId| layers.streams[t].channels;
    let all: usize = norm.streams.iter().map(channels).sum();
    let per_group = all / norm.groups;
    let latest = made.iter().rev().find(|(t, _)| norm.streams.contains(t));
    let Some((latest, ends)) = latest else {
        return std::iter::once(0..norm.groups).collect();
    };
    let place = norm.streams.iter().position(|t| t == latest).unwrap_or(0);
    let before: usize = norm.streams[..place].iter().map(channels).sum();
    let behind = before + channels(latest);
    // groups that lie in other streams alone
    let mut parts = vec![
        0..before / per_group,
        behind.div_ceil(per_group)..norm.groups,
    ];
    let mut first = before / per_group;
    for (i, end) in ends.iter().enumerate() {
        let end = if i + 1 == ends.len() {
            behind.div_ceil(per_group)
        } else {
            (before + end) / per_group
        };
        parts.push(first..end.max(first));
        first = end.max(first);
    }
    parts.retain(|p| !p.is_empty());
    parts
}

/// The last tile by itself: the norm of all others is done while it runs.
fn split_last(parts: &mut Vec<Range<usize>>) {
    if let Some(last) = parts.last_mut()
        && last.len() > 1
    {
        let end = last.end;
        last.end -= 1;
        parts.push(end - 1..end);
    }
}

/// `0..count` in so many ranges whose lengths differ by at most one.
fn even_parts(whole: Range<usize>, parts: usize) -> Vec<Range<usize>> {
    let end = |i: usize| whole.start + i * whole.len() / parts;
    (0..parts).map(|i| end(i)..end(i + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_complete() {
        for count in 1..40 {
            for parts in 1..=count {
                let ranges = even_parts(0..count, parts);
                assert_eq!(ranges.len(), parts);
                assert_eq!((ranges[0].start, ranges[parts - 1].end), (0, count));
                assert!(ranges.windows(2).all(|w| w[0].end == w[1].start));
                let lengths = ranges.iter().map(Range::len);
                let (low, high) = (lengths.clone().min(), lengths.max());
                assert!(high.unwrap() - low.unwrap() <= 1 && low.unwrap() >= 1);
            }
        }
    }
}
