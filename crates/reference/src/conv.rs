//! Convolution as a matrix product over gathered pixels (im2col).

use diffuser_model::graph::{Conv, TensorInfo};
use diffuser_model::rewrite::Phase;

use crate::matrix::{Into, Matrix, Threads, multiply};

/// Values gathered at a time: 2 MiB, which stay in the second-level cache on the way to the product.
const GATHERED: usize = 1 << 19;

/// Weights of one convolution, ready for the product.
#[derive(Debug)]
pub struct ConvWeights {
    /// `kernel * kernel * input channels` rows of `output channels`; with [`Conv::phases`] one such matrix for
    /// each phase.
    pub matrix: Vec<f32>,
    /// One value an output channel; with [`Conv::phases`] of each phase after the one before.
    pub bias: Vec<f32>,
}

impl ConvWeights {
    /// From a weight of `out x in x kernel x kernel` values (3x3 with [`Conv::phases`]), of which the node uses
    /// some input channels. Without a bias, zeros stand for it.
    pub fn new(conv: &Conv, weight: &[f32], bias: Option<&[f32]>) -> Self {
        let weight = conv.weight_of(weight);
        let (taps, outputs) = (conv.kernel * conv.kernel, conv.output_channels);
        let part = weight.len() / conv.parts().count();
        let inputs = part / (outputs * taps);
        let rows = conv.weight_rows() / outputs * taps * conv.input_channels.len();
        let mut matrix = Vec::with_capacity(rows * outputs);
        for weight in weight.chunks_exact(part) {
            for tap in 0..taps {
                for i in conv.input_channels.clone() {
                    matrix.extend((0..outputs).map(|o| weight[(o * inputs + i) * taps + tap]));
                }
            }
        }
        let bias = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
        let bias = bias.repeat(conv.parts().count());
        ConvWeights { matrix, bias }
    }

    /// From the node's own rows, `kernel x kernel x input channels` each, as a quantised file has them; `bias` has
    /// one value a row.
    pub fn of_rows(conv: &Conv, rows: &[f32], bias: Vec<f32>) -> Self {
        let outputs = conv.output_channels;
        let depth = rows.len() / conv.weight_rows();
        let mut matrix = Vec::with_capacity(rows.len());
        for rows in rows.chunks_exact(outputs * depth) {
            matrix.extend((0..rows.len()).map(|n| rows[n % outputs * depth + n / outputs]));
        }
        ConvWeights { matrix, bias }
    }
}

/// What is added to the products.
#[derive(Clone, Copy, Debug, Default)]
pub struct Added<'a> {
    /// One value an output channel, on top of the bias.
    pub projection: Option<&'a [f32]>,
    /// An image of the output's shape.
    pub residual: Option<&'a [f32]>,
}

/// Runs one convolution; images are `height * width * channels`, channels innermost. `gathered` is scratch
/// space and may grow.
///
/// # Panics
/// If images or weights are smaller than `conv`, `source` and `target` say.
pub fn convolve(
    conv: &Conv,
    weights: &ConvWeights,
    added: &Added,
    (input, source): (&[f32], &TensorInfo),
    (output, target): (&mut [f32], &TensorInfo),
    gathered: &mut Vec<f32>,
    threads: Threads,
) {
    let channels = target.channels;
    start(weights, added, output, target);
    if conv.phases {
        in_phases(
            conv,
            weights,
            (input, source),
            (output, channels),
            gathered,
            threads,
        );
        return;
    }
    let depth = weights.matrix.len() / channels;
    let matrix = Matrix::rows(&weights.matrix, depth, channels, channels);
    if conv.kernel == 1 && conv.stride == 1 {
        let pixels = Matrix::rows(input, target.height * target.width, depth, depth);
        multiply(output, channels, pixels, matrix, Into::Add, threads);
        return;
    }
    let row = target.width * depth;
    let rows = (GATHERED / row).clamp(1, target.height);
    gathered.resize(rows * row, 0.0);
    for (block, output) in output
        .chunks_mut(rows * target.width * channels)
        .enumerate()
    {
        let pixels = output.len() / channels;
        let gathered = &mut gathered[..pixels * depth];
        threads.chunks(gathered, row, |i, row| {
            let [top, left, ..] = conv.padding;
            gather_row(conv, [top, left], input, source, block * rows + i, row);
        });
        multiply(
            output,
            channels,
            Matrix::rows(gathered, pixels, depth, depth),
            matrix,
            Into::Add,
            threads,
        );
    }
}

