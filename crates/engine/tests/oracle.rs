//! The oracle, engine included, against the documentation of `diffuser_model::step` written down once
//! more: every tensor of random networks follows from the tensors that its node reads.

use std::collections::HashMap;

use diffuser_engine::{Engine, KernelChoice, TensorView};
use diffuser_model::graph::{Conv, Graph, Norm, Op, Resample, TensorId};
use diffuser_model::quantised::NodeParams;
use diffuser_model::step::{AttentionStep, ConvStep, NodeStep, NormStep, QuantiseStep};
use diffuser_spec::norm::{Sums, channel_affine, group_factors};
use diffuser_spec::softmax::{row_reciprocal, weight, weighted_mean};
use diffuser_spec::{operand, silu::silu};
use diffuser_testing::Network;

/// A tensor as integers: streams and the state as they are, operands as they are, two planes as
/// `128 high + low`; and what padding holds.
#[derive(Clone, Debug, PartialEq)]
struct Values {
    shape: [usize; 3],
    x: Vec<i64>,
    zero_point: i64,
}

impl Values {
    fn new(shape: [usize; 3], at: impl Fn(usize, usize, usize) -> i64, zero_point: i64) -> Self {
        let [h, w, c] = shape;
        let pixels = (0..h).flat_map(|y| (0..w).map(move |x| (y, x)));
        let x = pixels.flat_map(|(y, x)| (0..c).map(move |c| (y, x, c)));
        Self {
            shape,
            x: x.map(|(y, x, c)| at(y, x, c)).collect(),
            zero_point,
        }
    }

    fn at(&self, y: usize, x: usize, c: usize) -> i64 {
        self.x[(y * self.shape[1] + x) * self.shape[2] + c]
    }

    /// With the padding that lies above and left of the image.
    fn padded(&self, y: usize, x: usize, c: usize, padding: [usize; 4]) -> i64 {
        let inside = |i: usize, p: usize, n: usize| i.checked_sub(p).filter(|&i| i < n);
        let y = inside(y, padding[0], self.shape[0]);
        match (y, inside(x, padding[1], self.shape[1])) {
            (Some(y), Some(x)) => self.at(y, x, c),
            _ => self.zero_point,
        }
    }

    fn resampled(&self, resample: Option<Resample>) -> Self {
        let [h, w, c] = self.shape;
        match resample {
            None => self.clone(),
            Some(Resample::Nearest2x) => {
                let at = |y, x, c| self.at(y / 2, x / 2, c);
                Self::new([2 * h, 2 * w, c], at, self.zero_point)
            }
            Some(Resample::AveragePool2x) => {
                let mean = |y: usize, x: usize, c| {
                    let at = |dy, dx| self.at(2 * y + dy, 2 * x + dx, c);
                    (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1) + 2) >> 2
                };
                Self::new([h / 2, w / 2, c], mean, self.zero_point)
            }
        }
    }
}

/// Streams are concatenated and brought to one unit as whole values, not sum by sum.
fn norm(norm: &Norm, step: &NormStep, inputs: &[&Values]) -> Values {
    let [h, w, first] = inputs[0].shape;
    let channels: usize = inputs.iter().map(|v| v.shape[2]).sum();
    let of = |c: usize| if c < first { (0, c) } else { (1, c - first) };
    let value = |y, x, c| inputs[of(c).0].at(y, x, of(c).1);
    let size = channels / norm.groups;
    let codes = |y, x, c: usize| {
        let mut sums = Sums::default();
        for c in c / size * size..(c / size + 1) * size {
            for y in 0..h {
                for x in 0..w {
                    let v = value(y, x, c) << step.gaps[of(c).0];
                    sums.sum += v;
                    sums.sum_sq += (v * v) as u64;
                }
            }
        }
        let group = group_factors(sums, (size * h * w) as u32, step.eps, step.exponent);
        let gap = step.gaps[of(c).0];
        let map = channel_affine(group, step.gamma[c], step.beta[c], gap);
        let u = map.apply(value(y, x, c) as i16);
        let u = if norm.silu { silu(u) } else { u };
        operand::quantise(u, step.gain, step.zero_point).into()
    };
    Values::new([h, w, channels], codes, step.zero_point.into()).resampled(norm.resample)
}

