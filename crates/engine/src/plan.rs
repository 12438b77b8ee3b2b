//! Which buffer each tensor uses, so that those of dead tensors are used again.

use diffuser_model::graph::{Graph, Op, TensorKind};

use crate::layout::Layout;

/// Where a tensor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The caller's state.
    Input,
    /// A 16-bit buffer, by index.
    Stream(usize),
    /// A byte buffer, by index.
    Operand(usize, Layout),
}

/// Buffers of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// One a tensor.
    pub places: Vec<Place>,
    /// Length of each 16-bit buffer.
    pub streams: Vec<usize>,
    /// Length of each byte buffer.
    pub operands: Vec<usize>,
}

/// Memory of one evaluation: as many images can run at once as there are workspaces.
///
/// Made by [`Engine::workspace`](crate::Engine::workspace); fits every step of that engine.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) streams: Vec<Vec<i16>>,
    pub(crate) operands: Vec<Vec<u8>>,
}

impl Workspace {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            streams: plan.streams.iter().map(|&n| vec![0; n]).collect(),
            operands: plan.operands.iter().map(|&n| vec![0; n]).collect(),
        }
    }

    pub(crate) fn fits(&self, plan: &Plan) -> bool {
        self.streams
            .iter()
            .map(Vec::len)
            .eq(plan.streams.iter().copied())
            && self
                .operands
                .iter()
                .map(Vec::len)
                .eq(plan.operands.iter().copied())
    }

    /// Bytes of all buffers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(Vec::len).sum();
        2 * streams + self.operands.iter().map(Vec::len).sum::<usize>()
    }
}

/// Buffers of one kind while the plan is made.
#[derive(Default)]
struct Pool {
    /// Length, and whether a living tensor has it.
    slots: Vec<(usize, bool)>,
}

impl Pool {
    /// A buffer of this length: the tightest free one that is long enough, else the longest free
    /// one, which grows, else a new one.
    fn take(&mut self, len: usize) -> usize {
        let free = || self.slots.iter().enumerate().filter(|(_, s)| !s.1);
        let best = free()
            .filter(|(_, s)| s.0 >= len)
            .min_by_key(|(_, s)| s.0)
            .or_else(|| free().max_by_key(|(_, s)| s.0))
            .map(|(i, _)| i);
        let i = best.unwrap_or_else(|| {
            self.slots.push((len, true));
            self.slots.len() - 1
        });
        self.slots[i] = (self.slots[i].0.max(len), true);
        i
    }

    fn lengths(self) -> Vec<usize> {
        self.slots.into_iter().map(|(len, _)| len).collect()
    }
}

/// Widest padding that any reader of the tensor asks for.
fn border(graph: &Graph, tensor: usize) -> [usize; 4] {
    let mut widest = [0; 4];
    for n in &graph.nodes {
        if let Op::Conv(c) = &n.op
            && n.inputs.contains(&tensor)
        {
            for (w, &p) in widest.iter_mut().zip(&c.padding) {
                *w = (*w).max(p);
            }
        }
    }
    widest
}

impl Plan {
    /// A plan for a graph that has been checked.
    pub fn new(graph: &Graph) -> Self {
        let mut last_use = vec![0; graph.tensors.len()];
        for (i, n) in graph.nodes.iter().enumerate() {
            last_use[n.output] = last_use[n.output].max(i);
            let residual = match &n.op {
                Op::Conv(c) => c.residual,
                _ => None,
            };
            for &t in n.inputs.iter().chain(residual.iter()) {
                last_use[t] = i;
            }
        }
        last_use[graph.output] = graph.nodes.len();

        let (mut streams, mut operands) = (Pool::default(), Pool::default());
        let mut places = vec![Place::Input; graph.tensors.len()];
        for (i, n) in graph.nodes.iter().enumerate() {
            let info = &graph.tensors[n.output];
            places[n.output] = match info.kind {
                TensorKind::Operand => {
                    let layout = Layout {
                        height: info.height,
                        width: info.width,
                        channels: info.channels,
                        padding: border(graph, n.output),
                    };
                    // only making an operand of a stream can give two planes, by the step's choice
                    let planes = 1 + usize::from(matches!(n.op, Op::Quantise { .. }));
                    Place::Operand(operands.take(layout.bytes(planes)), layout)
                }
                _ => Place::Stream(streams.take(info.len())),
            };
            // the output's buffer was taken first: it is never one that this node reads
            for (t, place) in places.iter().enumerate() {
                if last_use[t] == i {
                    match place {
                        Place::Input => {}
                        Place::Stream(s) => streams.slots[*s].1 = false,
                        Place::Operand(s, _) => operands.slots[*s].1 = false,
                    }
                }
            }
        }
        Self {
            places,
            streams: streams.lengths(),
            operands: operands.lengths(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_prefers_the_tightest_fit() {
        let mut p = Pool::default();
        assert_eq!([p.take(10), p.take(100), p.take(50)], [0, 1, 2]);
        p.slots[1].1 = false;
        p.slots[2].1 = false;
        assert_eq!(p.take(40), 2);
        assert_eq!(p.take(200), 1);
        assert_eq!(p.take(1), 3);
        assert_eq!(p.lengths(), [10, 200, 50, 1]);
    }
}
