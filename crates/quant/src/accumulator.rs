//! Wide layers on two planes: weights that fit the 32-bit accumulator.
//!
//! An input in two planes reaches 16,319, so that a 3x3 convolution over 256 channels may need more
//! than 31 bits where its weights are large on average. There the step of an output channel grows until
//! the worst sum fits: a fraction of a bit of that channel's weights, and no other channel pays.

use diffuser_model::quantised::ConvWeights;
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::OPERAND_MAX;

/// What a bias with the embedding's part may take ([`crate::weights::convolution`] sees to it).
const PROJECTED: f64 = (1 << 29) as f64;

/// Coarsen the channels whose worst sum would not fit.
///
/// `rows` are the real weights, `out x ky x kx x in`; `largest` is the largest magnitude of an input
/// less its zero point, `input_step` the smallest step of it at any time step; `projected` says whether
/// the embedding adds to the bias.
pub fn fit(
    weights: &mut ConvWeights,
    rows: &[f32],
    largest: i32,
    input_step: f64,
    projected: bool,
) {
    let length = (rows.len() / weights.bias.len().max(1)).max(1);
    let channels = weights
        .weight
        .chunks_exact_mut(length)
        .zip(rows.chunks_exact(length));
    for (c, (row, real)) in channels.enumerate() {
        let bias = f64::from(weights.bias[c].abs())
            / f64::from(1 << diffuser_spec::embedding::FRACTION_BITS);
        loop {
            let step = scale_to_f64(weights.scale[c]);
            let steps = bias / (input_step * step);
            let taken = if projected {
                steps.max(PROJECTED)
            } else {
                steps
            };
            // a thousandth for the bias, which prepared models round in another way
            let room = f64::from(i32::MAX) * 0.999 - taken;
            let sum: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
            let need = sum as f64 * f64::from(largest);
            if need <= room || need == 0.0 {
                break;
            }
            // a little more than is missing, so that rounding does not ask for another round
            let growth = if room > 0.0 { need / room } else { 2.0 };
            let Some(coarser) = scale_from_f64(step * growth.clamp(1.001, 2.0) * 1.001) else {
                break;
            };
            weights.scale[c] = coarser;
            let (step, limit) = (scale_to_f64(coarser), f64::from(OPERAND_MAX));
            for (w, &r) in row.iter_mut().zip(real) {
                *w = (f64::from(r) / step).round().clamp(-limit, limit) as i8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::convolution;
    use diffuser_spec::operand::PLANES_MAX;

    #[test]
    fn only_channels_that_do_not_fit_are_coarsened_and_stay_near() {
        const INPUTS: usize = 512 * 9;
        // large on average; small on average with one large value
        let mut rows: Vec<f32> = (0..INPUTS)
            .map(|i| if i % 2 == 0 { 0.8 } else { -1.0 } * (1.0 - i as f32 / 1e5))
            .collect();
        rows.extend((0..INPUTS).map(|i| if i == 7 { 1.0 } else { 0.01 }));
        let biases = [0.5, -0.25];
        let input_step = 1.0 / 4096.0;
        let before = convolution(&rows, Some(&biases), 2, input_step);
        let mut after = before.clone();
        fit(&mut after, &rows, PLANES_MAX, input_step, false);
        assert_ne!(after.scale[0], before.scale[0]);
        assert_eq!(after.scale[1], before.scale[1]);
        assert_eq!(after.weight[INPUTS..], before.weight[INPUTS..]);
        let step = scale_to_f64(after.scale[0]);
        let sum: i64 = after.weight[..INPUTS]
            .iter()
            .map(|&w| i64::from(w).abs())
            .sum();
        let bias = (0.5 / input_step / step) as i64;
        let worst = sum * i64::from(PLANES_MAX) + bias;
        let all = i64::from(i32::MAX);
        assert!(worst <= all && worst > all / 10 * 9, "{worst}");
        for (&w, &r) in after.weight[..INPUTS].iter().zip(&rows) {
            let error = (f64::from(w) * step - f64::from(r)).abs();
            assert!(error <= 0.51 * step, "{error}");
        }
    }
}
