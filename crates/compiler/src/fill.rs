//! Pass `fill`: convolutions that can be done early fill the time in which the array would wait for weights.
//!
//! Before: each convolution stands where its result is needed. Layers of few pixels use their weights faster than DDR
//! gives them, and no order of loads helps: the bus is never idle there. After: tiles of convolutions whose operands are there
//! long before, and whose results are only added later (those of a skip connection), stand between such layers. They
//! take few weights for many products, and the bus works ahead meanwhile:
//!
//! ```text
//! norm prep conv | norm prep conv | ...            norm' prep' conv' ...
//! norm prep conv | norm' prep' | norm prep  conv' tile 0  conv | ... conv' tile 1  conv | ...
//! ```
//!
//! Where each tile stands is found by trying: the place where a pass takes least time, by a small model of the bus, the weight
//! memory and the array.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::layer::{ConvWork, Dest, Layer, Layers, Value, Work};
use crate::target::{LOAD_BYTES, Target};
use crate::tile::{tile_cycles, tile_words};

/// Tiles that are moved together take this part of the weight memory, or are one.
const PIECE_PARTS: usize = 8;

/// Descriptors take about this part of the weight memory.
const DESCRIPTOR_PARTS: usize = 4;

/// Part of a piece's products that must be saved for it to be moved.
const WORTH: u64 = 4;

/// Nodes of the convolutions that were moved, each with the places from its first layer to that which adds its result.
#[derive(Clone, Debug, Default)]
pub struct Filled(Vec<(usize, Range<usize>)>);

impl Filled {
    /// Whether none was moved.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The node of a moved convolution that takes memory at a place, the last of several.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<usize> {
        let mut found = self.0.iter().rev();
        let found = found.find(|(_, life)| life.contains(&place));
        found.map(|(node, _)| *node)
    }
}

/// A convolution that can be early, with what makes its operand.
struct Unit {
    /// Places of its `norm` and `prep`.
    makers: Vec<usize>,
    conv: usize,
    node: usize,
    /// The first place at which everything is there that it reads.
    ready: usize,
    /// Its tiles in pieces, and the layer in front of which each stands; its own place where it stays.
    pieces: Vec<(Range<usize>, usize)>,
}

/// Run the pass on the layers of one image of a batch of `images`, but for the convolutions of the nodes `stay`.
/// `four` says whether the weights of a node have 4 bits.
pub fn fill(
    layers: &mut Layers,
    stay: &BTreeSet<usize>,
    images: usize,
    target: &Target,
    four: &dyn Fn(usize) -> bool,
) -> Filled {
    let mut model = Model::new(layers, images, target, four);
    let mut units = units(layers, stay, target);
    for unit in 0..units.len() {
        for piece in 0..units[unit].pieces.len() {
            model.settle(&mut units, unit, piece);
        }
    }
    units.retain(|u| u.pieces.iter().any(|p| p.1 != u.conv));
    rebuild(layers, &units)
}

/// The layers in their new order.
fn rebuild(layers: &mut Layers, units: &[Unit]) -> Filled {
    let list = std::mem::take(&mut layers.list);
    let is_conv = |i: &usize| matches!(list[*i].work, Work::Conv(_));
    let first = |u: &Unit| u.pieces.iter().map(|p| p.1).min().unwrap_or(u.conv);
    // what makes the operand stands a convolution ahead
    let ahead = |u: &Unit| (u.ready..first(u)).rev().find(is_conv).unwrap_or(first(u));
    let mut origin = Vec::with_capacity(list.len());
    let mut made: Vec<Layer> = Vec::with_capacity(list.len());
    for (i, layer) in list.iter().enumerate() {
        let mut push = |from: usize, layer: Layer| {
            origin.push(from);
            made.push(layer);
        };
        for unit in units.iter().filter(|u| ahead(u) == i) {
            for &maker in &unit.makers {
                push(maker, list[maker].clone());
            }
        }
        for unit in units {
            for (tiles, _) in unit.pieces.iter().filter(|p| p.1 == i) {
                let mut piece = list[unit.conv].clone();
                if let Work::Conv(conv) = &mut piece.work {
                    conv.parts = vec![tiles.clone()];
                }
                push(unit.conv, piece);
            }
        }
        if !units.iter().any(|u| u.conv == i || u.makers.contains(&i)) {
            push(i, layer.clone());
        }
    }
    let place = |from: usize| origin.iter().position(|&o| o == from);
    let moved = units
        .iter()
        .map(|u| {
            let first = u.makers.iter().chain([&u.conv]).filter_map(|&m| place(m));
            let output = list[u.conv].writes();
            let reader = |l: &Layer| l.reads().iter().any(|v| output.contains(v));
            let last = made.iter().position(reader).unwrap_or(made.len());
            (u.node, first.min().unwrap_or(0)..last + 1)
        })
        .collect();
    layers.list = made;
    Filled(moved)
}

