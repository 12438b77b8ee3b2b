//! Runs the graph node by node.

use std::sync::{Mutex, MutexGuard, PoisonError};

use diffuser_model::build_graph::build_graph_with;
use diffuser_model::config::UnetConfig;
use diffuser_model::error::Error;
use diffuser_model::graph::{Graph, Op, Resample, TensorId};
use diffuser_model::rewrite::Rewrites;
use diffuser_model::weights::Weights;

use crate::attention::attend;
use crate::buffers::Pool;
use crate::conv::{Added, ConvWeights, convolve};
use crate::embedding::{Embedder, Embedding};
use crate::matrix::Threads;
use crate::norm::{normalise, resample};

/// Sees every tensor of an evaluation, for example to measure its range.
pub trait Observer {
    /// Called once a tensor, in order of creation, the input first. `data`: height * width * channels values,
    /// channels innermost.
    fn tensor(&mut self, id: TensorId, data: &[f32]);

    /// Called before that for a tensor which a normalisation makes by averaging 2x2 blocks: the values that are
    /// averaged, whose range is wider.
    fn before_pooling(&mut self, _id: TensorId, _data: &[f32]) {}
}

/// Looks away.
impl Observer for () {
    fn tensor(&mut self, _: TensorId, _: &[f32]) {}
}

/// Parameters of one node.
#[derive(Debug)]
enum Prepared {
    Nothing,
    Norm { weight: Vec<f32>, bias: Vec<f32> },
    Conv(ConvWeights),
}

/// Memory that outlives an evaluation.
#[derive(Debug, Default)]
struct Workspace {
    pool: Pool,
    scratch: Vec<f32>,
}

/// An evaluation that goes node by node.
#[derive(Clone, Debug)]
pub struct Evaluation {
    tensors: Vec<Vec<f32>>,
    embedding: Embedding,
}

impl Evaluation {
    /// A tensor's values, channels innermost; none before it is made and when it is released.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &[f32] {
        &self.tensors[id]
    }
}

/// A U-Net in `f32`.
#[derive(Debug)]
pub struct FloatUnet {
    graph: Graph,
    nodes: Vec<Prepared>,
    embedder: Embedder,
    /// For each node, the tensors that no later node reads.
    last_reads: Vec<Vec<TensorId>>,
    threads: Threads,
    /// Taken by an evaluation for its time; one that runs beside it starts with an empty one.
    workspace: Mutex<Workspace>,
}

impl FloatUnet {
    /// Prepares a network; it uses all threads of the current rayon pool.
    ///
    /// # Errors
    /// A configuration that [`build_graph_with`] refuses; weights that do not fit it.
    pub fn new(config: &UnetConfig, weights: &Weights) -> Result<Self, Error> {
        Self::with_rewrites(config, weights, Rewrites::NONE)
    }

    /// The same network rewritten: what differs is the rounding of `f32`.
    ///
    /// # Errors
    /// As [`FloatUnet::new`].
    pub fn with_rewrites(
        config: &UnetConfig,
        weights: &Weights,
        rewrites: Rewrites,
    ) -> Result<Self, Error> {
        let graph = build_graph_with(config, rewrites)?;
        weights.check(&diffuser_model::build_graph::parameters(config)?)?;
        let nodes = graph
            .nodes
            .iter()
            .map(|node| prepare(&node.op, weights))
            .collect::<Result<_, _>>()?;
        let embedder = Embedder::new(&graph, config, weights)?;
        let mut last_reads = vec![Vec::new(); graph.nodes.len()];
        for (id, _) in graph
            .tensors
            .iter()
            .enumerate()
            .filter(|&(id, _)| id != graph.output)
        {
            if let Some(node) = graph.readers(id).max() {
                last_reads[node].push(id);
            }
        }
        let workspace = Mutex::default();
        Ok(FloatUnet {
            graph,
            nodes,
            embedder,
            last_reads,
            threads: Threads(0),
            workspace,
        })
    }

