//! The oracle: `diffuser_spec` in plain loops. Written to be read; reads no border and no spare bytes.

use diffuser_model::quantised::WeightBits;
use diffuser_spec::conv::{combine_planes, requantise, residual, to_stream};
use diffuser_spec::norm::Sums;
use diffuser_spec::softmax::{row_reciprocal, weight, weighted_mean};
use diffuser_spec::{operand, saturate_operand, silu::silu, weight4};

use super::{AttentionJob, ConvJob, ConvOutput, ConvShape, Kernels, NormaliseJob, Packed};
use crate::layout::OperandRows;

pub(crate) struct Scalar;

/// The weight of one input channel at one tap, counted over all outputs.
fn weight_at(job: &ConvJob<'_>, tap: usize, channel: usize) -> i8 {
    let channels = job.shape.in_channels;
    match job.weights {
        Packed::Plain(weights) => weights[tap * channels + channel],
        Packed::PlainPairs(bytes) => {
            let byte = bytes[tap * channels.div_ceil(2) + channel / 2];
            weight4::unpack(byte)[channel % 2]
        }
        _ => unreachable!("weights are packed by the same kernels"),
    }
}

/// Exact sum of products for one output value and one plane.
fn accumulate(job: &ConvJob<'_>, output: usize, plane: usize, y: usize, x: usize) -> i32 {
    let s = &job.shape;
    let mut acc = 0i32;
    for ky in 0..s.kernel {
        for kx in 0..s.kernel {
            let iy = (y * s.stride + ky) as isize - s.padding[0] as isize;
            let ix = (x * s.stride + kx) as isize - s.padding[1] as isize;
            let tap = (output * s.kernel + ky) * s.kernel + kx;
            for c in 0..s.in_channels {
                let w = weight_at(job, tap, c);
                acc += i32::from(job.input.at(plane, iy, ix, c)) * i32::from(w);
            }
        }
    }
    acc
}

impl Kernels for Scalar {
    fn flip(&self) -> u8 {
        0
    }

    fn pack(&self, shape: ConvShape, weights: &[i8], bits: WeightBits) -> Packed {
        let pair = |w: &[i8]| weight4::pack(w[0], w.get(1).copied().unwrap_or(0));
        match bits {
            WeightBits::Eight => Packed::Plain(weights.to_vec()),
            WeightBits::Four => Packed::PlainPairs(
                weights
                    .chunks_exact(shape.in_channels)
                    .flat_map(|row| row.chunks(2).map(pair))
                    .collect(),
            ),
        }
    }

    fn conv(&self, job: ConvJob<'_>, mut output: ConvOutput<'_>) {
        let s = &job.shape;
        for (row, y) in job.rows.clone().enumerate() {
            for x in 0..s.out_width {
                for c in 0..s.out_channels {
                    let mut acc = accumulate(&job, c, 0, y, x);
                    if job.input.planes == 2 {
                        acc = combine_planes(acc, accumulate(&job, c, 1, y, x));
                    }
                    let value = requantise(acc, job.bias[c], job.multiplier[c]);
                    match &mut output {
                        ConvOutput::Stream { out, residual: r } => {
                            let i = s.place(row * s.out_width + x) * s.out_channels + c;
                            out[i] =
                                to_stream(value, r.map_or(0, |r| residual(r.values[i], r.shift)));
                        }
                        ConvOutput::Operand(out) => {
                            let flip = out.flip;
                            out.pixel(row, x)[c] = saturate_operand(value) as u8 ^ flip;
                        }
                    }
                }
            }
        }
    }

    fn sums(&self, x: &[i16], sums: &mut [Sums]) {
        for pixel in x.chunks_exact(sums.len()) {
            for (s, &v) in sums.iter_mut().zip(pixel) {
                let v = i64::from(v);
                *s = s.plus(Sums {
                    sum: v,
                    sum_sq: (v * v) as u64,
                });
            }
        }
    }

    fn normalise(&self, job: NormaliseJob<'_>, mut out: OperandRows<'_>) {
        let flip = out.flip;
        for (i, pixel) in job.x.chunks_exact(job.maps.len()).enumerate() {
            let bytes = out.pixel(i / job.width, i % job.width);
            for ((b, &v), map) in bytes.iter_mut().zip(pixel).zip(job.maps) {
                let u = map.apply(v);
                let u = if job.silu { silu(u) } else { u };
                *b = operand::quantise(u, job.gain, job.zero_point) as u8 ^ flip;
            }
        }
    }

    fn attention(&self, job: AttentionJob<'_>, mut out: OperandRows<'_>) {
        let [q, k, v] = [&job.q, &job.k, &job.v];
        let (width, channels) = (q.layout.width as isize, q.layout.channels);
        let positions = q.layout.height as isize * width;
        let (head, flip) = (channels / job.heads, out.flip);
        for (row, y) in job.rows.clone().enumerate() {
            for x in 0..width {
                for first in (0..channels).step_by(head) {
                    let logits: Vec<i32> = (0..positions)
                        .map(|p| {
                            (first..first + head)
                                .map(|c| {
                                    i32::from(q.at(0, y as isize, x, c))
                                        * i32::from(k.at(0, p / width, p % width, c))
                                })
                                .sum()
                        })
                        .collect();
                    let max = logits.iter().copied().max().unwrap_or(0);
                    let e: Vec<i32> = logits
                        .iter()
                        .map(|&l| weight(max.abs_diff(l), job.step.to_log2).into())
                        .collect();
                    let reciprocal = row_reciprocal(e.iter().sum::<i32>() as u32);
                    for c in first..first + head {
                        let acc = (0..positions)
                            .map(|p| e[p as usize] * i32::from(v.at(0, p / width, p % width, c)))
                            .sum();
                        let mean = weighted_mean(acc, reciprocal);
                        let code = operand::quantise(mean, job.step.gain, 0);
                        out.pixel(row, x as usize)[c] = code as u8 ^ flip;
                    }
                }
            }
        }
    }
}
