//! Pass `spill`: streams that wait long for their next reader wait in DDR.
//!
//! Before: more streams live at some layer than the stream memory holds. After: one of them, the largest (of idle ones that
//! with most words times cycles of products in which it can go), of several the one that is read last again, is stored to DDR as soon as it is made and loaded
//! again ahead of the next reader, as a stream of its own. The pass runs once for each stream that must go; it does nothing where all fit.
//! It comes to an end: two uses of a stream that follow one another are parted once.

use diffuser_model::graph::TensorId;

use crate::layer::{ConvWork, Layer, Layers, PrepWork, Transfer, Value, Work};
use crate::target::Shape;
use crate::tile::layer_cycles;

/// Bytes that the write port takes in a cycle.
const WRITE_PORT: usize = 16;

/// Bytes that all read ports give in a cycle.
const READ_PORTS: usize = 64;

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

/// Which streams may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spillable {
    /// Those whose transfers the array need not wait for.
    Idle,
    /// All.
    Any,
}

/// Make room at layer `full`. False where no stream can go.
pub fn spill(layers: &mut Layers, full: usize, shape: Shape, which: Spillable) -> bool {
    let gap = gaps(layers)
        .into_iter()
        // the layer itself must lie between store and load
        .filter(|gap| gap.after < full && full < gap.before)
        // several loads for one reader stand one behind the other
        .filter(|gap| !layers.list[gap.after..gap.before].iter().all(is_load))
        .filter_map(|gap| {
            let words = layers.streams[&gap.stream].words(shape);
            let cycles = match which {
                Spillable::Any => 1,
                Spillable::Idle => idle(layers, &gap, full, shape)?,
            };
            Some((gap, cycles * words))
        })
        .max_by_key(|(gap, key)| (*key, gap.before))
        .map(|(gap, _)| gap);
    let Some(gap) = gap else {
        return false;
    };
    if is_load(&layers.list[gap.after]) {
        // it came too early
        let load = layers.list.remove(gap.after);
        layers.list.insert(gap.before - 1, load);
    } else {
        apply(layers, gap, full);
    }
    true
}

fn is_load(layer: &Layer) -> bool {
    matches!(layer.work, Work::Load(_))
}

/// Cycles in which the array multiplies between the making of a stream and layer `full`; none where the array would wait
/// for the stream's way to DDR before that layer, or back behind it, the way of others counted.
fn idle(layers: &Layers, gap: &Gap, full: usize, shape: Shape) -> Option<usize> {
    let bytes = |t: TensorId| layers.streams[&t].bytes(shape);
    let own = bytes(gap.stream);
    let before = made(layers, gap) + 1..full;
    let [before, behind] = [before, full..gap.before].map(|r| &layers.list[r]);
    let multiplies =
        |list: &[Layer]| -> usize { list.iter().map(|l| layer_cycles(l, layers, shape)).sum() };
    let stored = before.iter().map(|l| match &l.work {
        Work::Store(t) => bytes(t.stream),
        _ => 0,
    });
    let loaded = behind.iter().map(|l| match &l.work {
        Work::Load(t) => bytes(t.stream),
        _ => 0,
    });
    let away = multiplies(before);
    let fits = away >= (own + stored.sum::<usize>()) / WRITE_PORT
        && multiplies(behind) >= (own + loaded.sum::<usize>()) / READ_PORTS;
    fits.then_some(away)
}

fn gaps(layers: &Layers) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for (value, uses) in layers.uses() {
        let Value::Stream(stream) = value else {
            continue;
        };
        // bands of one stream are written one after the other
        let reads = |i: usize| !layers.list[i].writes().contains(&value);
        let between = uses.windows(2).filter(|w| w[1] > w[0] + 1 && reads(w[1]));
        gaps.extend(between.map(|w| Gap {
            stream,
            after: w[0],
            before: w[1],
        }));
    }
    gaps
}

/// The last layer that writes a stream before a gap.
fn made(layers: &Layers, gap: &Gap) -> usize {
    let writes = |l: &Layer| l.writes().contains(&Value::Stream(gap.stream));
    let list = &layers.list[..=gap.after];
    list.iter().rposition(writes).unwrap_or(gap.after)
}

fn apply(layers: &mut Layers, gap: Gap, full: usize) {
    let made = made(layers, &gap);
    let form = layers.streams[&gap.stream];
    let copy = layers.next_tensor();
    layers.streams.insert(copy, form);
    // one that came from DDR lies there still
    let known = layers
        .spilled
        .iter_mut()
        .find(|copies| copies.contains(&gap.stream));
    let (home, from_ddr) = match known {
        Some(copies) => {
            copies.push(copy);
            (copies[0], copies[0] != gap.stream)
        }
        None => {
            layers.spilled.push(vec![gap.stream, copy]);
            (gap.stream, false)
        }
    };
    let transfer = |stream| Transfer {
        stream,
        home,
        row: 0,
    };
    for layer in &mut layers.list[gap.before..] {
        rename(&mut layer.work, gap.stream, copy);
    }
    let load = Layer {
        node: None,
        work: Work::Load(transfer(copy)),
        ..layers.list[gap.before].clone()
    };
    let at = gap.before.saturating_sub(LEAD).max(full + 1);
    layers.list.insert(at, load);
    // for another gap it may have been stored already
    let stored = |l: &Layer| matches!(l.work, Work::Store(t) if t.stream == gap.stream);
    if !from_ddr && !layers.list.iter().any(stored) {
        let store = Layer {
            node: None,
            work: Work::Store(transfer(gap.stream)),
            ..layers.list[made].clone()
        };
        layers.list.insert(made + 1, store);
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
        Work::Sample(sample) if sample.stream == from => sample.stream = to,
        _ => {}
    }
}
