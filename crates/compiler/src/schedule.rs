//! Pass `schedule`: descriptors in program order, with everything but their waits.
//!
//! Before: layers and the places of their values. After: a preamble that loads the state and the first
//! weights and parameters, the loop's body (one time step), and an epilogue that stores state and
//! pixels. Weights and parameters are loaded as early as their memories have room ([`crate::ring`]), over
//! the end of a pass too. Weights that fit the memory all together are loaded once, in the preamble.

use diffuser_isa::generated::{Load, Store};
use diffuser_isa::{Op, Space};
use diffuser_model::graph::Graph;
use diffuser_model::quantised::{NodeParams, WeightBits};

use crate::allocate::Places;
use crate::error::CompileError;
use crate::layer::{ConvWork, Layers, PrepKind, Work};
use crate::operations::{Addresses, operation};
use crate::records::{ALIGNMENT, Block, Content, RecordLayout};
use crate::ring::{self, Chunk};
use crate::target::{Memory, Target};
use crate::weights;

/// Tag of a descriptor that belongs to no node.
pub const NO_NODE: u32 = 0xffff;

/// Parts of the parameter memory that one load brings at most.
const PARAM_PARTS: usize = 8;

/// A descriptor without waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The operation.
    pub op: Op,
    /// Number of the graph's node, or [`NO_NODE`].
    pub tag: u32,
}

/// Where the host finds its data, in bytes from the data's base; each at a multiple of 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataLayout {
    /// State that the program starts from: 16 bytes a pixel, four values of 32 bits.
    pub state_in: usize,
    /// State after the last step, alike.
    pub state_out: usize,
    /// Pixels of the last state: 4 bytes a pixel.
    pub pixels_out: usize,
}

/// The whole program without waits, and the memory image.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// In front of the loop.
    pub preamble: Vec<Item>,
    /// One pass.
    pub body: Vec<Item>,
    /// Behind the loop.
    pub epilogue: Vec<Item>,
    /// Layout of the steps' records.
    pub records: RecordLayout,
    /// What lies at the data's base: room for states, pixels and streams that wait, then weights.
    pub data: Vec<u8>,
    /// Where the first lie.
    pub layout: DataLayout,
}

/// One descriptor of a layer: its part of a convolution or norm, 0 for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Command {
    layer: usize,
    part: usize,
}

/// A load and the command that it stands behind, of this pass or of the one before.
struct Prefetch {
    load: Load,
    tag: u32,
    behind: i64,
    first_use: usize,
}

/// Run the pass.
///
/// # Errors
/// [`CompileError::Memory`] where a chunk of weights or parameters does not fit.
pub fn schedule(
    graph: &Graph,
    nodes: &[NodeParams],
    layers: &Layers,
    places: &Places,
    target: &Target,
    noise: bool,
) -> Result<Schedule, CompileError> {
    let commands = commands(layers);
    let pixels = graph.tensors[Graph::INPUT].height * graph.tensors[Graph::INPUT].width;
    if pixels > target.state {
        return Err(memory_error(
            &graph.tensors[Graph::INPUT].name,
            Memory::State,
            target,
            pixels,
        ));
    }
    let (mut data, layout) = data_layout(pixels);
    let spilled = data.len();
    let waiting = layers.spill_words * 2 * target.shape.outputs;
    data.resize((spilled + waiting).next_multiple_of(ALIGNMENT), 0);

    let (mut resident, mut prefetches, weight_at) =
        weight_loads(nodes, layers, places, target, &commands, &mut data)?;
    let records = RecordLayout::new(blocks(graph, layers, &commands), target.param / PARAM_PARTS);
    let (param_loads, param_at) = param_loads(&records, layers, target, &commands)?;
    prefetches.extend(param_loads);

    let state = Load {
        space: Space::State as u32,
        words: pixels as u32,
        ddr: (layout.state_in / ALIGNMENT) as u32,
        ..Load::default()
    };
    let mut preamble = vec![Item {
        op: Op::Load(state),
        tag: NO_NODE,
    }];
    preamble.append(&mut resident);
    let count = commands.len() as i64;
    prefetches.sort_by_key(|p| (p.behind, p.first_use));
    for prefetch in prefetches.iter().filter(|p| p.behind < 0) {
        preamble.push(prefetch.item(false));
    }

    let mut behind: Vec<Vec<Item>> = vec![vec![]; commands.len()];
    let (wrapped, own): (Vec<_>, Vec<_>) = prefetches.iter().partition(|p| p.behind < 0);
    for prefetch in own {
        behind[prefetch.behind as usize].push(prefetch.item(false));
    }
    for prefetch in wrapped {
        behind[(prefetch.behind + count) as usize].push(prefetch.item(true));
    }
    let mut body = Vec::new();
    for (i, (command, loads)) in commands.iter().zip(behind).enumerate() {
        let layer = &layers.list[command.layer];
        let at = Addresses {
            weights: weight_at[i],
            param: param_at[i],
            spilled,
        };
        body.push(Item {
            op: operation(layers, places, target, layer, command.part, at, noise),
            tag: layer.node.map_or(NO_NODE, |n| n as u32),
        });
        body.extend(loads);
    }

    let store = |space, offset: usize| Item {
        op: Op::Store(Store {
            space: space as u32,
            address: 0,
            words: pixels as u32,
            ddr: (offset / ALIGNMENT) as u32,
        }),
        tag: NO_NODE,
    };
    let epilogue = vec![
        store(Space::State, layout.state_out),
        store(Space::Pixel, layout.pixels_out),
    ];
    Ok(Schedule {
        preamble,
        body,
        epilogue,
        records,
        data,
        layout,
    })
}

