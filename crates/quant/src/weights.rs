//! Weights to integers: 8 or 4 bits per output channel for the network, 16 for the embedding.

use diffuser_model::quantised::{ConvWeights, WeightBits, WideLinear};
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::Scale;
use diffuser_spec::embedding::FRACTION_BITS;
use rayon::prelude::*;

use crate::accumulator::Room;
use crate::rounding::{self, Factor, LANES, Part, Target, TargetPart};

/// Smallest step of a weight: keeps every multiplier in range, and is far below what matters.
const SMALLEST_STEP: f64 = 1.0 / (1 << 24) as f64;

/// `x` in Q20, saturated.
fn bias(x: f32) -> i32 {
    (f64::from(x) * f64::from(1 << FRACTION_BITS)).round() as i32
}

fn scale(x: f64) -> Scale {
    scale_from_f64(x.max(SMALLEST_STEP)).expect("weights are finite and the step is not zero")
}

/// Steps tried for an output channel's weights: the whole range down to 70 % of it, or to 38 % with 4
/// bits, where finer steps are worth clipping more.
fn steps(row: &[f32], bits: WeightBits) -> impl Iterator<Item = f64> + Clone {
    let full = row.iter().fold(0f32, |m, w| m.max(w.abs()));
    let full = f64::from(full) / f64::from(bits.max());
    let count = match bits {
        WeightBits::Eight => 2 * LANES,
        WeightBits::Four => 4 * LANES,
    };
    (0..count).map(move |i| full * (1.0 - 0.02 * i as f64))
}

/// Least step of an output channel's weights with this bias: `input_step` is the smallest step that the
/// input has at any time step, and a bias (with the embedding's part, allowed to be 16 times as large)
/// stays under 2^29 steps of the accumulator.
fn least_step(bias: f32, input_step: f64) -> f64 {
    f64::from(bias.abs().max(1e-3)) * 16.0 / input_step / f64::from(1 << 29)
}

/// Round a convolution's weights (`out x ky x kx x in`) to nearest, a step for each output channel: the
/// one with the least squared error of the weights.
///
/// `biases` is `None` where the node adds none. `room` bounds the weight's step from below, so that sums
/// and a bias fit an accumulator.
#[must_use]
pub fn convolution(
    weight: &[f32],
    biases: Option<&[f32]>,
    outputs: usize,
    room: &Room,
) -> ConvWeights {
    let rows = weight.chunks_exact(weight.len() / outputs).enumerate();
    let rows = rows.map(|(c, row)| {
        let b = biases.map_or(0.0, |b| b[c]);
        let (integers, scale) = nearest(row, least_step(b, room.input_step), room.bits);
        let (integers, scale) = room.fit(row, integers, scale, |_, _| b.into());
        (integers, scale, bias(b))
    });
    collect(rows, room.bits)
}

/// The same layer from its output channels: weights, step and bias of each.
fn collect(rows: impl IntoIterator<Item = (Vec<i8>, Scale, i32)>, bits: WeightBits) -> ConvWeights {
    let mut out = ConvWeights {
        weight: vec![],
        bits,
        scale: vec![],
        bias: vec![],
    };
    for (integers, scale, bias) in rows {
        out.weight.extend(integers);
        out.scale.push(scale);
        out.bias.push(bias);
    }
    out
}

/// Layers one behind the other, such as the phases of one.
pub(crate) fn joined(
    layers: impl IntoIterator<Item = ConvWeights>,
    bits: WeightBits,
) -> ConvWeights {
    let mut all = collect([], bits);
    for layer in layers {
        all.weight.extend(layer.weight);
        all.scale.extend(layer.scale);
        all.bias.extend(layer.bias);
    }
    all
}

/// Integers nearest to one output channel's weights, and their step.
fn nearest(row: &[f32], least_step: f64, bits: WeightBits) -> (Vec<i8>, Scale) {
    let [low, high] = [bits.min(), bits.max()].map(f64::from);
    let error = |step: f64| -> f64 {
        row.iter()
            .map(|&w| {
                let e = (f64::from(w) / step).round().clamp(low, high) * step - f64::from(w);
                e * e
            })
            .sum()
    };
    let least = steps(row, bits)
        .map(|step| (error(step), step))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(0.0, |(_, step)| step);
    let s = scale(least.max(least_step));
    let step = scale_to_f64(s);
    let integers = row
        .iter()
        .map(|&w| (f64::from(w) / step).round().clamp(low, high) as i8)
        .collect();
    (integers, s)
}

