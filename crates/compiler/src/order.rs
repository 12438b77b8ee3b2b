//! Pass `order`: shortcut convolutions where they cost least.
//!
//! Before: the graph's order, in which a residual block makes its shortcut last: its preps stand behind that of the
//! second norm, which waits for the whole first convolution. After, for each block by its
//! [`Placement`], the best that fits the memories:
//!
//! ```text
//! behind   norm1 prep1 | shortcut's preps | conv1 | shortcut's convs | norm2 prep2 conv2
//! ahead    shortcut's preps and convs | norm1 prep1 | conv1 | norm2 prep2 conv2
//! ```
//!
//! *Behind*, the preps work while the array is busy with `conv1`, and the shortcut's convolutions keep
//! the array busy while `norm2` and `prep2` work; but several operands live at once. The last of the
//! preps may stand behind `conv1` too. *Ahead*, one operand lives at a time, and the block's inputs
//! are dead once `prep1` is done.

use std::collections::BTreeSet;
use std::ops::Range;

use diffuser_model::graph::TensorId;

use crate::layer::{ConvWork, Layer, Layers, PrepKind, Value, Work};

/// Where the shortcut of a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Behind the block's first convolution, so many of its preps in front of that.
    Behind(usize),
    /// In front of the block's first norm.
    Ahead,
}

/// A `prep` and the convolution that it feeds alone, by their places in the list.
type Unit = [usize; 2];

/// The shortcut of one residual block.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortcut {
    /// One for each input of the block.
    units: Vec<Unit>,
    /// The block's first `prep` and convolution, where it has the usual form.
    first: Option<[usize; 2]>,
    /// Place of the convolution that adds the shortcut.
    end: usize,
    /// Where it stands.
    pub placement: Placement,
}

impl Shortcut {
    /// The next placement that takes less memory; false where there is none.
    pub fn reduce(&mut self) -> bool {
        self.placement = match self.placement {
            Placement::Behind(preps) if preps > 0 => Placement::Behind(preps - 1),
            Placement::Behind(_) => Placement::Ahead,
            Placement::Ahead => return false,
        };
        true
    }
}

/// All shortcuts of a list in the graph's order, each placed for speed.
#[must_use]
pub fn shortcuts(layers: &Layers) -> Vec<Shortcut> {
    let list = &layers.list;
    let mut found: Vec<Shortcut> = Vec::new();
    for conv in (0..list.len()).filter(|&i| is_shortcut(list, i)) {
        let unit = [feeding_prep(list, conv), conv];
        let end = adder(list, conv);
        match found.iter_mut().find(|s| s.end == end) {
            Some(shortcut) => shortcut.units.push(unit),
            None => found.push(Shortcut {
                units: vec![unit],
                first: first_of_block(list, end),
                end,
                placement: Placement::Ahead,
            }),
        }
    }
    for shortcut in &mut found {
        if shortcut
            .first
            .is_some_and(|first| may_follow(list, shortcut, first))
        {
            shortcut.placement = Placement::Behind(shortcut.units.len());
        }
    }
    found
}

/// Whether all that the preps read is there at the block's first `prep`, and all that is added at its
/// first convolution.
fn may_follow(list: &[Layer], shortcut: &Shortcut, [prep, conv]: [usize; 2]) -> bool {
    let before = |value: Value, place: usize| maker(list, value).is_some_and(|m| m < place);
    let own: Vec<usize> = shortcut.units.iter().map(|unit| unit[1]).collect();
    conv < shortcut.end
        && shortcut.units.iter().all(|&[p, c]| {
            let read = list[p].reads().into_iter().all(|v| before(v, prep));
            let added = match &list[c].work {
                Work::Conv(ConvWork {
                    residual: Some(r), ..
                }) => {
                    let value = Value::Stream(*r);
                    before(value, conv) || maker(list, value).is_some_and(|m| own.contains(&m))
                }
                _ => true,
            };
            read && added
        })
}

