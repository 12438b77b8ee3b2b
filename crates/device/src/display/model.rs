//! The display in software: registers, memory, a frame when it is asked for one.

use std::collections::BTreeMap;
use std::ops::Range;

use diffuser_isa::generated::display as register;

use super::{Frame, Settings};
use crate::ddr::Ddr;
use crate::device::{Device, DeviceError};

/// Most pixels of a source row of the display that is built.
const MOST: u32 = 1024;

/// Value of a register that can be written, at reset.
pub(super) fn at_reset(offset: u32) -> u32 {
    match offset {
        register::SCALE => register::SCALE_RESET,
        register::LINE_SIZE => register::LINE_SIZE_RESET,
        register::LINE_SYNC => register::LINE_SYNC_RESET,
        register::FRAME_SIZE => register::FRAME_SIZE_RESET,
        register::FRAME_SYNC => register::FRAME_SYNC_RESET,
        register::POLARITY => register::POLARITY_RESET,
        _ => 0,
    }
}

/// A display and its memory. Frames take no time: [`Device::wait`] makes them.
#[derive(Clone, Debug)]
pub struct Model {
    memory: Ddr,
    registers: BTreeMap<u32, u32>,
    /// What the frames show.
    now: Option<Settings>,
    frames: u32,
    most: u32,
}

impl Model {
    /// A display at rest, with this memory.
    #[must_use]
    pub const fn new(memory: Ddr) -> Self {
        Self {
            memory,
            registers: BTreeMap::new(),
            now: None,
            frames: 0,
            most: MOST,
        }
    }

    fn get(&self, offset: u32) -> u32 {
        let written = self.registers.get(&offset);
        written.copied().unwrap_or_else(|| at_reset(offset))
    }

    /// On.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.get(register::CONTROL) & 1 << register::CONTROL_ENABLE.0 != 0
    }

    /// The next frame, whether the display is on or not: the settings are taken if they are to be, and events are raised.
    pub fn frame(&mut self) -> Frame {
        let now = match self.now {
            Some(now) if self.get(register::FLIP) == 0 => now,
            _ => Settings::read(|offset| self.get(offset)),
        };
        self.now = Some(now);
        self.frames = self.frames.wrapping_add(1);
        self.registers.insert(register::FLIP, 0);
        let memory = &self.memory;
        let frame = Frame::new(now, self.most, |address, bytes| {
            memory.read(address, bytes).is_ok()
        });
        let wrong = now.image() && !now.fits(self.most);
        let events = 1 << register::INTERRUPT_FRAME.0
            | u32::from(frame.bus_error) << register::INTERRUPT_BUS_ERROR.0
            | u32::from(wrong) << register::INTERRUPT_SETTINGS.0;
        *self.registers.entry(register::INTERRUPT).or_default() |= events;
        frame
    }

    fn interrupt(&self) -> bool {
        self.get(register::INTERRUPT) & self.get(register::INTERRUPT_ENABLE) != 0
    }
}

impl Device for Model {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(match offset {
            register::ID => register::ID_RESET,
            register::VERSION => register::VERSION_RESET,
            register::LIMITS => self.most << register::LIMITS_WIDTH.0,
            register::STATUS => u32::from(self.enabled()) << register::STATUS_BUSY.0,
            register::FRAMES => self.frames,
            _ => self.get(offset),
        })
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        let bits = |field: (u32, u32)| (u32::MAX >> (32 - field.1)) << field.0;
        let halves = 0x0fff_0fff;
        let events = 15;
        let value = match offset {
            register::CONTROL => value & bits(register::CONTROL_ENABLE),
            register::INTERRUPT_ENABLE => value & events,
            register::INTERRUPT => self.get(offset) & !value,
            register::FLIP => self.get(offset) | value & bits(register::FLIP_PENDING),
            register::BASE_LOW => value & bits(register::BASE_LOW_ADDRESS),
            register::BASE_HIGH => value & bits(register::BASE_HIGH_ADDRESS),
            register::STRIDE => value & bits(register::STRIDE_UNITS),
            register::SCALE => value & bits(register::SCALE_FACTOR),
            register::BACKGROUND => value & 0xff_ffff,
            register::POLARITY => value & 3,
            register::SOURCE
            | register::POSITION
            | register::LINE_SIZE
            | register::LINE_SYNC
            | register::FRAME_SIZE
            | register::FRAME_SYNC => value & halves,
            _ => return Ok(()),
        };
        if offset == register::CONTROL && value == 0 {
            // the first frame after it is on again takes the settings
            self.now = None;
        }
        self.registers.insert(offset, value);
        Ok(())
    }

    fn memory(&self) -> Range<u64> {
        0..self.memory.size()
    }

    fn read_memory(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        Ok(self.memory.read(address, bytes)?)
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        Ok(self.memory.write(address, bytes)?)
    }

    /// A frame begins, where one is due.
    fn wait(&mut self, cycles: u64) -> Result<bool, DeviceError> {
        if self.enabled() && cycles > 0 && !self.interrupt() {
            self.frame();
        }
        Ok(self.interrupt())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.registers.clear();
        (self.now, self.frames) = (None, 0);
        Ok(())
    }
}
