//! Convolution as an implicit matrix product: no patch is copied, a pixel's 3x3 neighbourhood is
//! three runs of bytes in the padded input.

use std::arch::x86_64::*;

use diffuser_model::quantised::WeightBits;

use super::gemm::{MAX_BLOCKS, MAX_PIXELS, Panel, Runs, Tile, pair_lines, tile, tiles};
use super::lanes::{
    LANES, Line, Multipliers, load_i16_half, load_i32, residual, saturating_add, store_i16,
    store_u8_half, to_operand,
};
use crate::kernels::{ConvJob, ConvOutput, ConvShape, Packed};
use crate::layout::STEP;

/// Weights of one convolution: 32 outputs at a time (the last 16 alone, if so few are left), for
/// each the rows of the kernel, for each the steps of 4 channels, for each a line of 16 outputs or two.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// Those of 4-bit weights two in one, each group of outputs from a new line on.
    lines: Vec<Line>,
    bits: WeightBits,
    /// Sum of each output channel's weights.
    sums: Vec<i32>,
}

#[cfg(test)]
impl Lines {
    /// Bytes of all lines.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }
}

/// Outputs in registers, from `first` on.
fn blocks(outputs: usize, first: usize) -> usize {
    (outputs - first).div_ceil(LANES).min(MAX_BLOCKS)
}

pub(super) fn pack(shape: ConvShape, weights: &[i8], bits: WeightBits) -> Packed {
    let per_output = shape.kernel * shape.kernel * shape.in_channels;
    let pixel = shape.in_channels.next_multiple_of(STEP);
    let steps = shape.kernel * pixel / STEP;
    let mut lines = Vec::new();
    let mut first = 0;
    while first < shape.out_channels {
        let n = blocks(shape.out_channels, first);
        let mut group = vec![Line::ZERO; shape.kernel * steps * n];
        let last = shape.out_channels.min(first + n * LANES);
        for (o, row) in (first..last).zip(weights[first * per_output..].chunks_exact(per_output)) {
            let (block, lane) = ((o - first) / LANES, (o - first) % LANES);
            for (i, &w) in row.iter().enumerate() {
                let (tap, c) = (i / shape.in_channels, i % shape.in_channels);
                // taps of one kernel row follow each other, as pixels do
                let byte = tap * pixel + c;
                let line = byte / STEP * n + block;
                group[line].0[lane * STEP + byte % STEP] = w;
            }
        }
        match bits {
            WeightBits::Eight => lines.append(&mut group),
            WeightBits::Four => lines.extend(pair_lines(&group)),
        }
        first = last;
    }
    let rows = weights.chunks_exact(per_output);
    let sums = rows
        .map(|row| row.iter().map(|&w| i32::from(w)).sum())
        .collect();
    Packed::Lines(Lines { lines, bits, sums })
}

/// Requantisation of 16 outputs.
struct Outputs {
    bias: __m512i,
    multipliers: Multipliers,
}

impl Outputs {
    #[target_feature(enable = "avx512f")]
    fn new(job: &ConvJob<'_>, sums: &[i32], first: usize) -> Self {
        let end = job.shape.out_channels.min(first + LANES);
        // every activation is 128 too large; of two planes the first counts 128 times
        let excess = if job.input.planes == 2 {
            129 * 128
        } else {
            128
        };
        let mut bias = [0; LANES];
        for (b, c) in bias.iter_mut().zip(first..end) {
            *b = job.bias[c].wrapping_sub(sums[c].wrapping_mul(excess));
        }
        Self {
            bias: load_i32(&bias),
            multipliers: Multipliers::new(&job.multiplier[first.min(end)..end]),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn apply(&self, acc: &[i32; LANES]) -> __m512i {
        self.multipliers
            .apply(_mm512_add_epi32(load_i32(acc), self.bias))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn conv(job: ConvJob<'_>, mut output: ConvOutput<'_>) {
    let Packed::Lines(weights) = job.weights else {
        unreachable!("weights are packed by the same kernels");
    };
    let (s, l) = (&job.shape, &job.input.layout);
    let runs = Runs {
        planes: job.input.planes,
        plane: l.plane(),
        runs: s.kernel,
        run: l.row(),
        steps: s.kernel * l.pixel() / STEP,
    };
    let signed = |i: usize, padding: usize| (i * s.stride) as isize - padding as isize;
    let starts: Vec<usize> = (job.rows.clone())
        .flat_map(|y| (0..s.out_width).map(move |x| (y, x)))
        .map(|(y, x)| l.offset(signed(y, s.padding[0]), signed(x, s.padding[1])))
        .collect();
    let mut acc: Tile = [[[0; LANES]; MAX_BLOCKS]; MAX_PIXELS];
    let (mut first, mut lines) = (0, &weights.lines[..]);
    while first < s.out_channels {
        let n = blocks(s.out_channels, first);
        let end = s.out_channels.min(first + n * LANES);
        let own: [Outputs; MAX_BLOCKS] = [
            Outputs::new(&job, &weights.sums, first),
            Outputs::new(&job, &weights.sums, (first + LANES).min(s.out_channels)),
        ];
        for pixels in tiles(starts.len()) {
            tile(
                job.input.bytes,
                &starts[pixels.clone()],
                runs,
                Panel {
                    lines,
                    bits: weights.bits,
                    blocks: n,
                },
                &mut acc,
            );
            for (p, acc) in pixels.zip(&acc) {
                for (b, outputs) in own.iter().enumerate().take(n) {
                    let c = first + b * LANES..end.min(first + (b + 1) * LANES);
                    let y = outputs.apply(&acc[b]);
                    store(&mut output, s, p, c, y);
                }
            }
        }
        lines = &lines[runs.stored(n, weights.bits)..];
        first = end;
    }
}

/// Store 16 outputs of the `p`-th pixel as channels `c`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store(
    output: &mut ConvOutput<'_>,
    s: &ConvShape,
    p: usize,
    c: std::ops::Range<usize>,
    y: __m512i,
) {
    match output {
        ConvOutput::Stream { out, residual: r } => {
            let pixel = s.place(p) * s.out_channels;
            let at = pixel + c.start..pixel + c.end;
            let y = match r {
                Some(r) => {
                    let x = load_i16_half(&r.values[at.clone()]);
                    saturating_add(y, residual(x, r.shift))
                }
                None => y,
            };
            store_i16(&mut out[at], _mm512_cvtsepi32_epi16(y));
        }
        ConvOutput::Operand(out) => {
            let pixel = out.pixel(p / s.out_width, p % s.out_width);
            store_u8_half(&mut pixel[c], to_operand(y));
        }
    }
}
