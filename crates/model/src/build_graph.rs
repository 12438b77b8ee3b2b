//! Builds the [`Graph`] of a configuration, following `UNet2DModel` of `diffusers` 0.35 module by module,
//! and lists the parameters that it needs.

use crate::config::{Block, Resampling, TimeShift, UnetConfig};
use crate::error::Error;
use crate::graph::{
    Attention, Conv, Graph, Node, Norm, Op, Projection, ProjectionId, Resample, TensorId,
    TensorInfo, TensorKind,
};

/// Most elements of one tensor: 1 GiB as `f32`.
pub const MAX_TENSOR: u64 = 1 << 28;
/// Most elements of all tensors together.
pub const MAX_TENSORS: u64 = 1 << 33;
/// Most parameters of one network.
pub const MAX_PARAMETERS: u64 = 1 << 31;

/// Padding of a convolution that keeps height and width.
const SAME: [usize; 4] = [1; 4];

/// Name and shape of a weight that a network needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name as `diffusers` saves it.
    pub name: String,
    /// Shape as `diffusers` saves it.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// Number of values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The network of a configuration. The same configuration always gives the same graph.
///
/// # Errors
/// A configuration that is impossible: see [`UnetConfig::check`]; groups that do not divide the channels of
/// a normalisation; heads wider than their attention; a network beyond [`MAX_TENSOR`], [`MAX_TENSORS`]
/// or [`MAX_PARAMETERS`].
pub fn build_graph(config: &UnetConfig) -> Result<Graph, Error> {
    Builder::run(config).map(|b| b.graph)
}

/// Every weight that the network of a configuration needs, embeddings included, in the order of use.
///
/// # Errors
/// As [`build_graph`].
pub fn parameters(config: &UnetConfig) -> Result<Vec<Parameter>, Error> {
    Builder::run(config).map(|b| b.parameters)
}

/// One convolution as its caller sees it.
struct ConvShape {
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 4],
}

impl ConvShape {
    fn same(outputs: usize) -> Self {
        ConvShape {
            outputs,
            kernel: 3,
            stride: 1,
            padding: SAME,
        }
    }

    fn point(outputs: usize) -> Self {
        ConvShape {
            outputs,
            kernel: 1,
            stride: 1,
            padding: [0; 4],
        }
    }
}

/// Changes of resolution inside a residual block, or none.
type Change = Option<Resample>;

struct Builder<'c> {
    config: &'c UnetConfig,
    graph: Graph,
    parameters: Vec<Parameter>,
    parameter_count: u64,
    element_count: u64,
}

impl<'c> Builder<'c> {
    fn run(config: &'c UnetConfig) -> Result<Self, Error> {
        config.check()?;
        let mut b = Builder {
            config,
            graph: Graph {
                tensors: Vec::new(),
                nodes: Vec::new(),
                projections: Vec::new(),
                output: 0,
            },
            parameters: Vec::new(),
            parameter_count: 0,
            element_count: 0,
        };
        b.embedding()?;
        b.network()?;
        Ok(b)
    }

    fn embedding(&mut self) -> Result<(), Error> {
        let (inputs, size) = (self.config.block_out_channels[0], self.config.embedding());
        self.linear("time_embedding.linear_1", inputs, size)?;
        self.linear("time_embedding.linear_2", size, size)?;
        if let Some(classes) = self.config.num_class_embeds {
            self.parameter("class_embedding.weight", &[classes, size])?;
        }
        Ok(())
    }

