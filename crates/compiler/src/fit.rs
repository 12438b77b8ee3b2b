//! Orders of layers that fit the memories: passes `order` to `homes`, tried one after the other.

use std::collections::BTreeSet;

use diffuser_model::quantised::{NodeParams, WeightBits};

use crate::allocate::{Overflow, Places, allocate};
use crate::band::{Banding, band};
use crate::batch::{Turns, batch};
use crate::error::CompileError;
use crate::fill::fill;
use crate::homes::homes;
use crate::layer::{Layers, StreamForm};
use crate::order::{order, shortcuts};
use crate::resum::resum;
use crate::spill::{Spillable, spill};
use crate::target::{Memory, Target};

/// Layers of all images in the fastest order that fits the memories, and where their values lie.
pub(crate) fn ordered(
    fused: &Layers,
    nodes: &[NodeParams],
    target: &Target,
    images: usize,
) -> Result<(Layers, Places), CompileError> {
    // the fewer streams live in DDR, the better
    let mut sizes: Vec<usize> = fused.streams.values().map(StreamForm::pixels).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let larger = |form: &&StreamForm| form.words(target.shape) > target.stream;
    let larger = fused.streams.values().filter(larger);
    let mut pixels = larger.map(StreamForm::pixels).min().unwrap_or(usize::MAX);
    sizes.retain(|&size| size < pixels);
    loop {
        match fitted(fused, nodes, Banding::new(pixels), target, images) {
            Ok((mut layers, places)) => {
                homes(&mut layers, target);
                return Ok((layers, places));
            }
            Err(
                error @ CompileError::Memory {
                    memory: Memory::Stream | Memory::Operand,
                    ..
                },
            ) => match sizes.pop() {
                Some(next) => pixels = next,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

/// The same where some streams live in DDR.
fn fitted(
    fused: &Layers,
    nodes: &[NodeParams],
    mut banding: Banding,
    target: &Target,
    images: usize,
) -> Result<(Layers, Places), CompileError> {
    let mut shortcuts = shortcuts(fused);
    let mut turns = Turns::new(fused, images, target);
    loop {
        let mut one = fused.clone();
        let blocks = order(&mut one, &shortcuts);
        let mut layers = batch(&one, &turns);
        band(&mut layers, &banding, target)?;
        // streams that are long idle wait in DDR; what else does not fit takes turns, or its block takes less
        let placed = allocate(&layers, target);
        let placed = placed.or_else(|o| spilled(&mut layers, o, target, Spillable::Idle));
        let mut overflow = match placed {
            Ok(places) => {
                let filled = filled(&one, nodes, &turns, &banding, target)?;
                return Ok(filled.unwrap_or((layers, places)));
            }
            Err(overflow) => overflow,
        };
        let place = layers.list[overflow.layer].place;
        if turns.reduce(&one, place) {
            continue;
        }
        let mut inside = shortcuts
            .iter_mut()
            .zip(&blocks)
            .filter(|(_, b)| b.contains(&place));
        if inside.any(|(s, _)| s.reduce()) {
            continue;
        }
        match spilled(&mut layers, overflow, target, Spillable::Any) {
            Ok(places) => return Ok((layers, places)),
            Err(rest) => overflow = rest,
        }
        let place = layers.list[overflow.layer].place;
        if !banding.reduce(&layers, place) {
            return Err(overflow.error);
        }
    }
}

/// The same with convolutions that are done early, as many as there is memory for; none where none is, or where
/// streams live in DDR.
fn filled(
    one: &Layers,
    nodes: &[NodeParams],
    turns: &Turns,
    banding: &Banding,
    target: &Target,
) -> Result<Option<(Layers, Places)>, CompileError> {
    if banding.pixels < usize::MAX {
        return Ok(None);
    }
    let four = |node: usize| match nodes.get(node) {
        Some(NodeParams::Conv(conv)) => conv.bits == WeightBits::Four,
        _ => false,
    };
    let mut stay = BTreeSet::new();
    loop {
        let mut one = one.clone();
        let early = fill(&mut one, &stay, turns.images, target, &four);
        if early.is_empty() {
            return Ok(None);
        }
        let mut layers = batch(&one, turns);
        band(&mut layers, banding, target)?;
        let placed = allocate(&layers, target);
        let overflow = match placed.or_else(|o| spilled(&mut layers, o, target, Spillable::Idle)) {
            Ok(places) => return Ok(Some((layers, places))),
            Err(overflow) => overflow,
        };
        let place = layers.list[overflow.layer].place;
        let Some(node) = early.at(place) else {
            return Ok(None);
        };
        stay.insert(node);
    }
}

/// Where values lie once enough streams wait in DDR, and enough sums are made again.
fn spilled(
    layers: &mut Layers,
    mut overflow: Overflow,
    target: &Target,
    which: Spillable,
) -> Result<Places, Overflow> {
    loop {
        let CompileError::Memory { memory, .. } = overflow.error else {
            return Err(overflow);
        };
        let mended = match memory {
            Memory::Sums => resum(layers, overflow.layer),
            Memory::Stream => spill(layers, overflow.layer, target.shape, which),
            _ => false,
        };
        if !mended {
            return Err(overflow);
        }
        match allocate(layers, target) {
            Ok(places) => return Ok(places),
            Err(next) => overflow = next,
        }
    }
}
