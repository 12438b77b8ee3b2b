//! Weights to integers: 8 bits per output channel for the network, 16 for the embedding.

use diffuser_model::quantised::{ConvWeights, WideLinear};
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::embedding::FRACTION_BITS;
use diffuser_spec::{OPERAND_MAX, Scale};
use rayon::prelude::*;

use crate::rounding::{self, Factor, LANES, Part};

/// Smallest step of a weight: keeps every multiplier in range, and is far below what matters.
const SMALLEST_STEP: f64 = 1.0 / (1 << 24) as f64;

/// `x` in Q20, saturated.
fn bias(x: f32) -> i32 {
    (f64::from(x) * f64::from(1 << FRACTION_BITS)).round() as i32
}

fn scale(x: f64) -> Scale {
    scale_from_f64(x.max(SMALLEST_STEP)).expect("weights are finite and the step is not zero")
}

/// Steps tried for an output channel's weights: the whole range down to 70 % of it.
fn steps(row: &[f32]) -> impl Iterator<Item = f64> + Clone {
    let full = row.iter().fold(0f32, |m, w| m.max(w.abs()));
    let full = f64::from(full) / f64::from(OPERAND_MAX);
    (0..2 * LANES).map(move |i| full * (1.0 - 0.02 * i as f64))
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
/// `bias` is `None` where the node adds none. `input_step` is the smallest step that the input has
/// at any time step: it bounds the weight's step from below, so that a bias fits an accumulator.
#[must_use]
pub fn convolution(
    weight: &[f32],
    biases: Option<&[f32]>,
    outputs: usize,
    input_step: f64,
) -> ConvWeights {
    let rows = weight.chunks_exact(weight.len() / outputs).enumerate();
    collect(rows.map(|(c, row)| {
        let b = biases.map_or(0.0, |b| b[c]);
        let (integers, scale) = nearest(row, least_step(b, input_step));
        (integers, scale, bias(b))
    }))
}

/// The same layer from its output channels: weights, step and bias of each.
fn collect(rows: impl IntoIterator<Item = (Vec<i8>, Scale, i32)>) -> ConvWeights {
    let mut out = ConvWeights {
        weight: vec![],
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

/// Integers nearest to one output channel's weights, and their step.
fn nearest(row: &[f32], least_step: f64) -> (Vec<i8>, Scale) {
    let limit = f64::from(OPERAND_MAX);
    let error = |step: f64| -> f64 {
        row.iter()
            .map(|&w| {
                let e = (f64::from(w) / step).round().clamp(-limit, limit) * step - f64::from(w);
                e * e
            })
            .sum()
    };
    let least = steps(row)
        .map(|step| (error(step), step))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(0.0, |(_, step)| step);
    let s = scale(least.max(least_step));
    let step = scale_to_f64(s);
    let integers = row
        .iter()
        .map(|&w| (f64::from(w) / step).round().clamp(-limit, limit) as i8)
        .collect();
    (integers, s)
}

/// Some columns of a layer that are rounded together.
struct Block {
    columns: Vec<usize>,
    factor: Factor,
    mean: Vec<f64>,
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
    input_step: f64,
    parts: &[&Part],
) -> ConvWeights {
    let depth = weight.len() / outputs;
    let inputs: usize = parts.iter().map(|p| p.channels.len()).sum();
    let blocks: Vec<Block> = parts
        .par_iter()
        .map(|part| {
            let columns: Vec<usize> = (0..depth)
                .filter(|c| part.channels.contains(&(c % inputs)))
                .collect();
            Block {
                factor: Factor::new(part.moments.covariance(), columns.len()),
                mean: part.moments.mean(),
                columns,
            }
        })
        .collect();
    let rows: Vec<_> = weight
        .par_chunks_exact(depth)
        .enumerate()
        .map(|(c, row)| {
            let b = biases.map_or(0.0, |b| b[c]);
            let (integers, s) = row_with_feedback(row, &blocks, least_step(b, input_step));
            let step = scale_to_f64(s);
            let lost: f64 = blocks
                .iter()
                .flat_map(|block| block.columns.iter().zip(&block.mean))
                .map(|(&c, mean)| (f64::from(integers[c]) * step - f64::from(row[c])) * mean)
                .sum();
            (integers, s, bias((f64::from(b) - lost) as f32))
        })
        .collect();
    collect(rows)
}

/// Integers and step of one output channel with the least error of the output; those of [`nearest`] if
/// none are better.
fn row_with_feedback(row: &[f32], blocks: &[Block], least_step: f64) -> (Vec<i8>, Scale) {
    let (integers, s) = nearest(row, least_step);
    let attempt = |scales: [Scale; LANES], feedback: bool| {
        let steps = scales.map(scale_to_f64);
        let rounded: Vec<_> = blocks
            .iter()
            .map(|block| {
                let weights: Vec<f64> = block.columns.iter().map(|&c| row[c].into()).collect();
                rounding::round(&weights, &steps, &block.factor, feedback)
            })
            .collect();
        let error: [f64; LANES] =
            std::array::from_fn(|lane| rounded.iter().map(|r| r.error[lane]).sum());
        let lane = (0..LANES)
            .min_by(|&a, &b| error[a].total_cmp(&error[b]))
            .unwrap_or(0);
        let mut integers = vec![0; row.len()];
        for (block, rounded) in blocks.iter().zip(&rounded) {
            for (&c, q) in block.columns.iter().zip(&rounded.integers) {
                integers[c] = q[lane];
            }
        }
        (error[lane], integers, scales[lane])
    };
    let candidates: Vec<Scale> = steps(row).map(|step| scale(step.max(least_step))).collect();
    let tried = candidates
        .chunks_exact(LANES)
        .map(|c| attempt(std::array::from_fn(|lane| c[lane]), true));
    let plain = attempt([s; LANES], false).0;
    tried
        .chain(std::iter::once((plain, integers, s)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(
            || nearest(row, least_step),
            |(_, integers, s)| (integers, s),
        )
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

    #[test]
    fn rounding_error_is_half_a_step() {
        let w: Vec<f32> = (0..64)
            .map(|i| ((i * 37 % 64) as f32 - 31.5) * 0.01)
            .collect();
        let q = convolution(&w, Some(&[1.0, -2.0]), 2, 0.02);
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
    fn feedback_is_never_worse_than_nearest_and_keeps_the_mean() {
        let parts = parts();
        let borrowed: Vec<&Part> = parts.iter().collect();
        let weight: Vec<f32> = (0..12 * 8)
            .map(|i| ((i * 53 + i / 5) % 97) as f32 * 0.01 - 0.48)
            .collect();
        let biases = [0.5; 8];
        let near = convolution(&weight, Some(&biases), 8, 0.02);
        let fed = convolution_with_feedback(&weight, Some(&biases), 8, 0.02, &borrowed);
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
        assert!(sums[1] < 0.7 * sums[0], "{sums:?}");
    }

    #[test]
    fn feedback_takes_dead_layers_and_inputs() {
        let mut parts = parts();
        let weight = [0.0; 12 * 2];
        let borrowed: Vec<&Part> = parts.iter().collect();
        let q = convolution_with_feedback(&weight, None, 2, 0.001, &borrowed);
        assert!(q.weight.iter().all(|&w| w == 0) && q.bias == [0, 0]);
        // nothing was seen at all: every weight for itself
        parts
            .iter_mut()
            .for_each(|p| *p = Part::new(p.channels.clone(), p.moments.size()));
        let borrowed: Vec<&Part> = parts.iter().collect();
        let weight: Vec<f32> = (0..24).map(|i| (i as f32 - 11.5) * 0.1).collect();
        assert_eq!(
            convolution_with_feedback(&weight, Some(&[1.0, 2.0]), 2, 0.02, &borrowed),
            convolution(&weight, Some(&[1.0, 2.0]), 2, 0.02)
        );
    }

    #[test]
    fn dead_channels_and_large_biases_stay_in_range() {
        let q = convolution(&[0.0; 8], Some(&[30.0, 0.0]), 2, 0.001);
        assert!(q.weight.iter().all(|&w| w == 0));
        assert!(30.0 / (scale_to_f64(q.scale[0]) * 0.001) < f64::from(1 << 30));
    }
}
