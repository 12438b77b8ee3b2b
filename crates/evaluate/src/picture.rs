//! Pictures of real data: decoding, and shrinking to the size that a model makes.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A picture of RGB bytes, rows from the top, channels innermost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Most pixels of a picture; a hostile header would otherwise ask for any amount of memory.
const MOST_PIXELS: usize = 1 << 26;

impl Picture {
    /// Of `pixels` with 3 channels, or 1 which is taken for all three; `None` if their number is not that of
    /// a picture of this size.
    #[must_use]
    pub fn new(width: usize, height: usize, channels: usize, pixels: &[u8]) -> Option<Self> {
        let count = width.checked_mul(height)?;
        if count == 0 || count.checked_mul(channels)? != pixels.len() {
            return None;
        }
        let pixels = match channels {
            1 => pixels.iter().flat_map(|&v| [v; 3]).collect(),
            3 => pixels.to_vec(),
            _ => return None,
        };
        Some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Decodes a PNG or JPEG file. Transparency is dropped, as Pillow's `convert("RGB")` does.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes, in a few words.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.starts_with(b"\x89PNG") {
            decode_png(bytes)
        } else if bytes.starts_with(&[0xff, 0xd8]) {
            decode_jpeg(bytes)
        } else {
            Err("neither PNG nor JPEG".into())
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

    /// RGB bytes, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The picture with `factor` x `factor` pixels averaged into one, with the bytes that Pillow's
    /// `Resampling.BOX` gives: rows first, rounded, then columns.
    ///
    /// # Panics
    ///
    /// When a side is no multiple of `factor`.
    #[must_use]
    pub fn shrink(&self, factor: usize) -> Self {
        assert!(
            self.width.is_multiple_of(factor) && self.height.is_multiple_of(factor),
            "the factor divides both sides"
        );
        // Pillow's weights: fixed point with 22 fractional bits.
        const BITS: u32 = 22;
        let weight = (0.5 + f64::from(1 << BITS) / factor as f64) as u32;
        let average = |values: &mut dyn Iterator<Item = u8>| {
            let sum: u32 = values.map(|v| u32::from(v) * weight).sum();
            ((sum + (1 << (BITS - 1))) >> BITS).min(255) as u8
        };
        let (width, height) = (self.width / factor, self.height / factor);
        let mut narrow = Vec::with_capacity(width * self.height * 3);
        for row in self.pixels.chunks_exact(self.width * 3) {
            for cell in row.chunks_exact(factor * 3) {
                narrow
                    .extend((0..3).map(|c| average(&mut cell.iter().skip(c).step_by(3).copied())));
            }
        }
        let stride = width * 3;
        let pixels = (0..height * stride).map(|at| {
            let first = at / stride * factor * stride + at % stride;
            average(&mut (0..factor).map(|k| narrow[first + k * stride]))
        });
        Self {
            width,
            height,
            pixels: pixels.collect(),
        }
    }
}

fn bounded(width: usize, height: usize) -> Result<(), String> {
    match width.checked_mul(height) {
        Some(1..=MOST_PIXELS) => Ok(()),
        _ => Err(format!("{width} x {height} pixels are too many, or none")),
    }
}

fn decode_png(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    bounded(width, height)?;
    let channels = reader.output_color_type().0.samples();
    let mut pixels = vec![0; width * height * channels];
    reader.next_frame(&mut pixels).map_err(|e| e.to_string())?;
    let kept = if channels < 3 { 1 } else { 3 };
    let pixels: Vec<u8> = pixels
        .chunks_exact(channels)
        .flat_map(|p| p[..kept].iter().copied())
        .collect();
    Picture::new(width, height, kept, &pixels).ok_or_else(|| "no pixels".into())
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| format!("{e:?}"))?;
    let (width, height) = decoder.dimensions().ok_or("no size")?;
    bounded(width, height)?;
    let pixels = decoder.decode().map_err(|e| format!("{e:?}"))?;
    Picture::new(width, height, 3, &pixels).ok_or_else(|| "no RGB pixels".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert!(Picture::new(2, 1, 3, &[0; 6]).is_some());
        assert!(Picture::new(2, 1, 3, &[0; 5]).is_none());
        assert!(Picture::new(0, 1, 3, &[]).is_none());
        assert!(Picture::new(1, 1, 2, &[0; 2]).is_none());
        let grey = Picture::new(2, 1, 1, &[7, 9]).unwrap();
        assert_eq!(grey.pixels(), [7, 7, 7, 9, 9, 9]);
    }

    /// Pillow: `Image.fromarray(a).resize((2, 1), Image.Resampling.BOX)`; rounding after each direction,
    /// halves up, is what tells it from an average of four.
    #[test]
    fn shrinking_rounds_rows_then_columns() {
        let grey = [0, 1, 10, 20, 0, 0, 30, 41];
        let p = Picture::new(4, 2, 1, &grey).unwrap().shrink(2);
        assert_eq!((p.width(), p.height()), (2, 1));
        // (0 + 1) / 2 -> 1, (1 + 0) / 2 -> 1, where the mean of all four is 0.25.
        assert_eq!(p.pixels(), [1, 1, 1, 26, 26, 26]);
    }

    #[test]
    fn png_of_any_kind_is_rgb() {
        let encode = |kind, depth, palette: Option<Vec<u8>>, data: &[u8]| {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, 2, 1);
            encoder.set_color(kind);
            encoder.set_depth(depth);
            if let Some(p) = palette {
                encoder.set_palette(p);
            }
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(data).unwrap();
            drop(writer);
            Picture::decode(&file).unwrap().pixels().to_vec()
        };
        use png::{BitDepth::*, ColorType::*};
        assert_eq!(encode(Grayscale, Eight, None, &[3, 4]), [3, 3, 3, 4, 4, 4]);
        assert_eq!(
            encode(Rgba, Eight, None, &[1, 2, 3, 0, 4, 5, 6, 255]),
            [1, 2, 3, 4, 5, 6]
        );
        let palette = vec![9, 8, 7, 6, 5, 4];
        assert_eq!(
            encode(Indexed, One, Some(palette), &[0b0100_0000]),
            [9, 8, 7, 6, 5, 4]
        );
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [&b""[..], b"text", b"\x89PNG\r\n\x1a\n", &[0xff, 0xd8, 0xff]] {
            assert!(Picture::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
