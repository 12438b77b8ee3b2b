//! Pass `schedule`: descriptors in program order, with everything but their waits.
//!
//! Before: layers and the places of their values. After: a preamble that loads the state and the first
//! weights and parameters, the loop's body (one time step), and an epilogue that stores state and
//! pixels. Weights and parameters are loaded as early as their memories have room ([`crate::ring`]), over
//! the end of a pass too. Weights that fit the memory all together are loaded once, in the preamble.

use std::collections::VecDeque;

use diffuser_isa::generated::{Load, Store};
use diffuser_isa::{Op, Space};
use diffuser_model::quantised::NodeParams;

use crate::allocate::Places;
use crate::error::CompileError;
use crate::layer::{Layers, Value, Work};
use crate::operations::{Addresses, home_pitch, operation, transfer_parts};
use crate::prefetch::{Loads, Prefetch, param_loads, weight_loads};
use crate::records::{ALIGNMENT, RecordLayout};
use crate::runs::runs;
use crate::target::{Memory, Target};

/// Tag of a descriptor that belongs to no node.
pub const NO_NODE: u32 = 0xffff;

/// A descriptor without waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The operation.
    pub op: Op,
    /// Number of the graph's node, or [`NO_NODE`].
    pub tag: u32,
    /// Image that it belongs to; 0 for what serves all.
    pub image: usize,
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
    /// Streams that the program keeps in DDR.
    pub streams: usize,
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
pub struct Command {
    /// Place of the layer.
    pub layer: usize,
    /// Which of its parts.
    pub part: usize,
}

/// What a program does besides its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Some step adds noise.
    pub noise: bool,
    /// Each image has parameters of its own.
    pub own_conditions: bool,
}

/// Run the pass.
///
/// # Errors
/// [`CompileError::Memory`] where a chunk of weights or parameters does not fit.
pub fn schedule(
    nodes: &[NodeParams],
    layers: &Layers,
    places: &Places,
    target: &Target,
    flags: Flags,
) -> Result<Schedule, CompileError> {
    let commands = commands(layers, places, target);
    let words = layers.images * layers.state_pitch();
    let (mut data, layout) = data_layout(words, layers.state_in_ddr);
    let homes = data.len();
    let waiting = layers.home_words * 2 * target.shape.outputs;
    data.resize((homes + waiting).next_multiple_of(ALIGNMENT), 0);

    let Loads {
        mut resident,
        mut prefetches,
        addresses: weight_at,
    } = weight_loads(nodes, layers, places, target, &commands, &mut data)?;
    let (records, param) = param_loads(layers, target, &commands, flags.own_conditions)?;
    prefetches.extend(param.prefetches);

    let state = Load {
        space: Space::State as u32,
        words: words as u32,
        ddr: (layout.state_in / ALIGNMENT) as u32,
        ..Load::default()
    };
    let mut preamble = vec![Item {
        op: Op::Load(state),
        tag: NO_NODE,
        image: 0,
    }];
    if layers.state_in_ddr {
        preamble.clear();
    }
    preamble.append(&mut resident);
    let count = commands.len() as i64;
    prefetches.sort_by_key(|p| (p.behind, p.first_use));
    for prefetch in prefetches.iter().filter(|p| p.behind < 0) {
        preamble.push(prefetch.item(false));
    }

    let mut behind: Vec<Vec<Item>> = vec![vec![]; commands.len()];
    let (wrapped, own): (Vec<&Prefetch>, Vec<_>) = prefetches.iter().partition(|p| p.behind < 0);
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
            param: param.addresses[i],
            homes,
            states: layout.state_in,
        };
        body.push(Item {
            op: operation(layers, places, target, layer, command.part, at, flags.noise),
            tag: layer.tag(),
            image: layer.image,
        });
        body.extend(loads);
    }

    let item = |op| Item {
        op,
        tag: NO_NODE,
        image: 0,
    };
    let store = |space, offset: usize, words: usize| {
        item(Op::Store(Store {
            space: space as u32,
            address: 0,
            words: words as u32,
            ddr: (offset / ALIGNMENT) as u32,
        }))
    };
    let mut epilogue = Vec::new();
    if layers.state_in_ddr {
        // whole units of 64 bytes of pixels
        let unit = ALIGNMENT / 4;
        let most = (target.state / unit).max(1) * unit;
        for first in (0..words).step_by(most) {
            let words = most.min(words - first);
            epilogue.push(item(Op::Load(Load {
                space: Space::State as u32,
                words: words as u32,
                ddr: ((layout.state_in + 16 * first) / ALIGNMENT) as u32,
                ..Load::default()
            })));
            epilogue.push(store(Space::Pixel, layout.pixels_out + 4 * first, words));
        }
    } else {
        epilogue.push(store(Space::State, layout.state_out, words));
        epilogue.push(store(Space::Pixel, layout.pixels_out, words));
    }
    Ok(Schedule {
        preamble,
        body,
        epilogue,
        records,
        data,
        layout,
    })
}

