//! The whole accelerator, cycle by cycle: registers over AXI4-Lite, DDR behind its masters.

use std::ops::Range;

use diffuser_device::{Device, DeviceError};

use crate::activity::{Activity, Quota};
use crate::bench::{LiteMaster, LiteRequest, LiteResponse};
use crate::lockstep::{Lockstep, Look};
use crate::memory::{Ddr, ReadRequest, ReadResponse, WriteRequest, WriteResponse};

/// Read ports of `dma`; the program's port comes behind them.
pub const DATA_PORTS: usize = 4;

/// What the surroundings drive in a cycle.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// AXI4-Lite.
    pub lite: LiteRequest,
    /// `dma`'s ports, then the program's.
    pub reads: [ReadResponse; DATA_PORTS + 1],
    /// `dma`'s write port.
    pub write: WriteResponse,
}

/// What the accelerator shows in a cycle.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// AXI4-Lite.
    pub lite: LiteResponse,
    /// `dma`'s ports, then the program's.
    pub reads: [ReadRequest; DATA_PORTS + 1],
    /// `dma`'s write port.
    pub write: WriteRequest,
    /// The interrupt line.
    pub interrupt: bool,
    /// A bit for each unit that retires a descriptor.
    pub retired: u8,
    /// A bit for each counter that counts, as [`Activity`] takes them.
    pub counted: u8,
}

/// A build of the accelerator as a model.
pub trait Core {
    /// Reset line.
    fn reset(&mut self, active: bool);
    /// Drives all other inputs and settles the outputs.
    fn drive(&mut self, inputs: &Inputs) -> Outputs;
    /// A rising edge.
    fn tick(&mut self);
}

/// Units, in the order of `hw/isa.toml`.
const UNITS: usize = 5;

/// A core, its DDR, and a host at its registers: the RTL as a [`Device`].
pub struct Rtl<C> {
    core: C,
    ddr: Ddr,
    lite: LiteMaster,
    outputs: Outputs,
    cycles: u64,
    retired: [u64; UNITS],
    lockstep: Option<Lockstep>,
    activity: Option<Activity>,
}

impl<C: Core> Rtl<C> {
    /// Holds the core in reset for a few cycles. `seed` is that of the host's delays.
    ///
    /// # Panics
    ///
    /// Where `ddr` has not `DATA_PORTS + 1` read ports.
    #[must_use]
    pub fn new(core: C, ddr: Ddr, seed: u64) -> Self {
        assert_eq!(
            ddr.read_bytes().len(),
            DATA_PORTS + 1,
            "read ports of the memory"
        );
        let lite = LiteMaster::new(seed, 40);
        let outputs = Outputs::default();
        let mut rtl = Self {
            core,
            ddr,
            lite,
            outputs,
            cycles: 0,
            retired: [0; UNITS],
            lockstep: None,
            activity: None,
        };
        rtl.pulse_reset();
        rtl
    }

    fn pulse_reset(&mut self) {
        self.core.reset(true);
        self.core.drive(&Inputs::default());
        for _ in 0..4 {
            self.core.tick();
        }
        self.core.reset(false);
        self.outputs = Outputs::default();
    }

    /// Holds what follows against the simulator: [`Device::wait`] fails at the first difference.
    pub fn follow(&mut self, lockstep: Lockstep) {
        self.lockstep = Some(lockstep);
    }

    /// What was followed, and how far it came.
    pub fn lockstep(&self) -> Option<&Lockstep> {
        self.lockstep.as_ref()
    }

    /// Splits the array's cycles from here on, by what each of its descriptors is to multiply.
    pub fn split(&mut self, quotas: &[Quota]) {
        self.activity = Some(Activity::new(quotas.to_vec()));
    }

    /// What was split.
    pub fn activity(&self) -> Option<&Activity> {
        self.activity.as_ref()
    }

    /// The model.
    pub fn core(&self) -> &C {
        &self.core
    }

    /// The same, for waveforms.
    pub fn core_mut(&mut self) -> &mut C {
        &mut self.core
    }

    /// The memory outside.
    pub fn ddr(&self) -> &Ddr {
        &self.ddr
    }

    /// The same, for faults.
    pub fn ddr_mut(&mut self) -> &mut Ddr {
        &mut self.ddr
    }

    /// Cycles so far.
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Descriptors that each unit has retired since the beginning.
    pub fn retired(&self) -> [u64; UNITS] {
        self.retired
    }

    fn until_answered(&mut self) -> Result<(), DeviceError>
    where
        C: Look,
    {
        for _ in 0..10_000 {
            if self.lite.idle() {
                return Ok(());
            }
            self.cycle()?;
        }
        Err(DeviceError::Failed("no answer on AXI4-Lite".into()))
    }

    /// One cycle.
    ///
    /// # Errors
    ///
    /// A difference from the simulator that is followed.
    pub fn cycle(&mut self) -> Result<(), DeviceError>
    where
        C: Look,
    {
        let inputs = Inputs {
            lite: self.lite.request(),
            reads: std::array::from_fn(|p| self.ddr.read_response(p)),
            write: self.ddr.write_response(),
        };
        self.outputs = self.core.drive(&inputs);
        self.core.tick();
        self.lite.after_edge(&self.outputs.lite);
        self.ddr
            .after_edge(&self.outputs.reads, &self.outputs.write);
        self.cycles += 1;
        for (u, retired) in self.retired.iter_mut().enumerate() {
            *retired += u64::from(self.outputs.retired >> u & 1);
        }
        if let Some(activity) = &mut self.activity {
            activity.cycle(self.outputs.counted, self.outputs.retired);
        }
        if let Some(lockstep) = &mut self.lockstep {
            let compared = lockstep.cycle(self.outputs.retired, &self.core);
            compared.map_err(|mismatch| DeviceError::Failed(mismatch.to_string()))?;
        }
        Ok(())
    }
}

impl<C: Core + Look> Device for Rtl<C> {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.lite.read(offset);
        self.until_answered()?;
        self.lite.take_read(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.lite.write(offset, value, 15);
        self.until_answered()?;
        self.lite.take_written(offset)
    }

    fn memory(&self) -> Range<u64> {
        self.ddr.addresses()
    }

    fn read_memory(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        Ok(self.ddr.read(address, bytes)?)
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        Ok(self.ddr.write(address, bytes)?)
    }

    fn wait(&mut self, cycles: u64) -> Result<bool, DeviceError> {
        let end = self.cycles.saturating_add(cycles);
        while !self.outputs.interrupt && self.cycles < end {
            self.cycle()?;
        }
        Ok(self.outputs.interrupt)
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.ddr.reset();
        self.lite.reset();
        self.pulse_reset();
        Ok(())
    }
}
