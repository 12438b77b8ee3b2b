//! Part of the pass `schedule`: what weights and parameters the commands read, where they lie, and when
//! they are loaded.
//!
//! Commands of the same node, of several images or bands, read the same words as long as there is room for them
//! from the first of these commands to the last; else each layer has them loaded anew.

use std::collections::{BTreeMap, BTreeSet};

use diffuser_isa::generated::Load;
use diffuser_isa::{Op, Space};
use diffuser_model::quantised::{NodeParams, WeightBits};

use crate::allocate::Places;
use crate::error::CompileError;
use crate::layer::{ConvWork, Layers, PrepKind, Value, Work};
use crate::records::{ALIGNMENT, Block, Content, RecordLayout};
use crate::ring::{self, Chunk, Fixed};
use crate::schedule::{Command, Item, NO_NODE, memory_error};
use crate::target::{Memory, Target};
use crate::weights;

/// Parts of the parameter memory that one load brings at most.
const PARAM_PARTS: usize = 8;

/// A load and the command that it stands behind, of this pass or of the one before.
#[derive(Clone, Copy, Debug)]
pub struct Prefetch {
    load: Load,
    tag: u32,
    /// Place of that command; negative: of the pass before, `-1` being its last.
    pub behind: i64,
    /// First command that reads what is loaded.
    pub first_use: usize,
}

impl Prefetch {
    /// The load; `next` for one that a pass makes for the pass behind it.
    #[must_use]
    pub fn item(&self, next: bool) -> Item {
        let mut load = self.load;
        if load.space == Space::Param as u32 {
            load.per_step = if next { 2 } else { 1 };
        }
        Item {
            op: Op::Load(load),
            tag: self.tag,
            image: 0,
        }
    }
}

/// What is loaded of one kind, and where each command finds its own.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    /// Made once.
    pub resident: Vec<Item>,
    /// Made in each pass.
    pub prefetches: Vec<Prefetch>,
    /// First word (entry) of each command's.
    pub addresses: Vec<usize>,
}

fn conv_of(layers: &Layers, command: Command) -> Option<(&ConvWork, usize)> {
    let layer = &layers.list[command.layer];
    match (&layer.work, layer.node) {
        (Work::Conv(conv), Some(node)) => Some((conv, node)),
        _ => None,
    }
}

/// Which commands read the same: those of one node and part; of nodes in `alone`, those of one layer.
fn key(layers: &Layers, command: Command, part: usize, alone: &BTreeSet<u32>) -> [usize; 3] {
    let tag = layers.list[command.layer].tag();
    let layer = if alone.contains(&tag) {
        command.layer
    } else {
        usize::MAX
    };
    [tag as usize, part, layer]
}

/// K and V of all attentions, and the commands in which they live.
fn cached(layers: &Layers, places: &Places, commands: &[Command], target: &Target) -> Vec<Fixed> {
    let mut found: BTreeMap<Value, Fixed> = BTreeMap::new();
    for (i, command) in commands.iter().enumerate() {
        let layer = &layers.list[command.layer];
        let values = layer.reads().into_iter().chain(layer.writes());
        for value in values.filter(|v| matches!(v, Value::Cached(_))) {
            let fixed = found.entry(value).or_insert_with(|| Fixed {
                address: places.of(value),
                words: layers.size(value, target.shape),
                first_use: i,
                last_use: i,
            });
            fixed.last_use = i;
        }
    }
    found.into_values().collect()
}

/// Weights of one part of a node in DDR.
#[derive(Clone, Copy)]
struct Stored {
    space: Space,
    words: usize,
    ddr: usize,
}