impl Schedule {
    /// The image of each descriptor of the whole program, `loop` and `end` included.
    #[must_use]
    pub fn images(&self) -> Vec<usize> {
        let of = |items: &[Item]| items.iter().map(|i| i.image).collect::<Vec<_>>();
        let mut images = of(&self.preamble);
        images.extend(of(&self.body));
        images.push(0);
        images.extend(of(&self.epilogue));
        images.push(0);
        images
    }
}

/// `needed` words of a memory are more than there are.
pub fn memory_error(layer: &str, memory: Memory, target: &Target, needed: usize) -> CompileError {
    CompileError::Memory {
        layer: layer.into(),
        memory,
        target: target.name.into(),
        needed: needed as u64,
        available: target.words(memory) as u64,
    }
}

/// With `in_place` the program takes the states from where it leaves them.
fn data_layout(pixels: usize, in_place: bool) -> (Vec<u8>, DataLayout) {
    let state = (16 * pixels).next_multiple_of(ALIGNMENT);
    let state_out = if in_place { 0 } else { state };
    let layout = DataLayout {
        state_in: 0,
        state_out,
        pixels_out: state_out + state,
        streams: state_out + state + (4 * pixels).next_multiple_of(ALIGNMENT),
    };
    (vec![0; layout.streams], layout)
}

/// Descriptors of a pass in order. Images take turns ([`runs`]). Parts of a stream that is stored stand behind one convolution's
/// descriptor each, so that weights come between them.
fn commands(layers: &Layers, places: &Places, target: &Target) -> Vec<Command> {
    let list = &layers.list;
    let parts = |layer: usize| match &list[layer].work {
        Work::Conv(conv) => conv.parts.len(),
        Work::Norm(norm) => norm.parts.len(),
        work => transfer_parts(layers, target, work),
    };
    let is_conv = |i: usize| matches!(list[i].work, Work::Conv(_));
    let mut commands = Vec::new();
    // parts of stores that are not there yet
    let mut left: VecDeque<Command> = VecDeque::new();
    for run in runs(list) {
        let first = run.start;
        if left.iter().any(|c| {
            run.clone()
                .any(|i| ends(layers, places, target, c.layer, i))
        }) {
            commands.extend(left.drain(..));
        }
        let parts = parts(first);
        if is_spilled(layers, target, &list[first].work) {
            left.extend((0..parts).map(|part| Command { layer: first, part }));
            commands.extend(left.pop_front());
        } else {
            for part in 0..parts {
                for layer in run.clone() {
                    commands.push(Command { layer, part });
                    if is_conv(layer) {
                        commands.extend(left.pop_front());
                    }
                }
            }
        }
    }
    commands.extend(left);
    commands
}

/// Whether a whole stream is stored.
fn is_spilled(layers: &Layers, target: &Target, work: &Work) -> bool {
    matches!(work, Work::Store(t)
        if layers.streams[&t.stream].pixels() == home_pitch(layers, target, t.home))
}

/// Whether a store must stand in front of a layer: it writes where the stream lies, or reads it from DDR.
fn ends(layers: &Layers, places: &Places, target: &Target, store: usize, layer: usize) -> bool {
    let Work::Store(transfer) = &layers.list[store].work else {
        return false;
    };
    let span = |value: Value| {
        let first = places.of(value);
        first..first + layers.size(value, target.shape)
    };
    let own = span(Value::Stream(transfer.stream));
    let layer = &layers.list[layer];
    matches!(&layer.work, Work::Load(t) | Work::Store(t) if t.home == transfer.home)
        || layer.writes().into_iter().any(|value| {
            let other = span(value);
            value.memory() == Memory::Stream && own.start < other.end && other.start < own.end
        })
}
