//! Mean and covariance of features, gathered in any number of parts.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par};

use crate::error::{enough, finite, same};
use crate::{Features, MetricsError};

/// Rows taken into one update; bounds the memory of the copy in `f64`.
const CHUNK: usize = 512;

/// Number, mean and co-moments of rows of features.
///
/// Parts are merged by the formula of Chan, Golub and LeVeque (1979), which is stable where sums of squares are not.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// Lower triangle of the sum of `(x - mean)(x - mean)^T`, by rows.
    comoment: Vec<f64>,
}

impl Moments {
    /// Those of no rows, of `dim` features each.
    pub fn new(dim: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; dim],
            comoment: vec![0.0; dim * (dim + 1) / 2],
        }
    }

    /// Those of all `features`.
    pub fn of(features: Features) -> Self {
        let mut all = Self::new(features.dim());
        all.absorb(features);
        all
    }

    /// Puts stored parts together again: what [`count`](Self::count), [`mean`](Self::mean) and
    /// [`comoment`](Self::comoment) gave.
    ///
    /// # Errors
    /// If `comoment` is not a packed triangle for `mean`, a value is not finite, or the diagonal is negative.
    pub fn from_parts(
        count: u64,
        mean: Vec<f64>,
        comoment: Vec<f64>,
    ) -> Result<Self, MetricsError> {
        let dim = mean.len();
        enough("features of the mean", dim, 1)?;
        same("packed co-moments", comoment.len(), dim * (dim + 1) / 2)?;
        finite("mean", mean.iter().copied())?;
        finite("co-moments", comoment.iter().copied())?;
        let parts = Self {
            count,
            mean,
            comoment,
        };
        match (0..dim).map(|i| parts.at(i, i)).find(|&v| v < 0.0) {
            None => Ok(parts),
            Some(got) => Err(MetricsError::Range {
                what: "diagonal of the co-moments",
                got,
                want: "none below zero",
            }),
        }
    }

    /// Number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of features of a row.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Mean of each feature; zeros without rows.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Lower triangle of the sum of `(x - mean)(x - mean)^T`: rows of 1, 2, ... `dim` values.
    pub fn comoment(&self) -> &[f64] {
        &self.comoment
    }

    /// Co-moment of features `i` and `j <= i`.
    fn at(&self, i: usize, j: usize) -> f64 {
        self.comoment[i * (i + 1) / 2 + j]
    }

    /// Adds one row; [`add_batch`](Self::add_batch) is much faster for many.
    ///
    /// # Errors
    /// If the row has another width or a value is not finite.
    pub fn add(&mut self, row: &[f32]) -> Result<(), MetricsError> {
        same("features of a row", row.len(), self.dim())?;
        self.add_batch(row)
    }

    /// Adds rows of [`dim`](Self::dim) features each; nothing is added on error.
    ///
    /// # Errors
    /// If the values are no whole number of rows or one is not finite.
    pub fn add_batch(&mut self, rows: &[f32]) -> Result<(), MetricsError> {
        let features = Features::new(rows, self.dim())?;
        self.absorb(features);
        Ok(())
    }

    fn absorb(&mut self, features: Features) {
        let dim = self.dim();
        for chunk in features.values().chunks(CHUNK * dim) {
            let part = Self::of_chunk(chunk, dim);
            self.combine(&part);
        }
    }

    fn of_chunk(chunk: &[f32], dim: usize) -> Self {
        let rows = chunk.len() / dim;
        let mut part = Self::new(dim);
        part.count = rows as u64;
        for row in chunk.chunks_exact(dim) {
            for (m, &x) in part.mean.iter_mut().zip(row) {
                *m += f64::from(x);
            }
        }
        part.mean.iter_mut().for_each(|m| *m /= rows as f64);
        let centred: Vec<f64> = chunk
            .chunks_exact(dim)
            .flat_map(|row| row.iter().zip(&part.mean).map(|(&x, m)| f64::from(x) - m))
            .collect();
        let x = MatRef::from_row_major_slice(&centred, rows, dim);
        let mut square = Mat::<f64>::zeros(dim, dim);
        triangular::matmul(
            square.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Replace,
            x.transpose(),
            BlockStructure::Rectangular,
            x,
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
        let lower = (0..dim).flat_map(|i| (0..=i).map(move |j| (i, j)));
        for (c, at) in part.comoment.iter_mut().zip(lower) {
            *c = square[at];
        }
        part
    }

    /// Adds the rows of `other`.
    ///
    /// # Errors
    /// If the widths differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        same("features of the other set", other.dim(), self.dim())?;
        self.combine(other);
        Ok(())
    }

    fn combine(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let delta: Vec<f64> = self
            .mean
            .iter()
            .zip(&other.mean)
            .map(|(m, o)| o - m)
            .collect();
        for (m, d) in self.mean.iter_mut().zip(&delta) {
            *m += d * (b / (a + b));
        }
        self.add_outer(&other.comoment, 1.0, &delta, a * b / (a + b));
        self.count += other.count;
    }

    /// Takes away the rows of `part`, which must have been merged before: what is left are the moments of the others.
    ///
    /// # Errors
    /// If the widths differ or `part` has more rows than this set.
    pub fn remove(&mut self, part: &Self) -> Result<(), MetricsError> {
        same("features of the part", part.dim(), self.dim())?;
        if part.count > self.count {
            return Err(MetricsError::TooFew {
                what: "rows to take a part from",
                got: usize::try_from(self.count).unwrap_or(usize::MAX),
                least: usize::try_from(part.count).unwrap_or(usize::MAX),
            });
        }
        if part.count == self.count {
            *self = Self::new(self.dim());
            return Ok(());
        }
        let (all, b) = (self.count as f64, part.count as f64);
        let left = all - b;
        for (m, p) in self.mean.iter_mut().zip(&part.mean) {
            *m += (*m - p) * (b / left);
        }
        let delta: Vec<f64> = self
            .mean
            .iter()
            .zip(&part.mean)
            .map(|(m, p)| p - m)
            .collect();
        self.add_outer(&part.comoment, -1.0, &delta, -left * b / all);
        self.count -= part.count;
        Ok(())
    }

    /// `comoment += sign * other + weight * delta delta^T`.
    fn add_outer(&mut self, other: &[f64], sign: f64, delta: &[f64], weight: f64) {
        let mut first = 0;
        for (i, di) in delta.iter().enumerate() {
            let row = first..first + i + 1;
            let values = self.comoment[row.clone()].iter_mut();
            for ((c, o), dj) in values.zip(&other[row]).zip(delta) {
                *c += sign * o + weight * di * dj;
            }
            first += i + 1;
        }
    }

    /// Unbiased covariance (divided by `count - 1`, as `numpy.cov`), `dim * dim` values by rows.
    ///
    /// # Errors
    /// With fewer than two rows.
    pub fn covariance(&self) -> Result<Vec<f64>, MetricsError> {
        let c = self.covariance_matrix()?;
        let dim = self.dim();
        Ok((0..dim * dim).map(|i| c[(i / dim, i % dim)]).collect())
    }

    pub(crate) fn covariance_matrix(&self) -> Result<Mat<f64>, MetricsError> {
        let rows = usize::try_from(self.count).unwrap_or(usize::MAX);
        enough("rows for a covariance", rows, 2)?;
        let divisor = (self.count - 1) as f64;
        Ok(Mat::from_fn(self.dim(), self.dim(), |i, j| {
            self.at(i.max(j), i.min(j)) / divisor
        }))
    }
}
