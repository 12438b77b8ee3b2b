//! Runs programs on a [`Device`]: placement in DDR, registers, start, interrupt, result.
//!
//! ```no_run
//! use diffuser_device::host::{Driver, Job};
//! # fn example(job: Job, device: diffuser_device::Simulator) -> Result<(), Box<dyn std::error::Error>> {
//! let mut driver = Driver::new(device)?;
//! driver.load(&job)?;
//! driver.run(1 << 32)?;
//! let mut pixels = vec![0; 4 * 32 * 32];
//! driver.read_data(0, &mut pixels)?;
//! # Ok(())
//! # }
//! ```

use diffuser_isa::generated::DESCRIPTOR_WORDS;
pub use diffuser_isa::generated::register;
use diffuser_isa::{ErrorCode, Unit};

use crate::device::{Device, DeviceError};
use crate::memories::Shape;
use crate::simulator::Counters;

/// Bytes of a descriptor.
const DESCRIPTOR_BYTES: usize = 4 * DESCRIPTOR_WORDS;

/// What parts of a job begin at a multiple of: a page, which no burst of AXI crosses.
const ALIGNMENT: u64 = 4096;

/// A program and all that it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Descriptors, 64 bytes each.
    pub program: Vec<u8>,
    /// What `ddr` of descriptors counts from; the program reads and writes it.
    pub data: Vec<u8>,
    /// Records of the steps, one after another, `record_stride` bytes each.
    pub records: Vec<u8>,
    /// Bytes from one record to the next, a multiple of 64.
    pub record_stride: u32,
    /// Time steps, at least 1.
    pub steps: u32,
    /// Seed of the noise.
    pub seed: u64,
    /// Number of the first image.
    pub image: u64,
}

/// Addresses of a job's parts in DDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Program.
    pub program: u64,
    /// Data.
    pub data: u64,
    /// First step's record.
    pub records: u64,
    /// First byte behind the job.
    pub end: u64,
}

/// Why a job cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The device itself.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Something else answers where the accelerator should be.
    #[error(
        "register ID is {id:#010x}, version {version}: not an accelerator that this host knows"
    )]
    Unknown {
        /// Value of `ID`.
        id: u32,
        /// Value of `VERSION`.
        version: u32,
    },
    /// A job that is not consistent.
    #[error("the job's {0}")]
    Job(&'static str),
    /// More than DDR holds.
    #[error("the job needs {need} bytes of DDR, which has {have}")]
    Memory {
        /// Bytes of the job, with gaps.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// No job has been loaded.
    #[error("no job is loaded")]
    NotLoaded,
    /// Bytes outside of the job's data.
    #[error("bytes {offset} to {end} are not in the job's {size} bytes of data")]
    Range {
        /// First byte.
        offset: u64,
        /// Past the last.
        end: u64,
        /// Bytes of data.
        size: u64,
    },
    /// A program runs already, or the device does not come to rest.
    #[error("the device is busy")]
    Busy,
    /// The program stopped with an error.
    #[error("the program stopped: error {} at descriptor {descriptor} ({})", code_name(*code), unit_name(*unit))]
    Program {
        /// Code of the register `ERROR`.
        code: u32,
        /// Number of the unit, 7 for the sequencer.
        unit: u32,
        /// Index of the descriptor.
        descriptor: u32,
    },
    /// The program did not end in time; it has been reset.
    #[error("the program has not ended after {cycles} cycles")]
    Budget {
        /// Cycles that it had.
        cycles: u64,
    },
}

fn code_name(code: u32) -> &'static str {
    ErrorCode::from_value(code).map_or("unknown", ErrorCode::name)
}

fn unit_name(unit: u32) -> &'static str {
    Unit::from_value(unit).map_or("sequencer", Unit::name)
}

/// Value of a field of a register.
const fn field(word: u32, (lsb, width): (u32, u32)) -> u32 {
    (word >> lsb) & (u32::MAX >> (32 - width))
}

const fn bit(field: (u32, u32)) -> u32 {
    1 << field.0
}

/// An accelerator and the job on it.
pub struct Driver<D> {
    device: D,
    shape: Shape,
    loaded: Option<(Placement, u64)>,
}

