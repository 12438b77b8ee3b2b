//! Fast Rust without machine-specific code: products of 16-bit words, which compilers turn into
//! multiply-add instructions on every machine, and loops over channels for the rest.
//!
//! On x86-64 the same code is compiled once more for AVX2, with the innermost loop written out, and
//! that is used where the CPU has it.

use diffuser_model::quantised::WeightBits;
use diffuser_spec::conv::{requantise, residual, to_stream};
use diffuser_spec::norm::Sums;
use diffuser_spec::softmax::{row_reciprocal, weight, weighted_mean};
use diffuser_spec::{operand, saturate_i16, saturate_operand, silu::silu, weight4};

use super::{AttentionJob, ConvJob, ConvOutput, ConvShape, Kernels, NormaliseJob, Packed};
use crate::layout::{Operand, OperandRows, STEP};

/// The plain code, or the same with AVX2.
pub(crate) struct Portable {
    /// Never true where the CPU lacks it.
    #[cfg(target_arch = "x86_64")]
    avx2: bool,
}

impl Portable {
    pub fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: is_x86_feature_detected!("avx2"),
        }
    }

    /// Without AVX2, to test what machines without it run.
    #[cfg(test)]
    pub fn baseline() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: false,
        }
    }
}

/// Rows of 4-bit weights. 32 weights share 16 bytes, the first 16 in the low halves, so that unpacking
/// reads and writes whole registers; rows are padded to whole such chunks.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    bytes: Vec<u8>,
    /// Bytes of one row.
    row: usize,
}

/// Bytes of a chunk of [`Pairs`].
const CHUNK: usize = 16;

impl Pairs {
    /// Of rows of `k` words, `-8..=7`.
    fn new(words: &[i16], k: usize) -> Self {
        let row = k.div_ceil(2 * CHUNK) * CHUNK;
        let mut bytes = Vec::with_capacity(words.len() / k * row);
        for words in words.chunks_exact(k) {
            for chunk in words.chunks(2 * CHUNK) {
                let at = |i: usize| chunk.get(i).map_or(0, |&w| w as i8);
                bytes.extend((0..CHUNK).map(|i| weight4::pack(at(i), at(i + CHUNK))));
            }
        }
        Self { bytes, row }
    }

    /// Bytes of all rows.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Row `i` into `out`, as long as its padded row.
    #[inline(always)]
    fn unpack(&self, i: usize, out: &mut [i16]) {
        let bytes = self.bytes[i * self.row..][..self.row]
            .as_chunks::<CHUNK>()
            .0;
        for (words, bytes) in out.as_chunks_mut::<{ 2 * CHUNK }>().0.iter_mut().zip(bytes) {
            for (i, &b) in bytes.iter().enumerate() {
                let [low, high] = weight4::unpack(b);
                (words[i], words[i + CHUNK]) = (low.into(), high.into());
            }
        }
    }
}

/// Right matrix of a product, rows of one length.
#[derive(Clone, Copy)]
enum Right<'a> {
    Words(&'a [i16]),
    /// Unpacked two rows at a time, once for all rows of the left matrix.
    Pairs(&'a Pairs),
}

impl Right<'_> {
    fn rows(&self, k: usize) -> usize {
        match self {
            Self::Words(words) => words.len() / k,
            Self::Pairs(pairs) => pairs.bytes.len() / pairs.row,
        }
    }
}

/// Channels whose sums are held at a time.
const LANES: usize = 16;

/// Rows of the left matrix that are multiplied with one pass over the right one.
const GROUP: usize = 8;

/// The same where the right one has to be unpacked in each pass.
const PAIRS_GROUP: usize = 32;

/// Rows of the left and of the right matrix whose products are summed at once: eight sums and the
/// six words that they need fit the 16 registers that most machines have.
const BLOCK: (usize, usize) = (4, 2);

/// Rows of either matrix, all of one length.
type Rows<'a, const N: usize> = [&'a [i16]; N];

/// Products of each left with each right row.
type Sums32 = [[i32; BLOCK.1]; BLOCK.0];

/// Sums are modulo `2^32`: exact, because the whole sum of a convolution or attention fits.
#[inline(always)]
fn block(left: Rows<'_, { BLOCK.0 }>, right: Rows<'_, { BLOCK.1 }>) -> Sums32 {
    let k = left[0].len();
    let (left, right) = (left.map(|r| &r[..k]), right.map(|r| &r[..k]));
    let mut acc = Sums32::default();
    for t in 0..k {
        for p in 0..BLOCK.0 {
            for o in 0..BLOCK.1 {
                let product = i32::from(left[p][t]) * i32::from(right[o][t]);
                acc[p][o] = acc[p][o].wrapping_add(product);
            }
        }
    }
    acc
}

