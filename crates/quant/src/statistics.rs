//! What calibration keeps of each tensor at each time step.

/// Number of values kept of one tensor at one time step.
pub const KEPT: usize = 2048;

/// Extremes and a sample of one tensor at one time step, over all calibration images.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Values drawn evenly; at most about [`KEPT`].
    pub sample: Vec<f32>,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            sample: Vec::new(),
        }
    }
}

impl Statistics {
    /// Take in one image's tensor; `images` is how many there will be in all.
    ///
    /// Values are drawn at a stride that is odd, and so walks through all channels.
    pub fn observe(&mut self, values: &[f32], images: usize) {
        for &v in values {
            self.min = self.min.min(v);
            self.max = self.max.max(v);
        }
        let wanted = (KEPT / images.max(1)).max(16);
        let stride = (values.len() / wanted).max(1) | 1;
        // another start for each image, so that the same places are not drawn every time
        let start = self.sample.len() * 7 % stride;
        self.sample
            .extend(values.iter().skip(start).step_by(stride).take(wanted));
    }

    /// Union of what was seen at several time steps.
    #[must_use]
    pub fn merged<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut merged = Self::default();
        for s in all {
            merged.min = merged.min.min(s.min);
            merged.max = merged.max.max(s.max);
            merged.sample.extend(&s.sample);
        }
        merged
    }

    /// Largest magnitude; 0 when nothing was seen.
    #[must_use]
    pub fn largest(&self) -> f64 {
        f64::from(self.max.max(-self.min)).max(0.0)
    }

    /// The sample with the extremes.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.sample
            .iter()
            .copied()
            .chain([self.min, self.max])
            .map(f64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_extremes_and_keeps_a_bounded_sample() {
        let mut s = Statistics::default();
        let values: Vec<f32> = (0..10_000).map(|i| i as f32 - 3000.0).collect();
        for _ in 0..8 {
            s.observe(&values, 8);
        }
        assert_eq!((s.min, s.max), (-3000.0, 6999.0));
        assert!(s.sample.len() <= KEPT + 8 && s.sample.len() > KEPT / 2);
        let m = Statistics::merged(
            [
                &s,
                &Statistics {
                    min: -5000.0,
                    ..s.clone()
                },
            ]
            .into_iter(),
        );
        assert_eq!((m.min, m.sample.len()), (-5000.0, 2 * s.sample.len()));
        assert_eq!(m.largest(), 6999.0);
    }
}