    fn network(&mut self) -> Result<(), Error> {
        let c = self.config;
        let [height, width] = c.sample_size;
        let sample = self.tensor("sample", TensorKind::Input, [height, width, c.in_channels])?;
        let sample = self.quantise("conv_in.input", sample, None)?;
        let channels = c.block_out_channels[0];
        let mut hidden = self.conv("conv_in", sample, &ConvShape::same(channels), None, None)?;

        let last = c.levels() - 1;
        let mut skips = vec![hidden];
        for level in 0..=last {
            hidden = self.down(level, level == last, hidden, &mut skips)?;
        }
        if c.mid_block {
            hidden = self.middle(hidden)?;
        }
        for (index, level) in (0..=last).rev().enumerate() {
            hidden = self.up(index, level, hidden, &mut skips)?;
        }
        hidden = self.norm(
            "conv_norm_out",
            &[hidden],
            c.norm_num_groups,
            true,
            None,
            None,
        )?;
        self.graph.output = self.conv(
            "conv_out",
            hidden,
            &ConvShape::same(c.out_channels),
            None,
            None,
        )?;
        Ok(())
    }

    fn down(
        &mut self,
        level: usize,
        is_last: bool,
        mut hidden: TensorId,
        skips: &mut Vec<TensorId>,
    ) -> Result<TensorId, Error> {
        let c = self.config;
        let (kind, channels) = (c.down_block_types[level], c.block_out_channels[level]);
        let path = format!("down_blocks.{level}");
        for i in 0..c.layers_per_block {
            hidden = self.resnet(&format!("{path}.resnets.{i}"), hidden, None, channels, None)?;
            if kind == Block::Attention {
                hidden = self.attention(
                    &format!("{path}.attentions.{i}"),
                    hidden,
                    Some(c.norm_num_groups),
                )?;
            }
            skips.push(hidden);
        }
        if is_last {
            return Ok(hidden);
        }
        let path = format!("{path}.downsamplers.0");
        hidden = if resampling(kind, c.downsample_type) == Resampling::Resnet {
            self.resnet(&path, hidden, None, channels, Some(Resample::AveragePool2x))?
        } else {
            // without padding, `Downsample2D` itself pads below and on the right
            let padding = if c.downsample_padding == 0 {
                [0, 0, 1, 1]
            } else {
                SAME
            };
            let input = self.quantise(&format!("{path}.conv.input"), hidden, None)?;
            let shape = ConvShape {
                outputs: channels,
                kernel: 3,
                stride: 2,
                padding,
            };
            self.conv(&format!("{path}.conv"), input, &shape, None, None)?
        };
        skips.push(hidden);
        Ok(hidden)
    }

    fn middle(&mut self, mut hidden: TensorId) -> Result<TensorId, Error> {
        let c = self.config;
        let channels = c.block_out_channels[c.levels() - 1];
        hidden = self.resnet("mid_block.resnets.0", hidden, None, channels, None)?;
        if c.add_attention {
            // `UNetMidBlock2D` leaves the normalisation out in this one case
            let groups = match (c.attn_norm_num_groups, c.resnet_time_scale_shift) {
                (Some(groups), _) => Some(groups),
                (None, TimeShift::Default) => Some(c.norm_num_groups),
                (None, TimeShift::ScaleShift) => None,
            };
            hidden = self.attention("mid_block.attentions.0", hidden, groups)?;
        }
        self.resnet("mid_block.resnets.1", hidden, None, channels, None)
    }

    fn up(
        &mut self,
        index: usize,
        level: usize,
        mut hidden: TensorId,
        skips: &mut Vec<TensorId>,
    ) -> Result<TensorId, Error> {
        let c = self.config;
        let (kind, channels) = (c.up_block_types[index], c.block_out_channels[level]);
        let path = format!("up_blocks.{index}");
        for i in 0..=c.layers_per_block {
            // conv_in, every residual block and every downsampler left one: as many as are taken here
            let skip = skips
                .pop()
                .ok_or_else(|| Error::Invalid(format!("{path} lacks a skip connection")))?;
            hidden = self.resnet(
                &format!("{path}.resnets.{i}"),
                hidden,
                Some(skip),
                channels,
                None,
            )?;
            if kind == Block::Attention {
                hidden = self.attention(
                    &format!("{path}.attentions.{i}"),
                    hidden,
                    Some(c.norm_num_groups),
                )?;
            }
        }
        if level == 0 {
            return Ok(hidden);
        }
        let path = format!("{path}.upsamplers.0");
        if resampling(kind, c.upsample_type) == Resampling::Resnet {
            return self.resnet(&path, hidden, None, channels, Some(Resample::Nearest2x));
        }
        let input = self.quantise(
            &format!("{path}.conv.input"),
            hidden,
            Some(Resample::Nearest2x),
        )?;
        self.conv(
            &format!("{path}.conv"),
            input,
            &ConvShape::same(channels),
            None,
            None,
        )
    }