/// Adds what each phase makes of the input to its pixels of the output, which has twice the size.
fn in_phases(
    conv: &Conv,
    weights: &ConvWeights,
    (input, source): (&[f32], &TensorInfo),
    (output, channels): (&mut [f32], usize),
    gathered: &mut Vec<f32>,
    threads: Threads,
) {
    let depth = conv.kernel * conv.kernel * source.channels;
    let row = source.width * depth;
    let rows = (GATHERED / row).clamp(1, source.height);
    gathered.resize(rows * row, 0.0);
    let mut made = vec![0.0; rows * source.width * channels];
    let matrices = weights.matrix.chunks_exact(depth * channels);
    for (phase, matrix) in Phase::ALL.into_iter().zip(matrices) {
        let matrix = Matrix::rows(matrix, depth, channels, channels);
        for first in (0..source.height).step_by(rows) {
            let pixels = rows.min(source.height - first) * source.width;
            let gathered = &mut gathered[..pixels * depth];
            threads.chunks(gathered, row, |i, row| {
                gather_row(conv, phase.padding(), input, source, first + i, row);
            });
            let made = &mut made[..pixels * channels];
            multiply(
                made,
                channels,
                Matrix::rows(gathered, pixels, depth, depth),
                matrix,
                Into::Replace,
                threads,
            );
            for (n, made) in made.chunks_exact(channels).enumerate() {
                let at = phase.pixel(first * source.width + n, source.width) * channels;
                let pixel = output[at..at + channels].iter_mut();
                pixel.zip(made).for_each(|(y, x)| *y += x);
            }
        }
    }
}

/// Fills the output with all that is added to the products.
fn start(weights: &ConvWeights, added: &Added, output: &mut [f32], target: &TensorInfo) {
    let channels = target.channels;
    let mut constants = weights.bias.clone();
    for constant in constants.chunks_exact_mut(channels) {
        if let Some(projection) = added.projection {
            let sums = constant.iter_mut().zip(projection);
            sums.for_each(|(c, p)| *c += p);
        }
    }
    let in_phases = constants.len() > channels;
    for (n, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let phase = if in_phases {
            Phase::of(n, target.width)
        } else {
            0
        };
        let constant = &constants[phase * channels..(phase + 1) * channels];
        match added.residual {
            None => pixel.copy_from_slice(constant),
            Some(residual) => {
                let residual = &residual[n * channels..(n + 1) * channels];
                for ((y, r), c) in pixel.iter_mut().zip(residual).zip(constant) {
                    *y = r + c;
                }
            }
        }
    }
}