fn quantise(step: QuantiseStep, input: &Values, resample: Option<Resample>) -> Values {
    let planes = |(high, low): (i8, i8)| 128 * i64::from(high) + i64::from(low);
    let map = |v: Values, zero_point: i8, f: &dyn Fn(i64) -> i64| Values {
        shape: v.shape,
        x: v.x.into_iter().map(f).collect(),
        zero_point: zero_point.into(),
    };
    match step {
        QuantiseStep::Single { gain, zero_point } => {
            let code = |x: i64| operand::quantise(x as i16, gain, zero_point).into();
            map(input.clone(), zero_point, &code).resampled(resample)
        }
        QuantiseStep::StreamPlanes => {
            let split = |x: i64| planes(operand::stream_planes(x as i16));
            map(input.resampled(resample), 0, &split)
        }
        QuantiseStep::StatePlanes { shift } => {
            let split = |x: i64| planes(operand::state_planes(x as i32, shift));
            map(input.resampled(resample), 0, &split)
        }
    }
}

fn conv(conv: &Conv, step: &ConvStep, weights: &[i8], input: &Values, out: &Output<'_>) -> Values {
    let channels = input.shape[2];
    let value = |y: usize, x: usize, o: usize| {
        // of a phase: its row of weights, and the first tap's place in the input with its padding
        let (row, [top, left]) = if conv.phases {
            let (py, px) = (y % 2, x % 2);
            let row = (2 * py + px) * conv.output_channels + o;
            (row, [y / 2 + py, x / 2 + px])
        } else {
            (o, [y * conv.stride, x * conv.stride])
        };
        let mut acc = i64::from(step.bias[row]);
        for ky in 0..conv.kernel {
            for kx in 0..conv.kernel {
                for c in 0..channels {
                    let w = ((row * conv.kernel + ky) * conv.kernel + kx) * channels + c;
                    let (y, x) = (top + ky, left + kx);
                    acc += input.padded(y, x, c, conv.padding) * i64::from(weights[w]);
                }
            }
        }
        let m = step.multiplier[row];
        let half = 1i64 << (m.shift - 1);
        let y32 = (acc * i64::from(m.mantissa) + half) >> m.shift;
        let y32 = y32.clamp(i32::MIN.into(), i32::MAX.into());
        let Some(residual) = out.residual else {
            let limit = if out.stream { 32_767 } else { 127 };
            return y32.clamp(-limit - i64::from(out.stream), limit);
        };
        let shift = step.residual_shift;
        let r = residual.at(y, x, o);
        let r = match shift {
            0.. => (2 * r + (1 << shift)) >> (shift + 1),
            _ => r << -shift,
        };
        (y32 + r).clamp(-32_768, 32_767)
    };
    Values::new(out.shape, value, 0)
}

/// What a convolution has to make.
struct Output<'a> {
    shape: [usize; 3],
    stream: bool,
    residual: Option<&'a Values>,
}

fn attention(heads: usize, step: &AttentionStep, [q, k, v]: [&Values; 3]) -> Values {
    let [h, w, channels] = q.shape;
    let head = channels / heads;
    let row = |of: &Values, p: usize, c: usize| of.at(p / w, p % w, c);
    let value = |y: usize, x: usize, c: usize| {
        let first = c / head * head;
        let logit = |p| {
            (first..first + head)
                .map(|c| q.at(y, x, c) * row(k, p, c))
                .sum()
        };
        let logits: Vec<i64> = (0..h * w).map(logit).collect();
        let max = logits.iter().max().expect("a position");
        let e = logits
            .iter()
            .map(|l| i64::from(weight((max - l) as u32, step.to_log2)));
        let e: Vec<i64> = e.collect();
        let acc: i64 = e.iter().enumerate().map(|(p, e)| e * row(v, p, c)).sum();
        let reciprocal = row_reciprocal(e.iter().sum::<i64>() as u32);
        operand::quantise(weighted_mean(acc as i32, reciprocal), step.gain, 0).into()
    };
    Values::new(q.shape, value, 0)
}