    /// The same network on so many threads of the current rayon pool; 0: all of them.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Threads(threads);
        self
    }

    /// The network's graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What the residual blocks are told at a time step, which may be fractional, and of a class.
    ///
    /// # Errors
    /// A time step that is not finite; a class that the model does not have; none although it has classes.
    pub fn embedding(&self, timestep: f64, class: Option<usize>) -> Result<Embedding, Error> {
        self.embedder.embed(timestep, class)
    }

    /// Evaluates the network on one sample, height * width * channels values with channels innermost, and
    /// returns its output in the same order.
    ///
    /// # Errors
    /// A sample or an embedding of another size than the network's.
    pub fn evaluate(
        &self,
        sample: &[f32],
        embedding: &Embedding,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, Error> {
        self.check(sample, embedding)?;
        let mut workspace = std::mem::take(&mut *self.workspace());
        let output = self.run(sample, embedding, observer, &mut workspace);
        *self.workspace() = workspace;
        Ok(output)
    }

    /// Starts an evaluation that goes on node by node, with [`FloatUnet::step`].
    ///
    /// # Errors
    /// As [`FloatUnet::evaluate`].
    pub fn start(&self, sample: &[f32], embedding: Embedding) -> Result<Evaluation, Error> {
        self.check(sample, &embedding)?;
        let mut tensors = vec![Vec::new(); self.graph.tensors.len()];
        tensors[Graph::INPUT] = sample.to_vec();
        Ok(Evaluation { tensors, embedding })
    }

    /// Makes the output of a node; all nodes before it were made, and their outputs not yet
    /// [released](FloatUnet::release). A node can be made again.
    ///
    /// # Panics
    /// When an input is not there.
    pub fn step(&self, evaluation: &mut Evaluation, node: usize) {
        let id = self.graph.nodes[node].output;
        let mut output = std::mem::take(&mut evaluation.tensors[id]);
        output.resize(self.graph.tensors[id].len(), 0.0);
        let mut workspace = std::mem::take(&mut *self.workspace());
        let Evaluation { tensors, embedding } = &*evaluation;
        self.execute(
            node,
            tensors,
            embedding,
            &mut output,
            &mut (),
            &mut workspace,
        );
        *self.workspace() = workspace;
        evaluation.tensors[id] = output;
    }

    /// Forgets the tensors that no node behind this one reads.
    pub fn release(&self, evaluation: &mut Evaluation, node: usize) {
        for &dead in &self.last_reads[node] {
            evaluation.tensors[dead] = Vec::new();
        }
    }

    /// Most values that an evaluation holds at once when each node's dead tensors are released.
    #[must_use]
    pub fn most_values(&self) -> usize {
        let mut held = self.graph.tensors[Graph::INPUT].len();
        let mut most = held;
        for (node, dead) in self.graph.nodes.iter().zip(&self.last_reads) {
            held += self.graph.tensors[node.output].len();
            most = most.max(held);
            held -= dead
                .iter()
                .map(|&id| self.graph.tensors[id].len())
                .sum::<usize>();
        }
        most
    }

    /// Gives a convolution other weights, of the same shape.
    ///
    /// # Panics
    /// When the node is no convolution, or the shape another.
    pub fn replace(&mut self, node: usize, weights: ConvWeights) {
        let Prepared::Conv(own) = &mut self.nodes[node] else {
            panic!("node {node} is no convolution");
        };
        assert_eq!(own.matrix.len(), weights.matrix.len(), "same shape");
        assert_eq!(own.bias.len(), weights.bias.len(), "same shape");
        *own = weights;
    }

    fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, sample: &[f32], embedding: &Embedding) -> Result<(), Error> {
        let info = &self.graph.tensors[Graph::INPUT];
        if sample.len() != info.len() {
            let (h, w, c) = (info.height, info.width, info.channels);
            return Err(Error::Invalid(format!(
                "sample of {} values; expected {h} x {w} x {c}",
                sample.len()
            )));
        }
        let sizes = self.graph.projections.iter().map(|p| p.outputs);
        if !embedding.projections.iter().map(Vec::len).eq(sizes) {
            return Err(Error::Invalid("embedding of another network".into()));
        }
        Ok(())
    }

    fn run(
        &self,
        sample: &[f32],
        embedding: &Embedding,
        observer: &mut dyn Observer,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let mut tensors = vec![Vec::new(); self.graph.tensors.len()];
        tensors[Graph::INPUT] = workspace.pool.take(sample.len());
        tensors[Graph::INPUT].copy_from_slice(sample);
        observer.tensor(Graph::INPUT, sample);
        for (i, node) in self.graph.nodes.iter().enumerate() {
            let mut output = workspace.pool.take(self.graph.tensors[node.output].len());
            self.execute(i, &tensors, embedding, &mut output, observer, workspace);
            observer.tensor(node.output, &output);
            tensors[node.output] = output;
            for &dead in &self.last_reads[i] {
                workspace.pool.give(std::mem::take(&mut tensors[dead]));
            }
        }
        std::mem::take(&mut tensors[self.graph.output])
    }

    fn execute(
        &self,
        index: usize,
        tensors: &[Vec<f32>],
        embedding: &Embedding,
        output: &mut [f32],
        observer: &mut dyn Observer,
        workspace: &mut Workspace,
    ) {
        let node = &self.graph.nodes[index];
        let inputs: Vec<&[f32]> = node
            .inputs
            .iter()
            .map(|&id| tensors[id].as_slice())
            .collect();
        let source = &self.graph.tensors[node.inputs[0]];
        let target = &self.graph.tensors[node.output];
        match (&node.op, &self.nodes[index]) {
            (Op::Norm(norm), Prepared::Norm { weight, bias }) => {
                let scale_shift = norm
                    .scale_shift
                    .map(|p| embedding.projections[p].as_slice());
                let parameters = [weight.as_slice(), bias];
                match norm.resample {
                    None => normalise(norm, parameters, scale_shift, &inputs, output, self.threads),
                    Some(kind) => {
                        let mut whole = workspace.pool.take(inputs.iter().map(|i| i.len()).sum());
                        normalise(
                            norm,
                            parameters,
                            scale_shift,
                            &inputs,
                            &mut whole,
                            self.threads,
                        );
                        if kind == Resample::AveragePool2x {
                            observer.before_pooling(node.output, &whole);
                        }
                        resample(kind, &whole, source.width, target.channels, output);
                        workspace.pool.give(whole);
                    }
                }
            }
            (Op::Conv(conv), Prepared::Conv(weights)) => {
                let added = Added {
                    projection: conv.projection.map(|p| embedding.projections[p].as_slice()),
                    residual: conv.residual.map(|id| tensors[id].as_slice()),
                };
                let scratch = &mut workspace.scratch;
                convolve(
                    conv,
                    weights,
                    &added,
                    (inputs[0], source),
                    (output, target),
                    scratch,
                    self.threads,
                );
            }
            (Op::Attention(attention), _) => {
                let qkv = [inputs[0], inputs[1], inputs[2]];
                attend(
                    attention,
                    qkv,
                    source.channels,
                    output,
                    &mut workspace.scratch,
                    self.threads,
                );
            }
            (
                Op::Quantise {
                    resample: Some(kind),
                }
                | Op::Resample(kind),
                _,
            ) => {
                resample(*kind, inputs[0], source.width, source.channels, output);
            }
            (Op::Quantise { resample: None }, _) => output.copy_from_slice(inputs[0]),
            (Op::Norm(_) | Op::Conv(_), _) => {
                unreachable!("`prepare` makes what each operation needs")
            }
        }
    }
}

fn prepare(op: &Op, weights: &Weights) -> Result<Prepared, Error> {
    let data = |name: &str| weights.get(name).map(|t| t.data.as_slice());
    Ok(match op {
        Op::Norm(norm) => Prepared::Norm {
            weight: data(&norm.weight)?[norm.channels.clone()].to_vec(),
            bias: data(&norm.bias)?[norm.channels.clone()].to_vec(),
        },
        Op::Conv(conv) => {
            let bias = conv.bias.as_deref().map(data).transpose()?;
            Prepared::Conv(ConvWeights::new(conv, data(&conv.weight)?, bias))
        }
        Op::Quantise { .. } | Op::Attention(_) | Op::Resample(_) => Prepared::Nothing,
    })
}
