//! What each descriptor did when, and the sum of it for each node of the graph.

use std::collections::BTreeMap;
use std::fmt::Write;

use diffuser_isa::Unit;

/// One descriptor's run; times in cycles since `start` of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index in the program.
    pub index: u32,
    /// Time step when it was dispatched.
    pub step: u32,
    /// Number of the graph's node, 0xffff for none.
    pub tag: u32,
    /// Name of the operation.
    pub operation: &'static str,
    /// What executed it.
    pub unit: Unit,
    /// When it entered its queue.
    pub dispatched: u64,
    /// When its waits were fulfilled and its unit free.
    pub start: u64,
    /// When it retired.
    pub end: u64,
    /// Array: when it could go on with the next one.
    pub issued: u64,
    /// Cycles in which the unit's datapath worked; of the array: multiplied.
    pub busy: u64,
    /// Cycles that the array stood still for `dma` before this.
    pub stall_weight: u64,
    /// Cycles that the array stood still for `prep` or `norm` before and, chained, during this.
    pub stall_operand: u64,
    /// Cycles lost to bank conflicts.
    pub stall_bank: u64,
    /// Cycles that waited for the drain.
    pub stall_store: u64,
}

/// All descriptors of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Number of the graph's node, 0xffff for none.
    pub tag: u32,
    /// Descriptors.
    pub descriptors: u64,
    /// Cycles from start to retirement of its descriptors, for each unit by number; those of `dma`
    /// overlap.
    pub cycles: [u64; 5],
    /// Cycles in which the array multiplied.
    pub array_busy: u64,
    /// Cycles that the array stood still for `dma`.
    pub stall_weight: u64,
    /// Cycles that the array stood still for `prep` or `norm`.
    pub stall_operand: u64,
    /// Cycles lost to bank conflicts.
    pub stall_bank: u64,
    /// Cycles that waited for the drain.
    pub stall_store: u64,
}

/// Sums over the descriptors of each tag, in the order of tags.
#[must_use]
pub fn layers(spans: &[Span]) -> Vec<Layer> {
    let mut layers: BTreeMap<u32, Layer> = BTreeMap::new();
    for span in spans {
        let layer = layers.entry(span.tag).or_default();
        layer.tag = span.tag;
        layer.descriptors += 1;
        layer.cycles[span.unit as usize] += span.end - span.start;
        if span.unit == Unit::Array {
            layer.array_busy += span.busy;
            layer.stall_weight += span.stall_weight;
            layer.stall_operand += span.stall_operand;
            layer.stall_bank += span.stall_bank;
            layer.stall_store += span.stall_store;
        }
    }
    layers.into_values().collect()
}

/// Layers as a table in plain text, one a line: cycles that each unit spent on it, then the array's: cycles in
/// which it multiplied and those that it lost to what. `name` gives a node's name for its number.
#[must_use]
pub fn table(layers: &[Layer], name: impl Fn(u32) -> String) -> String {
    let mut text = String::new();
    let mut line = |name: &str, cells: [String; 10]| {
        let cells: String = cells.iter().map(|c| format!(" {c:>10}")).collect();
        writeln!(text, "{name:<44}{cells}").expect("a string takes all");
    };
    let units = Unit::ALL.iter().map(|u| u.name());
    let heads = units.chain(["multiply", "weights", "operands", "banks", "drain"]);
    let mut heads = heads.map(String::from);
    line("layer", std::array::from_fn(|_| heads.next().expect("ten")));
    let mut total = Layer::default();
    for layer in layers {
        line(&name(layer.tag), cells(layer));
        total.add(layer);
    }
    line("all", cells(&total));
    text
}

fn cells(layer: &Layer) -> [String; 10] {
    let [dma, norm, prep, array, sample] = layer.cycles;
    let Layer {
        array_busy,
        stall_weight,
        stall_operand,
        stall_bank,
        stall_store,
        ..
    } = *layer;
    [
        dma,
        norm,
        prep,
        array,
        sample,
        array_busy,
        stall_weight,
        stall_operand,
        stall_bank,
        stall_store,
    ]
    .map(|cycles| cycles.to_string())
}

impl Layer {
    /// Add the numbers of another layer.
    fn add(&mut self, other: &Self) {
        self.descriptors += other.descriptors;
        for (sum, cycles) in self.cycles.iter_mut().zip(other.cycles) {
            *sum += cycles;
        }
        self.array_busy += other.array_busy;
        self.stall_weight += other.stall_weight;
        self.stall_operand += other.stall_operand;
        self.stall_bank += other.stall_bank;
        self.stall_store += other.stall_store;
    }
}
