//! Group normalisation: exact sums, then affine map, SiLU and quantisation in 16-bit lanes.

use std::arch::x86_64::*;

use diffuser_spec::OPERAND_MAX;
use diffuser_spec::norm::{Affine, Sums};
use diffuser_spec::tables::{SILU_C0, SILU_C1, SILU_C2};

use super::FLIP;
use super::lanes::{LANES, load_i16, load_i32, store_i32, store_u8};
use crate::kernels::NormaliseJob;
use crate::layout::OperandRows;

/// Channels in one register of words.
const WORDS: usize = 32;

/// Pairs of pixels between two widenings of the 32-bit sums: `2^14 * 2^16` is `2^30`.
const PAIRS: usize = 1 << 14;

/// Which channel of 32 is in lane `i` of the lower or upper half after `unpack`: of each eight
/// words, four go to either half.
const fn channel(half: usize, i: usize) -> usize {
    i / 4 * 8 + half * 4 + i % 4
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn sums(x: &[i16], sums: &mut [Sums]) {
    let channels = sums.len();
    for (block, own) in sums.chunks_mut(WORDS).enumerate() {
        for x in x.chunks(2 * PAIRS * channels) {
            block_sums(x, channels, block * WORDS, own);
        }
    }
}

/// Sums of up to 32 channels from `first` on, over at most `2 * PAIRS` pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn block_sums(x: &[i16], channels: usize, first: usize, sums: &mut [Sums]) {
    let zero = _mm512_setzero_si512();
    let ones = _mm512_set1_epi16(1);
    let low_bits = _mm512_set1_epi64(u32::MAX.into());
    let mut sum = [zero; 2];
    let mut squares = [[zero; 2]; 2];
    let own = first..first + sums.len();
    for pair in x.chunks(2 * channels) {
        let a = load_i16(&pair[own.clone()]);
        let b = match pair.get(channels..) {
            Some(second) if !second.is_empty() => load_i16(&second[own.clone()]),
            _ => zero,
        };
        let both = [_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)];
        for half in 0..2 {
            let v = both[half];
            sum[half] = _mm512_add_epi32(sum[half], _mm512_madd_epi16(v, ones));
            // two squares of at most 2^30: 32 bits without sign
            let s = _mm512_madd_epi16(v, v);
            let [even, odd] = &mut squares[half];
            *even = _mm512_add_epi64(*even, _mm512_and_si512(s, low_bits));
            *odd = _mm512_add_epi64(*odd, _mm512_srli_epi64::<32>(s));
        }
    }
    for half in 0..2 {
        let mut s = [0; LANES];
        store_i32(&mut s, sum[half]);
        let squares = squares[half].map(|v| {
            let mut words = [0; LANES];
            store_i32(&mut words, v);
            words
        });
        for (i, &s) in s.iter().enumerate() {
            if let Some(total) = sums.get_mut(channel(half, i)) {
                let at = i / 2 * 2;
                let [low, high] = [0, 1].map(|w| u64::from(squares[i % 2][at + w] as u32));
                *total = total.plus(Sums {
                    sum: s.into(),
                    sum_sq: high << 32 | low,
                });
            }
        }
    }
}

/// Maps of 32 channels, in the order of `unpack`.
struct Maps {
    /// Pairs of words `(a, 0)`.
    a: [__m512i; 2],
    /// With half of `2^shift`, for rounding: `2^29 + 2^21` at most.
    b: [__m512i; 2],
    shift: [__m512i; 2],
}

impl Maps {
    #[target_feature(enable = "avx512f")]
    fn new(maps: &[Affine]) -> Self {
        let half = |half: usize, of: fn(&Affine) -> i32| {
            let lanes = std::array::from_fn(|i| maps.get(channel(half, i)).map_or(0, of));
            load_i32(&lanes)
        };
        let both = |of: fn(&Affine) -> i32| [half(0, of), half(1, of)];
        Self {
            a: both(|m| i32::from(m.a) & 0xFFFF),
            b: both(|m| m.b + ((1 << m.shift) >> 1)),
            shift: both(|m| m.shift.into()),
        }
    }

