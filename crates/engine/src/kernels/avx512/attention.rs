//! Attention: logits and weighted sums by the same kernel as convolution, softmax in between.

use std::arch::x86_64::*;

use diffuser_spec::OPERAND_MAX;
use diffuser_spec::softmax::row_reciprocal;
use diffuser_spec::tables::EXP2;

use super::FLIP;
use super::gemm::{MAX_BLOCKS, MAX_PIXELS, Panel, Runs, Tile, tile, tiles};
use super::lanes::{
    LANES, Line, Multipliers, first, load_i16, load_i32, store_u8_half, weighted_mean,
};
use crate::kernels::AttentionJob;
use crate::layout::{Operand, OperandRows, STEP};

/// Outputs of one tile: keys of the first product, channels of the second.
const BLOCK: usize = MAX_BLOCKS * LANES;

/// Where `outputs` rows of `inputs` columns lie in lines, 32 rows at a time.
#[derive(Clone, Copy)]
struct Matrix {
    outputs: usize,
    steps: usize,
}

impl Matrix {
    const fn new(outputs: usize, inputs: usize) -> Self {
        let steps = inputs.div_ceil(STEP);
        Self { outputs, steps }
    }

    fn zeros(self) -> Vec<Line> {
        vec![Line::ZERO; self.outputs.div_ceil(BLOCK) * self.steps * MAX_BLOCKS]
    }

    /// The line of 16 outputs around `output`.
    const fn line(self, output: usize, step: usize) -> usize {
        (output / BLOCK * self.steps + step) * MAX_BLOCKS + output % BLOCK / LANES
    }
}

/// Bytes of one head at each position in turn.
fn positions<'a>(x: &Operand<'a>, channel: usize, head: usize) -> impl Iterator<Item = &'a [u8]> {
    let (l, bytes) = (x.layout, x.bytes);
    (0..l.height).flat_map(move |y| {
        let row = l.offset(y as isize, 0) + channel;
        (0..l.width).map(move |x| &bytes[row + x * l.pixel()..][..head])
    })
}

/// Keys as rows, and 128 times the sum of each: what queries that are 128 too large add.
fn pack_keys(
    k: &Operand<'_>,
    matrix: Matrix,
    channel: usize,
    head: usize,
) -> (Vec<Line>, Vec<i32>) {
    let mut lines = matrix.zeros();
    let mut excess = vec![0; matrix.outputs.next_multiple_of(BLOCK)];
    for (p, key) in positions(k, channel, head).enumerate() {
        for (step, four) in key.chunks(STEP).enumerate() {
            let line = &mut lines[matrix.line(p, step)].0[p % LANES * STEP..];
            for (to, &b) in line.iter_mut().zip(four) {
                *to = (b ^ FLIP) as i8;
            }
        }
        excess[p] = key.iter().map(|&b| 128 * i32::from((b ^ FLIP) as i8)).sum();
    }
    (lines, excess)
}

/// Values as columns: each channel is an output, each position an input.
fn pack_values(v: &Operand<'_>, matrix: Matrix, channel: usize, head: usize) -> Vec<Line> {
    let mut lines = matrix.zeros();
    for (p, value) in positions(v, channel, head).enumerate() {
        for (block, part) in value.chunks(LANES).enumerate() {
            let line = &mut lines[matrix.line(block * LANES, p / STEP)].0;
            for (to, &b) in line[p % STEP..].iter_mut().step_by(STEP).zip(part) {
                *to = (b ^ FLIP) as i8;
            }
        }
    }
    lines
}

/// The table of [`diffuser_spec::softmax::weight`], 256 words in eight registers.
struct Exp2([__m512i; 8]);

impl Exp2 {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new() -> Self {
        // entries are at most 127 * 256: no sign to lose
        let table = EXP2.map(|v| v as i16);
        let mut registers = [_mm512_setzero_si512(); 8];
        for (r, part) in registers.iter_mut().zip(table.chunks_exact(32)) {
            *r = load_i16(part);
        }
        Self(registers)
    }

    /// Weights of 32 distances in `2^-8` of a power of two, at most 2048.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn weights(&self, d: __m512i) -> __m256i {
        let t = &self.0;
        // six bits choose in a pair of registers, two more the pair
        let pair = |i: usize| _mm512_permutex2var_epi16(t[2 * i], d, t[2 * i + 1]);
        let bit6 = _mm512_test_epi16_mask(d, _mm512_set1_epi16(1 << 6));
        let bit7 = _mm512_test_epi16_mask(d, _mm512_set1_epi16(1 << 7));
        let lower = _mm512_mask_blend_epi16(bit6, pair(0), pair(1));
        let upper = _mm512_mask_blend_epi16(bit6, pair(2), pair(3));
        let table = _mm512_mask_blend_epi16(bit7, lower, upper);
        // rounded shift by whole + 8; at whole = 8 the sum is 65,280 and the shift 16: zero
        let whole = _mm512_srli_epi16::<8>(d);
        let shift = _mm512_add_epi16(whole, _mm512_set1_epi16(8));
        let round = _mm512_sllv_epi16(_mm512_set1_epi16(128), whole);
        let e = _mm512_srlv_epi16(_mm512_add_epi16(table, round), shift);
        _mm512_cvtepi16_epi8(e)
    }
}

