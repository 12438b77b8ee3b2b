//! A frame: the panel's pixels, and the signals that bring them there.

use super::Settings;

/// What the panel is shown in a pixel clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Data enable.
    pub de: bool,
    /// Level of the line.
    pub hsync: bool,
    /// Level of the line.
    pub vsync: bool,
    /// `0xRRGGBB`; 0 outside of the pixels.
    pub rgb: u32,
}

/// A frame of the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it shows and how.
    pub settings: Settings,
    /// `0xRRGGBB`, `settings.line.active` a row.
    pub pixels: Vec<u32>,
    /// A read failed: the image ends there.
    pub bus_error: bool,
}

impl Frame {
    /// The frame of settings and memory. `memory` fills bytes from an address on or says that it cannot; `most` is the widest row that the display can buffer.
    pub fn new(
        settings: Settings,
        most: u32,
        mut memory: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Self {
        let panel = settings.line.active as usize;
        let mut frame = Self {
            settings,
            pixels: vec![settings.background; panel * settings.frame.active as usize],
            bus_error: false,
        };
        if !settings.image() || !settings.fits(most) {
            return frame;
        }
        let scale = settings.scale as usize;
        for y in 0..settings.height {
            let (row, complete) = frame.source_row(y, &mut memory);
            for copy in 0..scale {
                let at = (settings.y as usize + y as usize * scale + copy) * panel;
                let at = at + settings.x as usize;
                for (x, pixel) in row.iter().enumerate() {
                    frame.pixels[at + x * scale..][..scale].fill(*pixel);
                }
                if !complete {
                    frame.bus_error = true;
                    return frame;
                }
            }
        }
        frame
    }

    /// Colours of a row of the source, up to the 64 bytes in which a beat of the bus fails, and whether none does.
    fn source_row(
        &self,
        y: u32,
        memory: &mut impl FnMut(u64, &mut [u8]) -> bool,
    ) -> (Vec<u32>, bool) {
        let settings = &self.settings;
        let address = settings.base + u64::from(y) * u64::from(settings.stride);
        let mut row = Vec::new();
        while row.len() < settings.width as usize {
            let left = settings.width as usize - row.len();
            let mut bytes = vec![0; 4 * left.next_multiple_of(4).min(16)];
            if !memory(address + 4 * row.len() as u64, &mut bytes) {
                return (row, false);
            }
            let pixels = bytes.chunks(4).take(left);
            row.extend(pixels.map(|p| u32::from_le_bytes([p[0], p[1], p[2], 0])));
        }
        (row, true)
    }

    /// A pixel of the panel.
    ///
    /// # Panics
    /// Past the panel's end.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> u32 {
        assert!(x < self.settings.line.active, "column {x}");
        self.pixels[(y * self.settings.line.active + x) as usize]
    }

    /// Pixels from this one on, in the order of the panel, become the background: what is shown where the next one did not come in time.
    pub fn lose(&mut self, first: usize) {
        let background = self.settings.background;
        self.pixels[first..].fill(background);
    }

    /// The panel's signals, a value a pixel clock: sync, back porch, pixels, front porch, lines and frame alike.
    #[must_use]
    pub fn signals(&self) -> Vec<Signals> {
        let s = &self.settings;
        let (columns, rows) = (s.line.sync + s.line.back, s.frame.sync + s.frame.back);
        let mut all = Vec::with_capacity((s.line.total() * s.frame.total()) as usize);
        for v in 0..s.frame.total() {
            for h in 0..s.line.total() {
                let x = h.checked_sub(columns).filter(|x| *x < s.line.active);
                let y = v.checked_sub(rows).filter(|y| *y < s.frame.active);
                let shown = x.zip(y);
                all.push(Signals {
                    de: shown.is_some(),
                    hsync: (h < s.line.sync) != s.hsync_low,
                    vsync: (v < s.frame.sync) != s.vsync_low,
                    rgb: shown.map_or(0, |(x, y)| self.pixel(x, y)),
                });
            }
        }
        all
    }
}
