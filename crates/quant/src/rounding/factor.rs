//! Triangular factor of a damped covariance, and an order of columns that makes it small.

/// Share of the mean variance that is added to every variance.
const DAMPING: f64 = 0.01;

/// `P (C + damping) P^T = M D M^T`, `M` upper triangular with ones on the diagonal, `D` diagonal.
///
/// The squared error `e (C + damping) e^T` of a row of weights is then the sum of
/// `D[j] * (e[j] + sum of e[i] M[i][j] over i < j)^2` over positions `j`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// Column at each position: they are rounded in this order.
    pub order: Vec<usize>,
    /// `size * size`, row-major; only what is above the diagonal is meant.
    pub feedback: Vec<f64>,
    /// `D`.
    pub weight: Vec<f64>,
    /// Added to the diagonal of the covariance.
    pub damping: f64,
}

impl Factor {
    /// Of a covariance (`size * size`, symmetric, no negative eigenvalue but by rounding).
    ///
    /// The last position goes to the column of the least variance, the one before to that of the least
    /// variance given the last, and so on: what is rounded last cannot be made up for.
    ///
    /// # Panics
    /// When the matrix is not square.
    #[must_use]
    pub fn new(mut covariance: Vec<f64>, size: usize) -> Self {
        assert_eq!(covariance.len(), size * size, "a square matrix");
        let damping = damp(&mut covariance, size);
        let c = &mut covariance;
        let mut order: Vec<usize> = (0..size).collect();
        let mut weight = vec![0.0; size];
        let mut column = vec![0.0; size];
        for last in (0..size).rev() {
            let least = (0..=last)
                .min_by(|&a, &b| c[a * size + a].total_cmp(&c[b * size + b]))
                .unwrap_or(last);
            exchange(c, size, least, last);
            order.swap(least, last);
            // damping keeps it positive, but for rounding
            let d = c[last * size + last].max(damping * 1e-3);
            weight[last] = d;
            for i in 0..last {
                column[i] = c[i * size + last] / d;
            }
            let (remaining, own) = c.split_at_mut(last * size);
            for (row, &m) in remaining.chunks_exact_mut(size).zip(&column) {
                for (x, &y) in row.iter_mut().zip(&own[..last]) {
                    *x -= m * y;
                }
                row[last] = m;
            }
        }
        Self {
            order,
            feedback: covariance,
            weight,
            damping,
        }
    }

    /// `x` of `(C + damping) x = right`, in the order of columns.
    ///
    /// # Panics
    /// When there are not as many values as columns.
    #[must_use]
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let size = self.size();
        assert_eq!(right.len(), size, "one value a column");
        let mut x: Vec<f64> = self.order.iter().map(|&c| right[c]).collect();
        let rows = || self.feedback.chunks_exact(size).enumerate();
        for (k, row) in rows().rev() {
            let (head, tail) = x.split_at_mut(k + 1);
            head[k] -= (row[k + 1..].iter().zip(tail))
                .map(|(m, x)| m * *x)
                .sum::<f64>();
        }
        x.iter_mut().zip(&self.weight).for_each(|(x, d)| *x /= d);
        for (k, row) in rows() {
            let (head, tail) = x.split_at_mut(k + 1);
            (tail.iter_mut().zip(&row[k + 1..])).for_each(|(x, m)| *x -= head[k] * m);
        }
        let mut all = vec![0.0; size];
        self.order.iter().zip(x).for_each(|(&c, x)| all[c] = x);
        all
    }

    /// Number of columns.
    #[must_use]
    pub fn size(&self) -> usize {
        self.order.len()
    }
}

/// Add to the diagonal of a covariance (`size * size`) what keeps it positive, and return that.
pub fn damp(covariance: &mut [f64], size: usize) -> f64 {
    let diagonal = (0..size).map(|i| i * size + i);
    let mean = diagonal.clone().map(|i| covariance[i]).sum::<f64>() / size.max(1) as f64;
    // inputs that are always the same have no covariance: every weight for itself
    let damping = if mean > 0.0 { mean * DAMPING } else { 1.0 };
    diagonal.for_each(|i| covariance[i] += damping);
    damping
}

/// Exchange rows `a` and `b` and columns `a` and `b`.
fn exchange(matrix: &mut [f64], size: usize, a: usize, b: usize) {
    if a == b {
        return;
    }
    for i in 0..size {
        matrix.swap(a * size + i, b * size + i);
    }
    for row in matrix.chunks_exact_mut(size) {
        row.swap(a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::super::feedback::tests::covariance;
    use super::*;

    /// `M D M^T` is the damped covariance, whatever the order.
    #[test]
    fn the_factors_multiply_to_the_matrix() {
        for (size, rank) in [(1, 1), (2, 1), (7, 7), (20, 5), (33, 0)] {
            let c = covariance(size, rank, 5);
            let f = Factor::new(c.clone(), size);
            let m = |i: usize, j: usize| match i.cmp(&j) {
                std::cmp::Ordering::Less => f.feedback[i * size + j],
                std::cmp::Ordering::Equal => 1.0,
                std::cmp::Ordering::Greater => 0.0,
            };
            for i in 0..size {
                for j in 0..size {
                    let got: f64 = (0..size).map(|k| m(i, k) * f.weight[k] * m(j, k)).sum();
                    let damping = if i == j { f.damping } else { 0.0 };
                    let want = c[f.order[i] * size + f.order[j]] + damping;
                    assert!(
                        (got - want).abs() < 1e-9,
                        "{size}, {rank}: {got}, not {want}"
                    );
                }
            }
            let mut columns = f.order.clone();
            columns.sort_unstable();
            assert!(columns.into_iter().eq(0..size), "every column once");
        }
    }

    #[test]
    fn what_is_solved_multiplies_to_the_right_side() {
        for (size, rank) in [(1, 1), (7, 7), (20, 5), (33, 0)] {
            let c = covariance(size, rank, 6);
            let f = Factor::new(c.clone(), size);
            let right: Vec<f64> = (0..size).map(|i| (i * 7 % 5) as f64 - 2.0).collect();
            let x = f.solve(&right);
            for (i, want) in right.iter().enumerate() {
                let row = &c[i * size..(i + 1) * size];
                let product: f64 = row.iter().zip(&x).map(|(c, x)| c * x).sum();
                let got = product + f.damping * x[i];
                assert!(
                    (got - want).abs() < 1e-6,
                    "{size}, {rank}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn a_column_that_never_changes_comes_last() {
        let mut c = covariance(4, 4, 9);
        for i in 0..4 {
            c[4 + i] = 0.0;
            c[i * 4 + 1] = 0.0;
        }
        let f = Factor::new(c, 4);
        assert_eq!(f.order[3], 1);
        assert!((0..3).all(|i| f.feedback[i * 4 + 3] == 0.0));
    }
}
