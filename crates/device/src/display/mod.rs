//! The display (`docs/display.md`): its settings, a model that makes frames of registers and memory, and a driver.
//!
//! ```
//! use diffuser_device::Ddr;
//! use diffuser_device::display::{Driver, Model, Settings};
//!
//! let mut driver = Driver::new(Model::new(Ddr::new(1 << 16))).unwrap();
//! driver.show(&Settings::default(), &[255, 0, 0], (1, 1), 240).unwrap();
//! let frame = driver.device_mut().frame();
//! assert_eq!(frame.pixel(400, 240), 0xff_0000);
//! ```

mod driver;
mod frame;
mod model;

pub use driver::{Driver, DriverError, Status};
pub use frame::{Frame, Signals};
pub use model::Model;

use diffuser_isa::generated::display as register;

/// Parts of a line in pixel clocks, or of a frame in lines; each 1 to 4095.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Pixels or rows that are shown.
    pub active: u32,
    /// Front porch.
    pub front: u32,
    /// Sync pulse.
    pub sync: u32,
    /// Back porch.
    pub back: u32,
}

impl Lengths {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.active + self.front + self.sync + self.back
    }
}

/// What a frame shows and how: the registers that `FLIP` hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address of the source's first pixel, a multiple of 64, 40 bits.
    pub base: u64,
    /// Bytes from one source row to the next, a multiple of 64.
    pub stride: u32,
    /// Pixels of a source row; 0: no image.
    pub width: u32,
    /// Source rows; 0: no image.
    pub height: u32,
    /// Columns and rows of the panel for a source pixel, 1 to 255.
    pub scale: u32,
    /// Column of the panel where the image begins.
    pub x: u32,
    /// Row of the panel where it begins.
    pub y: u32,
    /// `0xRRGGBB` around the image.
    pub background: u32,
    /// A line.
    pub line: Lengths,
    /// A frame.
    pub frame: Lengths,
    /// `hsync` is low in its pulse.
    pub hsync_low: bool,
    /// `vsync` is low in its pulse.
    pub vsync_low: bool,
}

impl Default for Settings {
    /// Those at reset: a panel of 800x480, no image.
    fn default() -> Self {
        Self::read(model::at_reset)
    }
}

impl Settings {
    /// What registers hold.
    pub fn read(mut register: impl FnMut(u32) -> u32) -> Self {
        let mut halves = |offset| {
            let word = register(offset);
            (word & 0xfff, word >> 16 & 0xfff)
        };
        let (width, height) = halves(register::SOURCE);
        let (x, y) = halves(register::POSITION);
        let mut lengths = |size, sync| {
            let (active, front) = halves(size);
            let (sync, back) = halves(sync);
            Lengths {
                active,
                front,
                sync,
                back,
            }
        };
        let line = lengths(register::LINE_SIZE, register::LINE_SYNC);
        let frame = lengths(register::FRAME_SIZE, register::FRAME_SYNC);
        let polarity = register(register::POLARITY);
        Self {
            base: u64::from(register(register::BASE_HIGH) & 0xff) << 32
                | u64::from(register(register::BASE_LOW) & !63),
            stride: register(register::STRIDE) & !63,
            width,
            height,
            scale: register(register::SCALE) & 0xff,
            x,
            y,
            background: register(register::BACKGROUND) & 0xff_ffff,
            line,
            frame,
            hsync_low: polarity >> register::POLARITY_HSYNC_LOW.0 & 1 == 1,
            vsync_low: polarity >> register::POLARITY_VSYNC_LOW.0 & 1 == 1,
        }
    }

    /// Offsets and values of the registers that say this.
    #[must_use]
    pub fn registers(&self) -> [(u32, u32); 12] {
        let halves = |low: u32, high: u32| low | high << 16;
        let polarity = u32::from(self.hsync_low) << register::POLARITY_HSYNC_LOW.0
            | u32::from(self.vsync_low) << register::POLARITY_VSYNC_LOW.0;
        [
            (register::BASE_LOW, self.base as u32),
            (register::BASE_HIGH, (self.base >> 32) as u32),
            (register::STRIDE, self.stride),
            (register::SOURCE, halves(self.width, self.height)),
            (register::SCALE, self.scale),
            (register::POSITION, halves(self.x, self.y)),
            (register::BACKGROUND, self.background),
            (
                register::LINE_SIZE,
                halves(self.line.active, self.line.front),
            ),
            (register::LINE_SYNC, halves(self.line.sync, self.line.back)),
            (
                register::FRAME_SIZE,
                halves(self.frame.active, self.frame.front),
            ),
            (
                register::FRAME_SYNC,
                halves(self.frame.sync, self.frame.back),
            ),
            (register::POLARITY, polarity),
        ]
    }

    /// There is an image.
    #[must_use]
    pub const fn image(&self) -> bool {
        self.width != 0 && self.height != 0
    }

    /// Columns and rows that the image takes on the panel.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        (self.width * self.scale, self.height * self.scale)
    }

    /// The image can be shown: it is not wider than `most` pixels and lies on the panel.
    #[must_use]
    pub const fn fits(&self, most: u32) -> bool {
        let (columns, rows) = self.size();
        self.scale != 0
            && self.width <= most
            && self.x + columns <= self.line.active
            && self.y + rows <= self.frame.active
    }
}

/// Bytes of a row of `width` pixels, up to where the next one may begin.
#[must_use]
pub const fn stride(width: u32) -> u32 {
    (4 * width).next_multiple_of(64)
}

/// Rows of red, green, blue (a byte each, `width` pixels a row) as XRGB8888, as a frame buffer holds them: blue first, the fourth byte 0, rows
/// [`stride`] bytes apart.
///
/// # Panics
/// Where `rgb` has no whole rows.
#[must_use]
pub fn xrgb8888(rgb: &[u8], width: u32) -> Vec<u8> {
    let row = 3 * width as usize;
    assert!(
        row > 0 && rgb.len().is_multiple_of(row),
        "rows of {width} pixels"
    );
    let mut bytes = Vec::with_capacity(rgb.len() / row * stride(width) as usize);
    for row in rgb.chunks(row) {
        bytes.extend(row.chunks(3).flat_map(|p| [p[2], p[1], p[0], 0]));
        bytes.resize(bytes.len().next_multiple_of(64), 0);
    }
    bytes
}
