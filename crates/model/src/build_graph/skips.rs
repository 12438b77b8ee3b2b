//! What a ResNet block does with the concatenation of its input, the hidden stream, and a skip connection.

use super::nodes::{Builder, ConvShape};
use crate::error::Error;
use crate::graph::{Conv, Norm, Op, ProjectionId, TensorId, TensorKind};
use crate::rewrite::groups_are_apart;

/// Names of the parts.
const PARTS: [&str; 2] = ["hidden", "skip"];

impl Builder<'_> {
    /// Whether a block that reads this stream and a skip is split.
    fn splits(&self, hidden: TensorId) -> bool {
        let t = &self.graph.tensors[hidden];
        self.rewrites.splits(t.height * t.width)
    }

    /// Whether the first norm and convolution of a block over two streams are in two parts.
    pub(super) fn in_parts(&self, streams: [TensorId; 2]) -> bool {
        let channels = streams.map(|t| self.graph.tensors[t].channels);
        let groups = self.config.norm_num_groups;
        // what the groups do not divide is refused when the norm is made
        let divided = (channels[0] + channels[1]).is_multiple_of(groups);
        self.splits(streams[0]) && divided && groups_are_apart(channels, groups)
    }

    /// The first norm and convolution of a block over two streams, in two parts; the skip's come first.
    pub(super) fn split_conv(
        &mut self,
        path: &str,
        streams: [TensorId; 2],
        outputs: usize,
        projection: Option<ProjectionId>,
    ) -> Result<TensorId, Error> {
        let all = self.channels(&streams);
        let norm = format!("{path}.norm1");
        let whole = self.whole_norm(&norm, all, self.config.norm_num_groups)?;
        let per_group = all / whole.groups;
        let mut operand = |b: &mut Self, part: usize| {
            let channels = b.part(streams, part);
            let op = Op::Norm(Norm {
                groups: channels.len() / per_group,
                channels: channels.clone(),
                silu: true,
                ..whole.clone()
            });
            let name = format!("{norm}.{}", PARTS[part]);
            b.node(
                &name,
                op,
                &[streams[part]],
                TensorKind::Operand,
                channels.len(),
            )
        };
        let conv = Conv {
            projection,
            ..self.whole_conv(&format!("{path}.conv1"), all, &ConvShape::same(outputs))?
        };
        self.sum_of_parts(
            &format!("{path}.conv1"),
            streams,
            &conv,
            [1, 0],
            &mut operand,
        )
    }

    /// The shortcut over two streams, always in two parts; of a split block the skip's comes first.
    pub(super) fn split_shortcut(
        &mut self,
        path: &str,
        streams: [TensorId; 2],
        outputs: usize,
    ) -> Result<TensorId, Error> {
        let order = if self.splits(streams[0]) {
            [1, 0]
        } else {
            [0, 1]
        };
        let all = self.channels(&streams);
        let conv = self.whole_conv(path, all, &ConvShape::point(outputs))?;
        let mut operand = |b: &mut Self, part: usize| {
            let name = format!("{path}.{}.input", PARTS[part]);
            b.quantise(&name, streams[part], None)
        };
        self.sum_of_parts(path, streams, &conv, order, &mut operand)
    }

    /// A convolution over two streams as the sum of one of each: the second adds what the first makes, the bias and the
    /// projection. `operand` makes what a part reads.
    fn sum_of_parts(
        &mut self,
        path: &str,
        streams: [TensorId; 2],
        whole: &Conv,
        [first, second]: [usize; 2],
        operand: &mut dyn FnMut(&mut Self, usize) -> Result<TensorId, Error>,
    ) -> Result<TensorId, Error> {
        let mut make = |part: usize, conv: Conv| {
            let op = Op::Conv(Conv {
                input_channels: self.part(streams, part),
                ..conv
            });
            let input = operand(self, part)?;
            let name = format!("{path}.{}", PARTS[part]);
            self.node(
                &name,
                op,
                &[input],
                TensorKind::Stream,
                whole.output_channels,
            )
        };
        let none = Conv {
            bias: None,
            projection: None,
            ..whole.clone()
        };
        let sum = make(first, none)?;
        let rest = Conv {
            residual: Some(sum),
            ..whole.clone()
        };
        make(second, rest)
    }

    /// Channels of the concatenation that a stream has.
    fn part(&self, streams: [TensorId; 2], part: usize) -> std::ops::Range<usize> {
        let [hidden, all] = [&streams[..1], &streams].map(|s| self.channels(s));
        [0..hidden, hidden..all][part].clone()
    }
}
