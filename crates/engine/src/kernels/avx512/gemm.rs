//! The dot-product kernel under convolution and attention: some pixels times 16 or 32 outputs.
//!
//! `vpdpbusd` multiplies 4 unsigned bytes with 4 signed ones in each of 16 lanes and adds the four
//! products to a 32-bit lane. One register broadcasts 4 channels of a pixel, one holds the weights
//! of 16 outputs for them. 14 pixels times 2 registers of outputs are 28 accumulators, which leaves
//! registers for two weights and the broadcast: every weight that is loaded is used 14 times, every
//! broadcast twice.

use std::arch::x86_64::*;

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

    /// Bytes from a pixel's start to the end of what it reads.
    const fn extent(&self) -> usize {
        (self.planes - 1) * self.plane + (self.runs - 1) * self.run + self.steps * 4
    }
}

/// Accumulators of one tile, `[pixel][block]`.
pub(super) type Tile = [[[i32; LANES]; MAX_BLOCKS]; MAX_PIXELS];

/// Sums of products for each of `at`, the pixels' starts in `input`, and `blocks` times 16 outputs.
///
/// Of two planes the first counts 128 times. Sums are modulo `2^32`. `weights` holds, for each run
/// and step, `blocks` lines.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn tile(
    input: &[u8],
    at: &[usize],
    runs: Runs,
    weights: &[Line],
    blocks: usize,
    out: &mut Tile,
) {
    macro_rules! of_pixels {
        ($($p:literal)*) => {
            match (at.len(), blocks) {
                $(($p, 1) => fixed::<$p, 1>(input, at, runs, weights, out),
                  ($p, 2) => fixed::<$p, 2>(input, at, runs, weights, out),)*
                _ => unreachable!("a tile has 1 to 14 pixels and 1 or 2 blocks"),
            }
        };
    }
    of_pixels!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn fixed<const P: usize, const N: usize>(
    input: &[u8],
    at: &[usize],
    runs: Runs,
    weights: &[Line],
    out: &mut Tile,
) {
    assert!(at.len() == P && weights.len() >= N * runs.lines());
    let last = at.iter().copied().max().unwrap_or(0);
    assert!(last + runs.extent() <= input.len());

    let mut acc = [[_mm512_setzero_si512(); N]; P];
    for plane in 0..runs.planes {
        if plane > 0 {
            for a in acc.as_flattened_mut() {
                *a = _mm512_slli_epi32::<{ diffuser_spec::operand::PLANE_BITS }>(*a);
            }
        }
        let mut line = weights.as_ptr();
        for run in 0..runs.runs {
            let offset = plane * runs.plane + run * runs.run;
            // SAFETY: every start plus the extent of the runs is inside the input, asserted above.
            let pixels: [*const u8; P] =
                std::array::from_fn(|p| unsafe { input.as_ptr().add(at[p] + offset) });
            for step in 0..runs.steps {
                // SAFETY: `line` moves N lines a step through the asserted `N * runs * steps` lines
                // of one plane's pass, and a line is 64 aligned bytes.
                let w: [__m512i; N] =
                    std::array::from_fn(|j| unsafe { _mm512_load_si512(line.add(j).cast()) });
                // SAFETY: at most one past the asserted lines.
                line = unsafe { line.add(N) };
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
