//! The dot-product kernel under convolution and attention: some pixels times 16 or 32 outputs.
//!
//! `vpdpbusd` multiplies 4 unsigned bytes with 4 signed ones in each of 16 lanes and adds the four
//! products to a 32-bit lane. One register broadcasts 4 channels of a pixel, one holds the weights
//! of 16 outputs for them. 14 pixels times 2 registers of outputs are 28 accumulators, which leaves
//! registers for two weights and the broadcast: every weight that is loaded is used 14 times, every
//! broadcast twice.

use std::arch::x86_64::*;

use diffuser_model::quantised::WeightBits;
use diffuser_spec::weight4;

use super::lanes::{LANES, Line, store_i32};

/// Most pixels of one tile.
pub(super) const MAX_PIXELS: usize = 14;

/// Most registers of outputs of one tile.
pub(super) const MAX_BLOCKS: usize = 2;

/// What each pixel of a tile reads: `planes` times `runs` runs of `steps * 4` bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    pub planes: usize,
    /// Bytes from one plane to the next.
    pub plane: usize,
    pub runs: usize,
    /// Bytes from one run to the next.
    pub run: usize,
    pub steps: usize,
}

impl Runs {
    /// Lines of weights for one block of outputs.
    pub const fn lines(&self) -> usize {
        self.runs * self.steps
    }

    /// The same as they are stored: two 4-bit ones in one.
    pub const fn stored(&self, blocks: usize, bits: WeightBits) -> usize {
        match bits {
            WeightBits::Eight => blocks * self.lines(),
            WeightBits::Four => (blocks * self.lines()).div_ceil(2),
        }
    }

    /// Bytes from a pixel's start to the end of what it reads.
    const fn extent(&self) -> usize {
        (self.planes - 1) * self.plane + (self.runs - 1) * self.run + self.steps * 4
    }
}

/// Weights for one or two blocks of outputs: for each run and step `blocks` lines.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub lines: &'a [Line],
    /// Of 4-bit weights two lines, one after the other, are one: [`pair_lines`].
    pub bits: WeightBits,
    pub blocks: usize,
}

impl<'a> Panel<'a> {
    /// Of 8-bit values.
    pub const fn whole(lines: &'a [Line], blocks: usize) -> Self {
        Self {
            lines,
            bits: WeightBits::Eight,
            blocks,
        }
    }
}

/// Lines of 4-bit weights, two in one: the first of each pair in the low halves of the bytes.
pub(super) fn pair_lines(lines: &[Line]) -> impl Iterator<Item = Line> {
    lines.chunks(2).map(|pair| {
        let second = pair.get(1).unwrap_or(&Line::ZERO);
        Line(std::array::from_fn(|i| {
            weight4::pack(pair[0].0[i], second.0[i]) as i8
        }))
    })
}

/// The weights of every 4-bit pattern: what unpacking looks up.
const NIBBLES: [i8; 16] = {
    let mut of = [0; 16];
    let mut i = 0;
    while i < 16 {
        of[i] = weight4::unpack(i as u8)[0];
        i += 1;
    }
    of
};

/// Accumulators of one tile, `[pixel][block]`.
pub(super) type Tile = [[[i32; LANES]; MAX_BLOCKS]; MAX_PIXELS];

/// Sums of products for each of `at`, the pixels' starts in `input`, and `blocks` times 16 outputs.
///
/// Of two planes the first counts 128 times. Sums are modulo `2^32`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn tile(input: &[u8], at: &[usize], runs: Runs, weights: Panel<'_>, out: &mut Tile) {
    let lines = weights.lines;
    macro_rules! of_pixels {
        ($($p:literal)*) => {
            match (at.len(), weights.blocks, weights.bits) {
                $(($p, 1, WeightBits::Eight) => fixed::<$p, 1, 8>(input, at, runs, lines, out),
                  ($p, 2, WeightBits::Eight) => fixed::<$p, 2, 8>(input, at, runs, lines, out),
                  ($p, 1, WeightBits::Four) => fixed::<$p, 1, 4>(input, at, runs, lines, out),
                  ($p, 2, WeightBits::Four) => fixed::<$p, 2, 4>(input, at, runs, lines, out),)*
                _ => unreachable!("a tile has 1 to 14 pixels and 1 or 2 blocks"),
            }
        };
    }
    of_pixels!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// The weights of `N` blocks at one step, the `index`-th of all.
