//! Several pictures in one, and PNG.

use crate::image::Image;

/// Space between pictures, and around them, in pixels of the result.
const GAP: usize = 4;

/// Colour of that space: light, so that dark and white pictures both show their edges.
const BACKGROUND: u8 = 200;

/// Columns that make `count` pictures about square, without a nearly empty last row.
#[must_use]
pub fn default_columns(count: usize) -> usize {
    let root = count.isqrt();
    let least = root + usize::from(root * root < count);
    // Of the two widths next to square, the one that leaves fewer cells empty.
    [least, least + 1]
        .into_iter()
        .min_by_key(|&c| (count.next_multiple_of(c.max(1)) - count, c))
        .unwrap_or(1)
        .max(1)
}

/// Widest grid that [`default_zoom`] makes of more than bare pixels.
const WIDEST: usize = 4096;

/// Enlargement that makes small pictures easy to look at, 128 pixels wide and high, where the grid
/// does not get too wide.
#[must_use]
pub fn default_zoom(width: usize, height: usize, columns: usize) -> usize {
    let wanted = (128 / width.min(height).max(1)).clamp(1, 16);
    (1..=wanted)
        .rev()
        .find(|zoom| columns * (width * zoom + GAP) + GAP <= WIDEST)
        .unwrap_or(1)
}

/// Width and height of what [`arrange`] makes of so many pictures of one size.
#[must_use]
pub fn arranged_size(
    [width, height]: [usize; 2],
    cells: usize,
    columns: usize,
    zoom: usize,
) -> [usize; 2] {
    let columns = columns.clamp(1, cells.max(1));
    let rows = cells.div_ceil(columns);
    [
        columns * (width * zoom + GAP) + GAP,
        rows * (height * zoom + GAP) + GAP,
    ]
}

/// Pictures as one, row by row, each pixel `zoom` x `zoom` pixels; `None` leaves a cell empty.
///
/// Pictures of different size or depth each take the room of the largest.
///
/// ```
/// use diffuser::{Image, output::arrange};
/// let black = Image::new(8, 8, 1, vec![0; 64])?;
/// let sheet = arrange(&[black.clone(), black], 2, 4);
/// assert_eq!((sheet.width(), sheet.height()), (4 + 32 + 4 + 32 + 4, 4 + 32 + 4));
/// # Ok::<(), diffuser::Error>(())
/// ```
#[must_use]
pub fn arrange<'a, T: Into<Option<&'a Image>>>(
    cells: impl IntoIterator<Item = T>,
    columns: usize,
    zoom: usize,
) -> Image {
    let cells: Vec<Option<&Image>> = cells.into_iter().map(Into::into).collect();
    let (columns, zoom) = (columns.clamp(1, cells.len().max(1)), zoom.max(1));
    let most = |f: fn(&Image) -> usize| cells.iter().flatten().map(|&i| f(i)).max().unwrap_or(1);
    let [width, height] = [most(Image::width), most(Image::height)];
    let (w, h) = (width * zoom, height * zoom);
    let channels = most(Image::channels);
    let [width, height] = arranged_size([width, height], cells.len(), columns, zoom);
    let mut sheet = Image::filled(width, height, channels, BACKGROUND);
    for (i, image) in cells.iter().enumerate() {
        let Some(image) = image else { continue };
        let left = (i % columns) * (w + GAP) + GAP;
        let top = (i / columns) * (h + GAP) + GAP;
        for y in 0..image.height() * zoom {
            let start = (top + y) * width + left;
            let row = &mut sheet.pixels_mut()[start * channels..];
            let row = row.chunks_exact_mut(channels).take(image.width() * zoom);
            for (x, out) in row.enumerate() {
                let pixel = image.pixel(x / zoom, y / zoom);
                for (c, value) in out.iter_mut().enumerate() {
                    *value = pixel[c.min(pixel.len() - 1)];
                }
            }
        }
    }
    sheet
}

/// `|a - b| * gain`, saturated: where two pictures of one shape differ. White is much, black is none.
#[must_use]
pub fn difference(a: &Image, b: &Image, gain: u8) -> Image {
    let mut out = a.clone();
    for (x, &y) in out.pixels_mut().iter_mut().zip(b.pixels()) {
        *x = x.abs_diff(y).saturating_mul(gain);
    }
    out
}

