//! One network, its weights packed for one set of kernels.

use diffuser_model::graph::{Conv, Graph, Op, TensorId};
use diffuser_model::quantised::{ConvWeights, NodeParams};
use diffuser_model::rewrite::Phase;
use diffuser_model::step::StepParams;

use crate::check::{check_graph, check_step};
use crate::choice::KernelChoice;
use crate::error::EngineError;
use crate::execute::Evaluation;
use crate::kernels::{self, ConvShape, Kernels, Packed};
use crate::plan::{Place, Plan, Workspace};
use crate::view::TensorView;

/// Called with each tensor right after it is made.
pub type Observer<'a> = dyn FnMut(TensorId, TensorView<'_>) + 'a;

/// A network ready to run. Shared among threads; each image in flight needs its own [`Workspace`].
pub struct Engine {
    pub(crate) graph: Graph,
    pub(crate) plan: Plan,
    pub(crate) kernels: Box<dyn Kernels>,
    choice: KernelChoice,
    /// For each node, what it consists of: a convolution, or four where it runs in phases.
    pub(crate) convs: Vec<Vec<(ConvShape, Packed)>>,
    /// For convolutions, the sum of the magnitudes of each row of weights.
    magnitudes: Vec<Vec<i64>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("kernel", &self.choice)
            .field("nodes", &self.graph.nodes.len())
            .finish_non_exhaustive()
    }
}

/// Shapes and weights of what a convolution with so wide a result consists of.
fn pack(
    conv: &Conv,
    width: usize,
    weights: &ConvWeights,
    kernels: &dyn Kernels,
) -> Vec<(ConvShape, Packed)> {
    let per_part = weights.weight.len() * conv.output_channels / conv.weight_rows();
    let parts = weights.weight.chunks_exact(per_part).zip(conv.parts());
    parts
        .map(|(weight, phase)| {
            let shape = ConvShape {
                in_channels: conv.input_channels.len(),
                out_channels: conv.output_channels,
                kernel: conv.kernel,
                stride: conv.stride,
                padding: phase.map_or([conv.padding[0], conv.padding[1]], Phase::padding),
                out_width: width >> u32::from(phase.is_some()),
                phase,
            };
            (shape, kernels.pack(shape, weight, weights.bits))
        })
        .collect()
}

impl Engine {
    /// Check graph and weights, choose kernels, pack the weights for them and plan the buffers.
    ///
    /// `nodes` are the parameters of each node of the graph, as in
    /// [`QuantisedModel::nodes`](diffuser_model::quantised::QuantisedModel::nodes).
    ///
    /// # Errors
    /// When this machine cannot run the kernels, the graph does not hold together, or parameters do
    /// not fit their nodes.
    pub fn new(
        graph: Graph,
        nodes: &[NodeParams],
        choice: KernelChoice,
    ) -> Result<Self, EngineError> {
        check_graph(&graph, nodes)?;
        let choice = choice.resolved();
        let kernels = kernels::make(choice).ok_or(EngineError::Unavailable(choice))?;
        let mut convs = Vec::with_capacity(nodes.len());
        let mut magnitudes = Vec::with_capacity(nodes.len());
        for (node, params) in graph.nodes.iter().zip(nodes) {
            let (Op::Conv(conv), NodeParams::Conv(weights)) = (&node.op, params) else {
                convs.push(Vec::new());
                magnitudes.push(Vec::new());
                continue;
            };
            let rows = weights.weight.len() / conv.weight_rows();
            let rows = weights.weight.chunks_exact(rows);
            magnitudes.push(
                rows.map(|row| row.iter().map(|&w| i64::from(w).abs()).sum())
                    .collect(),
            );
            let width = graph.tensors[node.output].width;
            convs.push(pack(conv, width, weights, &*kernels));
        }
        Ok(Self {
            plan: Plan::new(&graph),
            graph,
            kernels,
            choice,
            convs,
            magnitudes,
        })
    }

    /// The network.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The kernels that run; never [`KernelChoice::Auto`].
    #[must_use]
    pub fn kernel(&self) -> KernelChoice {
        self.choice
    }

    /// Buffers for one image.
    #[must_use]
    pub fn workspace(&self) -> Workspace {
        Workspace::new(&self.plan)
    }

    /// Whether a step fits this network; [`Engine::evaluate`] asks the same.
    ///
    /// # Errors
    /// What does not fit, by the name of the node.
    pub fn check(&self, step: &StepParams) -> Result<(), EngineError> {
        check_step(&self.graph, &self.magnitudes, step).map(drop)
    }

    /// Evaluate the network once.
    ///
    /// `state` is the sampler's state in Q24, `height * width * channels` of the graph's input,
    /// channels innermost. The result has the shape of the graph's output; its values are
    /// `x * 2^-k`, `k` being [`StepParams::output_exponent`]. Large layers are divided among the
    /// threads of the current `rayon` pool; the result is the same on any number of them.
    ///
    /// # Errors
    /// When state, step or workspace do not fit this network.
    pub fn evaluate<'w>(
        &self,
        state: &[i32],
        step: &StepParams,
        workspace: &'w mut Workspace,
    ) -> Result<&'w [i16], EngineError> {
        self.run(state, step, workspace, None)
    }

    /// [`Engine::evaluate`], showing the observer every tensor right after it is made.
    ///
    /// # Errors
    /// As [`Engine::evaluate`].
    pub fn evaluate_observed<'w>(
        &self,
        state: &[i32],
        step: &StepParams,
        workspace: &'w mut Workspace,
        observer: &mut Observer<'_>,
    ) -> Result<&'w [i16], EngineError> {
        self.run(state, step, workspace, Some(observer))
    }

    fn run<'w>(
        &self,
        state: &[i32],
        step: &StepParams,
        workspace: &'w mut Workspace,
        mut observer: Option<&mut Observer<'_>>,
    ) -> Result<&'w [i16], EngineError> {
        let want = self.graph.tensors[Graph::INPUT].len();
        if state.len() != want {
            return Err(EngineError::State {
                got: state.len(),
                want,
            });
        }
        if !workspace.fits(&self.plan) {
            return Err(EngineError::Workspace);
        }
        let forms = check_step(&self.graph, &self.magnitudes, step)?;
        let evaluation = Evaluation {
            engine: self,
            state,
            forms,
        };
        for (index, node) in self.graph.nodes.iter().enumerate() {
            evaluation.node(index, &step.nodes[index], workspace);
            if let Some(observer) = observer.as_deref_mut() {
                evaluation.show(node.output, workspace, observer);
            }
        }
        match self.plan.places[self.graph.output] {
            Place::Stream(slot) => {
                Ok(&workspace.streams[slot][..self.graph.tensors[self.graph.output].len()])
            }
            Place::Input | Place::Operand(..) => unreachable!("the output is a stream: checked"),
        }
    }
}
