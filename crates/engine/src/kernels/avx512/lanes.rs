//! Loads, stores and arithmetic of whole registers, each the vector form of one function of
//! `diffuser_spec`. All are exact; `tests` compares them with the oracle through the kernels.

use std::arch::x86_64::*;

use diffuser_spec::{Multiplier, OPERAND_MAX};

/// 64 bytes of packed weights: 16 outputs times 4 inputs, aligned for one load.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [i8; 64]);

impl Line {
    pub const ZERO: Self = Self([0; 64]);
}

/// Lanes of 32 bits in a register.
pub(super) const LANES: usize = 16;

/// Mask with the first `n` lanes set, all for `n` beyond 32.
pub(super) const fn first(n: usize) -> u32 {
    if n >= 32 { u32::MAX } else { (1 << n) - 1 }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i32(x: &[i32; LANES]) -> __m512i {
    // SAFETY: reads the 64 bytes of the array, no alignment asked.
    unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_i64(x: &[i64; 8]) -> __m512i {
    // SAFETY: reads the 64 bytes of the array, no alignment asked.
    unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_i32(out: &mut [i32; LANES], x: __m512i) {
    // SAFETY: writes the 64 bytes of the array, no alignment asked.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) }
}

/// Up to 32 words, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn load_i16(x: &[i16]) -> __m512i {
    // SAFETY: only as many lanes as the slice has elements are read.
    unsafe { _mm512_maskz_loadu_epi16(first(x.len()), x.as_ptr()) }
}

/// Up to 16 words, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn load_i16_half(x: &[i16]) -> __m256i {
    // SAFETY: only as many lanes as the slice has elements are read.
    unsafe { _mm256_maskz_loadu_epi16(first(x.len()) as u16, x.as_ptr()) }
}

/// As many of 16 words as the slice has elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn store_i16(out: &mut [i16], x: __m256i) {
    // SAFETY: only as many lanes as the slice has elements are written.
    unsafe { _mm256_mask_storeu_epi16(out.as_mut_ptr(), first(out.len()) as u16, x) }
}

/// As many of 16 bytes as the slice has elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn store_u8_half(out: &mut [u8], x: __m128i) {
    // SAFETY: only as many lanes as the slice has elements are written.
    unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr().cast(), first(out.len()) as u16, x) }
}

/// As many of 32 bytes as the slice has elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn store_u8(out: &mut [u8], x: __m256i) {
    // SAFETY: only as many lanes as the slice has elements are written.
    unsafe { _mm256_mask_storeu_epi8(out.as_mut_ptr().cast(), first(out.len()), x) }
}

/// 16 lanes of 32 bits out of two times 8 lanes of 64, saturated.
#[inline]
#[target_feature(enable = "avx512f")]
fn narrow(low: __m512i, high: __m512i) -> __m512i {
    let low = _mm512_castsi256_si512(_mm512_cvtsepi64_epi32(low));
    _mm512_inserti64x4::<1>(low, _mm512_cvtsepi64_epi32(high))
}

/// `x` as two times 8 lanes of 64 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen(x: __m512i) -> [__m512i; 2] {
    [
        _mm512_cvtepi32_epi64(_mm512_castsi512_si256(x)),
        _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64::<1>(x)),
    ]
}

/// 16 multipliers: [`Multiplier::apply`] a lane.
#[derive(Clone, Copy)]
pub(super) struct Multipliers {
    mantissa: [__m512i; 2],
    round: [__m512i; 2],
    shift: [__m512i; 2],
}

impl Multipliers {
    /// Of up to 16 multipliers; lanes beyond give zero.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn new(of: &[Multiplier]) -> Self {
        let none = Multiplier {
            mantissa: 0,
            shift: 1,
        };
        let at = |i: usize| of.get(i).copied().unwrap_or(none);
        let mut mantissa = [_mm512_setzero_si512(); 2];
        let (mut round, mut shift) = (mantissa, mantissa);
        for half in 0..2 {
            let m: [Multiplier; 8] = std::array::from_fn(|i| at(8 * half + i));
            mantissa[half] = load_i64(&m.map(|m| m.mantissa.into()));
            round[half] = load_i64(&m.map(|m| 1 << (m.shift - 1)));
            shift[half] = load_i64(&m.map(|m| m.shift.into()));
        }
        Self {
            mantissa,
            round,
            shift,
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn apply(&self, x: __m512i) -> __m512i {
        let [low, high] = widen(x);
        // a 32-bit value times a 16-bit mantissa, plus 2^61 at most: 64 bits hold it
        narrow(
            _mm512_srav_epi64(
                _mm512_add_epi64(_mm512_mul_epi32(low, self.mantissa[0]), self.round[0]),
                self.shift[0],
            ),
            _mm512_srav_epi64(
                _mm512_add_epi64(_mm512_mul_epi32(high, self.mantissa[1]), self.round[1]),
                self.shift[1],
            ),
        )
    }
}

/// [`diffuser_spec::conv::residual`] of 16 words, the same shift for all.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn residual(x: __m256i, shift: i32) -> __m512i {
    let x = _mm512_cvtepi16_epi32(x);
    if shift >= 0 {
        // from 17 on the result is zero, as it is for 17
        let shift = shift.min(17);
        let round = _mm512_set1_epi32((1 << shift) >> 1);
        _mm512_sra_epi32(_mm512_add_epi32(x, round), _mm_cvtsi32_si128(shift))
    } else {
        let left = _mm_cvtsi32_si128((-shift).min(40));
        let [low, high] = widen(x);
        narrow(_mm512_sll_epi64(low, left), _mm512_sll_epi64(high, left))
    }
}

