//! The accelerator as its host sees it.

use std::ops::Range;

use crate::ddr::BusError;

/// What went wrong with a device, as opposed to a program on it.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The host named memory that is not there.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The device does not do what a device does: a lost connection, a model that stopped, a race
    /// that the simulator found in the program.
    #[error("{0}")]
    Failed(String),
}

/// Registers, memory and interrupt: a simulator, the RTL in a simulation, or a board.
pub trait Device {
    /// Value of the register at a byte offset ([`diffuser_isa::generated::register`]); other
    /// offsets read 0.
    ///
    /// # Errors
    /// When the device does not answer.
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError>;

    /// Write the register at a byte offset; writes to other offsets are ignored.
    ///
    /// # Errors
    /// When the device does not answer.
    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError>;

    /// Addresses of DDR that host and accelerator share; begins at a multiple of 64.
    fn memory(&self) -> Range<u64>;

    /// Fill `bytes` from DDR.
    ///
    /// # Errors
    /// When an address is not in [`Self::memory`].
    fn read_memory(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError>;

    /// Write `bytes` to DDR.
    ///
    /// # Errors
    /// When an address is not in [`Self::memory`].
    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Let the accelerator run until its interrupt line is high, for `cycles` at most. True where
    /// the line is high.
    ///
    /// # Errors
    /// When the device does not answer.
    fn wait(&mut self, cycles: u64) -> Result<bool, DeviceError>;

    /// Reset by the pin: registers hold their values at reset, nothing runs. DDR keeps its
    /// contents, on-chip memories hold anything.
    ///
    /// # Errors
    /// When the device does not answer.
    fn reset(&mut self) -> Result<(), DeviceError>;
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        (**self).read_register(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        (**self).write_register(offset, value)
    }

    fn memory(&self) -> Range<u64> {
        (**self).memory()
    }

    fn read_memory(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        (**self).read_memory(address, bytes)
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        (**self).write_memory(address, bytes)
    }

    fn wait(&mut self, cycles: u64) -> Result<bool, DeviceError> {
        (**self).wait(cycles)
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        (**self).reset()
    }
}
