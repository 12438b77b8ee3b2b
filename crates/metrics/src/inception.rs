//! Inception score (Salimans et al. 2016): how sure a classifier is of each image, and how varied the classes are.

use crate::error::enough;
use crate::{Features, MetricsError};

/// An inception score over splits of a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InceptionScore {
    /// Mean over the splits: 1 to the number of classes, higher is better.
    pub mean: f64,
    /// Standard deviation over the splits (divided by their number, as the paper's code).
    pub std: f64,
}

/// Splits of the paper.
pub const SPLITS: usize = 10;

/// Score of rows of class *logits* (before the softmax), in `splits` runs of neighbouring rows; the paper takes
/// [`SPLITS`].
///
/// # Errors
/// Without splits, or with fewer rows than splits.
pub fn inception_score(logits: Features, splits: usize) -> Result<InceptionScore, MetricsError> {
    enough("splits", splits, 1)?;
    let n = logits.count();
    enough("rows of logits", n, splits)?;
    let scores: Vec<f64> = (0..splits)
        .map(|s| {
            let (first, end) = (s * n / splits, (s + 1) * n / splits);
            let rows = &logits.values()[first * logits.dim()..end * logits.dim()];
            split_score(rows, logits.dim())
        })
        .collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let squares = scores.iter().map(|s| (s - mean) * (s - mean));
    Ok(InceptionScore {
        mean,
        std: (squares.sum::<f64>() / splits as f64).sqrt(),
    })
}

/// `exp` of the mean divergence of a row's classes from the split's: by `H(marginal) - mean H(row)`.
fn split_score(rows: &[f32], classes: usize) -> f64 {
    let mut marginal = vec![0.0; classes];
    let mut certainty = 0.0;
    let n = (rows.len() / classes) as f64;
    for row in rows.chunks_exact(classes) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = |&x: &f32| f64::from(x) - f64::from(top);
        let log_sum = row.iter().map(|x| shifted(x).exp()).sum::<f64>().ln();
        for (m, x) in marginal.iter_mut().zip(row) {
            let log_p = shifted(x) - log_sum;
            *m += log_p.exp() / n;
            certainty += log_p.exp() * log_p / n;
        }
    }
    let occurring = marginal.iter().filter(|&&m| m > 0.0);
    (certainty - occurring.map(|m| m * m.ln()).sum::<f64>()).exp()
}