impl<D: Device> Driver<D> {
    /// The driver of a device that is at rest.
    ///
    /// # Errors
    /// When it is not an accelerator, or of another version.
    pub fn new(mut device: D) -> Result<Self, HostError> {
        let id = device.read_register(register::ID)?;
        let version = device.read_register(register::VERSION)?;
        if id != register::ID_RESET || version != register::VERSION_RESET {
            return Err(HostError::Unknown { id, version });
        }
        let shape = device.read_register(register::SHAPE)?;
        let size = |f| field(shape, f) as usize;
        Ok(Self {
            device,
            shape: Shape {
                pixels: size(register::SHAPE_PIXELS),
                outputs: size(register::SHAPE_OUTPUTS),
                inputs: size(register::SHAPE_INPUTS),
            },
            loaded: None,
        })
    }

    /// The array that programs must be compiled for.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The device.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// The device, for what the driver does not do.
    pub const fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// The device, given back.
    pub fn into_device(self) -> D {
        self.device
    }

    /// Write a job to DDR and its addresses to the registers.
    ///
    /// # Errors
    /// When the job is not consistent or does not fit, or the device fails.
    pub fn load(&mut self, job: &Job) -> Result<Placement, HostError> {
        check(job)?;
        let memory = self.device.memory();
        let next = |at: u64, bytes: usize| (at + bytes as u64).next_multiple_of(ALIGNMENT);
        let program = memory.start.next_multiple_of(ALIGNMENT);
        let data = next(program, job.program.len());
        let records = next(data, job.data.len());
        let end = records + job.records.len() as u64;
        if end > memory.end {
            return Err(HostError::Memory {
                need: end - memory.start,
                have: memory.end - memory.start,
            });
        }
        let placement = Placement {
            program,
            data,
            records,
            end,
        };
        self.loaded = None;
        self.device.write_memory(program, &job.program)?;
        self.device.write_memory(data, &job.data)?;
        self.device.write_memory(records, &job.records)?;
        let descriptors = job.program.len() / DESCRIPTOR_BYTES;
        self.write_pair(register::PROGRAM_LOW, program)?;
        self.write(register::PROGRAM_LENGTH, descriptors as u32)?;
        self.write_pair(register::DATA_LOW, data)?;
        self.write_pair(register::STEP_LOW, records)?;
        self.write(register::STEP_STRIDE, job.record_stride)?;
        self.write(register::STEPS, job.steps)?;
        self.write_pair(register::SEED_LOW, job.seed)?;
        self.write_pair(register::IMAGE_LOW, job.image)?;
        self.loaded = Some((placement, job.data.len() as u64));
        Ok(placement)
    }