/// A picture as a PNG file.
#[must_use]
pub fn encode_png(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = png_encoder(&mut bytes, image)
        .write_header()
        .and_then(|mut w| {
            w.write_image_data(image.pixels())?;
            w.finish()
        });
    written.expect("an image has a valid shape, and memory takes any bytes");
    bytes
}

/// Settings that still and animated PNG share.
pub(super) fn png_encoder<'a>(
    bytes: &'a mut Vec<u8>,
    image: &Image,
) -> png::Encoder<'a, &'a mut Vec<u8>> {
    let side = |n: usize| u32::try_from(n).expect("pictures in memory have sides under 2^32");
    let mut encoder = png::Encoder::new(bytes, side(image.width()), side(image.height()));
    encoder.set_color(match image.channels() {
        1 => png::ColorType::Grayscale,
        _ => png::ColorType::Rgb,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_about_square_and_fill_the_last_row() {
        let wanted = [
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 2),
            (6, 3),
            (9, 3),
            (16, 4),
            (27, 7),
            (20, 5),
        ];
        for (count, columns) in wanted {
            assert_eq!(default_columns(count), columns, "{count}");
        }
    }

    #[test]
    fn pictures_stand_where_they_belong() {
        let images: Vec<_> = (1..=3).map(|v| Image::filled(2, 1, 1, v)).collect();
        let sheet = arrange(&images, 2, 3);
        assert_eq!(
            (sheet.width(), sheet.height()),
            (2 * 6 + 3 * GAP, 2 * 3 + 3 * GAP)
        );
        let at = |x, y| sheet.pixel(x, y)[0];
        assert_eq!(at(0, 0), BACKGROUND);
        assert_eq!(at(GAP, GAP), 1);
        assert_eq!(at(GAP + 5, GAP + 2), 1);
        assert_eq!(at(GAP + 6, GAP), BACKGROUND);
        assert_eq!(at(6 + 2 * GAP, GAP), 2);
        assert_eq!(at(GAP, 3 + 2 * GAP), 3);
        assert_eq!(at(6 + 2 * GAP, 3 + 2 * GAP), BACKGROUND, "an empty cell");
    }

    #[test]
    fn grey_and_colour_mix() {
        let colour = Image::new(1, 1, 3, vec![1, 2, 3]).unwrap();
        let sheet = arrange(&[colour, Image::filled(1, 1, 1, 9)], 2, 1);
        assert_eq!(sheet.pixel(GAP, GAP), [1, 2, 3]);
        assert_eq!(sheet.pixel(2 * GAP + 1, GAP), [9, 9, 9]);
    }

    #[test]
    fn zoom_makes_small_pictures_large_and_many_pictures_small() {
        assert_eq!(default_zoom(32, 32, 4), 4);
        assert_eq!(default_zoom(8, 16, 4), 16);
        assert_eq!(default_zoom(1, 1, 1), 16);
        assert_eq!(default_zoom(256, 256, 1), 1);
        assert_eq!(default_zoom(32, 32, 40), 3);
        assert_eq!(default_zoom(32, 32, 1000), 1);
    }

    #[test]
    fn difference_saturates() {
        let a = Image::new(3, 1, 1, vec![10, 10, 200]).unwrap();
        let b = Image::new(3, 1, 1, vec![12, 10, 0]).unwrap();
        assert_eq!(difference(&a, &b, 8).pixels(), [16, 0, 255]);
    }

    #[test]
    fn png_reads_back() {
        for channels in [1, 3] {
            let pixels: Vec<u8> = (0..5 * 7 * channels).map(|i| (i * 37) as u8).collect();
            let image = Image::new(5, 7, channels, pixels).unwrap();
            let bytes = encode_png(&image);
            let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
                .read_info()
                .unwrap();
            let mut back = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut back).unwrap();
            assert_eq!((info.width, info.height), (5, 7));
            assert_eq!(back, image.pixels());
        }
    }
}
