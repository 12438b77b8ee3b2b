//! Pass `resum`: channel sums that wait long for their norm are made again.
//!
//! Before: more channel sums live at some layer than their memory holds. After: those of one stream, the smallest that no
//! norm near by reads, end with the norm before, and a `prep` that copies the stream makes them again for the
//! next. The pass runs once for each stream that must go; it does nothing where all fit.

use std::ops::Range;

use diffuser_model::graph::TensorId;

use crate::layer::{Layer, Layers, PrepKind, PrepWork, Value, Work};

/// Make room at layer `full`. False where no sums can go.
pub fn resum(layers: &mut Layers, full: usize) -> bool {
    // several copies for one norm stand one behind the other
    let copies = |range: Range<usize>| layers.list[range].iter().all(is_copy);
    let uses = layers.uses();
    let mut gaps: Vec<(TensorId, usize)> = Vec::new();
    for (&value, places) in &uses {
        // one that lives in DDR is not here to be copied
        let Value::Sums(stream) = value else {
            continue;
        };
        if !uses.contains_key(&Value::Stream(stream)) {
            continue;
        }
        let reads = |i: usize| layers.list[i].reads().contains(&value);
        let between = places.windows(2);
        let between = between
            .filter(|w| w[0] < full && full < w[1] && reads(w[1]) && !copies(w[0] + 1..w[1]));
        gaps.extend(between.map(|w| (stream, w[1])));
    }
    let cost = |&(stream, before): &(TensorId, usize)| {
        (layers.streams[&stream].pixels(), usize::MAX - before)
    };
    let Some((stream, before)) = gaps.into_iter().min_by_key(cost) else {
        return false;
    };
    let copy = layers.next_tensor();
    let form = layers.streams[&stream];
    layers.streams.insert(copy, form);
    for layer in &mut layers.list[before..] {
        layer.work.rename(|t| if t == stream { copy } else { t });
    }
    let work = PrepWork {
        kind: PrepKind::Stream,
        resample: None,
        inputs: vec![stream],
        output: copy,
        size: form.size,
        from_rows: vec![0],
        to_row: 0,
        maps: copy,
        state_band: false,
        sums: true,
    };
    let layer = Layer {
        node: None,
        work: Work::Prep(work),
        ..layers.list[before].clone()
    };
    layers.list.insert(before, layer);
    // those that were kept while the stream was made may be of no use now
    let sums = Value::Sums(stream);
    if !layers.list.iter().any(|l| l.reads().contains(&sums)) {
        for layer in &mut layers.list {
            if let Work::Conv(conv) = &mut layer.work
                && conv.sums_of == stream
            {
                (conv.sums, conv.add_sums) = (false, false);
            }
        }
    }
    true
}

fn is_copy(layer: &Layer) -> bool {
    matches!(&layer.work, Work::Prep(p) if p.kind == PrepKind::Stream && p.resample.is_none())
}
