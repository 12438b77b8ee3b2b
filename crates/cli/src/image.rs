//! Finished pictures.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::output::AtomicFile;

/// A picture of 8-bit pixels.
///
/// ```
/// let image = diffuser::Image::new(2, 1, 3, vec![255, 0, 0, 0, 0, 255])?;
/// assert_eq!(image.pixel(1, 0), [0, 0, 255]);
/// # Ok::<(), diffuser::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// A picture of `pixels`, row by row from the top, channels innermost.
    ///
    /// # Errors
    ///
    /// When `channels` is neither 1 (grey) nor 3 (RGB), a side is 0, or `pixels` has another length.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Self> {
        if channels != 1 && channels != 3 {
            return Err(Error::setting(format!(
                "pictures have 1 channel (grey) or 3 (RGB), not {channels}"
            )));
        }
        let wanted = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(channels));
        if width == 0 || height == 0 || wanted != Some(pixels.len()) {
            return Err(Error::setting(format!(
                "{} bytes are no picture of {width}x{height} pixels of {channels}",
                pixels.len()
            )));
        }
        Ok(Self {
            width,
            height,
            channels,
            pixels,
        })
    }

    /// A picture all of one value.
    pub(crate) fn filled(width: usize, height: usize, channels: usize, value: u8) -> Self {
        Self {
            width,
            height,
            channels,
            pixels: vec![value; width * height * channels],
        }
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 (grey) or 3 (RGB).
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All pixels, row by row from the top, channels innermost.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The channels of one pixel.
    ///
    /// # Panics
    ///
    /// When the pixel is outside the picture.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        assert!(x < self.width && y < self.height, "outside the picture");
        &self.pixels[(y * self.width + x) * self.channels..][..self.channels]
    }

    /// The picture as a PNG file.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        crate::output::encode_png(self)
    }

    /// Writes the picture as a PNG file: the whole file or, on failure, nothing.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        AtomicFile::create(path.as_ref())?.commit(&self.to_png())
    }

    /// SHA-256 of the pixels in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256([self])
    }
}

/// SHA-256 in hexadecimal of the pixels of pictures, one after the other.
pub fn sha256<'a>(images: impl IntoIterator<Item = &'a Image>) -> String {
    let mut hash = Sha256::new();
    for image in images {
        hash.update(image.pixels());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Peak signal-to-noise ratio of two pictures in decibels; infinite when they are equal.
///
/// # Errors
///
/// When the pictures differ in shape.
pub fn psnr(a: &Image, b: &Image) -> Result<f64> {
    if (a.width, a.height, a.channels) != (b.width, b.height, b.channels) {
        return Err(Error::setting("the pictures differ in shape"));
    }
    let sum: u64 = a
        .pixels
        .iter()
        .zip(&b.pixels)
        .map(|(&x, &y)| u64::from(x.abs_diff(y)).pow(2))
        .sum();
    let mean = sum as f64 / a.pixels.len() as f64;
    Ok(10.0 * (255.0 * 255.0 / mean).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        assert!(Image::new(2, 2, 3, vec![0; 12]).is_ok());
        assert!(Image::new(2, 2, 3, vec![0; 11]).is_err());
        assert!(Image::new(2, 2, 4, vec![0; 16]).is_err());
        assert!(Image::new(0, 2, 3, vec![]).is_err());
        assert!(Image::new(usize::MAX, 2, 3, vec![]).is_err());
    }

    #[test]
    fn psnr_of_known_pictures() {
        let a = Image::filled(4, 4, 1, 100);
        let b = Image::filled(4, 4, 1, 101);
        assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
        assert!((psnr(&a, &b).unwrap() - 48.130_803_6).abs() < 1e-6);
        assert!(psnr(&a, &Image::filled(4, 2, 1, 0)).is_err());
    }

    #[test]
    fn sha256_is_of_the_pixels() {
        let image = Image::new(3, 1, 1, b"abc".to_vec()).unwrap();
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(image.sha256(), wanted);
        let parts = [
            Image::new(1, 1, 1, b"a".to_vec()).unwrap(),
            Image::new(2, 1, 1, b"bc".to_vec()).unwrap(),
        ];
        assert_eq!(sha256(&parts), wanted);
    }
}
