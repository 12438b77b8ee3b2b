//! Fast Rust without machine-specific code: dot products of 16-bit words, which compilers turn into
//! multiply-add instructions on every machine, and loops over channels for the rest.

use diffuser_spec::conv::{requantise, residual, to_stream};
use diffuser_spec::norm::Sums;
use diffuser_spec::softmax::{row_reciprocal, weight, weighted_mean};
use diffuser_spec::{operand, saturate_operand, silu::silu};

use super::{AttentionJob, ConvJob, ConvOutput, ConvShape, Kernels, NormaliseJob, Packed};
use crate::layout::{Operand, OperandRows, STEP};

pub(crate) struct Portable;

/// Channels whose sums are held at a time.
const LANES: usize = 16;

/// Output channels that share the reading of one input row.
const OUTPUTS: usize = 4;

/// Dot products of one input with some weights.
///
/// 32-bit sums modulo `2^32`: exact, because the whole sum fits.
#[inline(always)]
fn dots<const N: usize>(x: &[i16], w: [&[i16]; N]) -> [i32; N] {
    w.map(|w| {
        x.iter().zip(w).fold(0i32, |sum, (&x, &w)| {
            sum.wrapping_add(i32::from(x) * i32::from(w))
        })
    })
}

/// Both planes as one value: `128 * high + low` fits 15 bits, and a product with a weight 22.
fn word(input: &Operand<'_>, at: usize) -> i16 {
    let code = |at: usize| i16::from((input.bytes[at] ^ input.flip) as i8);
    if input.planes == 2 {
        128 * code(at) + code(at + input.layout.plane())
    } else {
        code(at)
    }
}

/// Padded input rows `first..first + rows` of a convolution, counted from its own padding, widened.
fn words(job: &ConvJob<'_>, first: usize, rows: usize) -> (Vec<i16>, usize) {
    let (l, s) = (&job.input.layout, &job.shape);
    let columns = (s.out_width - 1) * s.stride + s.kernel;
    let row = columns * l.pixel();
    let mut out = Vec::with_capacity(rows * row);
    for y in first..first + rows {
        let y = y as isize - s.padding[0] as isize;
        let start = l.offset(y, -(s.padding[1] as isize));
        out.extend((start..start + row).map(|at| word(&job.input, at)));
    }
    (out, row)
}

/// Requantise and store `acc` as output channels from `c` on.
#[inline(always)]
fn store(
    job: &ConvJob<'_>,
    output: &mut ConvOutput<'_>,
    row: usize,
    x: usize,
    c: usize,
    acc: &[i32],
) {
    let s = &job.shape;
    let (bias, multiplier) = (&job.bias[c..], &job.multiplier[c..]);
    match output {
        ConvOutput::Stream { out, residual: r } => {
            let first = (row * s.out_width + x) * s.out_channels + c;
            for (i, o) in out[first..first + acc.len()].iter_mut().enumerate() {
                let r = r.map_or(0, |r| residual(r.values[first + i], r.shift));
                *o = to_stream(requantise(acc[i], bias[i], multiplier[i]), r);
            }
        }
        ConvOutput::Operand(out) => {
            let flip = out.flip;
            for (i, o) in out.pixel(row, x)[c..c + acc.len()].iter_mut().enumerate() {
                let y = requantise(acc[i], bias[i], multiplier[i]);
                *o = saturate_operand(y) as u8 ^ flip;
            }
        }
    }
}

impl Kernels for Portable {
    fn flip(&self) -> u8 {
        0
    }

    fn pack(&self, shape: ConvShape, weights: &[i8]) -> Packed {
        let spare = shape.in_channels.next_multiple_of(STEP) - shape.in_channels;
        let mut words = Vec::new();
        for pixel in weights.chunks_exact(shape.in_channels) {
            words.extend(pixel.iter().map(|&w| i16::from(w)));
            words.resize(words.len() + spare, 0);
        }
        Packed::Words(words)
    }

    fn conv(&self, job: ConvJob<'_>, mut output: ConvOutput<'_>) {
        let Packed::Words(weights) = job.weights else {
            unreachable!("weights are packed by the same kernels");
        };
        let s = &job.shape;
        let run = s.kernel * job.input.layout.pixel();
        let per_output = s.kernel * run;
        for (row, y) in job.rows.clone().enumerate() {
            let (input, stride) = words(&job, y * s.stride, s.kernel);
            let mut c = 0;
            for weights in weights.chunks(OUTPUTS * per_output) {
                let n = weights.len() / per_output;
                for x in 0..s.out_width {
                    let start = x * s.stride * job.input.layout.pixel();
                    let mut acc = [0i32; OUTPUTS];
                    for ky in 0..s.kernel {
                        let x = &input[ky * stride + start..][..run];
                        let w = |i: usize| &weights[i * per_output + ky * run..][..run];
                        if n == OUTPUTS {
                            let sums = dots(x, [w(0), w(1), w(2), w(3)]);
                            (acc.iter_mut().zip(sums)).for_each(|(a, s)| *a = a.wrapping_add(s));
                        } else {
                            for (i, a) in acc[..n].iter_mut().enumerate() {
                                *a = a.wrapping_add(dots(x, [w(i)])[0]);
                            }
                        }
                    }
                    store(&job, &mut output, row, x, c, &acc[..n]);
                }
                c += n;
            }
        }
    }