    /// [`Affine::apply`] of 32 words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn apply(&self, x: __m512i) -> __m512i {
        let zero = _mm512_setzero_si512();
        let x = [
            _mm512_unpacklo_epi16(x, zero),
            _mm512_unpackhi_epi16(x, zero),
        ];
        let half = |i: usize| {
            // (x, 0) times (a, 0): one product of words a lane
            let product = _mm512_madd_epi16(x[i], self.a[i]);
            _mm512_srav_epi32(_mm512_add_epi32(product, self.b[i]), self.shift[i])
        };
        // puts the words back in order, saturated
        _mm512_packs_epi32(half(0), half(1))
    }
}

/// Tables of [`diffuser_spec::silu::silu`], 64 words each in two registers.
struct Silu([[__m512i; 2]; 3]);

impl Silu {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new() -> Self {
        let table = |t: &[i16; 64]| [load_i16(&t[..32]), load_i16(&t[32..])];
        Self([table(&SILU_C0), table(&SILU_C1), table(&SILU_C2)])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn apply(&self, u: __m512i) -> __m512i {
        // |-32768| is 32768 without sign, cut to 32767
        let a = _mm512_min_epu16(_mm512_abs_epi16(u), _mm512_set1_epi16(i16::MAX));
        let relu = _mm512_max_epi16(u, _mm512_setzero_si512());
        // the permutation takes six bits; from 64 on the result is not used
        let segment = _mm512_srli_epi16::<8>(a);
        let t = _mm512_slli_epi16::<7>(_mm512_and_si512(a, _mm512_set1_epi16(255)));
        let c = |i: usize| {
            let [low, high] = self.0[i];
            _mm512_permutex2var_epi16(low, segment, high)
        };
        let inner = _mm512_add_epi16(c(1), _mm512_mulhrs_epi16(c(2), t));
        let g = _mm512_add_epi16(c(0), _mm512_mulhrs_epi16(inner, t));
        let g = _mm512_srai_epi16::<5>(_mm512_add_epi16(g, _mm512_set1_epi16(16)));
        let near = _mm512_cmplt_epi16_mask(a, _mm512_set1_epi16(1 << 14));
        _mm512_mask_add_epi16(relu, near, relu, g)
    }
}

/// [`diffuser_spec::operand::quantise`] of 32 words, then flipped.
///
/// The 16-bit saturation of the sum is out of reach of the clamp that follows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn quantise(x: __m512i, gain: __m512i, zero_point: __m512i) -> __m256i {
    let y = _mm512_adds_epi16(_mm512_mulhrs_epi16(x, gain), zero_point);
    let y = _mm512_min_epi16(y, _mm512_set1_epi16(OPERAND_MAX as i16));
    let y = _mm512_max_epi16(y, _mm512_set1_epi16(-OPERAND_MAX as i16));
    _mm256_xor_si256(_mm512_cvtepi16_epi8(y), _mm256_set1_epi8(FLIP as i8))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn normalise(job: NormaliseJob<'_>, mut out: OperandRows<'_>) {
    let channels = job.maps.len();
    let gain = _mm512_set1_epi16(job.gain);
    let zero_point = _mm512_set1_epi16(job.zero_point.into());
    let silu = Silu::new();
    for (block, maps) in job.maps.chunks(WORDS).enumerate() {
        let own = block * WORDS..block * WORDS + maps.len();
        let maps = Maps::new(maps);
        for (y, row) in job.x.chunks_exact(job.width * channels).enumerate() {
            for (x, pixel) in row.chunks_exact(channels).enumerate() {
                let u = maps.apply(load_i16(&pixel[own.clone()]));
                let u = if job.silu { silu.apply(u) } else { u };
                store_u8(
                    &mut out.pixel(y, x)[own.clone()],
                    quantise(u, gain, zero_point),
                );
            }
        }
    }
}
