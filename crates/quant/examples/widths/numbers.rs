//! Whole numbers in `f64`: rounding, mantissas of some bits, images resampled.

use diffuser_model::graph::{Resample, TensorInfo};

/// `2^e`.
pub fn power(e: i32) -> f64 {
    f64::from(e).exp2()
}

/// Halves towards plus infinity.
pub fn round(x: f64) -> f64 {
    // `f64::floor` is a call into libm on plain x86-64, and would take a quarter of the time
    const WHOLE: f64 = (3u64 << 51) as f64;
    let y = x + 0.5;
    if y.abs() >= (1u64 << 50) as f64 {
        return y.floor();
    }
    let nearest = (y + WHOLE) - WHOLE;
    if nearest > y { nearest - 1.0 } else { nearest }
}

/// Bits of the whole part of a magnitude, negative below a half; 0 has none.
pub fn bit_length(x: f64) -> i32 {
    // the exponent of a normal number; everything below is as good as 0 here
    ((x.to_bits() >> 52 & 0x7ff) as i32 - 1022).max(-200)
}

/// `x` with a mantissa of so many bits.
pub fn mantissa(x: f64, bits: u32) -> f64 {
    if x == 0.0 || bits > 52 {
        return x;
    }
    let unit = power(bit_length(x) - bits as i32);
    round(x / unit) * unit
}

/// Resample an image of whole numbers.
pub fn resample(x: &[f64], source: &TensorInfo, kind: Resample) -> Vec<f64> {
    let (width, channels) = (source.width, source.channels);
    let height = x.len() / width / channels;
    let at = |y: usize, x: usize, c: usize| (y * width + x) * channels + c;
    let (rows, columns) = match kind {
        Resample::Nearest2x => (2 * height, 2 * width),
        Resample::AveragePool2x => (height / 2, width / 2),
    };
    let mut out = Vec::with_capacity(rows * columns * channels);
    for row in 0..rows {
        for column in 0..columns {
            out.extend((0..channels).map(|c| match kind {
                Resample::Nearest2x => x[at(row / 2, column / 2, c)],
                Resample::AveragePool2x => {
                    let four = [(0, 0), (0, 1), (1, 0), (1, 1)];
                    let sum: f64 = four
                        .iter()
                        .map(|(dy, dx)| x[at(2 * row + dy, 2 * column + dx, c)])
                        .sum();
                    ((sum + 2.0) / 4.0).floor()
                }
            }));
        }
    }
    out
}
