//! What calibration keeps of each tensor at each time step.

/// Bins of a histogram for each power of two: values of a bin lie within 1/32 of each other.
const BINS: u32 = 32;
/// Magnitudes below `2^LEAST` count as zero, and those of `2^(LEAST + OCTAVES)` and more as just under that.
const LEAST: i32 = -14;
/// Powers of two that bins cover.
const OCTAVES: u32 = 32;
/// Largest number of a bin.
const LAST: usize = (OCTAVES * BINS) as usize;
/// Bits of a single's mantissa that a bin does not tell apart.
const SHIFT: u32 = f32::MANTISSA_DIGITS - 1 - BINS.ilog2();

/// Extremes and a histogram of one tensor at one time step, over all calibration images.
///
/// All values are counted: what a range cuts off is one value in thousands, and a sample says next to nothing
/// of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// How many values there are, by bin.
    pub histogram: Histogram,
}

/// Values counted in bins that are the finer the nearer they are to zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Number of a bin (negative for negative values, 0 for zero) and what is in it; ascending, none empty.
    pub(crate) bins: Vec<(i16, f32)>,
}

/// A bin's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Their middle.
    pub middle: f64,
    /// Distance between the largest and the smallest that it may hold.
    pub width: f64,
    /// How many there are.
    pub count: f64,
}

/// The bin of a magnitude.
fn bin(magnitude: f32) -> usize {
    let first = ((127 + LEAST) as u32) << BINS.ilog2();
    // numbers without sign are ordered as their bits are
    let number = (magnitude.to_bits() >> SHIFT) + 1;
    (number.saturating_sub(first) as usize).min(LAST)
}

/// Least magnitude of a bin, from 1 on.
fn floor(bin: i16) -> f64 {
    let n = i32::from(bin) - 1;
    let bins = BINS as i32;
    f64::from(bins + n.rem_euclid(bins)) / f64::from(bins)
        * f64::from(n.div_euclid(bins) + LEAST).exp2()
}

impl Histogram {
    /// Of these values.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let mut dense = vec![0u32; 2 * LAST + 1];
        for &v in values {
            let n = bin(v.abs());
            dense[if v < 0.0 { LAST - n } else { LAST + n }] += 1;
        }
        let full = dense.iter().enumerate().filter(|(_, count)| **count > 0);
        Self {
            bins: full
                .map(|(i, &count)| ((i as i32 - LAST as i32) as i16, count as f32))
                .collect(),
        }
    }

    /// Add what another has, so many times.
    pub fn add(&mut self, other: &Self, times: f32) {
        if self.bins.is_empty() && times == 1.0 {
            self.bins.clone_from(&other.bins);
            return;
        }
        let mut sum = Vec::with_capacity(self.bins.len().max(other.bins.len()));
        let mut mine = self.bins.iter().copied().peekable();
        for &(n, count) in &other.bins {
            while let Some(before) = mine.next_if(|(m, _)| *m < n) {
                sum.push(before);
            }
            let same = mine.next_if(|(m, _)| *m == n).map_or(0.0, |(_, c)| c);
            sum.push((n, same + times * count));
        }
        sum.extend(mine);
        self.bins = sum;
    }

    /// All bins with values in them, ascending.
    pub fn bins(&self) -> impl Iterator<Item = Bin> + '_ {
        self.bins.iter().map(|&(n, count)| {
            let (middle, width) = match n {
                0 => (0.0, 2.0 * f64::from(LEAST).exp2()),
                _ => {
                    let (low, high) = (floor(n.abs()), floor(n.abs() + 1));
                    (f64::from(n.signum()) * (low + high) / 2.0, high - low)
                }
            };
            Bin {
                middle,
                width,
                count: count.into(),
            }
        })
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            histogram: Histogram::default(),
        }
    }
}

impl Statistics {
    /// Of these values.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let mut out = Self::default();
        out.observe(values);
        out
    }

    /// Take in more values.
    pub fn observe(&mut self, values: &[f32]) {
        for &v in values {
            self.min = self.min.min(v);
            self.max = self.max.max(v);
        }
        self.histogram.add(&Histogram::of(values), 1.0);
    }

    /// Union of what was seen at several time steps.
    #[must_use]
    pub fn merged<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut merged = Self::default();
        all.for_each(|s| merged.add(s, 1.0));
        merged
    }

    /// Take in what was seen elsewhere, as if it had been seen so many times.
    pub fn add(&mut self, other: &Self, times: f32) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.histogram.add(&other.histogram, times);
    }

    /// Bins of all values; middles lie within the extremes.
    #[must_use]
    pub fn bins(&self) -> Vec<Bin> {
        let within = |bin: Bin| Bin {
            // NaN is kept out of comparisons: extremes of nothing but NaN are the wrong way round
            middle: bin.middle.min(self.max.into()).max(self.min.into()),
            ..bin
        };
        self.histogram.bins().map(within).collect()
    }

    /// Largest magnitude; 0 when nothing was seen.
    #[must_use]
    pub fn largest(&self) -> f64 {
        f64::from(self.max.max(-self.min)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_extremes_and_counts_every_value() {
        let values: Vec<f32> = (0..10_000).map(|i| i as f32 - 3000.0).collect();
        let mut s = Statistics::of(&values);
        s.observe(&values);
        assert_eq!((s.min, s.max), (-3000.0, 6999.0));
        let bins: Vec<Bin> = s.histogram.bins().collect();
        assert_eq!(bins.iter().map(|b| b.count).sum::<f64>(), 20_000.0);
        assert!(bins.windows(2).all(|w| w[0].middle < w[1].middle));
        let below = |limit: f64| -> f64 {
            let below = bins.iter().filter(|b| b.middle < limit);
            below.map(|b| b.count).sum()
        };
        assert_eq!(below(0.0), 6000.0);
        assert_eq!(below(1024.0), 2.0 * (3000.0 + 1024.0));
        let mut twice = Statistics::default();
        twice.add(&Statistics::of(&values), 2.0);
        assert_eq!(s, twice);
        let other = Statistics::of(&[-5000.0, 0.3]);
        let m = Statistics::merged([&s, &other].into_iter());
        assert_eq!((m.min, m.largest()), (-5000.0, 6999.0));
        let counts = m.histogram.bins().map(|b| b.count);
        assert_eq!(counts.sum::<f64>(), 20_002.0);
    }

    #[test]
    fn every_value_lies_in_its_bin() {
        for exponent in -30..30 {
            for i in 0..100 {
                let v = (1.0 + i as f32 / 100.0) * (exponent as f32).exp2();
                for v in [v, -v] {
                    let h = Histogram::of(&[v]);
                    let b: Vec<Bin> = h.bins().collect();
                    let off = (f64::from(v) - b[0].middle).abs();
                    let within = off <= b[0].width / 2.0;
                    assert!(b.len() == 1 && (within || exponent >= 18), "{v}: {b:?}");
                    assert!(exponent < LEAST || b[0].width <= b[0].middle.abs() / 31.0);
                }
            }
        }
    }
}
