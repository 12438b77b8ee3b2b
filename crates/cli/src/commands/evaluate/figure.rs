//! One number, and how certain it is.

use diffuser::Result;
use diffuser_metrics::{Interval, Jackknife, Statistic, bootstrap};
use serde_json::{Value, json};

use super::undefined;

/// Confidence of all intervals.
pub const LEVEL: f64 = 0.95;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;

/// A number and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Two-sided interval.
    pub interval: Interval,
    /// Upper end of the one-sided interval, where the figure has one.
    pub at_most: Option<f64>,
}

impl Figure {
    /// Of a statistic of one value an image, by the bootstrap.
    pub fn resampled(values: &[f64], statistic: Statistic) -> Result<Self> {
        Ok(Self {
            value: statistic.of(&mut values.to_vec()).unwrap_or(f64::NAN),
            interval: bootstrap(values, statistic, RESAMPLES, LEVEL, 0).map_err(undefined)?,
            at_most: None,
        })
    }

    /// Of blocks of images.
    pub fn jackknifed(jackknife: &Jackknife) -> Result<Self> {
        Ok(Self {
            value: jackknife.estimate,
            interval: jackknife.two_sided(LEVEL).map_err(undefined)?,
            at_most: Some(jackknife.at_most(LEVEL).map_err(undefined)?.high),
        })
    }

    /// As JSON; infinities become `null`.
    pub fn to_json(self) -> Value {
        let Interval { low, high } = self.interval;
        let mut value = json!({ "value": self.value, "interval": [low, high] });
        if let Some(at_most) = self.at_most {
            value["at_most"] = json!(at_most);
        }
        value
    }

    /// With so many digits after the point.
    pub fn text(self, digits: usize) -> String {
        let Interval { low, high } = self.interval;
        format!("{:.digits$} [{low:.digits$}, {high:.digits$}]", self.value)
    }

    /// As [`text`](Self::text), with signs.
    pub fn signed(self, digits: usize) -> String {
        let Interval { low, high } = self.interval;
        format!(
            "{:+.digits$} [{low:+.digits$}, {high:+.digits$}]",
            self.value
        )
    }

    /// Times `factor`.
    pub fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            interval: Interval {
                low: self.interval.low * factor,
                high: self.interval.high * factor,
            },
            at_most: self.at_most.map(|v| v * factor),
        }
    }
}
