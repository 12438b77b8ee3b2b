//! Builds the [`Graph`] of a configuration, following `UNet2DModel` of `diffusers` 0.35 module by module,
//! and lists the parameters that it needs.

use crate::config::{Block, Resampling, TimeShift, UnetConfig};
use crate::error::Error;
use crate::graph::{Attention, Graph, Op, ProjectionId, Resample, TensorId, TensorKind};
use crate::rewrite::Rewrites;

mod nodes;
mod skips;
use nodes::{Builder, ConvShape, SAME};

/// Most elements of one tensor: 1 GiB as `f32`.
pub const MAX_TENSOR: u64 = 1 << 28;
/// Most elements of all tensors together.
pub const MAX_TENSORS: u64 = 1 << 33;
/// Most parameters of one network.
pub const MAX_PARAMETERS: u64 = 1 << 31;

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

/// The network of a configuration, without rewrites. The same configuration always gives the same graph.
///
/// # Errors
/// As [`build_graph_with`].
pub fn build_graph(config: &UnetConfig) -> Result<Graph, Error> {
    build_graph_with(config, Rewrites::NONE)
}

/// The network of a configuration with some rewrites.
///
/// # Errors
/// A configuration that is impossible: see [`UnetConfig::check`]; groups that do not divide the channels of
/// a normalisation; heads wider than their attention; a network beyond [`MAX_TENSOR`], [`MAX_TENSORS`]
/// or [`MAX_PARAMETERS`].
pub fn build_graph_with(config: &UnetConfig, rewrites: Rewrites) -> Result<Graph, Error> {
    Builder::run(config, rewrites).map(|b| b.graph)
}

/// Every weight that the network of a configuration needs, embeddings included, in the order of use.
///
/// # Errors
/// As [`build_graph`].
pub fn parameters(config: &UnetConfig) -> Result<Vec<Parameter>, Error> {
    Builder::run(config, Rewrites::NONE).map(|b| b.parameters)
}

impl<'c> Builder<'c> {
    fn run(config: &'c UnetConfig, rewrites: Rewrites) -> Result<Self, Error> {
        config.check()?;
        let mut b = Builder::new(config, rewrites);
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
                phases: false,
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
        let (resample, shape) = self.resampled_conv(hidden, Some(Resample::Nearest2x), channels);
        let input = self.quantise(&format!("{path}.conv.input"), hidden, resample)?;
        self.conv(&format!("{path}.conv"), input, &shape, None, None)
    }

    /// A 3x3 convolution of an operand that is made of `hidden` and resampled on the way: how it is still to be
    /// resampled, and the convolution. In phases, upsampling is part of the convolution.
    fn resampled_conv(
        &self,
        hidden: TensorId,
        resample: Option<Resample>,
        outputs: usize,
    ) -> (Option<Resample>, ConvShape) {
        let t = &self.graph.tensors[hidden];
        let nearest = resample == Some(Resample::Nearest2x);
        if nearest && self.rewrites.phases(4 * t.height * t.width) {
            (None, ConvShape::phases(outputs))
        } else {
            (resample, ConvShape::same(outputs))
        }
    }

    /// `ResnetBlock2D` over one stream, or over the concatenation of two.
    fn resnet(
        &mut self,
        path: &str,
        hidden: TensorId,
        skip: Option<TensorId>,
        channels: usize,
        change: Option<Resample>,
    ) -> Result<TensorId, Error> {
        let c = self.config;
        let in_parts = skip.filter(|&skip| self.in_parts([hidden, skip]));
        let (inner, scale_shift) = match in_parts {
            Some(skip) => {
                let (added, scale_shift) = self.time(path, channels)?;
                let inner = self.split_conv(path, [hidden, skip], channels, added)?;
                (inner, scale_shift)
            }
            None => {
                let inputs: Vec<_> = [hidden].into_iter().chain(skip).collect();
                let (resample, shape) = self.resampled_conv(hidden, change, channels);
                let (norm, groups) = (format!("{path}.norm1"), c.norm_num_groups);
                let operand = self.norm(&norm, &inputs, groups, true, None, resample)?;
                let (added, scale_shift) = self.time(path, channels)?;
                let inner = self.conv(&format!("{path}.conv1"), operand, &shape, added, None)?;
                (inner, scale_shift)
            }
        };
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
            (Some(skip), _) => self.split_shortcut(&shortcut, [hidden, skip], channels)?,
            (None, Some(change)) => self.node(
                &format!("{path}.resample"),
                Op::Resample(change),
                &[hidden],
                TensorKind::Stream,
                channels,
            )?,
            (None, None) if self.channels(&[hidden]) != channels => {
                let input = self.quantise(&format!("{shortcut}.input"), hidden, None)?;
                self.conv(&shortcut, input, &ConvShape::point(channels), None, None)?
            }
            (None, None) => hidden,
        };
        self.conv(
            &format!("{path}.conv2"),
            operand,
            &ConvShape::same(channels),
            None,
            Some(residual),
        )
    }

    /// What a block is told of time and class: a projection that is added to its first convolution, or one of scales and
    /// shifts for its second norm.
    fn time(
        &mut self,
        path: &str,
        channels: usize,
    ) -> Result<(Option<ProjectionId>, Option<ProjectionId>), Error> {
        Ok(match self.config.resnet_time_scale_shift {
            TimeShift::Default => (Some(self.projection(path, channels)?), None),
            TimeShift::ScaleShift => (None, Some(self.projection(path, 2 * channels)?)),
        })
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
}

/// How a block changes resolution; only attention blocks leave it to the configuration.
fn resampling(kind: Block, configured: Resampling) -> Resampling {
    match kind {
        Block::Plain => Resampling::Conv,
        Block::Attention => configured,
        Block::Resnet => Resampling::Resnet,
    }
}