/// Loads of all weights, which are appended to `data`.
///
/// # Errors
/// [`CompileError::Memory`] where a command's weights do not fit.
pub fn weight_loads(
    nodes: &[NodeParams],
    layers: &Layers,
    places: &Places,
    target: &Target,
    commands: &[Command],
    data: &mut Vec<u8>,
) -> Result<Loads, CompileError> {
    let share = target.weight - places.taken.get(&Memory::Weight).copied().unwrap_or(0);
    let mut stored: BTreeMap<[usize; 2], Stored> = BTreeMap::new();
    for &command in commands {
        let Some((conv, node)) = conv_of(layers, command) else {
            continue;
        };
        let number = conv.number(command.part);
        if stored.contains_key(&[node, number]) {
            continue;
        }
        let NodeParams::Conv(params) = &nodes[node] else {
            let what = format!("{}: it has no weights", layers.list[command.layer].name);
            return Err(CompileError::mismatch(what));
        };
        let lanes = &layers.operands[&conv.input].lanes;
        let bytes = weights::words(conv, lanes, command.part, params, target.shape);
        let (space, per_word) = match params.bits {
            WeightBits::Eight => (Space::Weight, target.weight_bytes()),
            WeightBits::Four => (Space::Weight4, target.weight_bytes() / 2),
        };
        let part = Stored {
            space,
            words: bytes.len() / per_word,
            ddr: data.len() / ALIGNMENT,
        };
        stored.insert([node, number], part);
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
    }
    let readers = |i: usize| {
        let (conv, node) = conv_of(layers, commands[i])?;
        let number = conv.number(commands[i].part);
        Some((stored[&[node, number]], node as u32))
    };
    let number = |command: Command| {
        let conv = conv_of(layers, command);
        conv.map_or(0, |(conv, _)| conv.number(command.part))
    };
    let prefetch = |of: &Stored, tag, address, behind, first_use| Prefetch {
        load: Load {
            space: of.space as u32,
            words: of.words as u32,
            ddr: of.ddr as u32,
            address: address as u32,
            ..Load::default()
        },
        tag,
        behind,
        first_use,
    };
    let mut loads = Loads {
        addresses: vec![0; commands.len()],
        ..Loads::default()
    };
    let total: usize = stored.values().map(|s| s.words).sum();
    if total <= share {
        let mut next = 0;
        let mut addresses: BTreeMap<[usize; 3], usize> = BTreeMap::new();
        for (i, &command) in commands.iter().enumerate() {
            let Some((of, tag)) = readers(i) else {
                continue;
            };
            let key = key(layers, command, number(command), &BTreeSet::new());
            loads.addresses[i] = *addresses.entry(key).or_insert_with(|| {
                let load = prefetch(&of, tag, next, -1, i);
                loads.resident.push(load.item(false));
                next += of.words;
                next - of.words
            });
        }
        return Ok(loads);
    }
    let fixed = cached(layers, places, commands, target);
    let mut alone = BTreeSet::new();
    loop {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut of_chunk: Vec<usize> = vec![usize::MAX; commands.len()];
        let mut known: BTreeMap<[usize; 3], usize> = BTreeMap::new();
        for (i, &command) in commands.iter().enumerate() {
            let Some((of, _)) = readers(i) else {
                continue;
            };
            let key = key(layers, command, number(command), &alone);
            let chunk = *known.entry(key).or_insert(chunks.len());
            of_chunk[i] = chunk;
            match chunks.get_mut(chunk) {
                Some(chunk) => chunk.last_use = i,
                None => chunks.push(Chunk {
                    words: of.words,
                    first_use: i,
                    last_use: i,
                }),
            }
        }
        let conflict = match ring::place(&chunks, &fixed, target.weight, commands.len()) {
            Ok(slots) => {
                for (chunk, slot) in chunks.iter().zip(&slots) {
                    let at = chunk.first_use;
                    let (of, tag) = readers(at).expect("a command with weights");
                    let load = prefetch(&of, tag, slot.address, slot.behind, at);
                    loads.prefetches.push(load);
                }
                for (address, &chunk) in loads.addresses.iter_mut().zip(&of_chunk) {
                    *address = slots.get(chunk).map_or(0, |s| s.address);
                }
                return Ok(loads);
            }
            Err(conflict) => conflict,
        };
        let tag = |chunk: usize| layers.list[commands[chunks[chunk].first_use].layer].tag();
        let [i, j] = conflict;
        if !alone.insert(tag(j)) && !alone.insert(tag(i)) {
            let layer = &layers.list[commands[chunks[i].first_use].layer];
            let needed = chunks[i].words + target.weight - share;
            return Err(memory_error(&layer.name, Memory::Weight, target, needed));
        }
    }
}