/// Run the pass. Returns for each shortcut the layers of the new list from its first to the one that
/// adds it.
pub fn order(layers: &mut Layers, shortcuts: &[Shortcut]) -> Vec<Range<usize>> {
    let list = &layers.list;
    let moved: BTreeSet<usize> = shortcuts
        .iter()
        .flat_map(|s| s.units.iter().flatten().copied())
        .collect();
    // what stands behind a layer that stays
    let mut behind: Vec<Vec<usize>> = vec![vec![]; list.len()];
    let mut ahead: Vec<&Unit> = Vec::new();
    for shortcut in shortcuts {
        match (shortcut.placement, shortcut.first) {
            (Placement::Behind(preps), Some([prep, conv])) => {
                for (i, unit) in shortcut.units.iter().enumerate() {
                    behind[if i < preps { prep } else { conv }].push(unit[0]);
                    behind[conv].push(unit[1]);
                }
            }
            _ => ahead.extend(&shortcut.units),
        }
    }
    let mut made: BTreeSet<Value> = BTreeSet::new();
    let mut sequence = Vec::with_capacity(list.len());
    for (i, placed) in behind.into_iter().enumerate() {
        if moved.contains(&i) {
            continue;
        }
        for i in [i].into_iter().chain(placed) {
            made.extend(list[i].writes());
            sequence.push(i);
        }
        let ready = |unit: &Unit, made: &BTreeSet<Value>| {
            let own = list[unit[0]].writes();
            let mut needs = unit.iter().flat_map(|&i| list[i].reads());
            needs.all(|v| own.contains(&v) || made.contains(&v))
        };
        while let Some(next) = ahead.iter().position(|unit| ready(unit, &made)) {
            for &i in ahead.remove(next) {
                made.extend(list[i].writes());
                sequence.push(i);
            }
        }
    }
    let place = |i: usize| sequence.iter().position(|&s| s == i).unwrap_or(0);
    let ranges = shortcuts
        .iter()
        .map(|s| {
            let units = s.units.iter().flatten();
            let first = units
                .chain(s.first.iter().flatten())
                .map(|&i| place(i))
                .min();
            first.unwrap_or(0)..place(s.end) + 1
        })
        .collect();
    let mut list: Vec<Option<Layer>> = layers.list.drain(..).map(Some).collect();
    layers.list = sequence
        .into_iter()
        .filter_map(|i| list[i].take())
        .collect();
    ranges
}

/// Whether a layer is a convolution whose result is only ever added as a residual, by one layer, and
/// whose operand a `prep` without norm makes for it alone.
pub fn is_shortcut(list: &[Layer], index: usize) -> bool {
    let Work::Conv(conv) = &list[index].work else {
        return false;
    };
    let made = Value::Stream(conv.output);
    let readers: Vec<&Layer> = list.iter().filter(|l| l.reads().contains(&made)).collect();
    let [reader] = readers[..] else {
        return false;
    };
    let added = matches!(&reader.work, Work::Conv(c) if c.residual == Some(conv.output));
    let operand = Value::Operand(conv.input);
    let alone = list.iter().filter(|l| l.reads().contains(&operand)).count() == 1;
    let from_stream = list.iter().any(|l| {
        matches!(&l.work, Work::Prep(p) if p.output == conv.input
            && matches!(p.kind, PrepKind::Single | PrepKind::StreamPlanes))
    });
    added && !conv.sums && alone && from_stream
}

fn maker(list: &[Layer], value: Value) -> Option<usize> {
    list.iter().position(|l| l.writes().contains(&value))
}

fn feeding_prep(list: &[Layer], conv: usize) -> usize {
    let Work::Conv(conv) = &list[conv].work else {
        unreachable!("a shortcut is a convolution");
    };
    maker(list, Value::Operand(conv.input)).expect("a shortcut's operand is made by a prep")
}

/// The layer that adds a shortcut, or the last of several that stand one upon the other.
fn adder(list: &[Layer], shortcut: usize) -> usize {
    let mut at = shortcut;
    while is_shortcut(list, at) {
        let made = list[at].writes();
        at = list
            .iter()
            .position(|l| l.reads().iter().any(|v| made.contains(v)))
            .expect("a shortcut is added");
    }
    at
}

/// First `prep` and first convolution of the block that ends with a layer: what its operand is made of
/// by way of one norm.
fn first_of_block(list: &[Layer], end: usize) -> Option<[usize; 2]> {
    let input = |conv: usize| match &list[conv].work {
        Work::Conv(conv) => Some(conv.input),
        _ => None,
    };
    let normed = |operand: TensorId| match &list[maker(list, Value::Operand(operand))?].work {
        Work::Prep(p) if matches!(p.kind, PrepKind::Norm { .. }) && p.inputs.len() == 1 => {
            Some(p.inputs[0])
        }
        _ => None,
    };
    let conv = maker(list, Value::Stream(normed(input(end)?)?))?;
    let prep = maker(list, Value::Operand(input(conv)?))?;
    Some([prep, conv])
}
