//! Whether graph, weights and step fit each other: asked once, so that kernels need not ask.

use diffuser_model::graph::{Conv, Graph, Node, Norm, Op, Resample, TensorInfo, TensorKind};
use diffuser_model::quantised::NodeParams;
use diffuser_model::step::{ConvStep, NodeStep, NormStep, QuantiseStep, StepParams};
use diffuser_spec::conv::MAX_RESIDUAL_SHIFT;
use diffuser_spec::norm::MAX_EXPONENT_GAP;
use diffuser_spec::operand::PLANES_MAX;
use diffuser_spec::{Multiplier, OPERAND_MAX};

use crate::error::EngineError;

/// Most values of one group of a normalisation, exclusive.
const MAX_GROUP: usize = 1 << 24;

/// Why a node is refused.
type Refused = String;

fn want(condition: bool, what: impl FnOnce() -> String) -> Result<(), Refused> {
    if condition { Ok(()) } else { Err(what()) }
}

fn in_node(node: &Node) -> impl Fn(Refused) -> EngineError + '_ {
    |what| EngineError::Node {
        node: node.name.clone(),
        what,
    }
}

fn shape(t: &TensorInfo) -> [usize; 3] {
    [t.height, t.width, t.channels]
}

fn resampled([h, w, c]: [usize; 3], resample: Option<Resample>) -> [usize; 3] {
    match resample {
        None => [h, w, c],
        Some(Resample::Nearest2x) => [2 * h, 2 * w, c],
        Some(Resample::AveragePool2x) => [h / 2, w / 2, c],
    }
}

/// Check everything that does not change with the step.
pub(crate) fn check_graph(graph: &Graph, params: &[NodeParams]) -> Result<(), EngineError> {
    let fail = |what: String| Err(EngineError::Graph(what));
    if params.len() != graph.nodes.len() {
        return Err(EngineError::NodeCount {
            what: "parameters",
            got: params.len(),
            want: graph.nodes.len(),
        });
    }
    if !matches!(graph.tensors.first(), Some(t) if t.kind == TensorKind::Input) {
        return fail("tensor 0 is not the input".into());
    }
    if let Some(t) = graph.tensors.iter().find(|t| t.is_empty()) {
        return fail(format!("tensor {} is empty", t.name));
    }
    let mut made = vec![false; graph.tensors.len()];
    made[Graph::INPUT] = true;
    for (node, params) in graph.nodes.iter().zip(params) {
        let refuse = in_node(node);
        let residual = match &node.op {
            Op::Conv(c) => c.residual,
            _ => None,
        };
        for &t in node.inputs.iter().chain(residual.iter()) {
            if !made.get(t).copied().unwrap_or(false) {
                return Err(refuse(format!("it reads tensor {t} before it is made")));
            }
        }
        if made.get(node.output) != Some(&false) {
            return Err(refuse(format!(
                "its output, tensor {}, is missing or made twice",
                node.output
            )));
        }
        made[node.output] = true;
        check_node(graph, node, params).map_err(refuse)?;
    }
    if !made.get(graph.output).copied().unwrap_or(false)
        || graph.tensors[graph.output].kind != TensorKind::Stream
    {
        return fail("the output is not a stream that a node makes".into());
    }
    Ok(())
}

fn check_node(graph: &Graph, node: &Node, params: &NodeParams) -> Result<(), Refused> {
    let inputs: Vec<&TensorInfo> = node.inputs.iter().map(|&t| &graph.tensors[t]).collect();
    let out = &graph.tensors[node.output];
    let count = |n: std::ops::RangeInclusive<usize>| {
        want(n.contains(&inputs.len()), || {
            format!("it reads {} tensors, expected {n:?}", inputs.len())
        })
    };
    let kinds = |kind: TensorKind| {
        want(inputs.iter().all(|t| t.kind == kind), || {
            format!("its inputs are not all of kind {kind:?}")
        })
    };
    let makes = |kind: TensorKind, s: [usize; 3]| {
        want(out.kind == kind && shape(out) == s, || {
            format!(
                "its output is {:?} {:?}, expected {kind:?} {s:?}",
                out.kind,
                shape(out)
            )
        })
    };
    match &node.op {
        Op::Norm(norm) => {
            count(1..=2)?;
            kinds(TensorKind::Stream)?;
            let [h, w, _] = shape(inputs[0]);
            want(inputs.iter().all(|t| [t.height, t.width] == [h, w]), || {
                "its inputs differ in size".into()
            })?;
            let channels = inputs.iter().map(|t| t.channels).sum();
            makes(
                TensorKind::Operand,
                resampled([h, w, channels], norm.resample),
            )?;
            check_groups(norm, channels, h * w)
        }
        Op::Quantise { resample } => {
            count(1..=1)?;
            want(inputs[0].kind != TensorKind::Operand, || {
                "its input is an operand already".into()
            })?;
            makes(TensorKind::Operand, resampled(shape(inputs[0]), *resample))
        }
        Op::Resample(resample) => {
            count(1..=1)?;
            kinds(TensorKind::Stream)?;
            makes(
                TensorKind::Stream,
                resampled(shape(inputs[0]), Some(*resample)),
            )
        }
        Op::Attention(attention) => {
            count(3..=3)?;
            kinds(TensorKind::Operand)?;
            let s = shape(inputs[0]);
            want(inputs.iter().all(|t| shape(t) == s), || {
                "Q, K and V differ in shape".into()
            })?;
            makes(TensorKind::Operand, s)?;
            want(
                attention.heads > 0 && s[2].is_multiple_of(attention.heads),
                || format!("{} heads do not divide {} channels", attention.heads, s[2]),
            )?;
            // both sums of products, 127 * 127 each at most, and differences of logits stay in 32 bits
            want((s[0] * s[1]).max(2 * s[2]) <= 1 << 17, || {
                "it has too many positions or channels for 32-bit sums".into()
            })
        }
        Op::Conv(conv) => {
            count(1..=1)?;
            kinds(TensorKind::Operand)?;
            check_conv(graph, conv, inputs[0], out)?;
            let NodeParams::Conv(weights) = params else {
                return Err("it has no weights".into());
            };
            let expected = conv.weight_rows() * conv.kernel * conv.kernel * inputs[0].channels;
            want(weights.weight.len() == expected, || {
                format!("{} weights, expected {expected}", weights.weight.len())
            })?;
            let (min, max) = (weights.bits.min(), weights.bits.max());
            let beyond = |w: &&i8| !(min..=max).contains(&i32::from(**w));
            match weights.weight.iter().find(beyond) {
                Some(w) => Err(format!("a weight is {w}, expected {min} to {max}")),
                None => Ok(()),
            }
        }
    }
}