/// Sum saturated to 32 bits.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn saturating_add(a: __m512i, b: __m512i) -> __m512i {
    let sum = _mm512_add_epi32(a, b);
    // overflow: the sum's sign differs from both; (a ^ sum) & (b ^ sum)
    let overflow = _mm512_and_si512(_mm512_xor_si512(a, sum), _mm512_xor_si512(b, sum));
    let over = _mm512_cmplt_epi32_mask(overflow, _mm512_setzero_si512());
    let limit = _mm512_xor_si512(_mm512_srai_epi32::<31>(a), _mm512_set1_epi32(i32::MAX));
    _mm512_mask_blend_epi32(over, sum, limit)
}

/// [`diffuser_spec::saturate_operand`] of 32-bit lanes, then flipped.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn to_operand(x: __m512i) -> __m128i {
    let limit = _mm512_set1_epi32(OPERAND_MAX);
    let x = _mm512_min_epi32(x, limit);
    let x = _mm512_max_epi32(x, _mm512_set1_epi32(-OPERAND_MAX));
    _mm_xor_si128(_mm512_cvtepi32_epi8(x), _mm_set1_epi8(i8::MIN))
}

/// Mean of a row of attention: [`diffuser_spec::softmax::weighted_mean`].
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn weighted_mean(acc: __m512i, row: diffuser_spec::softmax::RowReciprocal) -> __m256i {
    let shift = row.shift - 8;
    let mantissa = _mm512_set1_epi64(row.mantissa.into());
    let round = _mm512_set1_epi64(1 << (shift - 1));
    let count = _mm_cvtsi32_si128(shift as i32);
    let mean = widen(acc).map(|x| {
        let y = _mm512_add_epi64(_mm512_mul_epi32(x, mantissa), round);
        _mm512_cvtsepi64_epi16(_mm512_sra_epi64(y, count))
    });
    _mm256_set_m128i(mean[1], mean[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::has_avx512vnni;
    use diffuser_spec::{conv, softmax};

    const VALUES: [i32; LANES] = [
        0,
        1,
        -1,
        2,
        -2,
        3,
        127,
        -128,
        4096,
        -4096,
        100_001,
        -99_999,
        1 << 30,
        -(1 << 30),
        i32::MAX,
        i32::MIN,
    ];

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn lanes(x: __m512i) -> [i32; LANES] {
        let mut out = [0; LANES];
        store_i32(&mut out, x);
        out
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn words(x: __m256i) -> [i16; LANES] {
        let mut out = [0; LANES];
        store_i16(&mut out, x);
        out
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn compare() {
        for shift in 1..=62 {
            let m = [Multiplier {
                mantissa: 32_768 + 517 * shift as u16,
                shift,
            }; LANES];
            let got = lanes(Multipliers::new(&m).apply(load_i32(&VALUES)));
            assert_eq!(got, VALUES.map(|v| m[0].apply(v)), "{shift}");
        }
        let x = VALUES.map(|v| v as i16);
        for shift in -conv::MAX_RESIDUAL_SHIFT..=conv::MAX_RESIDUAL_SHIFT {
            let got = lanes(residual(load_i16_half(&x), shift));
            assert_eq!(got, x.map(|v| conv::residual(v, shift)), "{shift}");
        }
        // sums of 2^9 and more make halves
        for sum in [
            127,
            128,
            512,
            1024,
            1 << 16,
            3 << 16,
            1 << 26,
            (1 << 31) - 1,
        ] {
            let row = softmax::row_reciprocal(sum);
            for scale in [1, 3, 255, 65_537] {
                let acc = VALUES.map(|v| (v >> 8).wrapping_mul(scale));
                let got = words(weighted_mean(load_i32(&acc), row));
                assert_eq!(got, acc.map(|a| softmax::weighted_mean(a, row)), "{sum}");
            }
        }
        for other in VALUES {
            let got = lanes(saturating_add(load_i32(&VALUES), _mm512_set1_epi32(other)));
            assert_eq!(got, VALUES.map(|v| v.saturating_add(other)), "{other}");
        }
    }

    #[test]
    fn each_is_its_function_of_the_specification() {
        if has_avx512vnni() {
            // SAFETY: the CPU has the instructions.
            unsafe { compare() }
        }
    }
}