    /// Other noise for the job that is loaded.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_noise(&mut self, seed: u64, image: u64) -> Result<(), HostError> {
        self.write_pair(register::SEED_LOW, seed)?;
        self.write_pair(register::IMAGE_LOW, image)
    }

    /// Write a part of the job's data, the starting state for example.
    ///
    /// # Errors
    /// When the bytes are not the data's, or the device fails.
    pub fn write_data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), HostError> {
        let address = self.data(offset, bytes.len())?;
        Ok(self.device.write_memory(address, bytes)?)
    }

    /// Read a part of the job's data, the pixels for example.
    ///
    /// # Errors
    /// When the bytes are not the data's, or the device fails.
    pub fn read_data(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), HostError> {
        let address = self.data(offset, bytes.len())?;
        Ok(self.device.read_memory(address, bytes)?)
    }

    /// Start the job and wait for its end, for `cycles` at most.
    ///
    /// # Errors
    /// When the program stops with an error or does not end in time, or the device fails. A
    /// program that did not end in time has been reset.
    pub fn run(&mut self, cycles: u64) -> Result<(), HostError> {
        if self.loaded.is_none() {
            return Err(HostError::NotLoaded);
        }
        if self.busy()? {
            return Err(HostError::Busy);
        }
        let events = bit(register::INTERRUPT_DONE) | bit(register::INTERRUPT_ERROR);
        self.write(register::INTERRUPT, events)?;
        self.write(register::INTERRUPT_ENABLE, events)?;
        self.write(register::CONTROL, bit(register::CONTROL_START))?;
        if !self.device.wait(cycles)? {
            self.soft_reset(cycles)?;
            return Err(HostError::Budget { cycles });
        }
        let event = self.read(register::INTERRUPT)?;
        self.write(register::INTERRUPT, event)?;
        if event & bit(register::INTERRUPT_ERROR) == 0 {
            return Ok(());
        }
        let error = self.read(register::ERROR)?;
        Err(HostError::Program {
            code: field(error, register::ERROR_CODE),
            unit: field(error, register::ERROR_UNIT),
            descriptor: field(error, register::ERROR_DESCRIPTOR),
        })
    }

    /// Stop what runs, for `cycles` at most.
    ///
    /// # Errors
    /// When the device is busy still, or fails.
    pub fn soft_reset(&mut self, cycles: u64) -> Result<(), HostError> {
        self.write(register::INTERRUPT_ENABLE, 0)?;
        self.write(register::CONTROL, bit(register::CONTROL_RESET))?;
        self.device.wait(cycles)?;
        if self.busy()? {
            return Err(HostError::Busy);
        }
        Ok(())
    }

    /// What the last program counted.
    ///
    /// # Errors
    /// When the device fails.
    pub fn counters(&mut self) -> Result<Counters, HostError> {
        Ok(Counters {
            cycles: self.read_pair(register::CYCLES_LOW)?,
            array_busy: self.read_pair(register::ARRAY_BUSY_LOW)?,
            stall_weight: self.read(register::STALL_WEIGHT)?.into(),
            stall_operand: self.read(register::STALL_OPERAND)?.into(),
            stall_bank: self.read(register::STALL_BANK)?.into(),
            stall_store: self.read(register::STALL_STORE)?.into(),
            read_bytes: self.read_pair(register::READ_BYTES_LOW)?,
        })
    }

    fn busy(&mut self) -> Result<bool, HostError> {
        Ok(self.read(register::STATUS)? & bit(register::STATUS_BUSY) != 0)
    }

    fn data(&self, offset: u64, bytes: usize) -> Result<u64, HostError> {
        let (placement, size) = self.loaded.ok_or(HostError::NotLoaded)?;
        let end = offset.saturating_add(bytes as u64);
        if end > size {
            return Err(HostError::Range { offset, end, size });
        }
        Ok(placement.data + offset)
    }

    fn read(&mut self, offset: u32) -> Result<u32, HostError> {
        Ok(self.device.read_register(offset)?)
    }

    fn write(&mut self, offset: u32, value: u32) -> Result<(), HostError> {
        Ok(self.device.write_register(offset, value)?)
    }

    /// The high half follows the low one; of counters the low one is read first, which holds the
    /// high one.
    fn read_pair(&mut self, low: u32) -> Result<u64, HostError> {
        let half = u64::from(self.read(low)?);
        Ok(half | u64::from(self.read(low + 4)?) << 32)
    }

    fn write_pair(&mut self, low: u32, value: u64) -> Result<(), HostError> {
        self.write(low, value as u32)?;
        self.write(low + 4, (value >> 32) as u32)
    }
}

fn check(job: &Job) -> Result<(), HostError> {
    let require = |rule: bool, what| {
        if rule {
            Ok(())
        } else {
            Err(HostError::Job(what))
        }
    };
    require(
        !job.program.is_empty() && job.program.len().is_multiple_of(DESCRIPTOR_BYTES),
        "program is not whole descriptors",
    )?;
    // indices of descriptors have 24 bits
    require(
        job.program.len() / DESCRIPTOR_BYTES <= 1 << 24,
        "program has more than 2^24 descriptors",
    )?;
    require(job.steps > 0, "number of steps is 0")?;
    require(
        job.record_stride.is_multiple_of(64),
        "records are not a multiple of 64 bytes",
    )?;
    let records = u64::from(job.record_stride) * u64::from(job.steps);
    require(
        job.records.is_empty() || job.records.len() as u64 == records,
        "records are not one for each step",
    )
}