/// Softmax weights of one row of logits; the result is their sum. Logits beyond `e` are padding.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn softmax(logits: &[i32], to_log2: &Multipliers, exp2: &Exp2, keys: usize, e: &mut [u8]) -> u32 {
    let row = logits.as_chunks::<LANES>().0;
    let lowest = _mm512_set1_epi32(i32::MIN);
    let valid = |at: usize| first(keys.saturating_sub(at)) as u16;
    let mut max = lowest;
    for (i, part) in row.iter().enumerate() {
        max = _mm512_mask_max_epi32(max, valid(i * LANES), max, load_i32(part));
    }
    let max = _mm512_set1_epi32(_mm512_reduce_max_epi32(max));
    let limit = _mm512_set1_epi32(2048);
    let mut sum = _mm512_setzero_si512();
    for ((i, part), e) in row.iter().enumerate().zip(e.as_chunks_mut::<LANES>().0) {
        // under 2^31 for as many channels as an attention may have
        let below = _mm512_maskz_sub_epi32(valid(i * LANES), max, load_i32(part));
        let d = _mm512_min_epi32(to_log2.apply(below), limit);
        let d = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(d));
        let weights = _mm256_castsi256_si128(exp2.weights(d));
        let weights = _mm_maskz_mov_epi8(valid(i * LANES), weights);
        sum = _mm512_add_epi32(sum, _mm512_cvtepu8_epi32(weights));
        store_u8_half(e, weights);
    }
    _mm512_reduce_add_epi32(sum) as u32
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn attention(job: AttentionJob<'_>, mut out: OperandRows<'_>) {
    let l = job.q.layout;
    let (keys, head) = (l.height * l.width, l.channels / job.heads);
    let to_log2 = Multipliers::new(&[job.step.to_log2; LANES]);
    let exp2 = Exp2::new();
    let queries: Vec<(usize, usize)> = (job.rows.clone())
        .flat_map(|y| (0..l.width).map(move |x| (y, x)))
        .collect();
    let padded = keys.next_multiple_of(BLOCK);
    let mut logits = vec![0; MAX_PIXELS * padded];
    let mut e = vec![0; MAX_PIXELS * padded];
    let e_starts: [usize; MAX_PIXELS] = std::array::from_fn(|p| p * padded);
    let single = |steps: usize| Runs {
        planes: 1,
        plane: 0,
        runs: 1,
        run: 0,
        steps,
    };
    let (key_matrix, value_matrix) = (Matrix::new(keys, head), Matrix::new(head, keys));
    let (logit_runs, mean_runs) = (single(key_matrix.steps), single(value_matrix.steps));
    let mut acc: Tile = [[[0; LANES]; MAX_BLOCKS]; MAX_PIXELS];

    for channel in (0..l.channels).step_by(head) {
        // what a query reads beyond its head meets zeros
        let (key_lines, excess) = pack_keys(&job.k, key_matrix, channel, head);
        let value_lines = pack_values(&job.v, value_matrix, channel, head);
        for range in tiles(queries.len()) {
            let queries = &queries[range.clone()];
            let mut starts = [0; MAX_PIXELS];
            for (s, &(y, x)) in starts.iter_mut().zip(queries) {
                *s = l.offset(y as isize, x as isize) + channel;
            }
            let starts = &starts[..queries.len()];
            for (b, lines) in key_lines
                .chunks(logit_runs.lines() * MAX_BLOCKS)
                .enumerate()
            {
                tile(
                    job.q.bytes,
                    starts,
                    logit_runs,
                    Panel::whole(lines, MAX_BLOCKS),
                    &mut acc,
                );
                let excess = &excess[b * BLOCK..][..BLOCK];
                for (row, acc) in logits
                    .chunks_exact_mut(padded)
                    .zip(&acc)
                    .take(queries.len())
                {
                    let sums = acc.as_flattened().iter().zip(excess);
                    for (o, (&a, &e)) in row[b * BLOCK..][..BLOCK].iter_mut().zip(sums) {
                        *o = a.wrapping_sub(e);
                    }
                }
            }
            let mut reciprocals = [row_reciprocal(1); MAX_PIXELS];
            let rows = logits.chunks_exact(padded).zip(e.chunks_exact_mut(padded));
            for ((logits, e), r) in rows.zip(&mut reciprocals).take(queries.len()) {
                *r = row_reciprocal(softmax(logits, &to_log2, &exp2, keys, e));
            }
            let parts = value_lines.chunks(mean_runs.lines() * MAX_BLOCKS);
            for (b, lines) in parts.enumerate() {
                tile(
                    &e,
                    &e_starts[..queries.len()],
                    mean_runs,
                    Panel::whole(lines, MAX_BLOCKS),
                    &mut acc,
                );
                for (((y, x), acc), &r) in queries.iter().zip(&acc).zip(&reciprocals) {
                    let pixel = &mut out.pixel(y - job.rows.start, *x)[channel..channel + head];
                    for (acc, out) in acc.iter().zip(pixel[b * BLOCK..].chunks_mut(LANES)) {
                        let mean = weighted_mean(load_i32(acc), r);
                        store_u8_half(out, quantise(mean, job.step.gain));
                    }
                }
            }
        }
    }
}

/// [`diffuser_spec::operand::quantise`] of 16 words with zero point 0, then flipped.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn quantise(x: __m256i, gain: i16) -> __m128i {
    let limit = OPERAND_MAX as i16;
    let y = _mm256_mulhrs_epi16(x, _mm256_set1_epi16(gain));
    let y = _mm256_min_epi16(y, _mm256_set1_epi16(limit));
    let y = _mm256_max_epi16(y, _mm256_set1_epi16(-limit));
    _mm_xor_si128(_mm256_cvtepi16_epi8(y), _mm_set1_epi8(FLIP as i8))
}