fn memory_error(layer: &str, memory: Memory, target: &Target, needed: usize) -> CompileError {
    CompileError::Memory {
        layer: layer.into(),
        memory,
        target: target.name.into(),
        needed: needed as u64,
        available: target.words(memory) as u64,
    }
}

fn data_layout(pixels: usize) -> (Vec<u8>, DataLayout) {
    let state = (16 * pixels).next_multiple_of(ALIGNMENT);
    let layout = DataLayout {
        state_in: 0,
        state_out: state,
        pixels_out: 2 * state,
    };
    let end = layout.pixels_out + (4 * pixels).next_multiple_of(ALIGNMENT);
    (vec![0; end], layout)
}

fn commands(layers: &Layers) -> Vec<Command> {
    let parts = |layer: usize| match &layers.list[layer].work {
        Work::Conv(conv) => conv.parts.len(),
        Work::Norm(norm) => norm.parts.len(),
        _ => 1,
    };
    (0..layers.list.len())
        .flat_map(|layer| (0..parts(layer)).map(move |part| Command { layer, part }))
        .collect()
}

impl Prefetch {
    /// The load; `next` for one that a pass makes for the pass behind it.
    fn item(&self, next: bool) -> Item {
        let mut load = self.load;
        if load.space == Space::Param as u32 {
            load.per_step = if next { 2 } else { 1 };
        }
        Item {
            op: Op::Load(load),
            tag: self.tag,
        }
    }
}

fn conv_of(layers: &Layers, command: Command) -> Option<(&ConvWork, usize)> {
    let layer = &layers.list[command.layer];
    match (&layer.work, layer.node) {
        (Work::Conv(conv), Some(node)) => Some((conv, node)),
        _ => None,
    }
}

/// Loads of all weights: those made once, those made in each pass, and where each command's lie.
type WeightLoads = (Vec<Item>, Vec<Prefetch>, Vec<usize>);

