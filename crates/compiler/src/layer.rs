//! What the passes work on: layers of the accelerator, and what lies in its memories.

mod value;
mod work;

use std::collections::BTreeMap;

use diffuser_model::graph::TensorId;

use crate::schedule::NO_NODE;
use crate::target::Shape;
pub use value::{OperandForm, StreamForm, Value};
pub use work::{
    AttentionWork, ConvWork, Dest, NormWork, PrepKind, PrepWork, SampleWork, Transfer, Work,
};

/// Where the lanes of padded blocks come from: the channel of the tensor, or none for padding.
pub type Lanes = Vec<Option<usize>>;

/// A network as a list of layers in the order of execution, between the passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// In the order of execution.
    pub list: Vec<Layer>,
    /// How each operand lies in the operand memory.
    pub operands: BTreeMap<TensorId, OperandForm>,
    /// How K and V of each attention lie in the weight memory: words of each.
    pub cached: BTreeMap<TensorId, usize>,
    /// Streams by tensor; those loaded from DDR have numbers behind the graph's.
    pub streams: BTreeMap<TensorId, StreamForm>,
    /// Streams that wait in DDR: each with those that were loaded from there.
    pub spilled: Vec<Vec<TensorId>>,
    /// Homes of streams in DDR: the first of the stream words there.
    pub homes: BTreeMap<TensorId, usize>,
    /// Stream words that the homes take.
    pub home_words: usize,
    /// Rows and columns of bands of the state.
    pub states: BTreeMap<TensorId, [usize; 2]>,
    /// Pixels of an image's state.
    pub state_pixels: usize,
    /// Whether states live in DDR.
    pub state_in_ddr: bool,
    /// Images of the batch.
    pub images: usize,
}

/// One layer: what one unit does, in one descriptor or in several of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the graph's node that it belongs to.
    pub name: String,
    /// That node; none for the sampler.
    pub node: Option<usize>,
    /// What is done.
    pub work: Work,
    /// Image of the batch that it belongs to.
    pub image: usize,
    /// Place in the order of one image: where it stood before the pass `batch`.
    pub place: usize,
}

impl Layer {
    /// Tag of its descriptors.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.node.map_or(NO_NODE, |n| n as u32)
    }

    /// What it reads, the state excluded.
    #[must_use]
    pub fn reads(&self) -> Vec<Value> {
        match &self.work {
            Work::Norm(n) => n.streams.iter().map(|&t| Value::Sums(t)).collect(),
            Work::Prep(p) if p.kind == PrepKind::StatePlanes => {
                let band = p.state_band.then_some(Value::State(p.inputs[0]));
                band.into_iter().collect()
            }
            Work::Prep(p) => {
                let affine =
                    matches!(p.kind, PrepKind::Norm { .. }).then_some(Value::Affine(p.maps));
                let streams = p.inputs.iter().map(|&t| Value::Stream(t));
                streams.chain(affine).collect()
            }
            Work::Conv(c) => {
                let residual = c.residual.map(Value::Stream);
                [Value::Operand(c.input)]
                    .into_iter()
                    .chain(residual)
                    .collect()
            }
            Work::Attention(a) => {
                let [q, k, v] = a.inputs;
                vec![Value::Operand(q), Value::Cached(k), Value::Cached(v)]
            }
            Work::Sample(sample) => {
                let state = sample.state.map(Value::State);
                [Value::Stream(sample.stream)]
                    .into_iter()
                    .chain(state)
                    .collect()
            }
            Work::Store(t) => vec![Value::Stream(t.stream)],
            Work::StoreState(t) => vec![Value::State(t.stream)],
            Work::Load(_) | Work::LoadState(_) => vec![],
        }
    }

    /// What it writes, the state excluded.
    #[must_use]
    pub fn writes(&self) -> Vec<Value> {
        match &self.work {
            Work::Norm(n) => vec![Value::Affine(n.operand)],
            Work::Prep(PrepWork {
                kind: PrepKind::Stream,
                output,
                maps: sums_of,
                sums,
                ..
            })
            | Work::Conv(ConvWork {
                dest: Dest::Stream,
                output,
                sums_of,
                sums,
                ..
            }) => {
                let sums = sums.then_some(Value::Sums(*sums_of));
                [Value::Stream(*output)].into_iter().chain(sums).collect()
            }
            Work::Prep(p) => vec![Value::Operand(p.output)],
            Work::Conv(c) if c.dest == Dest::Query => vec![Value::Operand(c.output)],
            Work::Conv(c) => vec![Value::Cached(c.output)],
            Work::Attention(a) => vec![Value::Operand(a.output)],
            Work::Load(t) => vec![Value::Stream(t.stream)],
            Work::LoadState(t) => vec![Value::State(t.stream)],
            Work::Sample(_) | Work::Store(_) | Work::StoreState(_) => vec![],
        }
    }
}

impl Layers {
    /// Pixels from one image's state to the next in DDR. Bands of states begin at multiples of 64 bytes, and so do their pixels.
    #[must_use]
    pub const fn state_pitch(&self) -> usize {
        if self.state_in_ddr {
            self.state_pixels.next_multiple_of(16)
        } else {
            self.state_pixels
        }
    }

    /// For each value the layers that read or write it, in order; stores are no readers.
    #[must_use]
    pub fn uses(&self) -> BTreeMap<Value, Vec<usize>> {
        let mut uses: BTreeMap<Value, Vec<usize>> = BTreeMap::new();
        for (i, layer) in self.list.iter().enumerate() {
            if matches!(layer.work, Work::Store(_)) {
                continue;
            }
            for value in layer.reads().into_iter().chain(layer.writes()) {
                let uses = uses.entry(value).or_default();
                if uses.last() != Some(&i) {
                    uses.push(i);
                }
            }
        }
        uses
    }

    /// The lowest number that no tensor has.
    #[must_use]
    pub fn next_tensor(&self) -> TensorId {
        let last = [
            self.streams.keys().max(),
            self.operands.keys().max(),
            self.cached.keys().max(),
            self.states.keys().max(),
        ];
        last.into_iter().flatten().max().map_or(0, |t| t + 1)
    }

    /// Words (rows, entries) that a value takes.
    #[must_use]
    pub fn size(&self, value: Value, shape: Shape) -> usize {
        match value {
            Value::Stream(t) => self.streams[&t].words(shape),
            Value::Operand(t) => self.operands[&t].rows(shape),
            Value::Cached(t) => self.cached[&t],
            // the norm's channels are not padded
            Value::Affine(t) => self.operands[&t].lanes.iter().flatten().count(),
            Value::Sums(t) => self.streams[&t].sums(shape),
            Value::State(t) => self.states[&t].iter().product(),
        }
    }
}