/// Calls `sink(i, j, sum)` with the product of each row of `x` with each row of `w`, rows of length `k`.
#[inline(always)]
fn products(
    x: &[i16],
    w: Right<'_>,
    k: usize,
    block: impl Fn(Rows<'_, { BLOCK.0 }>, Rows<'_, { BLOCK.1 }>) -> Sums32,
    mut sink: impl FnMut(usize, usize, i32),
) {
    let (rows, columns) = (x.len() / k, w.rows(k));
    let padded = match w {
        Right::Words(_) => 0,
        Right::Pairs(pairs) => 2 * pairs.row,
    };
    let mut unpacked = vec![0i16; BLOCK.1 * padded];
    for j in (0..columns).step_by(BLOCK.1) {
        let column = |o: usize| (j + o).min(columns - 1);
        if let Right::Pairs(pairs) = w {
            for (o, row) in unpacked.chunks_exact_mut(padded).enumerate() {
                pairs.unpack(column(o), row);
            }
        }
        let right = std::array::from_fn(|o| match w {
            Right::Words(words) => &words[column(o) * k..][..k],
            Right::Pairs(_) => &unpacked[o * padded..][..k],
        });
        for i in (0..rows).step_by(BLOCK.0) {
            // at an edge the last row is taken again, and its sums are dropped
            let left = std::array::from_fn(|p| &x[(i + p).min(rows - 1) * k..][..k]);
            let acc = block(left, right);
            for (p, acc) in acc.iter().enumerate().take(rows - i) {
                for (o, &acc) in acc.iter().enumerate().take(columns - j) {
                    sink(i + p, j + o, acc);
                }
            }
        }
    }
}

/// Widen a run of an operand; of two planes the value, `128 * high + low`, which fits 15 bits.
#[inline(always)]
fn widen(input: &Operand<'_>, at: usize, out: &mut [i16]) {
    let plane = |p: usize| &input.bytes[at + p * input.layout.plane()..][..out.len()];
    let word = |b: u8| i16::from((b ^ input.flip) as i8);
    if input.planes == 2 {
        let (high, low) = (plane(0), plane(1));
        for ((o, &h), &l) in out.iter_mut().zip(high).zip(low) {
            *o = 128 * word(h) + word(l);
        }
    } else {
        let bytes = plane(0);
        out.iter_mut().zip(bytes).for_each(|(o, &b)| *o = word(b));
    }
}

#[inline(always)]
fn conv(
    job: ConvJob<'_>,
    mut output: ConvOutput<'_>,
    block: impl Fn(Rows<'_, { BLOCK.0 }>, Rows<'_, { BLOCK.1 }>) -> Sums32,
) {
    let (weights, group) = match job.weights {
        Packed::Words(words) => (Right::Words(words), GROUP),
        Packed::Pairs(pairs) => (Right::Pairs(pairs), PAIRS_GROUP),
        _ => unreachable!("weights are packed by the same kernels"),
    };
    let (s, l) = (&job.shape, &job.input.layout);
    let run = s.kernel * l.pixel();
    let k = s.kernel * run;
    let start = |i: usize, padding: usize| (i * s.stride) as isize - padding as isize;
    let pixels = job.rows.len() * s.out_width;
    let mut patches = vec![0i16; group.min(pixels) * k];
    let mut places = vec![0; group.min(pixels)];
    for first in (0..pixels).step_by(group) {
        let n = group.min(pixels - first);
        let targets = places.iter_mut().zip(patches.chunks_exact_mut(k));
        for (p, (place, patch)) in (first..first + n).zip(targets) {
            *place = s.place(p);
            let (y, x) = (job.rows.start + p / s.out_width, p % s.out_width);
            let at = l.offset(start(y, s.padding[0]), start(x, s.padding[1]));
            for (ky, out) in patch.chunks_exact_mut(run).enumerate() {
                widen(&job.input, at + ky * l.row(), out);
            }
        }
        products(&patches[..n * k], weights, k, &block, |p, c, acc| {
            let y = requantise(acc, job.bias[c], job.multiplier[c]);
            match &mut output {
                ConvOutput::Stream { out, residual: r } => {
                    let i = places[p] * s.out_channels + c;
                    out[i] = to_stream(y, r.map_or(0, |r| residual(r.values[i], r.shift)));
                }
                ConvOutput::Operand(out) => {
                    let (flip, p) = (out.flip, first + p);
                    let pixel = out.pixel(p / s.out_width, p % s.out_width);
                    pixel[c] = saturate_operand(y) as u8 ^ flip;
                }
            }
        });
    }
}

