//! How certain a figure is: percentile bootstrap (Efron 1979) and delete-a-block jackknife.

use std::ops::Range;

use rayon::prelude::*;
use statrs::function::erf::erfc_inv;

use crate::error::{enough, same};
use crate::{MetricsError, Moments, Reference};

/// A confidence interval; one-sided intervals have an infinite end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What the bootstrap recomputes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Median; the mean of the middle two of an even number.
    Median,
}

impl Statistic {
    /// Its value for `values`, which it may reorder; `None` without values.
    pub fn of(self, values: &mut [f64]) -> Option<f64> {
        let n = values.len();
        match self {
            _ if n == 0 => None,
            Self::Mean => Some(values.iter().sum::<f64>() / n as f64),
            Self::Median => {
                let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
                if n % 2 == 1 {
                    return Some(upper);
                }
                let lower = below.iter().copied().max_by(f64::total_cmp);
                lower.map(|lower| between(lower, upper, 0.5))
            }
        }
    }
}

/// The point `t` of the way from `a` to `b`; equal infinities stay what they are.
fn between(a: f64, b: f64, t: f64) -> f64 {
    if a == b || t == 0.0 {
        a
    } else {
        a * (1.0 - t) + b * t
    }
}

/// Number `counter` of the sequence of `seed`: SplitMix64 (Steele, Lea, Flood 2014), any element at once.
fn random(seed: u64, counter: u64) -> u64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    mix(seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Percentile bootstrap interval of a statistic of `values`, at confidence `level` (for example 0.95).
///
/// For paired measurements give one value a pair, such as the difference. Infinite values are allowed (the PSNR of
/// equal images): they order above all others, and an end of the interval may be infinite.
///
/// # Errors
/// Without values or resamples, with a NaN, or with a level outside 0 to 1.
pub fn bootstrap(
    values: &[f64],
    statistic: Statistic,
    resamples: usize,
    level: f64,
    seed: u64,
) -> Result<Interval, MetricsError> {
    enough("values to resample", values.len(), 1)?;
    enough("resamples", resamples, 1)?;
    check_level(level)?;
    if let Some(index) = values.iter().position(|v| v.is_nan()) {
        return Err(MetricsError::NotFinite {
            what: "values to resample",
            index,
            value: values[index],
        });
    }
    let n = values.len() as u64;
    let draw = |r: usize, sample: &mut Vec<f64>| {
        sample.clear();
        sample.extend((0..n).map(|i| {
            // the high half of the product: uniform over 0..n up to n / 2^64
            let x = u128::from(random(seed, r as u64 * n + i)) * u128::from(n);
            values[(x >> 64) as usize]
        }));
        statistic.of(sample).unwrap_or(f64::NAN)
    };
    let mut figures: Vec<f64> = (0..resamples)
        .into_par_iter()
        .map_init(Vec::new, |sample, r| draw(r, sample))
        .collect();
    figures.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Ok(Interval {
        low: percentile(&figures, tail),
        high: percentile(&figures, 1.0 - tail),
    })
}

/// Linear interpolation between sorted values, as `numpy.quantile`.
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    between(sorted[below], sorted[above], at - below as f64)
}

fn check_level(level: f64) -> Result<(), MetricsError> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(MetricsError::Range {
        what: "confidence level",
        got: level,
        want: "between 0 and 1",
    })
}

/// Quantile of the standard normal distribution, `0 < p < 1`.
fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)
}

/// A figure, and the same figure without each of some blocks of the data.
///
/// The jackknife of blocks (Künsch 1989; Shao and Wu 1989) gives a standard error for figures, such as a Fréchet
/// distance, that are no mean over images; the intervals assume that the figure is about normal.
#[derive(Clone, Debug, PartialEq)]
pub struct Jackknife {
    /// The figure of all data.
    pub estimate: f64,
    /// The figure without block 0, 1, ...
    pub without: Vec<f64>,
}

impl Jackknife {
    /// The difference `self - other` over the same blocks: what the blocks have in common cancels.
    ///
    /// Block `b` must hold the same images (the same seeds) on both sides.
    ///
    /// # Errors
    /// If the numbers of blocks differ.
    pub fn difference(&self, other: &Self) -> Result<Self, MetricsError> {
        same("blocks", other.without.len(), self.without.len())?;
        let pairs = self.without.iter().zip(&other.without);
        Ok(Self {
            estimate: self.estimate - other.estimate,
            without: pairs.map(|(a, b)| a - b).collect(),
        })
    }

    /// The ratio `self / other` over the same blocks.
    ///
    /// # Errors
    /// If the numbers of blocks differ or a figure of `other` is not above zero.
    pub fn ratio(&self, other: &Self) -> Result<Self, MetricsError> {
        same("blocks", other.without.len(), self.without.len())?;
        let all = other.without.iter().chain([&other.estimate]);
        if let Some(&got) = all.into_iter().find(|&&v| v.is_nan() || v <= 0.0) {
            return Err(MetricsError::Range {
                what: "figure to divide by",
                got,
                want: "above zero",
            });
        }
        let pairs = self.without.iter().zip(&other.without);
        Ok(Self {
            estimate: self.estimate / other.estimate,
            without: pairs.map(|(a, b)| a / b).collect(),
        })
    }