fn units(layers: &Layers, stay: &BTreeSet<usize>, target: &Target) -> Vec<Unit> {
    let list = &layers.list;
    let maker = |value: Value| list.iter().position(|l| l.writes().contains(&value));
    let unit = |conv: usize| {
        let node = list[conv].node.filter(|n| !stay.contains(n))?;
        let work = early(list, conv)?;
        let prep = maker(Value::Operand(work.input))?;
        let norm = match list[prep]
            .reads()
            .iter()
            .find(|v| matches!(v, Value::Affine(_)))
        {
            Some(&affine) => Some(maker(affine)?),
            None => None,
        };
        let makers: Vec<usize> = norm.into_iter().chain([prep]).collect();
        let read = makers.iter().flat_map(|&m| list[m].reads());
        let outside = read.filter(|v| !matches!(v, Value::Affine(_)));
        let ready = outside.map(|v| maker(v).map(|m| m + 1));
        let ready = ready.collect::<Option<Vec<usize>>>()?.into_iter().max()?;
        let tiles = work.lanes.len() / target.shape.outputs;
        let most = target.weight / PIECE_PARTS / tile_words(work, layers, target.shape);
        let most = most.clamp(1, tiles);
        let pieces = (0..tiles).step_by(most);
        let pieces = pieces.map(|t| (t..tiles.min(t + most), conv)).collect();
        Some(Unit {
            makers,
            conv,
            node,
            ready,
            pieces,
        })
    };
    (0..list.len()).filter_map(unit).collect()
}

/// The convolution at a place, where its result is a stream that is only added by one other, nothing is added to it, and
/// it alone reads its operand.
fn early(list: &[Layer], place: usize) -> Option<&ConvWork> {
    let Work::Conv(conv) = &list[place].work else {
        return None;
    };
    let readers = |value: Value| list.iter().filter(move |l| l.reads().contains(&value));
    let made = Value::Stream(conv.output);
    let mut users = readers(made);
    let user = users.next()?;
    let added = matches!(&user.work, Work::Conv(c) if c.residual == Some(conv.output));
    let simple = conv.dest == Dest::Stream
        && conv.residual.is_none()
        && !conv.sums
        && !conv.phases
        && users.next().is_none()
        && readers(Value::Operand(conv.input)).count() == 1;
    (added && simple).then_some(conv)
}

/// Weights that are loaded and used together.
#[derive(Clone, Copy, Debug)]
struct Part {
    words: usize,
    /// Cycles on the bus.
    bus: u64,
    /// Cycles of products.
    products: u64,
}

/// What a pass costs.
struct Model {
    /// Parts of each layer of the list.
    layers: Vec<Vec<Part>>,
    /// One tile of each layer.
    tiles: Vec<Part>,
    /// Words of the weight memory.
    room: usize,
}

