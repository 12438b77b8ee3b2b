//! Weights to integers: 8 bits per output channel for the network, 16 for the embedding.

use diffuser_model::quantised::{ConvWeights, WideLinear};
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::embedding::FRACTION_BITS;
use diffuser_spec::{OPERAND_MAX, Scale};

/// Smallest step of a weight: keeps every multiplier in range, and is far below what matters.
const SMALLEST_STEP: f64 = 1.0 / (1 << 24) as f64;

/// `x` in Q20, saturated.
fn bias(x: f32) -> i32 {
    (f64::from(x) * f64::from(1 << FRACTION_BITS)).round() as i32
}

fn scale(x: f64) -> Scale {
    scale_from_f64(x.max(SMALLEST_STEP)).expect("weights are finite and the step is not zero")
}

/// Round a convolution's weights (`out x ky x kx x in`), a step for each output channel.
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
    let mut out = ConvWeights {
        weight: Vec::with_capacity(weight.len()),
        scale: vec![],
        bias: vec![],
    };
    for (c, row) in weight.chunks_exact(weight.len() / outputs).enumerate() {
        let b = biases.map_or(0.0, |b| b[c]);
        // a bias (with the embedding's part, allowed to be 16 times as large) stays under 2^29 steps
        let floor = f64::from(b.abs().max(1e-3)) * 16.0 / input_step / f64::from(1 << 29);
        let s = scale(least_squares_step(row).max(floor));
        let step = scale_to_f64(s);
        let limit = f64::from(OPERAND_MAX);
        out.weight.extend(
            row.iter()
                .map(|&w| (f64::from(w) / step).round().clamp(-limit, limit) as i8),
        );
        out.scale.push(s);
        out.bias.push(bias(b));
    }
    out
}

/// The step with the least squared error, from the whole range down to 70 % of it.
fn least_squares_step(row: &[f32]) -> f64 {
    let limit = f64::from(OPERAND_MAX);
    let full = row.iter().fold(0f32, |m, w| m.max(w.abs()));
    let full = f64::from(full) / limit;
    if full == 0.0 {
        return 0.0;
    }
    let error = |step: f64| -> f64 {
        row.iter()
            .map(|&w| {
                let e = (f64::from(w) / step).round().clamp(-limit, limit) * step - f64::from(w);
                e * e
            })
            .sum()
    };
    (0..=15)
        .map(|i| full * (1.0 - 0.02 * f64::from(i)))
        .map(|step| (error(step), step))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(full, |(_, step)| step)
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

    #[test]
    fn dead_channels_and_large_biases_stay_in_range() {
        let q = convolution(&[0.0; 8], Some(&[30.0, 0.0]), 2, 0.001);
        assert!(q.weight.iter().all(|&w| w == 0));
        assert!(30.0 / (scale_to_f64(q.scale[0]) * 0.001) < f64::from(1 << 30));
    }
}
