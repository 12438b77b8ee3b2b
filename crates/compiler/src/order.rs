//! Pass `order`: shortcut convolutions as early as they can be.
//!
//! Before: the graph's order, in which a residual block makes its shortcut last, so that its inputs
//! live as long as the block. After: a convolution that is only added as a residual stands, with the
//! `prep` that feeds it alone, right behind the layer that makes the last of its inputs. In a block
//! with a concatenation both inputs are then dead once the first norm's operand is made, and the array
//! has work while the norm's affine maps are formed.

use std::collections::BTreeSet;

use crate::layer::{Layer, Layers, PrepKind, Value, Work};

/// Run the pass.
pub fn order(layers: &mut Layers) {
    let early: BTreeSet<usize> = (0..layers.list.len())
        .filter(|&i| is_shortcut(&layers.list, i))
        .collect();
    // a shortcut and the prep that feeds it move together
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut moved: BTreeSet<usize> = BTreeSet::new();
    for &conv in &early {
        let prep = feeding_prep(&layers.list, conv);
        moved.extend([prep, conv]);
        units.push(vec![prep, conv]);
    }
    let mut made: BTreeSet<Value> = BTreeSet::new();
    let mut sequence = Vec::with_capacity(layers.list.len());
    let mut emit = |i: usize, made: &mut BTreeSet<Value>| {
        made.extend(layers.list[i].writes());
        sequence.push(i);
    };
    for i in 0..layers.list.len() {
        if !moved.contains(&i) {
            emit(i, &mut made);
        }
        while let Some(ready) = units.iter().position(|unit| {
            let own = layers.list[unit[0]].writes();
            let needs = unit.iter().flat_map(|&i| layers.list[i].reads());
            needs
                .filter(|v| !own.contains(v))
                .all(|v| made.contains(&v))
        }) {
            for i in units.remove(ready) {
                emit(i, &mut made);
            }
        }
    }
    let mut list: Vec<Option<Layer>> = layers.list.drain(..).map(Some).collect();
    layers.list = sequence
        .into_iter()
        .filter_map(|i| list[i].take())
        .collect();
}

/// Whether a layer is a convolution whose result is only ever added as a residual, and whose operand a
/// `prep` without norm makes for it alone.
fn is_shortcut(list: &[Layer], index: usize) -> bool {
    let Work::Conv(conv) = &list[index].work else {
        return false;
    };
    let made = Value::Stream(conv.output);
    let mut readers = list.iter().filter(|l| l.reads().contains(&made)).peekable();
    let added = readers.peek().is_some()
        && readers.all(|l| matches!(&l.work, Work::Conv(c) if c.residual == Some(conv.output)));
    let operand = Value::Operand(conv.input);
    let alone = list.iter().filter(|l| l.reads().contains(&operand)).count() == 1;
    let from_stream = list.iter().any(|l| {
        matches!(&l.work, Work::Prep(p) if p.output == conv.input
            && matches!(p.kind, PrepKind::Single | PrepKind::StreamPlanes))
    });
    added && !conv.sums && alone && from_stream
}

fn feeding_prep(list: &[Layer], conv: usize) -> usize {
    let Work::Conv(conv) = &list[conv].work else {
        unreachable!("a shortcut is a convolution");
    };
    let operand = Value::Operand(conv.input);
    list.iter()
        .position(|l| l.writes().contains(&operand))
        .expect("a shortcut's operand is made by a prep")
}