impl Model {
    fn new(layers: &Layers, images: usize, target: &Target, four: &dyn Fn(usize) -> bool) -> Self {
        let mut model = Self {
            layers: vec![],
            tiles: vec![],
            room: target.weight,
        };
        for layer in &layers.list {
            let (tile, parts) = match &layer.work {
                Work::Conv(conv) => {
                    let words = tile_words(conv, layers, target.shape);
                    let bits = if layer.node.is_some_and(four) { 4 } else { 8 };
                    let tile = Part {
                        words,
                        bus: (words * target.weight_bytes() * bits / 8) as u64 / LOAD_BYTES as u64,
                        products: (images * tile_cycles(conv, layers, target.shape)) as u64,
                    };
                    let tiles = conv.lanes.len() / target.shape.outputs;
                    let tiles = tiles * conv.scale() * conv.scale();
                    let most = (target.weight / DESCRIPTOR_PARTS / words).clamp(1, tiles);
                    let parts = (0..tiles).step_by(most);
                    let parts = parts.map(|t| tile.times(most.min(tiles - t)));
                    (tile, parts.collect())
                }
                _ => {
                    let none = Part {
                        words: 0,
                        bus: 0,
                        products: 0,
                    };
                    (none, vec![])
                }
            };
            model.tiles.push(tile);
            model.layers.push(parts);
        }
        model
    }

    /// Cycles of a pass with the pieces where they are.
    fn cycles(&self, units: &[Unit]) -> u64 {
        let mut moved: Vec<(usize, Part)> = units
            .iter()
            .flat_map(|u| {
                let pieces = u.pieces.iter();
                pieces.map(|(tiles, at)| (*at, self.tiles[u.conv].times(tiles.len())))
            })
            .collect();
        moved.sort_by_key(|m| m.0);
        let mut moved = moved.into_iter().peekable();
        let mut run = Run::new(self.room);
        for (i, parts) in self.layers.iter().enumerate() {
            while let Some((_, part)) = moved.next_if(|m| m.0 == i) {
                run.part(part);
            }
            if !units.iter().any(|u| u.conv == i) {
                parts.iter().for_each(|&part| run.part(part));
            }
        }
        run.now
    }

    /// Move a piece to where the pass takes least time, the last of several such places.
    fn settle(&mut self, units: &mut [Unit], unit: usize, piece: usize) {
        let Unit { conv, ready, .. } = units[unit];
        let before = self.cycles(units);
        let mut best = (before, conv);
        for at in (ready..conv).filter(|&i| !self.layers[i].is_empty()) {
            units[unit].pieces[piece].1 = at;
            let cycles = self.cycles(units);
            if cycles <= best.0 {
                best = (cycles, at);
            }
        }
        let tiles = units[unit].pieces[piece].0.len();
        let worth = self.tiles[conv].times(tiles).products / WORTH;
        let at = if best.0 + worth <= before {
            best.1
        } else {
            conv
        };
        units[unit].pieces[piece].1 = at;
    }
}

impl Part {
    const fn times(self, n: usize) -> Self {
        Self {
            words: self.words * n,
            bus: self.bus * n as u64,
            products: self.products * n as u64,
        }
    }
}

/// The array in the middle of a pass. The first parts are loaded in the pass before.
struct Run {
    room: usize,
    /// When the array is done with what it has had.
    now: u64,
    /// When the bus is; both count from where the bus has had a memory's time.
    loaded: u64,
    /// Words of the parts so far, each with when it is done with.
    used: Vec<(usize, u64)>,
    /// Parts whose place is taken again, and words that have been.
    freed: usize,
    taken: usize,
}

impl Run {
    const fn new(room: usize) -> Self {
        Self {
            room,
            now: 0,
            loaded: 0,
            used: vec![],
            freed: 0,
            taken: 0,
        }
    }

    fn part(&mut self, part: Part) {
        self.taken += part.words;
        while self.taken > self.room && self.freed < self.used.len() {
            let (words, end) = self.used[self.freed];
            self.taken -= words;
            self.loaded = self.loaded.max(end);
            self.freed += 1;
        }
        // what is there from the start was loaded before
        if self.freed > 0 {
            self.loaded += part.bus;
        }
        self.now = self.now.max(self.loaded) + part.products;
        self.used.push((part.words, self.now));
    }
}