    /// `ResnetBlock2D` over one stream, or over the concatenation of two.
    fn resnet(
        &mut self,
        path: &str,
        hidden: TensorId,
        skip: Option<TensorId>,
        channels: usize,
        change: Change,
    ) -> Result<TensorId, Error> {
        let c = self.config;
        let inputs: Vec<_> = [hidden].into_iter().chain(skip).collect();
        let in_channels = self.channels(&inputs);
        let operand = self.norm(
            &format!("{path}.norm1"),
            &inputs,
            c.norm_num_groups,
            true,
            None,
            change,
        )?;

        let (added, scale_shift) = match c.resnet_time_scale_shift {
            TimeShift::Default => (Some(self.projection(path, channels)?), None),
            TimeShift::ScaleShift => (None, Some(self.projection(path, 2 * channels)?)),
        };
        let shape = ConvShape::same(channels);
        let inner = self.conv(&format!("{path}.conv1"), operand, &shape, added, None)?;
        let operand = self.norm(
            &format!("{path}.norm2"),
            &[inner],
            c.norm_num_groups,
            true,
            scale_shift,
            None,
        )?;

        let shortcut = format!("{path}.conv_shortcut");
        let residual = match (skip, change) {
            // A concatenation is always wider than what an up block makes of it, because the part that
            // is skipped over or passed on has that width already: there is always a shortcut convolution.
            (Some(skip), _) => self.split_shortcut(&shortcut, hidden, skip, channels)?,
            (None, Some(change)) => self.node(
                &format!("{path}.resample"),
                Op::Resample(change),
                &[hidden],
                TensorKind::Stream,
                channels,
            )?,
            (None, None) if in_channels != channels => {
                let input = self.quantise(&format!("{shortcut}.input"), hidden, None)?;
                self.conv(&shortcut, input, &ConvShape::point(channels), None, None)?
            }
            (None, None) => hidden,
        };
        self.conv(
            &format!("{path}.conv2"),
            operand,
            &shape,
            None,
            Some(residual),
        )
    }

    /// The shortcut over a concatenation, one part after the other.
    fn split_shortcut(
        &mut self,
        path: &str,
        hidden: TensorId,
        skip: TensorId,
        outputs: usize,
    ) -> Result<TensorId, Error> {
        let (first, all) = (self.channels(&[hidden]), self.channels(&[hidden, skip]));
        self.parameter(&format!("{path}.weight"), &[outputs, all, 1, 1])?;
        self.parameter(&format!("{path}.bias"), &[outputs])?;
        let part = |input_channels, bias, residual| {
            Op::Conv(Conv {
                weight: format!("{path}.weight"),
                bias,
                input_channels,
                output_channels: outputs,
                kernel: 1,
                stride: 1,
                padding: [0; 4],
                projection: None,
                residual,
            })
        };
        let input = self.quantise(&format!("{path}.hidden.input"), hidden, None)?;
        let op = part(0..first, None, None);
        let sum = self.node(
            &format!("{path}.hidden"),
            op,
            &[input],
            TensorKind::Stream,
            outputs,
        )?;
        let input = self.quantise(&format!("{path}.skip.input"), skip, None)?;
        let op = part(first..all, Some(format!("{path}.bias")), Some(sum));
        self.node(
            &format!("{path}.skip"),
            op,
            &[input],
            TensorKind::Stream,
            outputs,
        )
    }

