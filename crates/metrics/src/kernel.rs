//! Kernel distance: the unbiased squared maximum mean discrepancy of KID (Bińkowski et al. 2018).

use crate::error::{enough, same};
use crate::features::fold_products;
use crate::{Features, MetricsError};

/// Unbiased estimate of the squared MMD with the kernel `(x . y / dim + 1)^3`, over all pairs.
///
/// Near zero, of either sign, for two sets of one distribution. Published KID figures average subsets of 1,000 rows;
/// the expectation is the same.
///
/// # Errors
/// If the widths differ or a set has fewer than two rows.
pub fn kernel_distance(a: Features, b: Features) -> Result<f64, MetricsError> {
    same("features of the other set", b.dim(), a.dim())?;
    enough("rows of the first set", a.count(), 2)?;
    enough("rows of the other set", b.count(), 2)?;
    let within = |x: Features| {
        let n = x.count() as f64;
        total(x, x, |i, j| i != j) / (n * (n - 1.0))
    };
    let across = total(a, b, |_, _| true) / (a.count() as f64 * b.count() as f64);
    Ok(within(a) + within(b) - 2.0 * across)
}

fn total(a: Features, b: Features, counts: impl Fn(usize, usize) -> bool + Sync) -> f64 {
    let dim = a.dim() as f64;
    let sums = fold_products(
        a,
        b,
        || 0.0,
        |sum, i, j, product| {
            if counts(i, j) {
                *sum += (f64::from(product) / dim + 1.0).powi(3);
            }
        },
    );
    sums.iter().sum()
}