fn shape(graph: &Graph, t: TensorId) -> [usize; 3] {
    let t = &graph.tensors[t];
    [t.height, t.width, t.channels]
}

#[test]
fn every_node_is_what_its_documentation_says() {
    let (mut gaps, mut phases) = (0, 0);
    for seed in 100..140 {
        let size = [
            1 + seed as usize % 6,
            1 + seed as usize / 5 % 5,
            1 + seed as usize % 3,
        ];
        let mut n = Network::random(seed, size, &[1, 3, 4, 6, 9], 8);
        let (step, state) = (n.step(), n.state());
        let choice = KernelChoice::Scalar;
        let engine = Engine::new(n.graph.clone(), &n.nodes, choice).expect("a sound graph");
        let mut seen: HashMap<TensorId, Values> = HashMap::new();
        let sample = Values {
            shape: size,
            x: state.iter().map(|&v| v.into()).collect(),
            zero_point: 0,
        };
        seen.insert(Graph::INPUT, sample);
        let mut observer = |t: TensorId, view: TensorView<'_>| {
            let (x, zero_point) = match view {
                TensorView::Stream(x) => (x.iter().map(|&v| v.into()).collect(), 0),
                TensorView::Operand { values, zero_point } => (
                    values.iter().map(|&v| v.into()).collect(),
                    zero_point.into(),
                ),
                TensorView::Planes { high, low } => {
                    let both = high.iter().zip(low);
                    (
                        both.map(|(&h, &l)| 128 * i64::from(h) + i64::from(l))
                            .collect(),
                        0,
                    )
                }
            };
            let shape = shape(engine.graph(), t);
            seen.insert(
                t,
                Values {
                    shape,
                    x,
                    zero_point,
                },
            );
        };
        let mut ws = engine.workspace();
        let out = engine.evaluate_observed(&state, &step, &mut ws, &mut observer);
        out.expect("the step fits");
        for (i, node) in n.graph.nodes.iter().enumerate() {
            let inputs: Vec<&Values> = node.inputs.iter().map(|t| &seen[t]).collect();
            let want = match (&node.op, &step.nodes[i]) {
                (Op::Norm(op), NodeStep::Norm(s)) => {
                    gaps += usize::from(s.gaps.iter().any(|&g| g > 0));
                    norm(op, s, &inputs)
                }
                (Op::Quantise { resample }, NodeStep::Quantise(s)) => {
                    quantise(*s, inputs[0], *resample)
                }
                (Op::Conv(op), NodeStep::Conv(s)) => {
                    let NodeParams::Conv(weights) = &n.nodes[i] else {
                        panic!("no weights")
                    };
                    let out = Output {
                        shape: shape(&n.graph, node.output),
                        stream: n.graph.tensors[node.output].kind
                            == diffuser_model::graph::TensorKind::Stream,
                        residual: op.residual.map(|t| &seen[&t]),
                    };
                    phases += usize::from(op.phases);
                    conv(op, s, &weights.weight, inputs[0], &out)
                }
                (Op::Attention(op), NodeStep::Attention(s)) => {
                    attention(op.heads, s, [inputs[0], inputs[1], inputs[2]])
                }
                (Op::Resample(kind), _) => inputs[0].resampled(Some(*kind)),
                _ => panic!("a step of another kind"),
            };
            assert_eq!(seen[&node.output], want, "seed {seed}: {node:?}");
        }
    }
    assert!(gaps > 10, "{gaps} normalisations with a coarser stream");
    assert!(phases > 10, "{phases} convolutions in phases");
}