///
/// # Safety
/// `lines` must point to all lines of the weights up to this step, as [`Runs::stored`] counts them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn load<const N: usize, const BITS: u32>(lines: *const Line, index: usize) -> [__m512i; N] {
    if BITS == 8 {
        // SAFETY: the caller's promise; a line is 64 aligned bytes.
        return std::array::from_fn(|j| unsafe {
            _mm512_load_si512(lines.add(index * N + j).cast())
        });
    }
    // SAFETY: the bytes of an array of 16.
    let table = unsafe { _mm_loadu_si128(NIBBLES.as_ptr().cast()) };
    let table = _mm512_broadcast_i32x4(table);
    // SAFETY: the caller's promise; a line is 64 aligned bytes.
    let both = unsafe { _mm512_load_si512(lines.add(index * N / 2).cast()) };
    let half = |j: usize| {
        // bits that a shift of 16-bit lanes brings over from the next byte are masked
        let shift = _mm_cvtsi32_si128(4 * ((index * N + j) % 2) as i32);
        let nibbles = _mm512_and_si512(_mm512_srl_epi16(both, shift), _mm512_set1_epi8(0x0F));
        _mm512_shuffle_epi8(table, nibbles)
    };
    std::array::from_fn(half)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn fixed<const P: usize, const N: usize, const BITS: u32>(
    input: &[u8],
    at: &[usize],
    runs: Runs,
    weights: &[Line],
    out: &mut Tile,
) {
    let bits = if BITS == 4 {
        WeightBits::Four
    } else {
        WeightBits::Eight
    };
    assert!(at.len() == P && weights.len() >= runs.stored(N, bits));
    let last = at.iter().copied().max().unwrap_or(0);
    assert!(last + runs.extent() <= input.len());

    let mut acc = [[_mm512_setzero_si512(); N]; P];
    for plane in 0..runs.planes {
        if plane > 0 {
            for a in acc.as_flattened_mut() {
                *a = _mm512_slli_epi32::<{ diffuser_spec::operand::PLANE_BITS }>(*a);
            }
        }
        let lines = weights.as_ptr();
        let mut index = 0;
        for run in 0..runs.runs {
            let offset = plane * runs.plane + run * runs.run;
            // SAFETY: every start plus the extent of the runs is inside the input, asserted above.
            let pixels: [*const u8; P] =
                std::array::from_fn(|p| unsafe { input.as_ptr().add(at[p] + offset) });
            for step in 0..runs.steps {
                // SAFETY: one plane's pass counts the `runs * steps` steps whose lines are asserted.
                let w: [__m512i; N] = unsafe { load::<N, BITS>(lines, index) };
                index += 1;
                for p in 0..P {
                    // SAFETY: 4 bytes of a run of `4 * steps`, inside the input as asserted.
                    let x = unsafe { pixels[p].add(4 * step).cast::<i32>().read_unaligned() };
                    let x = _mm512_set1_epi32(x);
                    for j in 0..N {
                        acc[p][j] = _mm512_dpbusd_epi32(acc[p][j], x, w[j]);
                    }
                }
            }
        }
    }
    for p in 0..P {
        for j in 0..N {
            store_i32(&mut out[p][j], acc[p][j]);
        }
    }
}

/// Divide `n` pixels into the fewest tiles, of nearly equal size.
pub(super) fn tiles(n: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = n.div_ceil(MAX_PIXELS);
    (0..count).map(move |i| i * n / count..(i + 1) * n / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_and_are_balanced() {
        for n in 1..200 {
            let all: Vec<_> = tiles(n).collect();
            assert!(all.iter().all(|t| (1..=MAX_PIXELS).contains(&t.len())));
            assert!(all.iter().flat_map(|t| t.clone()).eq(0..n));
            assert_eq!(all.len(), n.div_ceil(MAX_PIXELS));
        }
    }
}
