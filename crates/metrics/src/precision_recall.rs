//! Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).
//!
//! Each set spans a region: the balls around its rows that reach to the row's `k`-th nearest neighbour.

use crate::error::{enough, same};
use crate::features::fold_products;
use crate::{Features, MetricsError};

/// Neighbours of the paper.
pub const NEIGHBOURS: usize = 3;

/// How two sets of features cover each other; all but `density` are shares of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manifold {
    /// Share of generated rows within the region of the real ones: quality.
    pub precision: f64,
    /// Share of real rows within the region of the generated ones: variety.
    pub recall: f64,
    /// Mean number of real balls around a generated row, divided by `k`; may exceed 1.
    pub density: f64,
    /// Share of real balls that hold a generated row.
    pub coverage: f64,
}

/// Which rows lie within the other set's region: what the shares of [`Manifold`] are means of, so that they can be
/// resampled and paired.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    neighbours: usize,
    /// Real balls around each generated row.
    around: Vec<usize>,
    /// For each real row, whether it lies in the generated region, and whether its ball holds a generated row.
    covered: Vec<(bool, bool)>,
}

impl Membership {
    /// One value a generated row, 1 within the region of the real rows, whose mean is the precision.
    pub fn precision(&self) -> Vec<f64> {
        let rows = self.around.iter();
        rows.map(|&n| f64::from(u8::from(n > 0))).collect()
    }

    /// One value a real row, 1 within the region of the generated rows, whose mean is the recall.
    pub fn recall(&self) -> Vec<f64> {
        let rows = self.covered.iter();
        rows.map(|s| f64::from(u8::from(s.0))).collect()
    }

    /// One value a generated row, whose mean is the density.
    pub fn density(&self) -> Vec<f64> {
        let k = self.neighbours as f64;
        self.around.iter().map(|&n| n as f64 / k).collect()
    }

    /// One value a real row, 1 if its ball holds a generated row, whose mean is the coverage.
    pub fn coverage(&self) -> Vec<f64> {
        let rows = self.covered.iter();
        rows.map(|s| f64::from(u8::from(s.1))).collect()
    }

    /// The means.
    pub fn manifold(&self) -> Manifold {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        Manifold {
            precision: mean(self.precision()),
            recall: mean(self.recall()),
            density: self.around.iter().sum::<usize>() as f64
                / (self.around.len() * self.neighbours) as f64,
            coverage: mean(self.coverage()),
        }
    }
}

/// Compares `generated` with `real` by balls to the `k`-th neighbour; the paper takes [`NEIGHBOURS`].
///
/// # Errors
/// As [`membership`].
pub fn precision_recall(
    real: Features,
    generated: Features,
    k: usize,
) -> Result<Manifold, MetricsError> {
    membership(real, generated, k).map(|m| m.manifold())
}

/// Says of each row whether it lies within the other set's region.
///
/// Distances are Euclidean, from products in `f32` of features centred on the real mean.
///
/// # Errors
/// If the widths differ, `k` is zero, or a set has not more than `k` rows.
pub fn membership(
    real: Features,
    generated: Features,
    k: usize,
) -> Result<Membership, MetricsError> {
    same("features of the generated set", generated.dim(), real.dim())?;
    enough("neighbours", k, 1)?;
    enough("rows of the real set", real.count(), k + 1)?;
    enough("rows of the generated set", generated.count(), k + 1)?;
    let centre = mean(real);
    let (real, generated) = (Set::new(real, &centre), Set::new(generated, &centre));
    let (real_radii, generated_radii) = (real.radii(k), generated.radii(k));
    Ok(Membership {
        neighbours: k,
        around: fold(&generated, &real, 0_usize, |count, _, j, d| {
            *count += usize::from(d <= real_radii[j]);
        }),
        covered: fold(&real, &generated, (false, false), |state, i, j, d| {
            state.0 |= d <= generated_radii[j];
            state.1 |= d <= real_radii[i];
        }),
    })
}

fn mean(features: Features) -> Vec<f64> {
    let mut mean = vec![0.0; features.dim()];
    for row in features.rows() {
        for (m, &x) in mean.iter_mut().zip(row) {
            *m += f64::from(x) / features.count() as f64;
        }
    }
    mean
}

/// Rows about a centre, which keeps the difference of products below from cancelling, with their squared lengths.
struct Set {
    values: Vec<f32>,
    dim: usize,
    squares: Vec<f32>,
}

impl Set {
    fn new(features: Features, centre: &[f64]) -> Self {
        let centred = |(&x, c): (&f32, &f64)| (f64::from(x) - c) as f32;
        let rows = features.rows();
        let values: Vec<f32> = rows
            .flat_map(|r| r.iter().zip(centre).map(centred))
            .collect();
        let length = |row: &[f32]| {
            row.iter()
                .map(|&x| f64::from(x) * f64::from(x))
                .sum::<f64>()
        };
        let squares = values.chunks_exact(features.dim());
        let squares = squares.map(|row| length(row) as f32).collect();
        Self {
            values,
            dim: features.dim(),
            squares,
        }
    }

    fn features(&self) -> Features<'_> {
        Features::trusted(&self.values, self.dim)
    }

    /// Squared distance of each row to its `k`-th neighbour.
    fn radii(&self, k: usize) -> Vec<f32> {
        let nearest = fold(self, self, vec![f32::INFINITY; k], |nearest, i, j, d| {
            if i != j && d < nearest[k - 1] {
                let at = nearest.partition_point(|&n| n <= d);
                nearest[at..].rotate_right(1);
                nearest[at] = d;
            }
        });
        nearest.iter().map(|n| n[k - 1]).collect()
    }
}

/// Folds the squared distances of each row of `left` to all rows of `right`.
fn fold<S: Clone + Send + Sync>(
    left: &Set,
    right: &Set,
    start: S,
    visit: impl Fn(&mut S, usize, usize, f32) + Sync,
) -> Vec<S> {
    fold_products(
        left.features(),
        right.features(),
        || start.clone(),
        |state, i, j, product| {
            let d = left.squares[i] + right.squares[j] - 2.0 * product;
            visit(state, i, j, d.max(0.0));
        },
    )
}
