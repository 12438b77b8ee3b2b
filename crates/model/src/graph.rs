//! The U-Net as a flat list of nodes, shared by the float reference, the quantiser and the engines.
//!
//! The list is built from the configuration ([`crate::config::UnetConfig`]) and the rewrites
//! ([`crate::rewrite::Rewrites`]) alone, always in the same order, so that files need to hold no graph:
//! parameters are kept by node and tensor index.
//!
//! Two kinds of tensor: a [`TensorKind::Stream`] carries the residual path and whatever a
//! normalisation reads (16 bit when quantised), an [`TensorKind::Operand`] is what a
//! multiply-accumulate reads (8 bit, or two 8-bit planes). Concatenation is no node: a
//! normalisation reads two streams, a shortcut convolution is split in two (with
//! [`split_from`](crate::rewrite::Rewrites::split_from), so are normalisations and what follows them).

use std::ops::Range;

/// Index into [`Graph::tensors`].
pub type TensorId = usize;

/// Index into [`Graph::projections`].
pub type ProjectionId = usize;

/// What a tensor is when quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// The network's input: the sampler's state.
    Input,
    /// 16 bit, `x * 2^-k`.
    Stream,
    /// 8 bit with step size and zero point, or two planes of 8 bits.
    Operand,
}

/// One tensor of one image: `height * width * channels`, channels innermost.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Name of the node that makes it, or `sample` for the input.
    pub name: String,
    /// What it is when quantised.
    pub kind: TensorKind,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl TensorInfo {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Change of resolution that rides along with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Nearest neighbour, twice the height and width.
    Nearest2x,
    /// Mean of 2x2 blocks.
    AveragePool2x,
}

/// Group normalisation over one stream or the concatenation of two, then SiLU if wanted, then
/// resampling if wanted. Output: an operand.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Number of groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Name of the scale, one value a channel.
    pub weight: String,
    /// Name of the offset, one value a channel.
    pub bias: String,
    /// Channels of scale and offset that this node uses: all, or those of one stream of a split concatenation.
    pub channels: Range<usize>,
    /// Whether SiLU follows.
    pub silu: bool,
    /// Embedding projection of `2 * channels` values, scales then shifts:
    /// `y * (1 + scale) + shift` before SiLU (`resnet_time_scale_shift = "scale_shift"`). Of a norm that is whole.
    pub scale_shift: Option<ProjectionId>,
    /// Resampling after SiLU.
    pub resample: Option<Resample>,
}

/// Convolution or linear layer (kernel 1). Input: an operand. Output: a stream, or an operand (Q, K, V).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Name of the weight, `out x in x kernel x kernel` (3 with `phases`), or `out x in`.
    pub weight: String,
    /// Name of the bias, `out`; `None` when there is none or another part of a split adds it.
    pub bias: Option<String>,
    /// Input channels of the weight that this node uses: all, or those of one stream of a concatenation.
    pub input_channels: Range<usize>,
    /// Output channels.
    pub output_channels: usize,
    /// 1 or 3; 2 with `phases`.
    pub kernel: usize,
    /// Whether it is a 3x3 convolution behind nearest 2x upsampling, run as four 2x2 convolutions of the input
    /// as it is ([`crate::rewrite::Phase`]). The output is twice as high and wide as the input, a stream.
    pub phases: bool,
    /// 1 or 2.
    pub stride: usize,
    /// Rows and columns of padding: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Embedding projection of `output_channels` values that is added to the bias.
    pub projection: Option<ProjectionId>,
    /// Stream of the output's shape that is added to the result.
    pub residual: Option<TensorId>,
}

/// `softmax(Q K^T * scale) V`, a head at a time. Inputs: operands Q, K, V of equal shape. Output: an operand.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Number of heads; divides the channels.
    pub heads: usize,
    /// `1 / sqrt(channels / heads)`.
    pub scale: f64,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// See [`Norm`].
    Norm(Norm),
    /// Make an operand of a stream or of the input, resampling it if wanted (in float: a copy).
    Quantise {
        /// Resampling on the way.
        resample: Option<Resample>,
    },
    /// See [`Conv`].
    Conv(Conv),
    /// See [`Attention`].
    Attention(Attention),
    /// Resample a stream into a stream.
    Resample(Resample),
}

/// One node; nodes are in execution order.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Path of the module in `diffusers`, for example `down_blocks.0.resnets.1.conv1`.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Tensors that it reads (a convolution's residual is not among them).
    pub inputs: Vec<TensorId>,
    /// Tensor that it makes.
    pub output: TensorId,
}

/// A linear layer on `silu(embedding)`, the time (and class) input of one residual block.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Name of the weight, `outputs x embedding`.
    pub weight: String,
    /// Name of the bias.
    pub bias: String,
    /// Number of outputs.
    pub outputs: usize,
}

/// A whole network for one image size.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// All tensors; index 0 is the input.
    pub tensors: Vec<TensorInfo>,
    /// All nodes in execution order.
    pub nodes: Vec<Node>,
    /// Embedding projections.
    pub projections: Vec<Projection>,
    /// The network's output, a stream.
    pub output: TensorId,
}

impl Graph {
    /// The input's tensor.
    pub const INPUT: TensorId = 0;

    /// Multiply-accumulates of one evaluation, attention's two products included, embedding excluded.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|n| self.node_macs(n)).sum()
    }

    /// Multiply-accumulates of one node.
    #[must_use]
    pub fn node_macs(&self, node: &Node) -> u64 {
        let out = &self.tensors[node.output];
        match &node.op {
            Op::Conv(c) => (out.len() * c.input_channels.len() * c.kernel * c.kernel) as u64,
            Op::Attention(_) => (2 * out.len() * out.height * out.width) as u64,
            _ => 0,
        }
    }

    /// Every node that reads a tensor, residuals included.
    pub fn readers(&self, tensor: TensorId) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter_map(move |(i, n)| {
            let residual = matches!(&n.op, Op::Conv(c) if c.residual == Some(tensor));
            (residual || n.inputs.contains(&tensor)).then_some(i)
        })
    }

    /// Whether nothing but convolutions of this kind reads a tensor.
    pub fn is_read_only_by(&self, tensor: TensorId, kind: impl Fn(&Conv) -> bool) -> bool {
        self.readers(tensor)
            .all(|i| matches!(&self.nodes[i].op, Op::Conv(c) if kind(c)))
    }

    /// Whether shortcuts alone read an operand: 1x1 convolutions.
    #[must_use]
    pub fn feeds_shortcuts(&self, operand: TensorId) -> bool {
        self.is_read_only_by(operand, |c| c.kernel == 1 && c.stride == 1)
    }
}