fn check_groups(norm: &Norm, channels: usize, pixels: usize) -> Result<(), Refused> {
    want(
        norm.groups > 0 && channels.is_multiple_of(norm.groups),
        || format!("{} groups do not divide {channels} channels", norm.groups),
    )?;
    let values = channels / norm.groups * pixels;
    want(values < MAX_GROUP, || {
        format!(
            "a group has {values} values, at most {} are possible",
            MAX_GROUP - 1
        )
    })
}

fn check_conv(
    graph: &Graph,
    conv: &Conv,
    input: &TensorInfo,
    out: &TensorInfo,
) -> Result<(), Refused> {
    want(
        conv.input_channels.len() == input.channels && conv.output_channels == out.channels,
        || {
            format!(
                "it maps {} to {} channels, but its tensors have {} and {}",
                conv.input_channels.len(),
                conv.output_channels,
                input.channels,
                out.channels
            )
        },
    )?;
    want(
        (1..=16).contains(&conv.kernel) && (1..=16).contains(&conv.stride),
        || {
            format!(
                "kernel {} or stride {} is not in 1..=16",
                conv.kernel, conv.stride
            )
        },
    )?;
    if conv.phases {
        let plain = conv.kernel == 2 && conv.stride == 1 && conv.padding == [1; 4];
        want(plain && out.kind == TensorKind::Stream, || {
            "its phases are not 2x2 convolutions with padding 1 that make a stream".into()
        })?;
    }
    let [top, left, bottom, right] = conv.padding;
    let side = |size: usize, padding: usize| {
        if conv.phases {
            return Some(2 * size);
        }
        (size + padding)
            .checked_sub(conv.kernel)
            .map(|n| n / conv.stride + 1)
    };
    want(
        side(input.height, top + bottom) == Some(out.height)
            && side(input.width, left + right) == Some(out.width),
        || {
            format!(
                "its output is {} x {}, which does not follow from its input",
                out.height, out.width
            )
        },
    )?;
    if let Some(r) = conv.residual {
        let r = &graph.tensors[r];
        want(
            out.kind == TensorKind::Stream
                && r.kind == TensorKind::Stream
                && shape(r) == shape(out),
            || "its residual is not a stream of its output's shape".into(),
        )?;
    }
    want(out.kind != TensorKind::Input, || {
        "it makes the input".into()
    })
}

/// How an operand is represented at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub planes: usize,
    pub zero_point: i8,
}

/// Form of the operand that a node makes (meaningless where it makes a stream).
pub(crate) fn form(step: &NodeStep) -> Form {
    let (planes, zero_point) = match step {
        NodeStep::Norm(n) => (1, n.zero_point),
        NodeStep::Quantise(QuantiseStep::Single { zero_point, .. }) => (1, *zero_point),
        NodeStep::Quantise(_) => (2, 0),
        NodeStep::Conv(_) | NodeStep::Attention(_) | NodeStep::Resample => (1, 0),
    };
    Form { planes, zero_point }
}