    /// `Attention` with a residual connection, normalised where `groups` says so.
    fn attention(
        &mut self,
        path: &str,
        hidden: TensorId,
        groups: Option<usize>,
    ) -> Result<TensorId, Error> {
        let channels = self.channels(&[hidden]);
        let head = self.config.attention_head_dim.unwrap_or(channels);
        let heads = channels / head;
        if heads == 0 {
            let expected = format!("at most {channels}, the channels of {path}");
            return Err(Error::field("attention_head_dim", head, expected));
        }
        let operand = match groups {
            Some(groups) => self.norm(
                &format!("{path}.group_norm"),
                &[hidden],
                groups,
                false,
                None,
                None,
            )?,
            None => self.quantise(&format!("{path}.input"), hidden, None)?,
        };
        // where heads do not fill the channels, `Attention` works with fewer of them
        let inner = heads * head;
        let mut qkv = [0; 3];
        for (id, name) in qkv.iter_mut().zip(["to_q", "to_k", "to_v"]) {
            *id = self.linear_node(
                &format!("{path}.{name}"),
                operand,
                inner,
                TensorKind::Operand,
                None,
            )?;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most MAX_CHANNELS")]
        let op = Op::Attention(Attention {
            heads,
            scale: 1.0 / (head as f64).sqrt(),
        });
        let mixed = self.node(
            &format!("{path}.attention"),
            op,
            &qkv,
            TensorKind::Operand,
            inner,
        )?;
        self.linear_node(
            &format!("{path}.to_out.0"),
            mixed,
            channels,
            TensorKind::Stream,
            Some(hidden),
        )
    }

    fn norm(
        &mut self,
        path: &str,
        inputs: &[TensorId],
        groups: usize,
        silu: bool,
        scale_shift: Option<ProjectionId>,
        resample: Change,
    ) -> Result<TensorId, Error> {
        let channels = self.channels(inputs);
        if !channels.is_multiple_of(groups) {
            let own = path == "mid_block.attentions.0.group_norm"
                && self.config.attn_norm_num_groups.is_some();
            let field = if own {
                "attn_norm_num_groups"
            } else {
                "norm_num_groups"
            };
            return Err(Error::field(
                field,
                groups,
                format!("a divisor of {channels}, the channels of {path}"),
            ));
        }
        let (weight, bias) = (format!("{path}.weight"), format!("{path}.bias"));
        self.parameter(&weight, &[channels])?;
        self.parameter(&bias, &[channels])?;
        let eps = self.config.norm_eps;
        let op = Op::Norm(Norm {
            groups,
            eps,
            weight,
            bias,
            silu,
            scale_shift,
            resample,
        });
        self.node(path, op, inputs, TensorKind::Operand, channels)
    }

    fn quantise(
        &mut self,
        name: &str,
        input: TensorId,
        resample: Change,
    ) -> Result<TensorId, Error> {
        let channels = self.channels(&[input]);
        self.node(
            name,
            Op::Quantise { resample },
            &[input],
            TensorKind::Operand,
            channels,
        )
    }

    fn conv(
        &mut self,
        path: &str,
        input: TensorId,
        shape: &ConvShape,
        projection: Option<ProjectionId>,
        residual: Option<TensorId>,
    ) -> Result<TensorId, Error> {
        let inputs = self.channels(&[input]);
        let ConvShape {
            outputs,
            kernel,
            stride,
            padding,
        } = *shape;
        let (weight, bias) = (format!("{path}.weight"), format!("{path}.bias"));
        self.parameter(&weight, &[outputs, inputs, kernel, kernel])?;
        self.parameter(&bias, &[outputs])?;
        let op = Op::Conv(Conv {
            weight,
            bias: Some(bias),
            input_channels: 0..inputs,
            output_channels: outputs,
            kernel,
            stride,
            padding,
            projection,
            residual,
        });
        self.node(path, op, &[input], TensorKind::Stream, outputs)
    }

    /// A linear layer at every pixel.
    fn linear_node(
        &mut self,
        path: &str,
        input: TensorId,
        outputs: usize,
        kind: TensorKind,
        residual: Option<TensorId>,
    ) -> Result<TensorId, Error> {
        let inputs = self.channels(&[input]);
        self.linear(path, inputs, outputs)?;
        let op = Op::Conv(Conv {
            weight: format!("{path}.weight"),
            bias: Some(format!("{path}.bias")),
            input_channels: 0..inputs,
            output_channels: outputs,
            kernel: 1,
            stride: 1,
            padding: [0; 4],
            projection: None,
            residual,
        });
        self.node(path, op, &[input], kind, outputs)
    }

    fn projection(&mut self, path: &str, outputs: usize) -> Result<ProjectionId, Error> {
        let path = format!("{path}.time_emb_proj");
        self.linear(&path, self.config.embedding(), outputs)?;
        let (weight, bias) = (format!("{path}.weight"), format!("{path}.bias"));
        self.graph.projections.push(Projection {
            weight,
            bias,
            outputs,
        });
        Ok(self.graph.projections.len() - 1)
    }

    /// Parameters of a linear layer.
    fn linear(&mut self, path: &str, inputs: usize, outputs: usize) -> Result<(), Error> {
        self.parameter(&format!("{path}.weight"), &[outputs, inputs])?;
        self.parameter(&format!("{path}.bias"), &[outputs])
    }

    fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<(), Error> {
        let count = shape
            .iter()
            .try_fold(1u64, |n, &d| n.checked_mul(d as u64))
            .unwrap_or(u64::MAX);
        self.parameter_count = self.parameter_count.saturating_add(count);
        if self.parameter_count > MAX_PARAMETERS {
            return Err(Error::Invalid(format!(
                "the network has more than {MAX_PARAMETERS} parameters"
            )));
        }
        self.parameters.push(Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
        });
        Ok(())
    }