/// Some columns of a layer that are rounded together.
struct Block {
    columns: Vec<usize>,
    mean: Vec<f64>,
}

/// The parts of a layer with rows of this depth, as columns of these.
fn blocks(parts: &[&Part], depth: usize) -> Vec<Block> {
    let inputs: usize = parts.iter().map(|p| p.channels.len()).sum();
    let columns = |part: &Part| {
        (0..depth)
            .filter(|c| part.channels.contains(&(c % inputs)))
            .collect()
    };
    let block = |part: &&Part| Block {
        columns: columns(part),
        mean: part.moments.mean(),
    };
    parts.iter().map(block).collect()
}

/// One output channel, before it is rounded.
struct Channel<'a> {
    weights: &'a [f32],
    bias: f32,
    blocks: &'a [Block],
    room: &'a Room,
}

impl Channel<'_> {
    /// The bias with which the mean of the output is that of the real weights.
    fn bias(&self, integers: &[i8], step: f64) -> f64 {
        let lost: f64 = self
            .blocks
            .iter()
            .flat_map(|block| block.columns.iter().zip(&block.mean))
            .map(|(&c, mean)| (f64::from(integers[c]) * step - f64::from(self.weights[c])) * mean)
            .sum();
        f64::from(self.bias) - lost
    }

    /// These integers, or the nearest ones of the least step with which every sum stays within 32 bits.
    fn fit(&self, integers: Vec<i8>, scale: Scale) -> (Vec<i8>, Scale) {
        let bias = |q: &[i8], step: f64| self.bias(q, step);
        self.room.fit(self.weights, integers, scale, bias)
    }

    /// Whether every sum stays within 32 bits.
    fn fits(&self, integers: &[i8], scale: Scale) -> bool {
        let step = scale_to_f64(scale);
        self.room.taken(integers, step, self.bias(integers, step)) <= 1.0
    }
}

/// Round a convolution's weights (`out x ky x kx x in`) for the least error of its output, a step for
/// each output channel: the one with the least error of the output.
///
/// `parts` are its input channels with their moments; the other arguments are those of [`convolution`].
/// What the rounding changes in the mean of the output goes to the bias.
#[must_use]
pub fn convolution_with_feedback(
    weight: &[f32],
    biases: Option<&[f32]>,
    outputs: usize,
    room: &Room,
    parts: &[&Part],
) -> ConvWeights {
    let blocks = blocks(parts, weight.len() / outputs);
    let none = vec![0.0; outputs];
    let biases = biases.unwrap_or(&none);
    let factors: Vec<Factor> = parts
        .par_iter()
        .map(|p| Factor::new(p.moments.covariance(), p.moments.size()))
        .collect();
    let factors: Vec<&Factor> = factors.iter().collect();
    with_feedback(weight, biases, room, &blocks, &factors)
}

/// Round a convolution to a target, as [`convolution_with_feedback`] rounds it to its own weights.
#[must_use]
pub fn convolution_to_target(target: &Target, room: &Room) -> ConvWeights {
    let block = |part: &TargetPart| Block {
        columns: part.columns.clone(),
        mean: part.mean.clone(),
    };
    let blocks: Vec<Block> = target.parts.iter().map(block).collect();
    let factors: Vec<&Factor> = target.parts.iter().map(|p| &p.factor).collect();
    with_feedback(&target.weights, &target.biases, room, &blocks, &factors)
}

