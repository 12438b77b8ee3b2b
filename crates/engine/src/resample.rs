//! Change of resolution, and splitting in planes. Copies and means: the same code for all kernels.

use diffuser_model::graph::Resample;
use diffuser_spec::operand::{pool_operands, pool_states, pool_streams};

use crate::layout::OperandRows;

/// Size of a tensor, `height * width * channels`.
pub(crate) type Size = [usize; 3];

/// Call `f` with each output pixel of a resampling and the one or four input pixels it comes of.
///
/// `pixel` is the distance of input pixels.
fn each_pixel(
    [height, width, _]: Size,
    pixel: usize,
    resample: Resample,
    mut f: impl FnMut(usize, usize, [usize; 4]),
) {
    let at = |y: usize, x: usize| (y * width + x) * pixel;
    match resample {
        Resample::Nearest2x => {
            for y in 0..2 * height {
                for x in 0..2 * width {
                    f(y, x, [at(y / 2, x / 2); 4]);
                }
            }
        }
        Resample::AveragePool2x => {
            for y in 0..height / 2 {
                for x in 0..width / 2 {
                    let (y2, x2) = (2 * y, 2 * x);
                    f(
                        y,
                        x,
                        [
                            at(y2, x2),
                            at(y2, x2 + 1),
                            at(y2 + 1, x2),
                            at(y2 + 1, x2 + 1),
                        ],
                    );
                }
            }
        }
    }
}

/// Resample whole pixels: a copy, or `pool` of four.
fn values<T: Copy>(
    x: &[T],
    size: Size,
    resample: Resample,
    pool: impl Fn([T; 4]) -> T,
    out: &mut [T],
) {
    let mut pixels = out.chunks_exact_mut(size[2]);
    each_pixel(size, size[2], resample, |_, _, from| {
        let Some(out) = pixels.next() else { return };
        pixel(x, from, resample, &pool, out);
    });
}

fn pixel<T: Copy>(
    x: &[T],
    from: [usize; 4],
    resample: Resample,
    pool: &impl Fn([T; 4]) -> T,
    out: &mut [T],
) {
    let n = out.len();
    match resample {
        Resample::Nearest2x => out.copy_from_slice(&x[from[0]..][..n]),
        Resample::AveragePool2x => {
            let [a, b, c, d] = from.map(|i| &x[i..][..n]);
            for (i, o) in out.iter_mut().enumerate() {
                *o = pool([a[i], b[i], c[i], d[i]]);
            }
        }
    }
}

/// Resample a stream of the given size into a stream.
pub(crate) fn stream(x: &[i16], size: Size, resample: Resample, out: &mut [i16]) {
    values(x, size, resample, pool_streams, out);
}

/// Resample the sampler's state.
pub(crate) fn state(x: &[i32], size: Size, resample: Resample, out: &mut [i32]) {
    values(x, size, resample, pool_states, out);
}

/// Resample operands, flipped and without border, into an operand's buffer.
///
/// Each pixel of `x` is followed by so many spare bytes.
pub(crate) fn operand(
    x: &[u8],
    size: Size,
    spare: usize,
    resample: Resample,
    mut out: OperandRows<'_>,
) {
    let flip = out.flip;
    let pool = |x: [u8; 4]| pool_operands(x.map(|b| (b ^ flip) as i8)) as u8 ^ flip;
    each_pixel(size, size[2] + spare, resample, |y, x_out, from| {
        pixel(x, from, resample, &pool, out.pixel(y, x_out));
    });
}

/// Copy operands, dense and flipped, into an operand's buffer.
pub(crate) fn place(x: &[u8], width: usize, channels: usize, mut out: OperandRows<'_>) {
    for (i, pixel) in x.chunks_exact(channels).enumerate() {
        out.pixel(i / width, i % width).copy_from_slice(pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_copies_each_pixel_four_times() {
        let x = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut out = [0; 32];
        stream(&x, [1, 4, 2], Resample::Nearest2x, &mut out);
        let row = [1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8];
        assert_eq!(out[..16], row);
        assert_eq!(out[16..], row);
    }

    #[test]
    fn pooling_leaves_out_an_odd_edge() {
        // 3 x 3 of one channel: only the top left block counts
        let mut out = [0];
        stream(
            &[1, 2, 99, 4, 6, 99, 99, 99, 99],
            [3, 3, 1],
            Resample::AveragePool2x,
            &mut out,
        );
        assert_eq!(out, [3]);
        let mut out = [0];
        state(
            &[i32::MAX, i32::MAX, i32::MAX, 0],
            [2, 2, 1],
            Resample::AveragePool2x,
            &mut out,
        );
        assert_eq!(out, [1_610_612_736 - 1]);
    }
}
