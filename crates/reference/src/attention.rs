//! Self-attention over the pixels of one image.

use diffuser_model::graph::Attention;

use crate::matrix::{Into, Matrix, Threads, multiply};

/// Scores kept at a time: 4 MiB, so that large images need no quadratic memory.
const SCORES: usize = 1 << 20;

/// `softmax(Q K^T * scale) V`, a head at a time; all of `pixels * channels` values. `scores` is scratch
/// space and may grow.
pub(crate) fn attend(
    attention: &Attention,
    [q, k, v]: [&[f32]; 3],
    channels: usize,
    output: &mut [f32],
    scores: &mut Vec<f32>,
    threads: Threads,
) {
    let pixels = q.len() / channels;
    let width = channels / attention.heads;
    let rows = (SCORES / pixels).clamp(1, pixels);
    scores.resize(rows * pixels, 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "to the network's precision"
    )]
    let scale = attention.scale as f32;
    for first in (0..channels).step_by(width) {
        let keys = Matrix::rows(&k[first..], pixels, width, channels).transposed();
        let values = Matrix::rows(&v[first..], pixels, width, channels);
        for start in (0..pixels).step_by(rows) {
            let count = rows.min(pixels - start);
            let offset = start * channels + first;
            let queries = Matrix::rows(&q[offset..], count, width, channels);
            let scores = &mut scores[..count * pixels];
            multiply(scores, pixels, queries, keys, Into::Replace, threads);
            threads.chunks(scores, pixels, |_, row| softmax(row, scale));
            let scores = Matrix::rows(scores, count, pixels, pixels);
            multiply(
                &mut output[offset..],
                channels,
                scores,
                values,
                Into::Replace,
                threads,
            );
        }
    }
}

/// `softmax(row * scale)` in place, for a positive scale.
fn softmax(row: &mut [f32], scale: f32) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = ((*x - largest) * scale).exp();
        sum += f64::from(*x);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "to the network's precision"
    )]
    let factor = sum.recip() as f32;
    row.iter_mut().for_each(|x| *x *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        // the second is too long for one block of scores
        for (pixels, channels, heads) in [(6, 4, 2), (1500, 2, 1)] {
            let [q, k, v] = [3, 5, 7].map(|step| {
                let number = |i: usize| (i * step % 11) as f32 / 4.0 - 1.0;
                (0..pixels * channels).map(number).collect::<Vec<_>>()
            });
            let attention = Attention { heads, scale: 0.7 };
            let mut output = vec![f32::NAN; pixels * channels];
            let qkv = [q.as_slice(), &k, &v];
            attend(
                &attention,
                qkv,
                channels,
                &mut output,
                &mut Vec::new(),
                Threads(1),
            );
            let width = channels / heads;
            for (i, y) in output.iter().enumerate().step_by(7) {
                let (query, c) = (i / channels, i % channels);
                let head = c / width * width..(c / width + 1) * width;
                let (mut sum, mut total) = (0.0, 0.0);
                for key in 0..pixels {
                    let products = head
                        .clone()
                        .map(|c| q[query * channels + c] * k[key * channels + c]);
                    let weight = (f64::from(products.sum::<f32>()) * 0.7).exp();
                    sum += weight * f64::from(v[key * channels + c]);
                    total += weight;
                }
                assert!(
                    (f64::from(*y) - sum / total).abs() < 1e-5,
                    "value {i} of {pixels} pixels"
                );
            }
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let mut row = [3e38, 2e38, -3e38];
        softmax(&mut row, 1.0);
        assert_eq!(row, [1.0, 0.0, 0.0]);
    }
}