/// Check one step of a graph that has been checked. `magnitudes` holds the sum of the magnitudes of
/// each row of weights for each convolution; the result is the form of each tensor.
pub(crate) fn check_step(
    graph: &Graph,
    magnitudes: &[Vec<i64>],
    step: &StepParams,
) -> Result<Vec<Form>, EngineError> {
    if step.nodes.len() != graph.nodes.len() {
        return Err(EngineError::NodeCount {
            what: "step parameters",
            got: step.nodes.len(),
            want: graph.nodes.len(),
        });
    }
    let none = Form {
        planes: 0,
        zero_point: 0,
    };
    let mut forms = vec![none; graph.tensors.len()];
    for (i, (node, s)) in graph.nodes.iter().zip(&step.nodes).enumerate() {
        match (&node.op, s) {
            (Op::Norm(norm), NodeStep::Norm(s)) => check_norm_step(graph, node, norm, s),
            (Op::Quantise { .. }, NodeStep::Quantise(s)) => check_quantise_step(graph, node, *s),
            (Op::Conv(_), NodeStep::Conv(s)) => {
                check_conv_step(forms[node.inputs[0]], &magnitudes[i], s)
            }
            (Op::Attention(_), NodeStep::Attention(s)) => {
                let plain = Form {
                    planes: 1,
                    zero_point: 0,
                };
                want(node.inputs.iter().all(|&t| forms[t] == plain), || {
                    "Q, K or V has two planes or a zero point".into()
                })
                .and_then(|()| check_gain(s.gain, 0))
                .and_then(|()| check_multiplier(s.to_log2))
            }
            (Op::Resample(_), NodeStep::Resample) => Ok(()),
            _ => Err("its step parameters are of another kind of node".into()),
        }
        .map_err(in_node(node))?;
        if graph.tensors[node.output].kind == TensorKind::Operand {
            forms[node.output] = form(s);
        }
    }
    Ok(forms)
}

fn check_gain(gain: i16, zero_point: i8) -> Result<(), Refused> {
    want(gain > 0, || format!("gain {gain} is not positive"))?;
    want(zero_point != i8::MIN, || "zero point -128".into())
}

fn check_multiplier(m: Multiplier) -> Result<(), Refused> {
    want(m.mantissa >= 1 << 15 && (1..=62).contains(&m.shift), || {
        format!("{m:?} is not normalised")
    })
}

fn check_norm_step(graph: &Graph, node: &Node, norm: &Norm, s: &NormStep) -> Result<(), Refused> {
    let inputs: Vec<&TensorInfo> = node.inputs.iter().map(|&t| &graph.tensors[t]).collect();
    let channels: usize = inputs.iter().map(|t| t.channels).sum();
    want(
        s.gamma.len() == channels && s.beta.len() == channels,
        || {
            format!(
                "{} scales and {} offsets for {channels} channels",
                s.gamma.len(),
                s.beta.len()
            )
        },
    )?;
    want(
        s.gaps.len() == inputs.len() && s.gaps.iter().all(|&g| g <= MAX_EXPONENT_GAP),
        || format!("gaps {:?} for {} inputs", s.gaps, inputs.len()),
    )?;
    want((-16..=24).contains(&s.exponent), || {
        format!("exponent {} is not in -16..=24", s.exponent)
    })?;
    // 2^30 for each square, 4^gap for the finest unit: the sum of squares fits 64 bits
    let values = channels / norm.groups * inputs[0].height * inputs[0].width;
    let gap = s.gaps.iter().max().copied().unwrap_or(0);
    want(values << (2 * gap) < 1 << 34, || {
        format!("a group of {values} values cannot have inputs 2^{gap} apart")
    })?;
    check_gain(s.gain, s.zero_point)
}

fn check_quantise_step(graph: &Graph, node: &Node, s: QuantiseStep) -> Result<(), Refused> {
    let state = graph.tensors[node.inputs[0]].kind == TensorKind::Input;
    match s {
        QuantiseStep::Single { .. } | QuantiseStep::StreamPlanes if state => {
            Err("the state can only be split in planes as a state".into())
        }
        QuantiseStep::Single { gain, zero_point } => check_gain(gain, zero_point),
        QuantiseStep::StreamPlanes => Ok(()),
        QuantiseStep::StatePlanes { .. } if !state => Err("its input is not the state".into()),
        QuantiseStep::StatePlanes { shift } => {
            want(shift <= 31, || format!("shift {shift} is not in 0..=31"))
        }
    }
}

fn check_conv_step(input: Form, magnitudes: &[i64], s: &ConvStep) -> Result<(), Refused> {
    let channels = magnitudes.len();
    want(
        s.bias.len() == channels && s.multiplier.len() == channels,
        || {
            format!(
                "{} biases and {} multipliers for {channels} channels",
                s.bias.len(),
                s.multiplier.len()
            )
        },
    )?;
    want(s.zero_point == input.zero_point, || {
        format!(
            "zero point {}, but its input has {}",
            s.zero_point, input.zero_point
        )
    })?;
    want(s.residual_shift.abs() <= MAX_RESIDUAL_SHIFT, || {
        format!("residual shift {} is out of range", s.residual_shift)
    })?;
    s.multiplier.iter().try_for_each(|&m| check_multiplier(m))?;
    let largest = i64::from(if input.planes == 2 {
        PLANES_MAX
    } else {
        OPERAND_MAX
    });
    let beyond = (s.bias.iter().zip(magnitudes))
        .position(|(&b, &m)| i64::from(b).abs() + m * largest > i64::from(i32::MAX));
    match beyond {
        Some(c) => Err(format!("channel {c}: its accumulator could leave 32 bits")),
        None => Ok(()),
    }
}