/// Gathers what one row of output pixels reads: for each, `kernel * kernel` pixels, zeros outside the image.
fn gather_row(
    conv: &Conv,
    [top, left]: [usize; 2],
    input: &[f32],
    source: &TensorInfo,
    y: usize,
    gathered: &mut [f32],
) {
    let (channels, kernel) = (source.channels, conv.kernel);
    for (x, pixel) in gathered
        .chunks_exact_mut(kernel * kernel * channels)
        .enumerate()
    {
        for (ky, taps) in pixel.chunks_exact_mut(kernel * channels).enumerate() {
            let (y, x) = (y * conv.stride + ky, x * conv.stride);
            if y < top || y - top >= source.height {
                taps.fill(0.0);
                continue;
            }
            // columns of the padded image that lie inside the image
            let inside =
                x.clamp(left, left + source.width)..(x + kernel).clamp(left, left + source.width);
            let from = ((y - top) * source.width + inside.start - left) * channels;
            let (before, length) = ((inside.start - x) * channels, inside.len() * channels);
            taps[..before].fill(0.0);
            taps[before..before + length].copy_from_slice(&input[from..from + length]);
            taps[before + length..].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use diffuser_model::graph::TensorKind;

    use super::*;

    fn tensor(height: usize, width: usize, channels: usize) -> TensorInfo {
        TensorInfo {
            name: String::new(),
            kind: TensorKind::Stream,
            channels,
            height,
            width,
        }
    }

    /// Small whole numbers, so that sums are exact in any order.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        let number = |i: usize| ((i * 31 + seed * 17 + i / 7) % 9) as f32 - 4.0;
        (0..count).map(number).collect()
    }

    /// One output value by the definition of a convolution.
    fn value(
        conv: &Conv,
        weight: &[f32],
        inputs: usize,
        image: (&[f32], &TensorInfo),
        at: [usize; 3],
    ) -> f32 {
        let (input, source) = image;
        let [y, x, o] = at;
        let mut sum = 0.0;
        for ky in 0..conv.kernel {
            for kx in 0..conv.kernel {
                let row = (y * conv.stride + ky)
                    .checked_sub(conv.padding[0])
                    .filter(|&r| r < source.height);
                let column = (x * conv.stride + kx)
                    .checked_sub(conv.padding[1])
                    .filter(|&c| c < source.width);
                let (Some(row), Some(column)) = (row, column) else {
                    continue;
                };
                for (i, channel) in conv.input_channels.clone().enumerate() {
                    sum += input[(row * source.width + column) * source.channels + i]
                        * weight[((o * inputs + channel) * conv.kernel + ky) * conv.kernel + kx];
                }
            }
        }
        sum
    }

    #[test]
    fn agrees_with_the_definition() {
        // kernel, stride, padding, height, width, input channels used; the last needs several blocks
        let cases = [
            (3, 1, [1; 4], 5, 7, 0..3),
            (3, 2, [1; 4], 6, 4, 0..2),
            (3, 2, [0, 0, 1, 1], 6, 4, 0..2),
            (3, 1, [1; 4], 1, 1, 0..2),
            (1, 1, [0; 4], 3, 2, 2..5),
            (3, 1, [1; 4], 1, 3, 1..4),
            (3, 2, [0, 0, 1, 1], 2, 2, 0..1),
            (3, 1, [1; 4], 70, 64, 1..15),
        ];
        for (kernel, stride, padding, height, width, used) in cases {
            let (outputs, inputs) = (3, used.end + 1);
            let size =
                |n: usize, before: usize, after: usize| (n + before + after - kernel) / stride + 1;
            let source = tensor(height, width, used.len());
            let target = tensor(
                size(height, padding[0], padding[2]),
                size(width, padding[1], padding[3]),
                outputs,
            );
            let conv = Conv {
                weight: String::new(),
                bias: None,
                input_channels: used,
                output_channels: outputs,
                kernel,
                phases: false,
                stride,
                padding,
                projection: None,
                residual: None,
            };
            let weight = numbers(outputs * inputs * kernel * kernel, 1);
            let input = numbers(source.len(), 2);
            let [bias, projection, residual] =
                [outputs, outputs, target.len()].map(|n| numbers(n, n));
            let weights = ConvWeights::new(&conv, &weight, Some(&bias));
            let added = Added {
                projection: Some(&projection),
                residual: Some(&residual),
            };
            for threads in [1, 2].map(Threads) {
                let mut output = vec![f32::NAN; target.len()];
                let mut scratch = vec![f32::NAN; 5];
                convolve(
                    &conv,
                    &weights,
                    &added,
                    (&input, &source),
                    (&mut output, &target),
                    &mut scratch,
                    threads,
                );
                for (i, y) in output.iter().enumerate() {
                    let (pixel, o) = (i / outputs, i % outputs);
                    let at = [pixel / target.width, pixel % target.width, o];
                    let sum = value(&conv, &weight, inputs, (&input, &source), at);
                    assert_eq!(
                        *y,
                        sum + bias[o] + projection[o] + residual[i],
                        "{conv:?} at {at:?}"
                    );
                }
            }
        }
    }

    /// Rows as a quantised file has them, with a bias for each phase.
    #[test]
    fn rows_and_their_biases_may_be_given_directly() {
        let (height, width, inputs, outputs) = (2, 3, 2, 3);
        let source = tensor(height, width, inputs);
        let target = tensor(2 * height, 2 * width, outputs);
        let conv = Conv {
            weight: String::new(),
            bias: None,
            input_channels: 0..inputs,
            output_channels: outputs,
            kernel: 2,
            phases: true,
            stride: 1,
            padding: [1; 4],
            projection: None,
            residual: None,
        };
        let weight = numbers(outputs * inputs * 9, 1);
        let plain = ConvWeights::new(&conv, &weight, None);
        // rows x taps x inputs of the phases' rows x inputs x taps
        let phases = conv.weight_of(&weight);
        let row = |n: usize| {
            let at = |k: usize| phases[(n * inputs + k % inputs) * 4 + k / inputs];
            (0..4 * inputs).map(at).collect::<Vec<_>>()
        };
        let rows: Vec<f32> = (0..4 * outputs).flat_map(row).collect();
        let biases = numbers(4 * outputs, 3);
        let given = ConvWeights::of_rows(&conv, &rows, biases.clone());
        assert_eq!(given.matrix, plain.matrix);
        let input = numbers(source.len(), 2);
        let run = |weights: &ConvWeights| {
            let mut output = vec![f32::NAN; target.len()];
            let (added, to) = (Added::default(), (&mut output[..], &target));
            let from = (&input[..], &source);
            convolve(&conv, weights, &added, from, to, &mut vec![], Threads(1));
            output
        };
        for (i, (got, without)) in run(&given).into_iter().zip(run(&plain)).enumerate() {
            let (y, x, o) = (
                i / outputs / target.width,
                i / outputs % target.width,
                i % outputs,
            );
            let phase = y % 2 * 2 + x % 2;
            assert_eq!(got, without + biases[phase * outputs + o], "{i}");
        }
    }

    /// Phases are the 3x3 over the upsampled image, to the bit where sums are exact.
    #[test]
    fn phases_are_the_convolution_of_the_upsampled_image() {
        // the last needs several blocks
        for (height, width, used) in [(1, 1, 0..2), (1, 3, 1..3), (4, 5, 0..3), (70, 64, 1..33)] {
            let (outputs, inputs) = (3, used.end + 1);
            let source = tensor(height, width, used.len());
            let [upsampled, target] =
                [used.len(), outputs].map(|channels| tensor(2 * height, 2 * width, channels));
            let phases = Conv {
                weight: String::new(),
                bias: None,
                input_channels: used,
                output_channels: outputs,
                kernel: 2,
                phases: true,
                stride: 1,
                padding: [1; 4],
                projection: None,
                residual: None,
            };
            let whole = Conv {
                kernel: 3,
                phases: false,
                ..phases.clone()
            };
            let weight = numbers(outputs * inputs * 9, 1);
            let input = numbers(source.len(), 2);
            let mut large = vec![0.0; upsampled.len()];
            let nearest = diffuser_model::graph::Resample::Nearest2x;
            crate::norm::resample(nearest, &input, width, source.channels, &mut large);
            let [bias, projection, residual] =
                [outputs, outputs, target.len()].map(|n| numbers(n, n));
            let added = Added {
                projection: Some(&projection),
                residual: Some(&residual),
            };
            for threads in [1, 2].map(Threads) {
                let run = |conv: &Conv, from: (&[f32], &TensorInfo)| {
                    let weights = ConvWeights::new(conv, &weight, Some(&bias));
                    let mut output = vec![f32::NAN; target.len()];
                    let mut scratch = vec![f32::NAN; 5];
                    let to = (&mut output[..], &target);
                    convolve(conv, &weights, &added, from, to, &mut scratch, threads);
                    output
                };
                assert_eq!(
                    run(&phases, (&input, &source)),
                    run(&whole, (&large, &upsampled)),
                    "{height} x {width}"
                );
            }
        }
    }
}
