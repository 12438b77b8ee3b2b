//! Wide layers on two planes: weights that fit the 32-bit accumulator.
//!
//! An input in two planes reaches 16,319, so that a 3x3 convolution over 256 channels may need more
//! than 31 bits where its weights are large on average. There the step of an output channel grows until
//! the worst sum fits: a fraction of a bit of that channel's weights, and no other channel pays.
//! The step is settled before the bias is: what rounding takes from the output's mean depends on it.

use diffuser_model::quantised::WeightBits;
use diffuser_model::scale::{scale_from_f64, scale_to_f64};
use diffuser_spec::Scale;

/// What a bias with the embedding's part may take ([`crate::weights::convolution`] sees to it).
const PROJECTED: f64 = (1 << 29) as f64;

/// What the weights of one layer and its accumulators have to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    /// Largest magnitude of an input less its zero point.
    pub largest: i32,
    /// Smallest step that the input has at any time step.
    pub input_step: f64,
    /// Whether the embedding adds to the bias.
    pub projected: bool,
    /// Width of the weights.
    pub bits: WeightBits,
}

impl Room {
    /// What the worst sum of an output channel needs, as a share of what there is; infinite if the bias
    /// (a real number) alone is too much.
    #[must_use]
    pub fn taken(&self, integers: &[i8], step: f64, bias: f64) -> f64 {
        let sum: i64 = integers.iter().map(|&w| i64::from(w).abs()).sum();
        let need = sum as f64 * f64::from(self.largest);
        if need == 0.0 {
            return 0.0;
        }
        let bias = bias.abs() / (self.input_step * step);
        let taken = if self.projected {
            bias.max(PROJECTED)
        } else {
            bias
        };
        // a thousandth for the bias, which prepared models round in another way
        let room = f64::from(i32::MAX) * 0.999 - taken;
        if room > 0.0 {
            need / room
        } else {
            f64::INFINITY
        }
    }

    /// Coarsen an output channel that was rounded to nearest until its worst sum fits.
    ///
    /// `real` are its weights; `bias` is that of the channel with given integers and their step.
    #[must_use]
    pub fn fit(
        &self,
        real: &[f32],
        mut integers: Vec<i8>,
        mut scale: Scale,
        bias: impl Fn(&[i8], f64) -> f64,
    ) -> (Vec<i8>, Scale) {
        loop {
            let step = scale_to_f64(scale);
            let taken = self.taken(&integers, step, bias(&integers, step));
            if taken <= 1.0 {
                return (integers, scale);
            }
            // a little more than is missing, so that rounding does not ask for another round
            let Some(coarser) = scale_from_f64(step * taken.clamp(1.001, 2.0) * 1.001) else {
                return (integers, scale);
            };
            scale = coarser;
            let step = scale_to_f64(scale);
            let [low, high] = [self.bits.min(), self.bits.max()].map(f64::from);
            for (w, &r) in integers.iter_mut().zip(real) {
                *w = (f64::from(r) / step).round().clamp(low, high) as i8;
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
        let room = |largest| Room {
            largest,
            input_step,
            projected: false,
            bits: WeightBits::Eight,
        };
        let before = convolution(&rows, Some(&biases), 2, &room(1));
        let after = convolution(&rows, Some(&biases), 2, &room(PLANES_MAX));
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