fn weight_loads(
    nodes: &[NodeParams],
    layers: &Layers,
    places: &Places,
    target: &Target,
    commands: &[Command],
    data: &mut Vec<u8>,
) -> Result<WeightLoads, CompileError> {
    let share = target.weight - places.taken.get(&Memory::Weight).copied().unwrap_or(0);
    let mut chunks = Vec::new();
    let mut loads = Vec::new();
    for (i, &command) in commands.iter().enumerate() {
        let Some((conv, node)) = conv_of(layers, command) else {
            continue;
        };
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
        let words = bytes.len() / per_word;
        loads.push(Prefetch {
            load: Load {
                space: space as u32,
                words: words as u32,
                ddr: (data.len() / ALIGNMENT) as u32,
                ..Load::default()
            },
            tag: node as u32,
            behind: 0,
            first_use: i,
        });
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        chunks.push(Chunk {
            words,
            first_use: i,
            last_use: i,
        });
    }
    let total: usize = chunks.iter().map(|c| c.words).sum();
    let Some(slots) = ring::place(&chunks, share, commands.len()) else {
        let largest = chunks.iter().max_by_key(|c| c.words);
        let (words, at) = largest.map_or((0, 0), |c| (c.words, c.first_use));
        let name = &layers.list[commands[at].layer].name;
        let needed = words + target.weight - share;
        return Err(memory_error(name, Memory::Weight, target, needed));
    };
    let mut addresses = vec![0; commands.len()];
    for (prefetch, slot) in loads.iter_mut().zip(&slots) {
        prefetch.load.address = slot.address as u32;
        prefetch.behind = slot.behind;
        addresses[prefetch.first_use] = slot.address;
    }
    if total <= share {
        let resident = loads.iter().map(|p| p.item(false)).collect();
        return Ok((resident, vec![], addresses));
    }
    Ok((vec![], loads, addresses))
}

fn blocks(graph: &Graph, layers: &Layers, commands: &[Command]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (i, command) in commands.iter().enumerate() {
        let layer = &layers.list[command.layer];
        let mut last = i;
        let content = match (&layer.work, layer.node) {
            // one block for all groups
            (Work::Norm(_), _) if command.part > 0 => continue,
            (Work::Norm(norm), Some(node)) => {
                last += norm.parts.len() - 1;
                let channels = norm
                    .streams
                    .iter()
                    .map(|&t| graph.tensors[t].channels)
                    .sum();
                Content::Norm { node, channels }
            }
            (Work::Prep(prep), Some(node)) => match prep.kind {
                PrepKind::StreamPlanes | PrepKind::Stream => continue,
                _ => Content::Prep { node },
            },
            (Work::Conv(conv), Some(node)) => {
                let outputs = conv.lanes.len() / conv.parts.last().map_or(1, |p| p.end);
                let lanes = conv.rows(command.part, outputs);
                Content::Conv { node, lanes }
            }
            (Work::Attention(_), Some(node)) => Content::Attention { node },
            (Work::Sample { .. }, _) => Content::Sample,
            _ => continue,
        };
        blocks.push(Block {
            content,
            uses: [i, last],
        });
    }
    blocks
}

/// Loads of all parameters, and where each command's block begins.
fn param_loads(
    records: &RecordLayout,
    layers: &Layers,
    target: &Target,
    commands: &[Command],
) -> Result<(Vec<Prefetch>, Vec<usize>), CompileError> {
    let uses = |blocks: &std::ops::Range<usize>| {
        let blocks = &records.blocks[blocks.clone()];
        let first = blocks.first().map_or(0, |b| b.uses[0]);
        let last = blocks.iter().map(|b| b.uses[1]).max().unwrap_or(0);
        (first, last)
    };
    let chunks: Vec<Chunk> = records
        .chunks
        .iter()
        .map(|chunk| {
            let (first_use, last_use) = uses(&chunk.blocks);
            Chunk {
                words: chunk.entries,
                first_use,
                last_use,
            }
        })
        .collect();
    let Some(slots) = ring::place(&chunks, target.param, commands.len()) else {
        let largest = chunks.iter().max_by_key(|c| c.words);
        let (words, at) = largest.map_or((0, 0), |c| (c.words, c.first_use));
        let name = &layers.list[commands[at].layer].name;
        return Err(memory_error(name, Memory::Param, target, words));
    };
    let mut addresses = vec![0; commands.len()];
    let mut loads = Vec::with_capacity(chunks.len());
    for ((record, chunk), slot) in records.chunks.iter().zip(&chunks).zip(&slots) {
        loads.push(Prefetch {
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
            addresses[block.uses[0]..=block.uses[1]].fill(at);
            at += block.content.entries();
        }
    }
    Ok((loads, addresses))
}
