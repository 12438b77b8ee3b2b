//! Group normalisation, SiLU and changes of resolution.

use diffuser_model::graph::{Norm, Resample};

use crate::matrix::Threads;

/// Pixels that one task handles.
const BLOCK: usize = 64;

/// `x * sigmoid(x)`.
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// Scale and offset of each channel: the normalisation's, with the embedding's folded in.
fn coefficients(
    norm: &Norm,
    weight: &[f32],
    bias: &[f32],
    scale_shift: Option<&[f32]>,
    inputs: &[&[f32]],
    pixels: usize,
) -> Vec<[f32; 2]> {
    let channels = weight.len();
    let mut sums = vec![[0.0f64; 2]; channels];
    let mut first = 0;
    for input in inputs {
        let width = input.len() / pixels;
        for pixel in input.chunks_exact(width) {
            for (sum, &x) in sums[first..first + width].iter_mut().zip(pixel) {
                let x = f64::from(x);
                sum[0] += x;
                sum[1] += x * x;
            }
        }
        first += width;
    }
    let group = channels / norm.groups;
    #[expect(
        clippy::cast_precision_loss,
        reason = "tensors have at most 2^28 values"
    )]
    let count = (group * pixels) as f64;
    let mut out = Vec::with_capacity(channels);
    for (g, sums) in sums.chunks_exact(group).enumerate() {
        let total = sums
            .iter()
            .fold([0.0; 2], |t, s| [t[0] + s[0], t[1] + s[1]]);
        let mean = total[0] / count;
        // in f64 the difference loses nothing that f32 inputs could show, but it may end below 0
        let variance = (total[1] / count - mean * mean).max(0.0);
        let factor = (variance + norm.eps).sqrt().recip();
        for c in g * group..(g + 1) * group {
            let mut a = factor * f64::from(weight[c]);
            let mut b = f64::from(bias[c]) - mean * a;
            if let Some(values) = scale_shift {
                let scale = 1.0 + f64::from(values[c]);
                a *= scale;
                b = b * scale + f64::from(values[channels + c]);
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "back to the network's precision"
            )]
            out.push([a as f32, b as f32]);
        }
    }
    out
}

/// Normalises the concatenation of `inputs` and applies SiLU if wanted; no resampling.
pub(crate) fn normalise(
    norm: &Norm,
    parameters: [&[f32]; 2],
    scale_shift: Option<&[f32]>,
    inputs: &[&[f32]],
    output: &mut [f32],
    threads: Threads,
) {
    let [weight, bias] = parameters;
    let channels = weight.len();
    let pixels = output.len() / channels;
    let coefficients = coefficients(norm, weight, bias, scale_shift, inputs, pixels);
    threads.chunks(output, BLOCK * channels, |block, output| {
        for (i, output) in output.chunks_exact_mut(channels).enumerate() {
            let pixel = block * BLOCK + i;
            let values = inputs.iter().flat_map(|input| {
                let width = input.len() / pixels;
                &input[pixel * width..(pixel + 1) * width]
            });
            for ((y, x), [a, b]) in output.iter_mut().zip(values).zip(&coefficients) {
                *y = x * a + b;
            }
            if norm.silu {
                output.iter_mut().for_each(|y| *y = silu(*y));
            }
        }
    });
}

/// Resamples an image of `width * channels` values a row.
pub(crate) fn resample(
    kind: Resample,
    input: &[f32],
    width: usize,
    channels: usize,
    output: &mut [f32],
) {
    let row = width * channels;
    match kind {
        Resample::Nearest2x => {
            for (input, output) in input
                .chunks_exact(row)
                .zip(output.chunks_exact_mut(4 * row))
            {
                let (upper, lower) = output.split_at_mut(2 * row);
                for (pixel, pair) in input
                    .chunks_exact(channels)
                    .zip(upper.chunks_exact_mut(2 * channels))
                {
                    pair[..channels].copy_from_slice(pixel);
                    pair[channels..].copy_from_slice(pixel);
                }
                lower.copy_from_slice(upper);
            }
        }
        Resample::AveragePool2x => {
            for (input, output) in input
                .chunks_exact(2 * row)
                .zip(output.chunks_exact_mut(row / 2))
            {
                for (x, output) in output.chunks_exact_mut(channels).enumerate() {
                    let at = |c: usize| 2 * x * channels + c;
                    for (c, y) in output.iter_mut().enumerate() {
                        let (i, below) = (at(c), at(c) + row);
                        *y = (input[i]
                            + input[i + channels]
                            + input[below]
                            + input[below + channels])
                            * 0.25;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_by_hand() {
        let mut up = [0.0; 16];
        resample(Resample::Nearest2x, &[1.0, 2.0, 3.0, 4.0], 2, 1, &mut up);
        assert_eq!(
            up,
            [
                1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.
            ]
        );
        let mut down = [0.0; 2];
        let image = [1., 10., 2., 20., 3., 30., 6., 60.];
        resample(Resample::AveragePool2x, &image, 2, 2, &mut down);
        assert_eq!(down, [3.0, 30.0]);
    }

    #[test]
    fn groups_reach_across_a_concatenation() {
        let norm = Norm {
            groups: 2,
            eps: 0.5,
            weight: String::new(),
            bias: String::new(),
            channels: 0..4,
            silu: false,
            scale_shift: None,
            resample: None,
        };
        // two pixels of 1 + 3 channels: groups are channels 0-1 and 2-3
        let inputs: [&[f32]; 2] = [&[1.0, 3.0], &[5.0, 0.0, 2.0, 7.0, 0.0, -2.0]];
        let mut output = [0.0; 8];
        let weight = [1.0, 2.0, 1.0, 1.0];
        let bias = [0.0, 0.0, 0.0, 10.0];
        let scale_shift = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 5.0];
        normalise(
            &norm,
            [&weight, &bias],
            Some(&scale_shift),
            &inputs,
            &mut output,
            Threads(1),
        );
        // means 4 and 0; variances (9 + 1 + 1 + 9) / 4 = 5 and 2, with eps 5.5 and 2.5
        let (a, b) = (1.0 / 5.5f32.sqrt(), 1.0 / 2.5f32.sqrt());
        let expected = [
            -3.0 * a,
            2.0 * a,
            0.0,
            15.0 + 2.0 * b,
            -a,
            6.0 * a,
            0.0,
            15.0 - 2.0 * b,
        ];
        for (y, e) in output.iter().zip(expected) {
            assert!((y - e).abs() < 1e-5, "{output:?} {expected:?}");
        }
    }

    #[test]
    fn silu_far_out() {
        assert_eq!(silu(-1000.0), 0.0);
        assert_eq!(silu(1000.0), 1000.0);
        assert!((silu(1.0) - 0.731_058_6).abs() < 1e-6);
    }
}
