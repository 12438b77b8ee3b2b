//! The register file: what the host wrote, what the program counted.

use diffuser_isa::ErrorCode;
use diffuser_isa::generated::register::*;

use crate::memories::Shape;
use crate::ops::Context;

/// Unit number of the sequencer in `ERROR`.
pub(super) const SEQUENCER: u32 = 7;

/// Writable registers, by offset.
const WRITABLE: [u32; 16] = [
    INTERRUPT_ENABLE,
    PROGRAM_LOW,
    PROGRAM_HIGH,
    PROGRAM_LENGTH,
    DATA_LOW,
    DATA_HIGH,
    STEP_LOW,
    STEP_HIGH,
    STEP_STRIDE,
    STEPS,
    SEED_LOW,
    SEED_HIGH,
    IMAGE_LOW,
    IMAGE_HIGH,
    TIMEOUT,
    // not writable, and its reads are answered elsewhere: fills the array
    STEP,
];

/// What a program counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Cycles since start.
    pub cycles: u64,
    /// Cycles in which the array multiplied.
    pub array_busy: u64,
    /// Cycles in which the array waited for `dma`.
    pub stall_weight: u64,
    /// Cycles in which the array waited for `prep` or `norm`.
    pub stall_operand: u64,
    /// Cycles lost to bank conflicts.
    pub stall_bank: u64,
    /// Cycles in which the array waited for its accumulators to drain.
    pub stall_store: u64,
    /// Bytes read from DDR, descriptors among them.
    pub read_bytes: u64,
}

/// How the last program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub busy: bool,
    pub done: bool,
    pub error: bool,
    /// Value of `ERROR`.
    pub fault: u32,
    pub step: u32,
}

pub(super) struct Registers {
    shape: Shape,
    words: [u32; WRITABLE.len()],
    pub interrupt: u32,
    /// High halves of counters, as the last read of their low halves left them.
    latched: [u32; 3],
    pub status: Status,
    pub counters: Counters,
}

/// Value of `ERROR`.
pub(super) const fn error_word(code: ErrorCode, unit: u32, descriptor: u32) -> u32 {
    (code as u32) << ERROR_CODE.0 | unit << ERROR_UNIT.0 | descriptor << ERROR_DESCRIPTOR.0
}

const fn bit(field: (u32, u32)) -> u32 {
    1 << field.0
}

impl Registers {
    pub(super) fn new(shape: Shape) -> Self {
        let mut registers = Self {
            shape,
            words: [0; WRITABLE.len()],
            interrupt: 0,
            latched: [0; 3],
            status: Status {
                busy: false,
                done: false,
                error: false,
                fault: 0,
                step: 0,
            },
            counters: Counters::default(),
        };
        registers.set(TIMEOUT, TIMEOUT_RESET);
        registers
    }

    fn index(offset: u32) -> Option<usize> {
        WRITABLE.iter().position(|&w| w == offset && w != STEP)
    }

    /// Value that the host wrote.
    pub(super) fn get(&self, offset: u32) -> u32 {
        Self::index(offset).map_or(0, |i| self.words[i])
    }

    /// A write by the host; `CONTROL` is not among these.
    pub(super) fn set(&mut self, offset: u32, value: u32) {
        if offset == INTERRUPT {
            self.interrupt &= !value;
        } else if let Some(i) = Self::index(offset) {
            // two events can raise the interrupt
            let mask = if offset == INTERRUPT_ENABLE { 3 } else { !0 };
            self.words[i] = value & mask;
        }
    }

    pub(super) fn read(&mut self, offset: u32) -> u32 {
        let saturated = |x: u64| u32::try_from(x).unwrap_or(u32::MAX);
        let c = self.counters;
        let pairs = [c.cycles, c.array_busy, c.read_bytes];
        let mut low = |i: usize| {
            self.latched[i] = (pairs[i] >> 32) as u32;
            pairs[i] as u32
        };
        match offset {
            ID => ID_RESET,
            VERSION => VERSION_RESET,
            SHAPE => self.shape.register(),
            STATUS => {
                let s = self.status;
                u32::from(s.busy) << STATUS_BUSY.0
                    | u32::from(s.done) << STATUS_DONE.0
                    | u32::from(s.error) << STATUS_ERROR.0
            }
            INTERRUPT => self.interrupt,
            ERROR => self.status.fault,
            STEP => self.status.step,
            CYCLES_LOW => low(0),
            ARRAY_BUSY_LOW => low(1),
            READ_BYTES_LOW => low(2),
            CYCLES_HIGH => self.latched[0],
            ARRAY_BUSY_HIGH => self.latched[1],
            READ_BYTES_HIGH => self.latched[2],
            STALL_WEIGHT => saturated(c.stall_weight),
            STALL_OPERAND => saturated(c.stall_operand),
            STALL_BANK => saturated(c.stall_bank),
            STALL_STORE => saturated(c.stall_store),
            offset => self.get(offset),
        }
    }

    /// The interrupt line.
    pub(super) fn line(&self) -> bool {
        self.interrupt & self.get(INTERRUPT_ENABLE) != 0
    }

    pub(super) fn raise_done(&mut self) {
        self.status.done = true;
        self.interrupt |= bit(INTERRUPT_DONE);
    }

    pub(super) fn raise_error(&mut self) {
        self.status.error = true;
        self.interrupt |= bit(INTERRUPT_ERROR);
    }

    /// What `start` and a soft reset clear.
    pub(super) fn clear(&mut self) {
        self.status = Status {
            busy: false,
            done: false,
            error: false,
            fault: 0,
            step: 0,
        };
        self.counters = Counters::default();
    }

    fn pair(&self, low: u32, high: u32) -> u64 {
        u64::from(self.get(low)) | u64::from(self.get(high)) << 32
    }

    /// Address of the program.
    pub(super) fn program(&self) -> u64 {
        self.pair(PROGRAM_LOW, PROGRAM_HIGH)
    }

    /// What descriptors take from the registers at start.
    pub(super) fn context(&self) -> Context {
        Context {
            step: 0,
            steps: self.get(STEPS),
            seed: self.pair(SEED_LOW, SEED_HIGH),
            image: self.pair(IMAGE_LOW, IMAGE_HIGH),
            data: self.pair(DATA_LOW, DATA_HIGH),
            record: self.pair(STEP_LOW, STEP_HIGH),
            stride: self.get(STEP_STRIDE),
        }
    }

    /// The registers allow a start.
    pub(super) fn sound(&self) -> bool {
        let c = self.context();
        let aligned = |x: u64| x.is_multiple_of(64);
        aligned(self.program())
            && aligned(c.data)
            && aligned(c.record)
            && aligned(c.stride.into())
            && c.steps != 0
            && self.get(PROGRAM_LENGTH) != 0
    }
}
