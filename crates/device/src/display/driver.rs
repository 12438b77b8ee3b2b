//! A driver of the display, for any [`Device`] that is one.

use diffuser_isa::generated::display as register;

use super::{Settings, stride, xrgb8888};
use crate::device::{Device, DeviceError};

/// Why the display does not show what it should.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Another device, or another version of it.
    #[error("no display of this version: ID {id:#x}, version {version}")]
    Unknown {
        /// Register `ID`.
        id: u32,
        /// Register `VERSION`.
        version: u32,
    },
    /// The display could not show it.
    #[error("{0}")]
    Settings(String),
    /// It does not take the settings, or does not come to rest.
    #[error("no frame after {0} cycles")]
    Late(u64),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Registers `STATUS`, `FLIP`, `FRAMES` and `INTERRUPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// On, or not yet at rest.
    pub busy: bool,
    /// Settings that no frame has taken yet.
    pub pending: bool,
    /// Frames since reset.
    pub frames: u32,
    /// A pixel came too late, since the flags were cleared.
    pub underrun: bool,
    /// A read failed, since then.
    pub bus_error: bool,
    /// An image could not be shown, since then.
    pub settings: bool,
}

/// Cycles after which a frame that is asked for must have begun: a second at 200 MHz.
const PATIENCE: u64 = 200_000_000;

/// A display, and two pages in its memory.
pub struct Driver<D> {
    device: D,
    most: u32,
    /// Where the next image goes.
    page: bool,
}

impl<D: Device> Driver<D> {
    /// The driver of a display.
    ///
    /// # Errors
    /// When the device is no display, or one of another version.
    pub fn new(mut device: D) -> Result<Self, DriverError> {
        let id = device.read_register(register::ID)?;
        let version = device.read_register(register::VERSION)?;
        if id != register::ID_RESET || version != register::VERSION_RESET {
            return Err(DriverError::Unknown { id, version });
        }
        let most = device.read_register(register::LIMITS)?;
        let (lsb, width) = register::LIMITS_WIDTH;
        Ok(Self {
            device,
            most: most >> lsb & ((1 << width) - 1),
            page: false,
        })
    }

    /// The device.
    pub const fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Has the next frame show this, from its start to its end; switches the display on where it is off. Returns when the frame has taken it: what was
    /// shown before is not read any more.
    ///
    /// # Errors
    /// When the display cannot show it, or does not answer.
    pub fn configure(&mut self, settings: &Settings) -> Result<(), DriverError> {
        check(settings, self.most)?;
        for (offset, value) in settings.registers() {
            self.device.write_register(offset, value)?;
        }
        let frame = 1 << register::INTERRUPT_FRAME.0;
        self.device
            .write_register(register::INTERRUPT_ENABLE, frame)?;
        self.device
            .write_register(register::FLIP, 1 << register::FLIP_PENDING.0)?;
        self.device
            .write_register(register::CONTROL, 1 << register::CONTROL_ENABLE.0)?;
        while self.status()?.pending {
            // an event of an earlier frame may still be there
            self.device.write_register(register::INTERRUPT, frame)?;
            if self.status()?.pending && !self.device.wait(PATIENCE)? {
                return Err(DriverError::Late(PATIENCE));
            }
        }
        Ok(())
    }

    /// Shows an image of `size` (width, height) pixels of red, green and blue in the middle of the panel, each as `scale` times `scale` ones. Images go to
    /// the two halves of the memory in turn, so that none is written while it is shown. The rest is as `panel` says.
    ///
    /// # Errors
    /// When it does not fit the panel or the memory, or the display does not answer.
    ///
    /// # Panics
    /// Where `rgb` is not of that size.
    pub fn show(
        &mut self,
        panel: &Settings,
        rgb: &[u8],
        (width, height): (u32, u32),
        scale: u32,
    ) -> Result<(), DriverError> {
        assert_eq!(rgb.len() as u64, 3 * u64::from(width) * u64::from(height));
        let middle = |whole: u32, part: u32| whole.saturating_sub(part * scale) / 2;
        let memory = self.device.memory();
        let half = (memory.end - memory.start) / 2;
        let bytes = xrgb8888(rgb, width);
        let base = (memory.start + if self.page { half } else { 0 }).next_multiple_of(64);
        if base + bytes.len() as u64 > memory.start + half * (1 + u64::from(self.page)) {
            return Err(DriverError::Settings(format!(
                "an image of {} bytes does not fit half of a memory of {}",
                bytes.len(),
                2 * half
            )));
        }
        let settings = Settings {
            base,
            stride: stride(width),
            width,
            height,
            scale,
            x: middle(panel.line.active, width),
            y: middle(panel.frame.active, height),
            ..*panel
        };
        check(&settings, self.most)?;
        self.device.write_memory(base, &bytes)?;
        self.configure(&settings)?;
        self.page = !self.page;
        Ok(())
    }

    /// Switches the display off, and returns when it is at rest: its memory is not read any more.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub fn disable(&mut self) -> Result<(), DriverError> {
        const TRIES: u64 = 100_000;
        self.device.write_register(register::CONTROL, 0)?;
        for _ in 0..TRIES {
            if !self.status()?.busy {
                return Ok(());
            }
        }
        Err(DriverError::Late(TRIES))
    }

    /// What the registers say.
    ///
    /// # Errors
    /// When the display does not answer.
    pub fn status(&mut self) -> Result<Status, DriverError> {
        let events = self.device.read_register(register::INTERRUPT)?;
        let event = |field: (u32, u32)| events >> field.0 & 1 == 1;
        let status = self.device.read_register(register::STATUS)?;
        let flip = self.device.read_register(register::FLIP)?;
        Ok(Status {
            busy: status >> register::STATUS_BUSY.0 & 1 == 1,
            pending: flip >> register::FLIP_PENDING.0 & 1 == 1,
            frames: self.device.read_register(register::FRAMES)?,
            underrun: event(register::INTERRUPT_UNDERRUN),
            bus_error: event(register::INTERRUPT_BUS_ERROR),
            settings: event(register::INTERRUPT_SETTINGS),
        })
    }

    /// Clears the flags of [`Status`].
    ///
    /// # Errors
    /// When the display does not answer.
    pub fn clear(&mut self) -> Result<(), DriverError> {
        Ok(self.device.write_register(register::INTERRUPT, u32::MAX)?)
    }
}

/// What the display cannot show, as one line.
fn check(settings: &Settings, most: u32) -> Result<(), DriverError> {
    let s = settings;
    let lengths = [&s.line, &s.frame];
    let lengths = lengths
        .iter()
        .flat_map(|l| [l.active, l.front, l.sync, l.back]);
    let fault = if lengths.into_iter().any(|n| n == 0 || n > 0xfff) {
        "a part of a line or a frame is not 1 to 4095 long".to_owned()
    } else if !s.base.is_multiple_of(64) || s.base >> 40 != 0 || !s.stride.is_multiple_of(64) {
        format!(
            "base {:#x} or stride {} is no multiple of 64, or past 40 bits",
            s.base, s.stride
        )
    } else if s.width > 0xfff || s.height > 0xfff || s.x > 0xfff || s.y > 0xfff || s.scale > 0xff {
        "size, position or scale is too large for its register".to_owned()
    } else if s.image() && !s.fits(most) {
        let (columns, rows) = s.size();
        format!(
            "an image of {columns}x{rows} at {}, {} does not fit a panel of {}x{}, or its row of {} pixels a buffer of {most}",
            s.x, s.y, s.line.active, s.frame.active, s.width
        )
    } else {
        return Ok(());
    };
    Err(DriverError::Settings(fault))
}