    /// Adds a node; its output has the first input's size, changed as the operation says.
    fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        kind: TensorKind,
        channels: usize,
    ) -> Result<TensorId, Error> {
        let input = &self.graph.tensors[inputs[0]];
        let [height, width] = match &op {
            Op::Conv(c) => {
                let [top, left, bottom, right] = c.padding;
                [input.height + top + bottom, input.width + left + right]
                    .map(|n| (n - c.kernel) / c.stride + 1)
            }
            Op::Norm(Norm {
                resample: Some(r), ..
            })
            | Op::Quantise { resample: Some(r) }
            | Op::Resample(r) => [input.height, input.width].map(|n| match r {
                Resample::Nearest2x => 2 * n,
                Resample::AveragePool2x => n / 2,
            }),
            Op::Norm(_) | Op::Quantise { .. } | Op::Attention(_) => [input.height, input.width],
        };
        let output = self.tensor(name, kind, [height, width, channels])?;
        self.graph.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        Ok(output)
    }

    fn tensor(
        &mut self,
        name: &str,
        kind: TensorKind,
        shape: [usize; 3],
    ) -> Result<TensorId, Error> {
        let [height, width, channels] = shape;
        let elements = (height as u64 * width as u64).saturating_mul(channels as u64);
        self.element_count = self.element_count.saturating_add(elements);
        if elements > MAX_TENSOR || self.element_count > MAX_TENSORS {
            return Err(Error::Invalid(format!(
                "the network is too large: {name} has {height} x {width} x {channels} values; \
                 at most {MAX_TENSOR} in one tensor and {MAX_TENSORS} in all are supported"
            )));
        }
        self.graph.tensors.push(TensorInfo {
            name: name.to_owned(),
            kind,
            channels,
            height,
            width,
        });
        Ok(self.graph.tensors.len() - 1)
    }

    fn channels(&self, tensors: &[TensorId]) -> usize {
        tensors
            .iter()
            .map(|&t| self.graph.tensors[t].channels)
            .sum()
    }
}

/// How a block changes resolution; only attention blocks leave it to the configuration.
fn resampling(kind: Block, configured: Resampling) -> Resampling {
    match kind {
        Block::Plain => Resampling::Conv,
        Block::Attention => configured,
        Block::Resnet => Resampling::Resnet,
    }
}
