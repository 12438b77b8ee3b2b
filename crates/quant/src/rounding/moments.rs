//! Mean and covariance of a layer's inputs.

use diffuser_reference::matrix::{Into, Matrix, Threads, multiply};

/// Columns of the product that are computed at a time; what lies above the diagonal is left out.
const PANEL: usize = 128;

/// Where a row of a lower triangle begins.
const fn row_start(row: usize) -> usize {
    row * (row + 1) / 2
}

/// Sums of patches and of their products, in `f64`.
///
/// Products within one call of [`Moments::add`] are summed in `f32`, a few hundred at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    size: usize,
    count: u64,
    sums: Vec<f64>,
    /// Lower triangle, row after row: half the memory of the square.
    products: Vec<f64>,
}

impl Moments {
    /// Of patches with so many columns, none seen so far.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            count: 0,
            sums: vec![0.0; size],
            products: vec![0.0; row_start(size)],
        }
    }

    /// Number of columns.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Number of patches seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes that the sums for so many columns take.
    #[must_use]
    pub const fn bytes(size: usize) -> u64 {
        8 * (row_start(size) + size) as u64
    }

    /// What is in it: the number of patches, their sums, and those of their products.
    pub(crate) fn raw(&self) -> (u64, &[f64], &[f64]) {
        (self.count, &self.sums, &self.products)
    }

    /// The inverse of [`Moments::raw`]; `None` if the lengths do not fit.
    pub(crate) fn restore(&mut self, count: u64, sums: Vec<f64>, products: Vec<f64>) -> Option<()> {
        let fits = sums.len() == self.sums.len() && products.len() == self.products.len();
        (self.count, self.sums, self.products) = fits.then_some((count, sums, products))?;
        Some(())
    }

    /// Take in patches, one after another in `patches`.
    ///
    /// # Panics
    /// When they are no whole number of patches.
    pub fn add(&mut self, patches: &[f32]) {
        let size = self.size;
        assert_eq!(patches.len() % size, 0, "whole patches");
        let count = patches.len() / size;
        self.count += count as u64;
        for patch in patches.chunks_exact(size) {
            for (sum, &x) in self.sums.iter_mut().zip(patch) {
                *sum += f64::from(x);
            }
        }
        let mut product = vec![0.0; size * PANEL.min(size)];
        for from in (0..size).step_by(PANEL) {
            let (rows, width) = (size - from, PANEL.min(size - from));
            if count == 0 {
                continue;
            }
            let left = Matrix::rows(&patches[from..], count, rows, size).transposed();
            let right = Matrix::rows(&patches[from..], count, width, size);
            multiply(&mut product, width, left, right, Into::Replace, Threads(1));
            for (i, row) in product.chunks_exact(width).take(rows).enumerate() {
                let start = row_start(from + i) + from;
                let kept = width.min(i + 1);
                for (sum, &x) in self.products[start..start + kept].iter_mut().zip(row) {
                    *sum += f64::from(x);
                }
            }
        }
    }

    /// Take in what another has seen.
    ///
    /// # Panics
    /// When it has another number of columns.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.size, other.size, "the same columns");
        self.count += other.count;
        let sums = self.sums.iter_mut().zip(&other.sums);
        let products = self.products.iter_mut().zip(&other.products);
        sums.chain(products).for_each(|(a, b)| *a += b);
    }

    /// The mean patch; zeros when none was seen.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        let n = self.count.max(1) as f64;
        self.sums.iter().map(|s| s / n).collect()
    }

    /// The covariance, `size * size`, symmetric to the bit; zeros when nothing was seen.
    #[must_use]
    pub fn covariance(&self) -> Vec<f64> {
        let (size, n) = (self.size, self.count.max(1) as f64);
        let mean = self.mean();
        let mut all = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                let x = self.products[row_start(i) + j] / n - mean[i] * mean[j];
                // rounding may leave a variance of nothing below zero
                let x = if i == j { x.max(0.0) } else { x };
                all[i * size + j] = x;
                all[j * size + i] = x;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        // more columns than a panel, taken in twice
        let (size, count) = (150, 40);
        let patches: Vec<f32> = (0..size * count)
            .map(|i| ((i * 31 + i / 7) % 9) as f32 - 3.0)
            .collect();
        let mut moments = Moments::new(size);
        moments.add(&patches[..size * 10]);
        moments.add(&[]);
        moments.add(&patches[size * 10..]);
        assert_eq!(moments.count(), count as u64);
        let value = |p: usize, c: usize| f64::from(patches[p * size + c]);
        let mean = |c: usize| (0..count).map(|p| value(p, c)).sum::<f64>() / count as f64;
        let got = moments.covariance();
        for i in (0..size).step_by(7) {
            assert!((moments.mean()[i] - mean(i)).abs() < 1e-12);
            for j in 0..size {
                let want = (0..count)
                    .map(|p| (value(p, i) - mean(i)) * (value(p, j) - mean(j)))
                    .sum::<f64>()
                    / count as f64;
                assert!((got[i * size + j] - want).abs() < 1e-10, "{i} {j}");
                assert_eq!(got[i * size + j], got[j * size + i]);
            }
        }
    }

    #[test]
    fn merged_moments_are_those_of_all_patches() {
        let patches: Vec<f32> = (0..20).map(|i| (i * i % 7) as f32).collect();
        let of = |patches: &[f32]| {
            let mut moments = Moments::new(4);
            moments.add(patches);
            moments
        };
        let (first, second) = patches.split_at(8);
        let mut merged = of(first);
        merged.merge(&of(second));
        // small whole numbers: exact in any order
        assert_eq!(merged, of(&patches));
    }

    #[test]
    fn nothing_seen_is_all_zeros() {
        let moments = Moments::new(3);
        assert_eq!(moments.mean(), [0.0; 3]);
        assert_eq!(moments.covariance(), [0.0; 9]);
    }
}
