//! Inception score (Salimans et al. 2016): how sure a classifier is of each image, and how varied the classes are.

use rayon::prelude::*;

use crate::error::enough;
use crate::intervals::blocks;
use crate::{Features, Jackknife, MetricsError};

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
            Split::of(rows, logits.dim()).score()
        })
        .collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let squares = scores.iter().map(|s| (s - mean) * (s - mean));
    Ok(InceptionScore {
        mean,
        std: (squares.sum::<f64>() / splits as f64).sqrt(),
    })
}

/// Jackknife of the score of all rows as one split, over `count` [`blocks`] of neighbouring rows.
///
/// The score of one split is higher than the mean over more of them: the marginal is better known.
///
/// # Errors
/// With fewer than two blocks or fewer rows than blocks.
pub fn inception_jackknife(logits: Features, count: usize) -> Result<Jackknife, MetricsError> {
    let parts = blocks(logits.count(), count)?;
    let dim = logits.dim();
    let parts: Vec<Split> = parts
        .into_par_iter()
        .map(|b| Split::of(&logits.values()[b.start * dim..b.end * dim], dim))
        .collect();
    let without = |left_out: usize| {
        let others = parts.iter().enumerate().filter(|(b, _)| *b != left_out);
        Split::union(others.map(|(_, s)| s), dim).score()
    };
    Ok(Jackknife {
        estimate: Split::union(&parts, dim).score(),
        without: (0..count).map(without).collect(),
    })
}

/// Sums over rows of class probabilities.
struct Split {
    rows: usize,
    /// Of the probability of each class.
    classes: Vec<f64>,
    /// Of `p ln p` over rows and classes.
    certainty: f64,
}

impl Split {
    /// Of rows of logits.
    fn of(rows: &[f32], classes: usize) -> Self {
        let mut split = Self {
            rows: rows.len() / classes,
            classes: vec![0.0; classes],
            certainty: 0.0,
        };
        for row in rows.chunks_exact(classes) {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shifted = |&x: &f32| f64::from(x) - f64::from(top);
            let log_sum = row.iter().map(|x| shifted(x).exp()).sum::<f64>().ln();
            for (m, x) in split.classes.iter_mut().zip(row) {
                let log_p = shifted(x) - log_sum;
                *m += log_p.exp();
                split.certainty += log_p.exp() * log_p;
            }
        }
        split
    }

    fn union<'a>(parts: impl IntoIterator<Item = &'a Self>, classes: usize) -> Self {
        let mut all = Self::of(&[], classes);
        for part in parts {
            all.rows += part.rows;
            all.certainty += part.certainty;
            for (sum, p) in all.classes.iter_mut().zip(&part.classes) {
                *sum += p;
            }
        }
        all
    }

    /// `exp` of the mean divergence of a row's classes from the split's: by `H(marginal) - mean H(row)`.
    fn score(&self) -> f64 {
        let n = self.rows as f64;
        let occurring = self.classes.iter().map(|m| m / n).filter(|&m| m > 0.0);
        (self.certainty / n - occurring.map(|m| m * m.ln()).sum::<f64>()).exp()
    }
}
