//! How an operand lies in memory: rows with a border, pixels of a multiple of four bytes.
//!
//! A dot-product instruction reads four channels at once, hence the multiple; what the spare bytes
//! hold does not matter, because the weights for them are zero. Bytes are operands `xor flip`: a
//! kernel set that needs unsigned activations stores `operand + 128`, which is `xor 0x80`.

/// Bytes after the last plane, so that a read of four channels may start at any channel.
const SLACK: usize = 64;

/// Bytes that one dot-product step reads.
pub(crate) const STEP: usize = 4;

/// Shape of one operand's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Width of the border: top, left, bottom, right.
    pub padding: [usize; 4],
}

impl Layout {
    /// Bytes from a pixel to its right neighbour.
    pub const fn pixel(&self) -> usize {
        self.channels.next_multiple_of(STEP)
    }

    /// Bytes from a row to the next.
    pub const fn row(&self) -> usize {
        (self.padding[1] + self.width + self.padding[3]) * self.pixel()
    }

    /// Bytes of one plane.
    pub const fn plane(&self) -> usize {
        (self.padding[0] + self.height + self.padding[2]) * self.row()
    }

    /// Bytes of a buffer with this many planes.
    pub const fn bytes(&self, planes: usize) -> usize {
        planes * self.plane() + SLACK
    }

    /// Where the pixel is in its plane; the border has coordinates under 0 and beyond the size.
    ///
    /// The border must be as wide as the coordinates ask.
    pub const fn offset(&self, y: isize, x: isize) -> usize {
        let (row, column) = (y + self.padding[0] as isize, x + self.padding[1] as isize);
        debug_assert!(row >= 0 && column >= 0);
        row as usize * self.row() + column as usize * self.pixel()
    }
}

/// An operand that is read.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub bytes: &'a [u8],
    pub layout: Layout,
    /// 1, or 2: the high plane, then the low one.
    pub planes: usize,
    pub zero_point: i8,
    pub flip: u8,
}

impl Operand<'_> {
    /// One value; the zero point outside the image.
    pub fn at(&self, plane: usize, y: isize, x: isize, channel: usize) -> i8 {
        let l = &self.layout;
        if y < 0 || x < 0 || y >= l.height as isize || x >= l.width as isize {
            return self.zero_point;
        }
        (self.bytes[plane * l.plane() + l.offset(y, x) + channel] ^ self.flip) as i8
    }

    /// One plane without border and spare bytes.
    pub fn dense(&self, plane: usize) -> Vec<i8> {
        let l = &self.layout;
        let mut out = Vec::with_capacity(l.height * l.width * l.channels);
        for y in 0..l.height {
            for x in 0..l.width {
                let start = plane * l.plane() + l.offset(y as isize, x as isize);
                let pixel = &self.bytes[start..start + l.channels];
                out.extend(pixel.iter().map(|&b| (b ^ self.flip) as i8));
            }
        }
        out
    }
}

/// Some rows of one plane of an operand that is written.
pub(crate) struct OperandRows<'a> {
    /// From the first byte of the first row, left border included.
    pub bytes: &'a mut [u8],
    pub layout: Layout,
    /// First channel that is written.
    pub channel: usize,
    pub flip: u8,
}

impl OperandRows<'_> {
    /// Bytes of one pixel from the first channel on; `y` counts from the first of these rows.
    pub fn pixel(&mut self, y: usize, x: usize) -> &mut [u8] {
        let l = &self.layout;
        let start = y * l.row() + (l.padding[1] + x) * l.pixel();
        &mut self.bytes[start + self.channel..start + l.channels]
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bytes.len() / self.layout.row()
    }

    /// The same rows, written from another channel on.
    pub fn starting_at(&mut self, channel: usize) -> OperandRows<'_> {
        OperandRows {
            bytes: self.bytes,
            layout: self.layout,
            channel,
            flip: self.flip,
        }
    }
}

/// The rows of one plane that hold the image, in parts of so many rows.
pub(crate) fn row_chunks(
    bytes: &mut [u8],
    layout: Layout,
    plane: usize,
    rows: usize,
    flip: u8,
) -> impl Iterator<Item = OperandRows<'_>> {
    let start = plane * layout.plane() + layout.padding[0] * layout.row();
    bytes[start..start + layout.height * layout.row()]
        .chunks_mut(rows * layout.row())
        .map(move |bytes| OperandRows {
            bytes,
            layout,
            channel: 0,
            flip,
        })
}

/// Write the border of one plane.
pub(crate) fn fill_border(bytes: &mut [u8], layout: &Layout, plane: usize, value: u8) {
    let [top, left, bottom, right] = layout.padding;
    if layout.padding == [0; 4] {
        return;
    }
    let (row, pixel) = (layout.row(), layout.pixel());
    let bytes = &mut bytes[plane * layout.plane()..][..layout.plane()];
    let (above, rest) = bytes.split_at_mut(top * row);
    let (image, below) = rest.split_at_mut(layout.height * row);
    debug_assert!(below.len() == bottom * row);
    above.fill(value);
    below.fill(value);
    for row in image.chunks_exact_mut(row) {
        row[..left * pixel].fill(value);
        let end = row.len() - right * pixel;
        row[end..].fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn border_and_image_do_not_touch() {
        let layout = Layout {
            height: 2,
            width: 3,
            channels: 5,
            padding: [1, 2, 0, 1],
        };
        assert_eq!((layout.pixel(), layout.row()), (8, 48));
        let mut bytes = vec![0xAA; layout.bytes(2)];
        let chunks: Vec<_> = row_chunks(&mut bytes, layout, 1, 1, 0x80).collect();
        assert_eq!(chunks.len(), 2);
        for (y, mut rows) in chunks.into_iter().enumerate() {
            assert_eq!(rows.rows(), 1);
            for x in 0..3 {
                for (c, b) in rows.pixel(0, x).iter_mut().enumerate() {
                    *b = (y * 15 + x * 5 + c) as u8 ^ 0x80;
                }
            }
        }
        fill_border(&mut bytes, &layout, 1, 7);
        let operand = Operand {
            bytes: &bytes,
            layout,
            planes: 2,
            zero_point: -9,
            flip: 0x80,
        };
        let want: Vec<i8> = (0..30).collect();
        assert_eq!(operand.dense(1), want);
        assert_eq!(operand.at(1, 1, 2, 4), 29);
        assert_eq!(operand.at(1, -1, 0, 0), -9);
        assert_eq!(operand.at(1, 0, 3, 0), -9);
        // one row above, three columns beside two image rows
        let sevens = bytes[layout.plane()..].iter().filter(|&&b| b == 7).count();
        assert_eq!(sevens, 48 + 2 * 3 * 8);
        assert!(bytes[..layout.plane()].iter().all(|&b| b == 0xAA));
    }
}
