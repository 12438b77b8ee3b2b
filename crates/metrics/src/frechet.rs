//! Fréchet distance between normal distributions fitted to two sets of features.
//!
//! With the features of an Inception network this is the FID of Heusel et al. (2017); with those of another
//! extractor the figures compare only among themselves. The estimate is biased upwards for small sets:
//! compare sets of one size.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};

use crate::error::same;
use crate::{MetricsError, Moments};

/// A Fréchet distance and its two terms, in squared units of the features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frechet {
    /// `mean_term + trace_term`: the *squared* 2-Wasserstein distance, as FID is always reported.
    pub distance: f64,
    /// Squared length of the difference of the means.
    pub mean_term: f64,
    /// `tr(C1 + C2 - 2 sqrt(C1 C2))`; as small as rounding below zero where the covariances agree.
    pub trace_term: f64,
}

/// One side of a Fréchet distance, with the square root of its covariance kept for many calls.
#[derive(Clone, Debug)]
pub struct Reference {
    mean: Vec<f64>,
    trace: f64,
    /// `W` of `dim x rank` with `W W^T` the covariance: eigenvectors times roots of the eigenvalues.
    root: Mat<f64>,
}

impl Reference {
    /// Decomposes the covariance of `moments`.
    ///
    /// # Errors
    /// With fewer than two rows, or if the eigenvalues do not converge.
    pub fn new(moments: &Moments) -> Result<Self, MetricsError> {
        let covariance = moments.covariance_matrix()?;
        let dim = moments.dim();
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| MetricsError::Eigenvalues { dim })?;
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        // ascending; what is below is rounding of zero
        let least = noise(&values);
        let null = values.iter().take_while(|&&v| v <= least).count();
        let root = Mat::from_fn(dim, dim - null, |i, j| {
            eigen.U()[(i, null + j)] * values[null + j].sqrt()
        });
        Ok(Self {
            mean: moments.mean().to_vec(),
            trace: trace(&covariance),
            root,
        })
    }

    /// Number of features of a row.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Distance from this side to `other`.
    ///
    /// The eigenvalues of `W^T C2 W` are those of `C1 C2` without its null space, and the matrix is
    /// symmetric, so the trace of the root needs neither a general matrix root nor an epsilon on the diagonal.
    ///
    /// # Errors
    /// If the widths differ, `other` has fewer than two rows, or the eigenvalues do not converge.
    pub fn distance(&self, other: &Moments) -> Result<Frechet, MetricsError> {
        let dim = self.dim();
        same("features of the other set", other.dim(), dim)?;
        let covariance = other.covariance_matrix()?;
        let rank = self.root.ncols();
        let mut half = Mat::<f64>::zeros(dim, rank);
        matmul(
            &mut half,
            Accum::Replace,
            &covariance,
            &self.root,
            1.0,
            Par::Seq,
        );
        let mut product = Mat::<f64>::zeros(rank, rank);
        matmul(
            &mut product,
            Accum::Replace,
            self.root.transpose(),
            &half,
            1.0,
            Par::Seq,
        );
        let values = if rank == 0 {
            Vec::new()
        } else {
            product
                .self_adjoint_eigenvalues(Side::Lower)
                .map_err(|_| MetricsError::Eigenvalues { dim })?
        };
        let least = noise(&values);
        let roots = values.iter().filter(|&&v| v > least).map(|v| v.sqrt());
        let trace_term = self.trace + trace(&covariance) - 2.0 * roots.sum::<f64>();
        let differences = self.mean.iter().zip(other.mean()).map(|(a, b)| a - b);
        let mean_term = differences.map(|d| d * d).sum();
        Ok(Frechet {
            distance: mean_term + trace_term,
            mean_term,
            trace_term,
        })
    }
}

/// Size below which an eigenvalue cannot be told from the rounding of zero.
fn noise(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(0.0, f64::max);
    8.0 * f64::EPSILON * largest
}

fn trace(matrix: &Mat<f64>) -> f64 {
    (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum()
}

/// Fréchet distance between the normal distributions of `a` and `b`; see [`Reference`] for many calls with one `a`.
///
/// # Errors
/// As [`Reference::new`] and [`Reference::distance`].
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<Frechet, MetricsError> {
    same("features of the other set", b.dim(), a.dim())?;
    Reference::new(a)?.distance(b)
}
