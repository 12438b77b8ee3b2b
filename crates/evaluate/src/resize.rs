//! Resizing for an extractor, each way named after the code whose figures it reproduces.

use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// How a picture comes to the size that the extractor takes. All work on values of 0 to 255 in floating point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Cubic convolution (a = -0.5) that averages when it shrinks, clipped to 0..255: Pillow's `BICUBIC` on
    /// floating-point channels, as clean-fid resizes.
    Bicubic,
    /// Triangle filter that averages when it shrinks: Pillow's `BILINEAR` on floating-point channels.
    Bilinear,
    /// Between the two nearest pixels, centres at halves, no averaging: PyTorch's `interpolate(mode="bilinear",
    /// align_corners=False)`, as pytorch-fid resizes.
    BilinearTorch,
    /// Between the two nearest pixels, corner at zero: `resize_bilinear` of TensorFlow 1, as the networks of the
    /// original FID and of torch-fidelity resize.
    BilinearTensorflow1,
}

/// What one value is made of along one axis: neighbours from `first` on, with their weights.
struct Taps {
    first: usize,
    weights: Vec<f64>,
}

impl Resize {
    /// The picture in `[height, width]`, one plane a channel.
    #[must_use]
    pub fn planes(self, picture: &Picture, [height, width]: [usize; 2]) -> Vec<f32> {
        let [h, w] = [picture.height(), picture.width()];
        let (across, down) = (self.taps(w, width), self.taps(h, height));
        let mut planes = Vec::with_capacity(3 * height * width);
        for channel in 0..3 {
            let plane = || picture.pixels().iter().skip(channel).step_by(3);
            if [h, w] == [height, width] {
                planes.extend(plane().map(|&v| f32::from(v)));
                continue;
            }
            let values: Vec<f32> = plane().map(|&v| f32::from(v)).collect();
            // Rows first, and single precision between, as Pillow.
            let wide: Vec<f32> = values
                .chunks_exact(w)
                .flat_map(|row| across.iter().map(|t| t.weigh(|k| row[k])))
                .collect();
            for t in &down {
                planes.extend((0..width).map(|x| t.weigh(|k| wide[k * width + x])));
            }
        }
        if self == Self::Bicubic {
            planes.iter_mut().for_each(|v| *v = v.clamp(0.0, 255.0));
        }
        planes
    }

    fn taps(self, from: usize, to: usize) -> Vec<Taps> {
        let scale = from as f64 / to as f64;
        (0..to)
            .map(|i| match self {
                Self::Bicubic => filtered(i, from, scale, 2.0, cubic),
                Self::Bilinear => filtered(i, from, scale, 1.0, |x| (1.0 - x.abs()).max(0.0)),
                Self::BilinearTorch => between((i as f64 + 0.5) * scale - 0.5, from),
                Self::BilinearTensorflow1 => between(i as f64 * scale, from),
            })
            .collect()
    }
}

impl Taps {
    fn weigh(&self, value: impl Fn(usize) -> f32) -> f32 {
        let terms = self.weights.iter().enumerate();
        terms
            .map(|(k, w)| w * f64::from(value(self.first + k)))
            .sum::<f64>() as f32
    }
}

/// Keys' kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// As Pillow's `precompute_coeffs`: the kernel is stretched when shrinking, and cut off at the border.
fn filtered(i: usize, from: usize, scale: f64, reach: f64, kernel: impl Fn(f64) -> f64) -> Taps {
    let stretch = scale.max(1.0);
    let centre = (i as f64 + 0.5) * scale;
    let first = (centre - reach * stretch + 0.5).max(0.0) as usize;
    let end = ((centre + reach * stretch + 0.5) as usize).min(from);
    let weights: Vec<f64> = (first..end)
        .map(|k| kernel((k as f64 - centre + 0.5) / stretch))
        .collect();
    let sum: f64 = weights.iter().sum();
    Taps {
        first,
        weights: weights.into_iter().map(|w| w / sum).collect(),
    }
}

/// Linear between the two pixels around `place`.
fn between(place: f64, from: usize) -> Taps {
    let place = place.clamp(0.0, (from - 1) as f64);
    let first = (place as usize).min(from.saturating_sub(2));
    let share = place - first as f64;
    let weights = match from {
        1 => vec![1.0],
        _ => vec![1.0 - share, share],
    };
    Taps { first, weights }
}
