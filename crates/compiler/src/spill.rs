//! Pass `spill`: streams that wait long for their next reader wait in DDR.
//!
//! Before: more streams live at some layer than the stream memory holds. After: one of them, the largest
//! that no layer near by reads, is stored to DDR behind its last reader and loaded again ahead of the next, as
//! a stream of its own. The pass runs once for each stream that must go; it does nothing where all fit.
//! It comes to an end: two uses of a stream that follow one another are parted once.

use diffuser_model::graph::TensorId;

use crate::layer::{ConvWork, Layer, Layers, PrepWork, Spilled, Value, Work};
use crate::records::ALIGNMENT;
use crate::target::Shape;

/// Layers between a load and the reader that it is for, where it can be so early: the load takes time.
const LEAD: usize = 2;

/// A time in which a stream is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    stream: TensorId,
    /// The last layer that touches it before.
    after: usize,
    /// The first that reads it again.
    before: usize,
}

/// Make room at layer `full`. False where no stream can go.
pub fn spill(layers: &mut Layers, full: usize, shape: Shape) -> bool {
    let gap = gaps(layers)
        .into_iter()
        // the layer itself must lie between store and load
        .filter(|gap| gap.after < full && full < gap.before)
        // several loads for one reader stand one behind the other
        .filter(|gap| !layers.list[gap.after..gap.before].iter().all(is_load))
        .max_by_key(|gap| {
            let words = layers.streams[&gap.stream].words(shape);
            (words, gap.before - gap.after)
        });
    let Some(gap) = gap else {
        return false;
    };
    if is_load(&layers.list[gap.after]) {
        // it came too early
        let load = layers.list.remove(gap.after);
        layers.list.insert(gap.before - 1, load);
    } else {
        apply(layers, gap, full, shape);
    }
    true
}

fn is_load(layer: &Layer) -> bool {
    matches!(layer.work, Work::Load { .. })
}

fn gaps(layers: &Layers) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for &stream in layers.streams.keys() {
        let value = Value::Stream(stream);
        let touches = |l: &Layer| {
            let store = matches!(l.work, Work::Store { .. });
            !store && (l.reads().contains(&value) || l.writes().contains(&value))
        };
        let uses: Vec<usize> = (0..layers.list.len())
            .filter(|&i| touches(&layers.list[i]))
            .collect();
        gaps.extend(uses.windows(2).map(|w| Gap {
            stream,
            after: w[0],
            before: w[1],
        }));
    }
    gaps
}

fn apply(layers: &mut Layers, gap: Gap, full: usize, shape: Shape) {
    let form = layers.streams[&gap.stream];
    let copy = layers.streams.keys().max().map_or(0, |t| t + 1);
    // graph tensors that are no streams have numbers too
    let copy = copy
        .max(layers.operands.keys().max().map_or(0, |t| t + 1))
        .max(layers.cached.keys().max().map_or(0, |t| t + 1));
    layers.streams.insert(copy, form);
    // one that came from DDR lies there still
    let known = layers
        .spilled
        .iter_mut()
        .find(|s| s.copies.contains(&gap.stream));
    let (slot, from_ddr) = match known {
        Some(spilled) => {
            spilled.copies.push(copy);
            (spilled.slot, spilled.copies[0] != gap.stream)
        }
        None => {
            let slot = layers.spill_words;
            layers.spilled.push(Spilled {
                slot,
                copies: vec![gap.stream, copy],
            });
            let unit = (ALIGNMENT / (2 * shape.outputs)).max(1);
            layers.spill_words += form.words(shape).next_multiple_of(unit);
            (slot, false)
        }
    };
    for layer in &mut layers.list[gap.before..] {
        rename(&mut layer.work, gap.stream, copy);
    }
    if !from_ddr {
        // stored for a later gap already: now for this one, which is earlier
        let stored =
            |l: &Layer| matches!(l.work, Work::Store { stream, .. } if stream == gap.stream);
        layers.list.retain(|l| !stored(l));
    }
    let load = Layer {
        name: layers.list[gap.before].name.clone(),
        node: None,
        work: Work::Load { stream: copy, slot },
    };
    let at = gap.before.saturating_sub(LEAD).max(full + 1);
    layers.list.insert(at, load);
    if !from_ddr {
        let stream = gap.stream;
        let store = Layer {
            name: layers.list[gap.after].name.clone(),
            node: None,
            work: Work::Store { stream, slot },
        };
        layers.list.insert(gap.after + 1, store);
    }
}

/// Readers of `from` read `to`; channel sums keep their name.
fn rename(work: &mut Work, from: TensorId, to: TensorId) {
    match work {
        Work::Prep(PrepWork { inputs, .. }) => {
            for input in inputs.iter_mut().filter(|t| **t == from) {
                *input = to;
            }
        }
        Work::Conv(ConvWork {
            residual: Some(residual),
            ..
        }) if *residual == from => *residual = to,
        Work::Sample { stream } if *stream == from => *stream = to,
        _ => {}
    }
}
