//! Rows of features, and inner products between the rows of two sets.

use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};
use rayon::prelude::*;

use crate::MetricsError;
use crate::error::{enough, finite, same};

/// One row of finite features for each image, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Features<'a> {
    /// Takes `values` as rows of `dim` features each.
    ///
    /// # Errors
    /// If `dim` is zero, `values` are no whole number of rows, or a value is not finite.
    pub fn new(values: &'a [f32], dim: usize) -> Result<Self, MetricsError> {
        enough("features of a row", dim, 1)?;
        same("values of the last row", values.len() % dim, 0)?;
        finite("features", values.iter().map(|&v| f64::from(v)))?;
        Ok(Self { values, dim })
    }

    /// As [`new`](Self::new), for values that derive from checked ones.
    pub(crate) fn trusted(values: &'a [f32], dim: usize) -> Self {
        Self { values, dim }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of features of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The rows, each of `dim` values.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.dim)
    }

    /// All values, row-major.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }
}

/// Rows of either side in one block of the product.
const BLOCK: usize = 256;

/// For each row of `left`, folds its inner products with all rows of `right`, in their order, into a state.
///
/// `visit` receives the state, the two row numbers and the product. Both sets must have one width.
pub(crate) fn fold_products<S: Send>(
    left: Features,
    right: Features,
    start: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, usize, usize, f32) + Sync,
) -> Vec<S> {
    let dim = left.dim;
    assert_eq!(dim, right.dim, "the caller compares the widths");
    let mut states: Vec<S> = (0..left.count()).map(|_| start()).collect();
    states
        .par_chunks_mut(BLOCK)
        .zip(left.values.par_chunks(BLOCK * dim))
        .enumerate()
        .for_each(|(block, (states, rows))| {
            let first = block * BLOCK;
            let l = MatRef::from_row_major_slice(rows, states.len(), dim);
            let mut products = vec![0.0; states.len() * BLOCK];
            for (other, columns) in right.values.chunks(BLOCK * dim).enumerate() {
                let width = columns.len() / dim;
                let r = MatRef::from_row_major_slice(columns, width, dim).transpose();
                let products = &mut products[..states.len() * width];
                let out = MatMut::from_row_major_slice_mut(products, states.len(), width);
                matmul(out, Accum::Replace, l, r, 1.0, Par::Seq);
                for (i, row) in products.chunks_exact(width).enumerate() {
                    for (j, &product) in row.iter().enumerate() {
                        visit(&mut states[i], first + i, other * BLOCK + j, product);
                    }
                }
            }
        });
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_are_refused() {
        assert!(Features::new(&[1.0; 4], 0).is_err());
        assert!(Features::new(&[1.0; 5], 2).is_err());
        let e = Features::new(&[1.0, f32::NAN], 2).unwrap_err().to_string();
        assert!(e.contains("value 1 is NaN"), "{e}");
    }

    #[test]
    fn every_pair_is_visited_in_order() {
        let l: Vec<f32> = (0..2 * 300).map(|i| (i % 7) as f32).collect();
        let r: Vec<f32> = (0..2 * 513).map(|i| (i % 5) as f32).collect();
        let (lf, rf) = (Features::new(&l, 2).unwrap(), Features::new(&r, 2).unwrap());
        let seen = fold_products(lf, rf, Vec::new, |s, i, j, p| s.push((i, j, p)));
        for (i, (row, a)) in seen.iter().zip(lf.rows()).enumerate() {
            let want: Vec<_> = rf
                .rows()
                .enumerate()
                .map(|(j, b)| (i, j, a[0] * b[0] + a[1] * b[1]))
                .collect();
            assert_eq!(row, &want);
        }
    }
}
