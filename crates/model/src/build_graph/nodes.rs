//! Single nodes of a graph: their tensors, sizes and parameters.

use super::{MAX_PARAMETERS, MAX_TENSOR, MAX_TENSORS, Parameter};
use crate::config::UnetConfig;
use crate::error::Error;
use crate::graph::{
    Conv, Graph, Node, Norm, Op, Projection, ProjectionId, Resample, TensorId, TensorInfo,
    TensorKind,
};
use crate::rewrite::Rewrites;

/// Padding of a convolution that keeps height and width.
pub(super) const SAME: [usize; 4] = [1; 4];

/// One convolution as its caller sees it.
pub(super) struct ConvShape {
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    pub(super) phases: bool,
    pub(super) stride: usize,
    pub(super) padding: [usize; 4],
}

impl ConvShape {
    pub(super) fn same(outputs: usize) -> Self {
        ConvShape {
            outputs,
            kernel: 3,
            phases: false,
            stride: 1,
            padding: SAME,
        }
    }

    /// Nearest 2x upsampling with it: [`crate::rewrite::Phase`].
    pub(super) fn phases(outputs: usize) -> Self {
        ConvShape {
            kernel: 2,
            phases: true,
            ..Self::same(outputs)
        }
    }

    pub(super) fn point(outputs: usize) -> Self {
        ConvShape {
            outputs,
            kernel: 1,
            phases: false,
            stride: 1,
            padding: [0; 4],
        }
    }
}

/// A graph in the making: adds nodes with their tensors and parameters, and keeps count of the size.
pub(super) struct Builder<'c> {
    pub(super) config: &'c UnetConfig,
    pub(super) rewrites: Rewrites,
    pub(super) graph: Graph,
    pub(super) parameters: Vec<Parameter>,
    parameter_count: u64,
    element_count: u64,
}

impl<'c> Builder<'c> {
    pub(super) fn new(config: &'c UnetConfig, rewrites: Rewrites) -> Self {
        Builder {
            config,
            rewrites,
            graph: Graph {
                tensors: Vec::new(),
                nodes: Vec::new(),
                projections: Vec::new(),
                output: 0,
            },
            parameters: Vec::new(),
            parameter_count: 0,
            element_count: 0,
        }
    }

    pub(super) fn norm(
        &mut self,
        path: &str,
        inputs: &[TensorId],
        groups: usize,
        silu: bool,
        scale_shift: Option<ProjectionId>,
        resample: Option<Resample>,
    ) -> Result<TensorId, Error> {
        let channels = self.channels(inputs);
        let op = Op::Norm(Norm {
            silu,
            scale_shift,
            resample,
            ..self.whole_norm(path, channels, groups)?
        });
        self.node(path, op, inputs, TensorKind::Operand, channels)
    }

    /// A norm of so many channels, with its parameters, and nothing behind it.
    pub(super) fn whole_norm(
        &mut self,
        path: &str,
        channels: usize,
        groups: usize,
    ) -> Result<Norm, Error> {
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
        Ok(Norm {
            groups,
            eps: self.config.norm_eps,
            weight,
            bias,
            channels: 0..channels,
            silu: false,
            scale_shift: None,
            resample: None,
        })
    }

    pub(super) fn quantise(
        &mut self,
        name: &str,
        input: TensorId,
        resample: Option<Resample>,
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

    pub(super) fn conv(
        &mut self,
        path: &str,
        input: TensorId,
        shape: &ConvShape,
        projection: Option<ProjectionId>,
        residual: Option<TensorId>,
    ) -> Result<TensorId, Error> {
        let inputs = self.channels(&[input]);
        let op = Op::Conv(Conv {
            projection,
            residual,
            ..self.whole_conv(path, inputs, shape)?
        });
        self.node(path, op, &[input], TensorKind::Stream, shape.outputs)
    }

    /// A convolution of so many channels, with its parameters, to which nothing is added.
    pub(super) fn whole_conv(
        &mut self,
        path: &str,
        inputs: usize,
        shape: &ConvShape,
    ) -> Result<Conv, Error> {
        let ConvShape {
            outputs,
            kernel,
            phases,
            stride,
            padding,
        } = *shape;
        let (weight, bias) = (format!("{path}.weight"), format!("{path}.bias"));
        let conv = Conv {
            weight: weight.clone(),
            bias: Some(bias.clone()),
            input_channels: 0..inputs,
            output_channels: outputs,
            kernel,
            phases,
            stride,
            padding,
            projection: None,
            residual: None,
        };
        let kernel = conv.float_kernel();
        self.parameter(&weight, &[outputs, inputs, kernel, kernel])?;
        self.parameter(&bias, &[outputs])?;
        Ok(conv)
    }

    /// A linear layer at every pixel.
    pub(super) fn linear_node(
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
            phases: false,
            stride: 1,
            padding: [0; 4],
            projection: None,
            residual,
        });
        self.node(path, op, &[input], kind, outputs)
    }

    pub(super) fn projection(&mut self, path: &str, outputs: usize) -> Result<ProjectionId, Error> {
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
    pub(super) fn linear(
        &mut self,
        path: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<(), Error> {
        self.parameter(&format!("{path}.weight"), &[outputs, inputs])?;
        self.parameter(&format!("{path}.bias"), &[outputs])
    }

    pub(super) fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<(), Error> {
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
    pub(super) fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        kind: TensorKind,
        channels: usize,
    ) -> Result<TensorId, Error> {
        let input = &self.graph.tensors[inputs[0]];
        let [height, width] = match &op {
            Op::Conv(c) if c.phases => [2 * input.height, 2 * input.width],
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

    pub(super) fn tensor(
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

    pub(super) fn channels(&self, tensors: &[TensorId]) -> usize {
        tensors
            .iter()
            .map(|&t| self.graph.tensors[t].channels)
            .sum()
    }
}