    fn sums(&self, x: &[i16], sums: &mut [Sums]) {
        channel_sums(x, sums);
    }

    fn normalise(&self, job: NormaliseJob<'_>, mut out: OperandRows<'_>) {
        let flip = out.flip;
        for (i, pixel) in job.x.chunks_exact(job.maps.len()).enumerate() {
            let bytes = out.pixel(i / job.width, i % job.width);
            for ((b, &v), map) in bytes.iter_mut().zip(pixel).zip(job.maps) {
                // 2^30 + 2^29 + 2^21: 32 bits are enough, see `Affine`
                let round = (1 << map.shift) >> 1;
                let u = (i32::from(v) * i32::from(map.a) + map.b + round) >> map.shift;
                let u = diffuser_spec::saturate_i16(u);
                let u = if job.silu { silu(u) } else { u };
                *b = operand::quantise(u, job.gain, job.zero_point) as u8 ^ flip;
            }
        }
    }

    fn attention(&self, job: AttentionJob<'_>, mut out: OperandRows<'_>) {
        let layout = job.q.layout;
        let positions = layout.height * layout.width;
        let (head, flip) = (layout.channels / job.heads, out.flip);
        let widened =
            |x: &Operand<'_>| -> Vec<i16> { x.dense(0).into_iter().map(i16::from).collect() };
        let [q, k, v] = [&job.q, &job.k, &job.v].map(widened);
        let of = |x: &'_ [i16], p: usize, first: usize| -> [usize; 2] {
            debug_assert!(x.len() == positions * layout.channels);
            let start = p * layout.channels + first;
            [start, start + head]
        };
        let mut columns = vec![0i16; head * positions];
        let mut logits = vec![0i32; positions];
        let mut e = vec![0i16; positions];
        for first in (0..layout.channels).step_by(head) {
            for (c, column) in columns.chunks_exact_mut(positions).enumerate() {
                for (p, o) in column.iter_mut().enumerate() {
                    *o = v[p * layout.channels + first + c];
                }
            }
            for (row, y) in job.rows.clone().enumerate() {
                for x in 0..layout.width {
                    let [a, b] = of(&q, y * layout.width + x, first);
                    for (p, l) in logits.iter_mut().enumerate() {
                        let [c, d] = of(&k, p, first);
                        *l = dots(&q[a..b], [&k[c..d]])[0];
                    }
                    let max = logits.iter().copied().max().unwrap_or(0);
                    for (e, &l) in e.iter_mut().zip(&logits) {
                        *e = weight(max.abs_diff(l), job.step.to_log2).into();
                    }
                    let sum: i32 = e.iter().map(|&e| i32::from(e)).sum();
                    let reciprocal = row_reciprocal(sum as u32);
                    let pixel = &mut out.pixel(row, x)[first..first + head];
                    for (b, column) in pixel.iter_mut().zip(columns.chunks_exact(positions)) {
                        let mean = weighted_mean(dots(&e, [column])[0], reciprocal);
                        *b = operand::quantise(mean, job.step.gain, 0) as u8 ^ flip;
                    }
                }
            }
        }
    }
}

/// Exact sums a channel, some channels at a time so that the sums stay in registers.
#[inline(always)]
pub(super) fn channel_sums(x: &[i16], sums: &mut [Sums]) {
    let channels = sums.len();
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        let mut sum = [0i64; LANES];
        let mut sum_sq = [0u64; LANES];
        if sums.len() == LANES {
            for pixel in x.chunks_exact(channels) {
                let pixel = &pixel[block * LANES..][..LANES];
                for c in 0..LANES {
                    let v = i32::from(pixel[c]);
                    sum[c] += i64::from(v);
                    // at most 2^30
                    sum_sq[c] += u64::from((v * v) as u32);
                }
            }
        } else {
            for pixel in x.chunks_exact(channels) {
                for (c, &v) in pixel[block * LANES..].iter().enumerate() {
                    let v = i32::from(v);
                    sum[c] += i64::from(v);
                    sum_sq[c] += u64::from((v * v) as u32);
                }
            }
        }
        for (c, s) in sums.iter_mut().enumerate() {
            *s = s.plus(Sums {
                sum: sum[c],
                sum_sq: sum_sq[c],
            });
        }
    }
}
