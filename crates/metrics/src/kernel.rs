//! Kernel distance: the unbiased squared maximum mean discrepancy of KID (Bińkowski et al. 2018).

use crate::error::{enough, same};
use crate::features::fold_products;
use crate::intervals::blocks;
use crate::{Features, Jackknife, MetricsError};

/// Unbiased estimate of the squared MMD with the kernel `(x . y / dim + 1)^3`, over all pairs.
///
/// Near zero, of either sign, for two sets of one distribution. Published KID figures average subsets of 1,000 rows;
/// the expectation is the same.
///
/// # Errors
/// If the widths differ or a set has fewer than two rows.
pub fn kernel_distance(a: Features, b: Features) -> Result<f64, MetricsError> {
    same("features of the other set", b.dim(), a.dim())?;
    enough("rows of the other set", b.count(), 2)?;
    let across = sums(a, b, 1, |_, _| Some(0));
    let pairs = a.count() as f64 * b.count() as f64;
    Ok(within(a)? + within(b)? - 2.0 * across.concat().iter().sum::<f64>() / pairs)
}

/// Mean of the kernel over all pairs of two different rows.
///
/// # Errors
/// With fewer than two rows.
pub fn within(features: Features) -> Result<f64, MetricsError> {
    enough("rows of a set", features.count(), 2)?;
    let n = features.count() as f64;
    let all = sums(features, features, 1, |i, j| (i != j).then_some(0));
    Ok(all.concat().iter().sum::<f64>() / (n * (n - 1.0)))
}

/// Jackknife of [`kernel_distance`] over `count` [`blocks`] of neighbouring rows of `generated`; `real_within` is
/// [`within`] of `real`, which does not change.
///
/// # Errors
/// As [`kernel_distance`], with fewer than two blocks, or fewer than two rows without one of them.
pub fn kernel_jackknife(
    real: Features,
    real_within: f64,
    generated: Features,
    count: usize,
) -> Result<Jackknife, MetricsError> {
    same("features of the generated set", generated.dim(), real.dim())?;
    enough("rows of the real set", real.count(), 1)?;
    let parts = blocks(generated.count(), count)?;
    let longest = parts.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    enough("rows without a block", generated.count() - longest, 2)?;
    let block_of: Vec<usize> = (0..count)
        .flat_map(|b| parts[b].clone().map(move |_| b))
        .collect();
    let to_real = sums(generated, real, 1, |_, _| Some(0));
    let to_blocks = sums(generated, generated, count, |i, j| {
        (i != j).then(|| block_of[j])
    });
    // sums over the rows of each block: to the real set, and to each block
    let mut across = vec![0.0; count];
    let mut inside = vec![vec![0.0; count]; count];
    for (i, &b) in block_of.iter().enumerate() {
        across[b] += to_real[i][0];
        for (sum, s) in inside[b].iter_mut().zip(&to_blocks[i]) {
            *sum += s;
        }
    }
    let figure = |n: usize, inside: f64, across: f64| {
        let n = n as f64;
        real_within + inside / (n * (n - 1.0)) - 2.0 * across / (n * real.count() as f64)
    };
    let all_across: f64 = across.iter().sum();
    let all_inside: f64 = inside.iter().flatten().sum();
    let without = (0..count).map(|b| {
        let touching: f64 = (0..count).map(|c| inside[b][c] + inside[c][b]).sum();
        let rest = all_inside - touching + inside[b][b];
        let rows = generated.count() - parts[b].len();
        figure(rows, rest, all_across - across[b])
    });
    Ok(Jackknife {
        estimate: figure(generated.count(), all_inside, all_across),
        without: without.collect(),
    })
}

/// For each row of `a`, sums of the kernel to rows of `b`, by the slot that `slot` puts a pair in, if any.
fn sums(
    a: Features,
    b: Features,
    slots: usize,
    slot: impl Fn(usize, usize) -> Option<usize> + Sync,
) -> Vec<Vec<f64>> {
    let dim = a.dim() as f64;
    fold_products(
        a,
        b,
        || vec![0.0; slots],
        |sums, i, j, product| {
            if let Some(slot) = slot(i, j) {
                sums[slot] += (f64::from(product) / dim + 1.0).powi(3);
            }
        },
    )
}