/// Exact sums a channel, some channels at a time so that the sums stay in registers.
#[inline(always)]
fn sums(x: &[i16], sums: &mut [Sums]) {
    let channels = sums.len();
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        let mut sum = [0i64; LANES];
        let mut sum_sq = [0u64; LANES];
        let mut add = |c: usize, v: i16| {
            let v = i32::from(v);
            sum[c] += i64::from(v);
            // at most 2^30
            sum_sq[c] += u64::from((v * v) as u32);
        };
        for pixel in x.chunks_exact(channels) {
            let own = &pixel[block * LANES..][..sums.len()];
            match own.as_array::<LANES>() {
                Some(own) => (0..LANES).for_each(|c| add(c, own[c])),
                None => own.iter().enumerate().for_each(|(c, &v)| add(c, v)),
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

#[inline(always)]
fn normalise(job: NormaliseJob<'_>, mut out: OperandRows<'_>) {
    let flip = out.flip;
    for (i, pixel) in job.x.chunks_exact(job.maps.len()).enumerate() {
        let bytes = out.pixel(i / job.width, i % job.width);
        for ((b, &v), map) in bytes.iter_mut().zip(pixel).zip(job.maps) {
            // 2^30 + 2^29 + 2^21: 32 bits are enough, see `Affine`
            let round = (1 << map.shift) >> 1;
            let u = (i32::from(v) * i32::from(map.a) + map.b + round) >> map.shift;
            let u = saturate_i16(u);
            let u = if job.silu { silu(u) } else { u };
            *b = operand::quantise(u, job.gain, job.zero_point) as u8 ^ flip;
        }
    }
}

#[inline(always)]
fn attention(
    job: AttentionJob<'_>,
    mut out: OperandRows<'_>,
    block: impl Fn(Rows<'_, { BLOCK.0 }>, Rows<'_, { BLOCK.1 }>) -> Sums32,
) {
    let l = job.q.layout;
    let (keys, head, flip) = (l.height * l.width, l.channels / job.heads, out.flip);
    // one head's channels of positions `p..`
    let gather = |of: &Operand<'_>, first: usize, p: usize, out: &mut [i16]| {
        for (p, out) in (p..).zip(out.chunks_exact_mut(head)) {
            let at = l.offset((p / l.width) as isize, (p % l.width) as isize);
            widen(of, at + first, out);
        }
    };
    let mut queries = vec![0i16; GROUP * head];
    let mut matrix = vec![0i16; keys * head];
    let mut columns = vec![0i16; keys * head];
    let mut logits = vec![0i32; GROUP * keys];
    let mut e = vec![0i16; GROUP * keys];
    for first in (0..l.channels).step_by(head) {
        gather(&job.v, first, 0, &mut matrix);
        for (p, row) in matrix.chunks_exact(head).enumerate() {
            row.iter()
                .enumerate()
                .for_each(|(c, &v)| columns[c * keys + p] = v);
        }
        gather(&job.k, first, 0, &mut matrix);
        let own = job.rows.start * l.width..job.rows.end * l.width;
        for start in own.clone().step_by(GROUP) {
            let n = GROUP.min(own.end - start);
            gather(&job.q, first, start, &mut queries[..n * head]);
            products(
                &queries[..n * head],
                Right::Words(&matrix),
                head,
                &block,
                |i, j, acc| {
                    logits[i * keys + j] = acc;
                },
            );
            let mut reciprocals = [row_reciprocal(1); GROUP];
            let rows = logits.chunks_exact(keys).zip(e.chunks_exact_mut(keys));
            for ((logits, e), r) in rows.zip(&mut reciprocals).take(n) {
                let max = logits.iter().copied().max().unwrap_or(0);
                for (e, &l) in e.iter_mut().zip(logits) {
                    *e = weight(max.abs_diff(l), job.step.to_log2).into();
                }
                *r = row_reciprocal(e.iter().map(|&e| e as u32).sum());
            }
            products(
                &e[..n * keys],
                Right::Words(&columns),
                keys,
                &block,
                |i, c, acc| {
                    let p = start - own.start + i;
                    let mean = weighted_mean(acc, reciprocals[i]);
                    let pixel = out.pixel(p / l.width, p % l.width);
                    pixel[first + c] = operand::quantise(mean, job.step.gain, 0) as u8 ^ flip;
                },
            );
        }
    }
}

/// The functions above, compiled for AVX2.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{AttentionJob, BLOCK, ConvJob, ConvOutput, NormaliseJob, OperandRows, Rows};
    use super::{Sums, Sums32};

    /// Words in a register.
    const WORDS: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(x: &[i16; WORDS]) -> __m256i {
        // SAFETY: reads the 32 bytes of the array, no alignment asked.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn sum(x: __m256i) -> i32 {
        let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
        let x = _mm_add_epi32(x, _mm_unpackhi_epi64(x, x));
        _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<1>(x)))
    }

    /// [`super::block`] with `vpmaddwd`, which compilers do not find here. Its sums of two products
    /// cannot overflow: operands, planes and weights are far from -32768.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn block(left: Rows<'_, { BLOCK.0 }>, right: Rows<'_, { BLOCK.1 }>) -> Sums32 {
        let whole = left[0].len() / WORDS;
        let x = left.map(|r| &r.as_chunks::<WORDS>().0[..whole]);
        let w = right.map(|r| &r.as_chunks::<WORDS>().0[..whole]);
        let mut acc = [[_mm256_setzero_si256(); BLOCK.1]; BLOCK.0];
        for t in 0..whole {
            let w = w.map(|w| load(&w[t]));
            for p in 0..BLOCK.0 {
                let x = load(&x[p][t]);
                for o in 0..BLOCK.1 {
                    acc[p][o] = _mm256_add_epi32(acc[p][o], _mm256_madd_epi16(x, w[o]));
                }
            }
        }
        let rest = super::block(
            left.map(|r| &r[whole * WORDS..]),
            right.map(|r| &r[whole * WORDS..]),
        );
        std::array::from_fn(|p| std::array::from_fn(|o| rest[p][o].wrapping_add(sum(acc[p][o]))))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn conv(job: ConvJob<'_>, output: ConvOutput<'_>) {
        super::conv(job, output, |l, r| block(l, r));
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn sums(x: &[i16], sums: &mut [Sums]) {
        super::sums(x, sums);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn normalise(job: NormaliseJob<'_>, out: OperandRows<'_>) {
        super::normalise(job, out);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn attention(job: AttentionJob<'_>, out: OperandRows<'_>) {
        super::attention(job, out, |l, r| block(l, r));
    }
}

/// The AVX2 form of a call if `$self` says that the CPU has it, else the plain form.
macro_rules! fastest {
    ($self:ident, $function:ident($($argument:expr),*) else $plain:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if $self.avx2 {
            // SAFETY: the field is set only where the CPU has AVX2.
            return unsafe { avx2::$function($($argument),*) };
        }
        $plain
    }};
}

impl Kernels for Portable {
    fn flip(&self) -> u8 {
        0
    }

    fn pack(&self, shape: ConvShape, weights: &[i8], bits: WeightBits) -> Packed {
        let spare = shape.in_channels.next_multiple_of(STEP) - shape.in_channels;
        let mut words = Vec::new();
        for pixel in weights.chunks_exact(shape.in_channels) {
            words.extend(pixel.iter().map(|&w| i16::from(w)));
            words.resize(words.len() + spare, 0);
        }
        match bits {
            WeightBits::Eight => Packed::Words(words),
            WeightBits::Four => {
                let k = words.len() / shape.out_channels;
                Packed::Pairs(Pairs::new(&words, k))
            }
        }
    }

    fn conv(&self, job: ConvJob<'_>, output: ConvOutput<'_>) {
        fastest!(self, conv(job, output) else conv(job, output, block))
    }

    fn sums(&self, x: &[i16], own: &mut [Sums]) {
        fastest!(self, sums(x, own) else sums(x, own))
    }

    fn normalise(&self, job: NormaliseJob<'_>, out: OperandRows<'_>) {
        fastest!(self, normalise(job, out) else normalise(job, out))
    }

    fn attention(&self, job: AttentionJob<'_>, out: OperandRows<'_>) {
        fastest!(self, attention(job, out) else attention(job, out, block))
    }
}