/// Blocks of parameters in the order of their first use.
fn blocks(
    layers: &Layers,
    commands: &[Command],
    alone: &BTreeSet<u32>,
    own: bool,
    outputs: usize,
) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut known: BTreeMap<([usize; 3], u8, usize), usize> = BTreeMap::new();
    for (i, &command) in commands.iter().enumerate() {
        let layer = &layers.list[command.layer];
        let (content, part, kind) = match (&layer.work, layer.node) {
            (Work::Norm(norm), Some(node)) => {
                let channels = norm
                    .streams
                    .iter()
                    .map(|t| layers.streams[t].channels)
                    .sum();
                // one block for all groups
                (Content::Norm { node, channels }, 0, 0)
            }
            (Work::Prep(prep), Some(node))
                if !matches!(prep.kind, PrepKind::StreamPlanes | PrepKind::Stream) =>
            {
                (Content::Prep { node }, 0, 1)
            }
            (Work::Conv(conv), Some(node)) => {
                let lanes = conv.rows(command.part, outputs);
                (Content::Conv { node, lanes }, conv.number(command.part), 2)
            }
            (Work::Attention(_), Some(node)) => (Content::Attention { node }, 0, 3),
            (Work::Sample(_), _) => (Content::Sample, 0, 4),
            _ => continue,
        };
        let image = if own { layer.image } else { 0 };
        let key = (key(layers, command, part, alone), kind, image);
        match known.get(&key) {
            Some(&block) => blocks[block].uses.push(i),
            None => {
                known.insert(key, blocks.len());
                blocks.push(Block {
                    content,
                    image,
                    uses: vec![i],
                });
            }
        }
    }
    blocks
}

/// The layout of records, and loads of all parameters; with `own` each image has its own.
///
/// # Errors
/// [`CompileError::Memory`] where a command's parameters do not fit.
pub fn param_loads(
    layers: &Layers,
    target: &Target,
    commands: &[Command],
    own: bool,
) -> Result<(RecordLayout, Loads), CompileError> {
    let mut alone = BTreeSet::new();
    loop {
        let blocks = blocks(layers, commands, &alone, own, target.shape.outputs);
        let records = RecordLayout::new(blocks, target.param / PARAM_PARTS);
        let chunks: Vec<Chunk> = records
            .chunks
            .iter()
            .map(|chunk| {
                let uses = records.blocks[chunk.blocks.clone()].iter();
                let uses = uses.flat_map(|b| b.uses.iter().copied());
                Chunk {
                    words: chunk.entries,
                    first_use: uses.clone().min().unwrap_or(0),
                    last_use: uses.max().unwrap_or(0),
                }
            })
            .collect();
        let [i, j] = match ring::place(&chunks, &[], target.param, commands.len()) {
            Ok(slots) => {
                let mut loads = Loads {
                    addresses: vec![0; commands.len()],
                    ..Loads::default()
                };
                for ((record, chunk), slot) in records.chunks.iter().zip(&chunks).zip(&slots) {
                    loads.prefetches.push(Prefetch {
                        load: Load {
                            space: Space::Param as u32,
                            address: slot.address as u32,
                            words: record.entries as u32,
                            ddr: (record.offset / ALIGNMENT) as u32,
                            ..Load::default()
                        },
                        tag: NO_NODE,
                        behind: slot.behind,
                        first_use: chunk.first_use,
                    });
                    let mut at = slot.address;
                    for block in &records.blocks[record.blocks.clone()] {
                        for &command in &block.uses {
                            loads.addresses[command] = at;
                        }
                        at += block.content.entries();
                    }
                }
                return Ok((records, loads));
            }
            Err(conflict) => conflict,
        };
        let mut part = |chunk: usize| {
            let blocks = &records.blocks[records.chunks[chunk].blocks.clone()];
            let uses = blocks.iter().flat_map(|b| &b.uses);
            let tags = uses.map(|&i| layers.list[commands[i].layer].tag());
            let before = alone.len();
            alone.extend(tags);
            alone.len() > before
        };
        if !part(j) && !part(i) {
            let layer = &layers.list[commands[chunks[i].first_use].layer];
            let words = chunks[i].words;
            return Err(memory_error(&layer.name, Memory::Param, target, words));
        }
    }
}
