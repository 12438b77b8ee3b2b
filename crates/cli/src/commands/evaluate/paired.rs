//! Image against image of the same noise.

use diffuser::{Image, Result, psnr};
use diffuser_metrics::Statistic;
use diffuser_metrics::paired::{Image as Pixels, cosine_distance, ssim};
use serde_json::{Value, json};

use super::figure::Figure;
use super::undefined;
use crate::commands::compare::mean_psnr;

/// Shortest side of an image that SSIM is defined for.
const SSIM_SIDE: usize = 11;

/// Figures of pairs of images from the same noise.
pub struct Paired {
    /// Peak signal-to-noise ratio of each pair in decibels; infinite where the two are equal.
    pub psnr: Vec<f64>,
    /// Structural similarity of each pair, for images that are large enough.
    pub ssim: Option<Vec<f64>>,
    /// Cosine distance between the features of each pair, where there is an extractor.
    pub features: Option<Vec<f64>>,
}

impl Paired {
    /// Of the same number of images on both sides, and their features.
    pub fn new(
        truth: &[Image],
        images: &[Image],
        rows: Option<[&[f32]; 2]>,
        dim: usize,
    ) -> Result<Self> {
        let pairs = || truth.iter().zip(images);
        let large = |i: &Image| i.width() >= SSIM_SIDE && i.height() >= SSIM_SIDE;
        let similarity = || pairs().map(|(a, b)| ssim(pixels(a)?, pixels(b)?));
        Ok(Self {
            psnr: pairs().map(|(a, b)| psnr(a, b)).collect::<Result<_>>()?,
            ssim: truth
                .iter()
                .all(large)
                .then(|| similarity().collect::<std::result::Result<_, _>>())
                .transpose()
                .map_err(undefined)?,
            features: rows
                .map(|[a, b]| {
                    let rows = a.chunks_exact(dim).zip(b.chunks_exact(dim));
                    rows.map(|(a, b)| cosine_distance(a, b)).collect()
                })
                .transpose()
                .map_err(undefined)?,
        })
    }

    /// The middle ratio.
    pub fn median(&self) -> Result<Figure> {
        Figure::resampled(&self.psnr, Statistic::Median)
    }

    /// The least ratio.
    pub fn worst(&self) -> f64 {
        self.psnr.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Mean structural similarity.
    pub fn mean_ssim(&self) -> Result<Option<Figure>> {
        let values = self.ssim.as_deref();
        values
            .map(|v| Figure::resampled(v, Statistic::Mean))
            .transpose()
    }

    /// Mean distance of features.
    pub fn mean_features(&self) -> Result<Option<Figure>> {
        let values = self.features.as_deref();
        values
            .map(|v| Figure::resampled(v, Statistic::Mean))
            .transpose()
    }

    /// JSON has no infinity: equal pictures have `null` decibels.
    pub fn psnr_json(&self) -> Result<Value> {
        let median = self.median()?;
        Ok(json!({
            "median": median.value,
            "median_interval": [median.interval.low, median.interval.high],
            "of_mean_squared_error": mean_psnr(&self.psnr),
            "worst": self.worst(),
            "each": self.psnr,
        }))
    }

    /// Mean, interval and all values of the other figures.
    pub fn other_json(&self) -> Result<[(&'static str, Value); 2]> {
        let entry = |mean: Option<Figure>, each: &Option<Vec<f64>>| {
            mean.map_or(Value::Null, |m| {
                let mut value = m.to_json();
                value["each"] = json!(each);
                value
            })
        };
        Ok([
            ("ssim", entry(self.mean_ssim()?, &self.ssim)),
            (
                "feature_distance",
                entry(self.mean_features()?, &self.features),
            ),
        ])
    }

    /// What differs from the pairs of another model with the same truth: middle or mean of this less that, image by
    /// image.
    pub fn less(&self, other: &Self) -> Result<Vec<(&'static str, Figure)>> {
        let differences = |a: &[f64], b: &[f64]| -> Vec<f64> {
            // Equal infinities, of equal pictures, do not differ.
            let pairs = a.iter().zip(b);
            pairs
                .map(|(a, b)| if a == b { 0.0 } else { a - b })
                .collect()
        };
        let psnr = differences(&self.psnr, &other.psnr);
        let mut all = vec![("psnr_db", Figure::resampled(&psnr, Statistic::Median)?)];
        let both = [
            ("ssim", &self.ssim, &other.ssim),
            ("feature_distance", &self.features, &other.features),
        ];
        for (name, a, b) in both {
            if let (Some(a), Some(b)) = (a, b) {
                let values = differences(a, b);
                all.push((name, Figure::resampled(&values, Statistic::Mean)?));
            }
        }
        Ok(all)
    }
}

fn pixels(image: &Image) -> std::result::Result<Pixels<'_>, diffuser_metrics::MetricsError> {
    Pixels::new(
        image.pixels(),
        image.width(),
        image.height(),
        image.channels(),
    )
}