/// Rows with biases (one each), by the factors of their blocks' covariances.
fn with_feedback(
    weight: &[f32],
    biases: &[f32],
    room: &Room,
    blocks: &[Block],
    factors: &[&Factor],
) -> ConvWeights {
    let rows: Vec<_> = (weight.par_chunks_exact(weight.len() / biases.len()))
        .zip(biases)
        .map(|(row, &b)| {
            let channel = Channel {
                weights: row,
                bias: b,
                blocks,
                room,
            };
            let (integers, s) = channel_with_feedback(&channel, factors);
            let b = channel.bias(&integers, scale_to_f64(s));
            (integers, s, bias(b as f32))
        })
        .collect();
    collect(rows, room.bits)
}

/// Integers and step of one output channel with the least error of the output among those that fit the
/// accumulator; those of [`nearest`], coarsened until they fit, if none are better.
fn channel_with_feedback(channel: &Channel, factors: &[&Factor]) -> (Vec<i8>, Scale) {
    let (row, blocks, bits) = (channel.weights, channel.blocks, channel.room.bits);
    let least_step = least_step(channel.bias, channel.room.input_step);
    let (integers, fine) = nearest(row, least_step, bits);
    let (integers, s) = channel.fit(integers, fine);
    let attempt = |scales: [Scale; LANES], feedback: bool| {
        let steps = scales.map(scale_to_f64);
        let rounded: Vec<_> = blocks
            .iter()
            .zip(factors)
            .map(|(block, factor)| {
                let weights: Vec<f64> = block.columns.iter().map(|&c| row[c].into()).collect();
                rounding::round(&weights, &steps, factor, bits.min()..=bits.max(), feedback)
            })
            .collect();
        let lanes: Vec<(f64, Vec<i8>, Scale)> = (0..LANES)
            .map(|lane| {
                let mut integers = vec![0; row.len()];
                for (block, rounded) in blocks.iter().zip(&rounded) {
                    for (&c, q) in block.columns.iter().zip(&rounded.integers) {
                        integers[c] = q[lane];
                    }
                }
                let error = rounded.iter().map(|r| r.error[lane]).sum();
                (error, integers, scales[lane])
            })
            .collect();
        lanes
    };
    let candidates: Vec<Scale> = if s == fine {
        steps(row, bits)
            .map(|step| scale(step.max(least_step)))
            .collect()
    } else {
        // the range is as large as the accumulator lets it be: from there on upwards
        let floor = scale_to_f64(s);
        (0..LANES)
            .map(|i| scale(floor * (1.0 + 0.002 * i as f64)))
            .collect()
    };
    let plain = attempt([s; LANES], false)[0].0;
    candidates
        .chunks_exact(LANES)
        .flat_map(|c| attempt(std::array::from_fn(|lane| c[lane]), true))
        .filter(|(_, integers, scale)| channel.fits(integers, *scale))
        .chain(std::iter::once((plain, integers.clone(), s)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or((integers, s), |(_, integers, s)| (integers, s))
}

/// Round a convolution's weights (`out x ky x kx x in`) up or down as [`rounding::adaround`] learns, with the
/// step of rounding to nearest; to nearest where that is no better or does not fit the accumulator.
///
/// Arguments and bias are those of [`convolution_with_feedback`].
#[must_use]
pub fn convolution_with_adaround(
    weight: &[f32],
    biases: Option<&[f32]>,
    outputs: usize,
    room: &Room,
    parts: &[&Part],
) -> ConvWeights {
    let depth = weight.len() / outputs;
    let blocks = blocks(parts, depth);
    let channels: Vec<Channel> = weight
        .chunks_exact(depth)
        .enumerate()
        .map(|(c, weights)| Channel {
            weights,
            bias: biases.map_or(0.0, |b| b[c]),
            blocks: &blocks,
            room,
        })
        .collect();
    let near: Vec<(Vec<i8>, Scale)> = channels
        .par_iter()
        .map(|channel| {
            let least_step = least_step(channel.bias, room.input_step);
            let (integers, s) = nearest(channel.weights, least_step, room.bits);
            channel.fit(integers, s)
        })
        .collect();
    let mut learnt: Vec<Vec<i8>> = near.iter().map(|(q, _)| q.clone()).collect();
    // of rounding to nearest, and of what was learnt
    let mut errors = vec![[0.0; 2]; outputs];
    for (block, part) in blocks.iter().zip(parts) {
        let size = block.columns.len();
        let mut covariance = part.moments.covariance();
        rounding::damp(&mut covariance, size);
        let real: Vec<f32> = (channels.iter().zip(&near))
            .flat_map(|(channel, &(_, s))| {
                let step = scale_to_f64(s);
                let real = move |&c: &usize| (f64::from(channel.weights[c]) / step) as f32;
                block.columns.iter().map(real)
            })
            .collect();
        let integers =
            rounding::adaround(&real, &covariance, size, room.bits.min()..=room.bits.max());
        let rows = integers.chunks_exact(size).zip(real.chunks_exact(size));
        for (o, (row, real)) in rows.enumerate() {
            let plain: Vec<i8> = block.columns.iter().map(|&c| near[o].0[c]).collect();
            errors[o][0] += squared_error(&plain, real, &covariance);
            errors[o][1] += squared_error(row, real, &covariance);
            for (&c, &q) in block.columns.iter().zip(row) {
                learnt[o][c] = q;
            }
        }
    }
    let rows = channels.iter().zip(near).zip(learnt).zip(errors);
    collect(
        rows.map(|(((channel, (plain, s)), learnt), [nearest, lower])| {
            let integers = if lower < nearest && channel.fits(&learnt, s) {
                learnt
            } else {
                plain
            };
            let b = channel.bias(&integers, scale_to_f64(s));
            (integers, s, bias(b as f32))
        }),
        room.bits,
    )
}

/// `e C e^T` of the rounding error `e`, in steps.
fn squared_error(integers: &[i8], real: &[f32], covariance: &[f64]) -> f64 {
    let e: Vec<f64> = (integers.iter().zip(real))
        .map(|(&q, &w)| f64::from(q) - f64::from(w))
        .collect();
    let product = |row: &[f64]| row.iter().zip(&e).map(|(c, e)| c * e).sum::<f64>();
    (e.iter().zip(covariance.chunks_exact(e.len())))
        .map(|(e, row)| e * product(row))
        .sum()
}

/// Round a linear layer of the embedding to 16 bits, a step for each output.
#[must_use]
pub fn wide(weight: &[f32], biases: &[f32]) -> WideLinear {
    let mut out = WideLinear {
        weight: Vec::with_capacity(weight.len()),
        scale: vec![],
        bias: vec![],
    };
    for row in weight.chunks_exact(weight.len() / biases.len()) {
        let largest = row.iter().fold(0f32, |m, w| m.max(w.abs()));
        let s = scale(f64::from(largest) / 32766.0);
        let step = scale_to_f64(s);
        out.weight
            .extend(row.iter().map(|&w| (f64::from(w) / step).round() as i16));
        out.scale.push(s);
    }
    out.bias.extend(biases.iter().map(|&b| bias(b)));
    out
}

/// Values in Q20.
#[must_use]
pub fn fixed(values: &[f32]) -> Vec<i32> {
    values.iter().map(|&v| bias(v)).collect()
}

/// Group-norm's scale or offset in Q16.
#[must_use]
pub fn norm(values: &[f32]) -> Vec<i32> {
    let one = f64::from(1 << diffuser_spec::norm::WEIGHT_FRACTION_BITS);
    values
        .iter()
        .map(|&v| (f64::from(v) * one).round() as i32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffuser_spec::operand::PLANES_MAX;

    /// Of a small layer, where every sum fits.
    fn room(input_step: f64) -> Room {
        Room {
            largest: 1,
            input_step,
            projected: false,
            bits: WeightBits::Eight,
        }
    }

    #[test]
    fn rounding_error_is_half_a_step() {
        let w: Vec<f32> = (0..64)
            .map(|i| ((i * 37 % 64) as f32 - 31.5) * 0.01)
            .collect();
        let q = convolution(&w, Some(&[1.0, -2.0]), 2, &room(0.02));
        for (i, (&q8, &x)) in q.weight.iter().zip(&w).enumerate() {
            let step = scale_to_f64(q.scale[i / 32]);
            assert!((f64::from(q8) * step - f64::from(x)).abs() <= 0.51 * step);
        }
        assert_eq!(q.bias, [1 << 20, -2 << 20]);
        let wide = wide(&w, &[0.5, 0.25]);
        for (i, (&q16, &x)) in wide.weight.iter().zip(&w).enumerate() {
            let step = scale_to_f64(wide.scale[i / 32]);
            assert!((f64::from(q16) * step - f64::from(x)).abs() <= 0.51 * step);
        }
    }

    /// Patches of 3 channels and 4 taps in two parts; channel 1 is always zero.
    fn parts() -> Vec<Part> {
        [0..2, 2..3]
            .into_iter()
            .map(|channels: std::ops::Range<usize>| {
                let size = 4 * channels.len();
                let patches: Vec<f32> = (0..30 * size)
                    .map(|i| match channels.start + i % channels.len() {
                        1 => 0.0,
                        _ => (i / size % 7) as f32 + ((i * 37 + i / 11) % 13) as f32 * 0.1,
                    })
                    .collect();
                let mut part = Part::new(channels, size);
                part.moments.add(&patches);
                part
            })
            .collect()
    }

    /// Error of the output's variance over all parts, by the definition.
    fn output_error(row: &[f32], q: &[i8], s: Scale, parts: &[Part]) -> f64 {
        let step = scale_to_f64(s);
        let lost: Vec<f64> = (row.iter().zip(q))
            .map(|(&w, &q)| f64::from(q) * step - f64::from(w))
            .collect();
        parts
            .iter()
            .map(|part| {
                let columns = (0..12).filter(|c| part.channels.contains(&(c % 3)));
                let e: Vec<f64> = columns.map(|c| lost[c]).collect();
                let c = part.moments.covariance();
                let damping = Factor::new(c.clone(), e.len()).damping;
                (0..e.len() * e.len())
                    .map(|n| (n / e.len(), n % e.len(), c[n]))
                    .map(|(i, j, c)| e[i] * e[j] * (c + if i == j { damping } else { 0.0 }))
                    .sum::<f64>()
            })
            .sum()
    }

    #[test]
    fn feedback_and_adaround_are_never_worse_than_nearest_and_keep_the_mean() {
        never_worse_than_nearest(convolution_with_feedback, 0.7);
        never_worse_than_nearest(convolution_with_adaround, 0.8);
    }

    type Rounder = fn(&[f32], Option<&[f32]>, usize, &Room, &[&Part]) -> ConvWeights;

    fn never_worse_than_nearest(round: Rounder, share: f64) {
        let parts = parts();
        let borrowed: Vec<&Part> = parts.iter().collect();
        let weight: Vec<f32> = (0..12 * 8)
            .map(|i| ((i * 53 + i / 5) % 97) as f32 * 0.01 - 0.48)
            .collect();
        let biases = [0.5; 8];
        let near = convolution(&weight, Some(&biases), 8, &room(0.02));
        let fed = round(&weight, Some(&biases), 8, &room(0.02), &borrowed);
        let (mut sums, row) = ([0.0; 2], 12);
        for (c, w) in weight.chunks_exact(row).enumerate() {
            let error = |q: &ConvWeights| {
                output_error(w, &q.weight[c * row..(c + 1) * row], q.scale[c], &parts)
            };
            assert!(error(&fed) <= error(&near) * (1.0 + 1e-9), "channel {c}");
            sums[0] += error(&near);
            sums[1] += error(&fed);
            // the mean of the output is that of the float layer
            let mut mean = f64::from(fed.bias[c]) / f64::from(1 << FRACTION_BITS) - 0.5;
            for part in &parts {
                let columns = (0..row).filter(|i| part.channels.contains(&(i % 3)));
                for (i, m) in columns.zip(part.moments.mean()) {
                    let q = f64::from(fed.weight[c * row + i]) * scale_to_f64(fed.scale[c]);
                    mean += (q - f64::from(w[i])) * m;
                }
            }
            assert!(mean.abs() < 1e-5, "{mean}");
        }
        assert!(sums[1] < share * sums[0], "{sums:?}");
    }

    /// 512 channels of 3x3 in two planes: the first channel is coarsened, the second is not.
    #[test]
    fn feedback_fits_the_accumulator_and_keeps_the_mean_of_what_is_kept() {
        const DEPTH: usize = 512 * 9;
        let parts: Vec<Part> = (0..64)
            .map(|p| {
                let mut part = Part::new(8 * p..8 * (p + 1), 72);
                let patches: Vec<f32> = (0..40 * 72)
                    .map(|i| 1.0 + (i / 72 % 7) as f32 + ((i * 37 + i / 11) % 13) as f32 * 0.1)
                    .collect();
                part.moments.add(&patches);
                part
            })
            .collect();
        let borrowed: Vec<&Part> = parts.iter().collect();
        let uneven = |i: usize| ((i * 53 + i / 5) % 97) as f32 / 970.0;
        let mut weight: Vec<f32> = (0..DEPTH)
            .map(|i| if i % 2 == 0 { 0.9 } else { -0.9 } * (1.0 + uneven(i)))
            .collect();
        weight.extend((0..DEPTH).map(|i| if i == 7 { 1.0 } else { uneven(i) - 0.05 }));
        let (biases, wide) = (
            [0.5, -0.25],
            Room {
                largest: PLANES_MAX,
                input_step: 1.0 / 4096.0,
                projected: false,
                bits: WeightBits::Eight,
            },
        );
        let free = Room { largest: 1, ..wide };
        let near = convolution(&weight, Some(&biases), 2, &wide);
        let [fed, unbound] = [&wide, &free]
            .map(|room| convolution_with_feedback(&weight, Some(&biases), 2, room, &borrowed));
        assert!(scale_to_f64(fed.scale[0]) > 1.01 * scale_to_f64(unbound.scale[0]));
        assert_eq!(fed.scale[1], unbound.scale[1]);
        assert_eq!(fed.weight[DEPTH..], unbound.weight[DEPTH..]);
        for (c, row) in weight.chunks_exact(DEPTH).enumerate() {
            let q = &fed.weight[c * DEPTH..(c + 1) * DEPTH];
            let step = scale_to_f64(fed.scale[c]);
            let b = f64::from(fed.bias[c]) / f64::from(1 << FRACTION_BITS);
            assert!(wide.taken(q, step, b) <= 1.0, "channel {c}");
            assert_ne!(q, &near.weight[c * DEPTH..(c + 1) * DEPTH], "feedback");
            let mut mean = b - f64::from(biases[c]);
            for part in &parts {
                let columns =
                    (0..9).flat_map(|tap| part.channels.clone().map(move |i| tap * 512 + i));
                for (i, m) in columns.zip(part.moments.mean()) {
                    mean += (f64::from(q[i]) * step - f64::from(row[i])) * m;
                }
            }
            assert!(mean.abs() < 1e-5, "channel {c}: {mean}");
        }
    }

    #[test]
    fn feedback_takes_dead_layers_and_inputs() {
        let mut parts = parts();
        let weight = [0.0; 12 * 2];
        let borrowed: Vec<&Part> = parts.iter().collect();
        let q = convolution_with_feedback(&weight, None, 2, &room(0.001), &borrowed);
        assert!(q.weight.iter().all(|&w| w == 0) && q.bias == [0, 0]);
        // nothing was seen at all: every weight for itself
        parts
            .iter_mut()
            .for_each(|p| *p = Part::new(p.channels.clone(), p.moments.size()));
        let borrowed: Vec<&Part> = parts.iter().collect();
        let weight: Vec<f32> = (0..24).map(|i| (i as f32 - 11.5) * 0.1).collect();
        assert_eq!(
            convolution_with_feedback(&weight, Some(&[1.0, 2.0]), 2, &room(0.02), &borrowed),
            convolution(&weight, Some(&[1.0, 2.0]), 2, &room(0.02))
        );
    }

    #[test]
    fn dead_channels_and_large_biases_stay_in_range() {
        let q = convolution(&[0.0; 8], Some(&[30.0, 0.0]), 2, &room(0.001));
        assert!(q.weight.iter().all(|&w| w == 0));
        assert!(30.0 / (scale_to_f64(q.scale[0]) * 0.001) < f64::from(1 << 30));
    }
}
