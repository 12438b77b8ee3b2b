//! What each descriptor did when, and the sum of it for each node of the graph.

use std::collections::BTreeMap;

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
