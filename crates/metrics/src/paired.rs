//! Measures between two versions of one image or of one row of features.

use crate::MetricsError;
use crate::error::{enough, finite, same};

/// An image of bytes, interleaved by channel, rows from the top.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pixels: &'a [u8],
    width: usize,
    height: usize,
    channels: usize,
}

impl<'a> Image<'a> {
    /// Takes `pixels` as `height` rows of `width` pixels of `channels` bytes.
    ///
    /// # Errors
    /// If a size is zero or the number of bytes differs.
    pub fn new(
        pixels: &'a [u8],
        width: usize,
        height: usize,
        channels: usize,
    ) -> Result<Self, MetricsError> {
        enough("width of an image", width, 1)?;
        enough("height of an image", height, 1)?;
        enough("channels of an image", channels, 1)?;
        let bytes = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(channels));
        same(
            "bytes of an image",
            pixels.len(),
            bytes.unwrap_or(usize::MAX),
        )?;
        Ok(Self {
            pixels,
            width,
            height,
            channels,
        })
    }

    fn same_shape(&self, other: &Self) -> Result<(), MetricsError> {
        same("width of the other image", other.width, self.width)?;
        same("height of the other image", other.height, self.height)?;
        same("channels of the other image", other.channels, self.channels)
    }

    /// One channel, row-major.
    fn plane(&self, channel: usize) -> Vec<f64> {
        let values = self.pixels.iter().skip(channel).step_by(self.channels);
        values.map(|&v| f64::from(v)).collect()
    }
}

/// Peak signal-to-noise ratio in decibels, of a peak of 255; infinite for equal images.
///
/// Average it by the median: infinite values then order above all others, where a mean would be infinite.
///
/// # Errors
/// If the shapes differ.
pub fn psnr(a: Image, b: Image) -> Result<f64, MetricsError> {
    a.same_shape(&b)?;
    let pairs = a.pixels.iter().zip(b.pixels);
    let squares: u64 = pairs.map(|(&x, &y)| u64::from(x.abs_diff(y)).pow(2)).sum();
    let mean = squares as f64 / a.pixels.len() as f64;
    Ok(10.0 * (255.0 * 255.0 / mean).log10())
}

/// Taps of the window of [`ssim`] in each direction.
const WINDOW: usize = 11;

/// Structural similarity (Wang et al. 2004), mean over places and channels: 1 for equal images.
///
/// Gaussian window of 11 x 11, sigma 1.5, data range 255, population covariance, only places where the window lies
/// within the image: as `skimage.metrics.structural_similarity` with `gaussian_weights=True, sigma=1.5,
/// use_sample_covariance=False, data_range=255`.
///
/// # Errors
/// If the shapes differ or a side is shorter than 11.
pub fn ssim(a: Image, b: Image) -> Result<f64, MetricsError> {
    a.same_shape(&b)?;
    enough("width of an image for SSIM", a.width, WINDOW)?;
    enough("height of an image for SSIM", a.height, WINDOW)?;
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let mut total = 0.0;
    for channel in 0..a.channels {
        let (x, y) = (a.plane(channel), b.plane(channel));
        let blur = |p: &[f64], q: &[f64]| {
            let product: Vec<f64> = p.iter().zip(q).map(|(p, q)| p * q).collect();
            filter(&product, a.width)
        };
        let (mx, my) = (filter(&x, a.width), filter(&y, a.width));
        let (xx, yy, xy) = (blur(&x, &x), blur(&y, &y), blur(&x, &y));
        let places = mx.len();
        let sum: f64 = (0..places)
            .map(|i| {
                let (mx, my) = (mx[i], my[i]);
                let (vx, vy, cov) = (xx[i] - mx * mx, yy[i] - my * my, xy[i] - mx * my);
                (2.0 * mx * my + c1) * (2.0 * cov + c2)
                    / ((mx * mx + my * my + c1) * (vx + vy + c2))
            })
            .sum();
        total += sum / places as f64;
    }
    Ok(total / a.channels as f64)
}

/// Gaussian mean at every place whose window lies within the plane.
fn filter(plane: &[f64], width: usize) -> Vec<f64> {
    let mut taps: [f64; WINDOW] = std::array::from_fn(|i| {
        let x = i as f64 - (WINDOW / 2) as f64;
        (-x * x / (2.0 * 1.5 * 1.5)).exp()
    });
    let sum: f64 = taps.iter().sum();
    taps.iter_mut().for_each(|t| *t /= sum);
    let along: Vec<f64> = plane
        .chunks_exact(width)
        .flat_map(|row| row.windows(WINDOW))
        .map(|w| w.iter().zip(&taps).map(|(v, t)| v * t).sum())
        .collect();
    let width = width - WINDOW + 1;
    (0..along.len() - (WINDOW - 1) * width)
        .map(|i| (0..WINDOW).map(|t| along[i + t * width] * taps[t]).sum())
        .collect()
}

/// Cosine distance `1 - a . b / (|a| |b|)` of two rows of features: 0 for the same direction, at most 2.
///
/// A plain distance in the extractor's space; it is not LPIPS, which weights the layers of its own networks.
///
/// # Errors
/// If the lengths differ, a value is not finite, or a row is all zeros.
pub fn cosine_distance(a: &[f32], b: &[f32]) -> Result<f64, MetricsError> {
    let [aa, bb, ab] = products(a, b)?;
    for square in [aa, bb] {
        if square == 0.0 {
            return Err(MetricsError::Range {
                what: "length of a row of features",
                got: 0.0,
                want: "above zero",
            });
        }
    }
    Ok((1.0 - ab / (aa.sqrt() * bb.sqrt())).clamp(0.0, 2.0))
}

/// Relative root-mean-square error `|a - b| / |b|` of `a` against the reference `b`.
///
/// # Errors
/// If the lengths differ, a value is not finite, or the reference is all zeros.
pub fn relative_rms_error(a: &[f32], b: &[f32]) -> Result<f64, MetricsError> {
    let [_, bb, _] = products(a, b)?;
    if bb == 0.0 {
        return Err(MetricsError::Range {
            what: "length of the reference",
            got: 0.0,
            want: "above zero",
        });
    }
    let differences = a.iter().zip(b).map(|(&x, &y)| f64::from(x) - f64::from(y));
    let squares: f64 = differences.map(|d| d * d).sum();
    Ok((squares / bb).sqrt())
}

/// `[a . a, b . b, a . b]` of checked rows.
fn products(a: &[f32], b: &[f32]) -> Result<[f64; 3], MetricsError> {
    same("values of the other row", b.len(), a.len())?;
    finite("first row", a.iter().map(|&v| f64::from(v)))?;
    finite("other row", b.iter().map(|&v| f64::from(v)))?;
    let dot = |p: &[f32], q: &[f32]| {
        let pairs = p.iter().zip(q);
        pairs.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    Ok([dot(a, a), dot(b, b), dot(a, b)])
}