    /// Standard error: the root of `(g - 1) / g` times the sum of squared deviations over `g` blocks.
    ///
    /// # Errors
    /// With fewer than two blocks.
    pub fn standard_error(&self) -> Result<f64, MetricsError> {
        let g = self.without.len();
        enough("blocks for a standard error", g, 2)?;
        let mean = self.without.iter().sum::<f64>() / g as f64;
        let squares = self.without.iter().map(|v| (v - mean) * (v - mean));
        Ok((squares.sum::<f64>() * (g - 1) as f64 / g as f64).sqrt())
    }

    /// Symmetric interval that holds the figure with probability `level`.
    ///
    /// # Errors
    /// With fewer than two blocks or a level outside 0 to 1.
    pub fn two_sided(&self, level: f64) -> Result<Interval, MetricsError> {
        check_level(level)?;
        let reach = normal_quantile(0.5 + level / 2.0) * self.standard_error()?;
        Ok(Interval {
            low: self.estimate - reach,
            high: self.estimate + reach,
        })
    }

    /// Interval from minus infinity to a bound that the figure stays under with probability `level`.
    ///
    /// # Errors
    /// With fewer than two blocks or a level outside 0 to 1.
    pub fn at_most(&self, level: f64) -> Result<Interval, MetricsError> {
        check_level(level)?;
        Ok(Interval {
            low: f64::NEG_INFINITY,
            high: self.estimate + normal_quantile(level) * self.standard_error()?,
        })
    }

    /// Interval from a bound that the figure stays above with probability `level` to infinity.
    ///
    /// # Errors
    /// With fewer than two blocks or a level outside 0 to 1.
    pub fn at_least(&self, level: f64) -> Result<Interval, MetricsError> {
        check_level(level)?;
        Ok(Interval {
            low: self.estimate - normal_quantile(level) * self.standard_error()?,
            high: f64::INFINITY,
        })
    }
}

/// `count` runs of neighbouring rows of `rows`, whose lengths differ by one at most.
///
/// # Errors
/// With fewer than two blocks or fewer rows than blocks.
pub fn blocks(rows: usize, count: usize) -> Result<Vec<Range<usize>>, MetricsError> {
    enough("blocks for a jackknife", count, 2)?;
    enough("rows for the blocks of a jackknife", rows, count)?;
    Ok((0..count)
        .map(|b| b * rows / count..(b + 1) * rows / count)
        .collect())
}

/// Jackknife of the Fréchet distance between the unions of two lists of blocks, of which block `b` is left out on both
/// sides: for two versions of the same images.
///
/// # Errors
/// As [`frechet_jackknife`], or if the numbers of blocks differ.
pub fn frechet_jackknife_of_pairs(a: &[Moments], b: &[Moments]) -> Result<Jackknife, MetricsError> {
    same("blocks of the other side", b.len(), a.len())?;
    let (all_a, all_b) = (union(a)?, union(b)?);
    let without = a.par_iter().zip(b).map(|(a, b)| {
        let (mut rest_a, mut rest_b) = (all_a.clone(), all_b.clone());
        rest_a.remove(a)?;
        rest_b.remove(b)?;
        Ok(Reference::new(&rest_a)?.distance(&rest_b)?.distance)
    });
    Ok(Jackknife {
        without: without.collect::<Result<_, MetricsError>>()?,
        estimate: Reference::new(&all_a)?.distance(&all_b)?.distance,
    })
}

/// All blocks of a jackknife together; their sizes must be as [`blocks`] makes them.
fn union(blocks: &[Moments]) -> Result<Moments, MetricsError> {
    enough("blocks for a jackknife", blocks.len(), 2)?;
    let mut all = Moments::new(blocks[0].dim());
    let (mut least, mut most) = (u64::MAX, 0);
    for block in blocks {
        all.merge(block)?;
        least = least.min(block.count());
        most = most.max(block.count());
    }
    if most - least > 1 {
        return Err(MetricsError::Range {
            what: "rows of the largest block beyond those of the smallest",
            got: (most - least) as f64,
            want: "at most 1",
        });
    }
    Ok(all)
}

/// Jackknife of the Fréchet distance from `reference` to the union of `blocks`, at best 20 of them.
///
/// For two systems over the same seeds take the [`difference`](Jackknife::difference) of their two results.
///
/// # Errors
/// With fewer than two blocks, blocks whose sizes differ by more than one row, or what
/// [`Reference::distance`] refuses.
pub fn frechet_jackknife(
    reference: &Reference,
    blocks: &[Moments],
) -> Result<Jackknife, MetricsError> {
    let all = union(blocks)?;
    let without = blocks.par_iter().map(|block| {
        let mut rest = all.clone();
        rest.remove(block)?;
        Ok(reference.distance(&rest)?.distance)
    });
    Ok(Jackknife {
        estimate: reference.distance(&all)?.distance,
        without: without.collect::<Result<_, MetricsError>>()?,
    })
}
