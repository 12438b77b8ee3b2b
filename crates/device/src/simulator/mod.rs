//! The accelerator in software: registers, DDR, the sequencer and five units that run side by side
//! in modelled time, with the bits of `docs/numerics.md`.
//!
//! A descriptor's function is executed at the moment in which the cycle model lets it retire, so a
//! wait that is missing changes results where times make it so. Whatever the times, the check for
//! [`Hazard`]s finds it: it follows what waits order, not when something happens.

mod hazards;
mod registers;
mod sequencer;
mod trace;
mod units;

use std::ops::Range;

use diffuser_isa::ErrorCode;
use diffuser_isa::generated::register;

pub use hazards::{Hazard, Party};
pub use registers::Counters;
pub use trace::{Layer, Span, layers, table};

use crate::cycles::{Cost, Timing};
use crate::ddr::Ddr;
use crate::device::{Device, DeviceError};
use crate::fault::Fault;
use crate::memories::{Memories, Shape, Sizes};
use hazards::Hazards;
use registers::{Registers, SEQUENCER, error_word};
use sequencer::{Sequencer, Turn};
use units::Units;

/// Bytes of DDR of a simulator.
const DDR_SIZE: u64 = 1 << 32;

/// How a [`Simulator`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rates and latencies.
    pub timing: Timing,
    /// Look for races; the first one is an error of [`Device::wait`].
    pub hazards: bool,
    /// Keep a [`Span`] of every descriptor.
    pub trace: bool,
    /// Make each descriptor up to 16 times as long, by chance from this seed: results of a program
    /// must not depend on it.
    pub jitter: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            hazards: true,
            trace: false,
            jitter: None,
        }
    }
}

/// Why a program stops, and who is to blame.
struct Stop {
    fault: Fault,
    /// Number of the unit, [`SEQUENCER`] for the sequencer.
    unit: u32,
    /// Index of the descriptor.
    index: u32,
}

/// What sequencer and units work on.
struct World {
    memories: Memories,
    ddr: Ddr,
    counters: Counters,
    options: Options,
    checker: Option<Hazards>,
    hazards: Vec<Hazard>,
    trace: Vec<Span>,
    /// State of the generator of `jitter`.
    random: u64,
}

impl World {
    /// Make `cost` longer by chance, where that is wanted.
    fn stretch(&mut self, start: u64, cost: &mut Cost) {
        if self.options.jitter.is_none() {
            return;
        }
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let factor = 1 + (self.random >> 32) % 16;
        cost.end = start + (cost.end - start) * factor;
        if let Some(progress) = &mut cost.progress {
            progress.first = start + (progress.first - start) * factor;
            progress.each *= factor;
        }
    }
}

/// A program that runs.
struct Run {
    sequencer: Sequencer,
    units: Units,
    /// Cycles since start.
    now: u64,
    course: Course,
}

/// Where a program is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Descriptors are dispatched.
    Runs,
    /// `end` is reached; done at this time.
    Settles(u64),
    /// After an error: what runs comes to its end.
    Stops,
    /// The same after a soft reset.
    Resets,
}

/// The accelerator in software.
pub struct Simulator {
    registers: Registers,
    world: World,
    run: Option<Run>,
    /// Of `world.hazards`, how many [`Device::wait`] has told.
    told: usize,
    fault: Option<Fault>,
}

impl Simulator {
    /// A device after reset, with memories of zeros and 4 GiB of sparse DDR.
    #[must_use]
    pub fn new(shape: Shape, sizes: Sizes, options: Options) -> Self {
        Self {
            registers: Registers::new(shape),
            world: World {
                memories: Memories::new(shape, sizes),
                ddr: Ddr::new(DDR_SIZE),
                counters: Counters::default(),
                options,
                checker: None,
                hazards: Vec::new(),
                trace: Vec::new(),
                random: 1,
            },
            run: None,
            told: 0,
            fault: None,
        }
    }

    /// The on-chip memories.
    #[must_use]
    pub const fn memories(&self) -> &Memories {
        &self.world.memories
    }

    /// The same, to put something there before a start.
    pub const fn memories_mut(&mut self) -> &mut Memories {
        &mut self.world.memories
    }

    /// DDR.
    #[must_use]
    pub const fn ddr(&self) -> &Ddr {
        &self.world.ddr
    }

    /// The same, to make addresses faulty.
    pub const fn ddr_mut(&mut self) -> &mut Ddr {
        &mut self.world.ddr
    }

    /// Counters of the last program, in 64 bits each.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.world.counters
    }

    /// Descriptors of the last program in the order of their retirement, with [`Options::trace`].
    #[must_use]
    pub fn trace(&self) -> &[Span] {
        &self.world.trace
    }

    /// Races of the last program, with [`Options::hazards`].
    #[must_use]
    pub fn hazards(&self) -> &[Hazard] {
        &self.world.hazards
    }

    /// Why the last program stopped, in a sentence; what `ERROR` says in numbers.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    fn start(&mut self) {
        let options = self.world.options;
        self.registers.clear();
        self.fault = None;
        self.told = 0;
        self.world.counters = Counters::default();
        self.world.hazards.clear();
        self.world.trace.clear();
        self.world.checker = options
            .hazards
            .then(|| Hazards::new(self.world.memories.shape));
        // an even seed and an odd one are different programs; 0 would stay 0
        self.world.random = options.jitter.map_or(1, |seed| seed << 1 | 1);
        self.registers.status.busy = true;
        let sequencer = Sequencer::new(
            self.registers.program(),
            self.registers.get(register::PROGRAM_LENGTH),
            self.registers.context(),
            &options.timing,
        );
        self.run = Some(Run {
            sequencer,
            units: Units::default(),
            now: 0,
            course: Course::Runs,
        });
        if !self.registers.sound() {
            self.stop(Stop {
                fault: Fault {
                    code: ErrorCode::Register,
                    message: "a register holds a value that no program can run with".into(),
                },
                unit: SEQUENCER,
                index: 0,
            });
        }
    }

    /// The first error: nothing more is issued.
    fn stop(&mut self, stop: Stop) {
        let run = self.run.as_mut().expect("a program runs");
        if run.course == Course::Runs {
            run.course = Course::Stops;
            run.units.empty_queues();
            self.registers.status.fault = error_word(stop.fault.code, stop.unit, stop.index);
            self.fault = Some(stop.fault);
        }
    }

    fn soft_reset(&mut self) {
        match &mut self.run {
            Some(run) => {
                run.course = Course::Resets;
                run.units.empty_queues();
            }
            None => self.clear(),
        }
    }

    fn clear(&mut self) {
        self.registers.clear();
        self.world.counters = Counters::default();
        self.fault = None;
    }

    /// Everything that happens at the present time; true where the program has come to its end.
    fn settle(&mut self) -> bool {
        loop {
            let run = self.run.as_mut().expect("a program runs");
            let mut again = match run.units.retire(run.now, &mut self.world) {
                Ok(any) => any,
                Err(stop) => {
                    self.stop(stop);
                    continue;
                }
            };
            match run.course {
                Course::Runs => {
                    again |= run.units.start(run.now, &mut self.world);
                    match run.sequencer.turn(run.now, &mut run.units, &mut self.world) {
                        Turn::Idle(_) => {}
                        Turn::Again => again = true,
                        Turn::End => {
                            let settle = self.world.options.timing.settle;
                            run.course = Course::Settles(run.now + settle);
                        }
                        Turn::Fault(stop) => {
                            self.stop(stop);
                            again = true;
                        }
                    }
                }
                Course::Settles(at) if at <= run.now => {
                    self.registers.raise_done();
                    return true;
                }
                Course::Stops if run.units.idle() => {
                    self.registers.raise_error();
                    return true;
                }
                Course::Resets if run.units.idle() => {
                    self.clear();
                    return true;
                }
                Course::Settles(_) | Course::Stops | Course::Resets => {}
            }
            if !again {
                return false;
            }
        }
    }

    /// When the next thing happens, as far as is known.
    fn next_event(&mut self) -> Option<u64> {
        let timeout = u64::from(self.registers.get(register::TIMEOUT));
        let run = self.run.as_mut().expect("a program runs");
        let mut times = vec![run.units.next_retirement(), run.units.next_start(run.now)];
        match run.course {
            Course::Runs => {
                let idle = run.sequencer.turn(run.now, &mut run.units, &mut self.world);
                times.push(match idle {
                    Turn::Idle(at) => at,
                    _ => Some(run.now),
                });
                let last = run.units.last_retirement;
                times.push((timeout != 0).then_some((last + timeout).max(run.now)));
            }
            Course::Settles(at) => times.push(Some(at)),
            Course::Stops | Course::Resets => {}
        }
        times.into_iter().flatten().min()
    }

    /// Run until time `limit`, the program's end, or a hazard.
    fn advance(&mut self, limit: u64) {
        loop {
            let ended = self.settle();
            let run = self.run.as_ref().expect("a program runs");
            if run.course != Course::Resets {
                self.registers.status.step = run.sequencer.context.step;
            }
            if ended {
                self.registers.status.busy = false;
                self.registers.counters = self.world.counters;
                self.run = None;
                return;
            }
            let timeout = self.registers.get(register::TIMEOUT);
            let next = self.next_event();
            let run = self.run.as_mut().expect("a program runs");
            let quiet = run.now - run.units.last_retirement;
            if run.course == Course::Runs && timeout != 0 && quiet >= u64::from(timeout) {
                let sequencer = (SEQUENCER, run.sequencer.index);
                let stop = units::timeout(timeout, run.units.blamed(), sequencer);
                self.stop(stop);
                continue;
            }
            // nothing happens any more where there is no event: time passes all the same
            let to = next.unwrap_or(limit).min(limit);
            run.units.pass(run.now, to, &mut self.world);
            run.now = to;
            // what ends at the limit itself has its turn in the next call
            if self.world.hazards.len() > self.told || to == limit {
                self.registers.counters = self.world.counters;
                return;
            }
        }
    }
}

impl Device for Simulator {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(self.registers.read(offset))
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        if offset != register::CONTROL {
            self.registers.set(offset, value);
        } else if value >> register::CONTROL_RESET.0 & 1 == 1 {
            self.soft_reset();
        } else if value >> register::CONTROL_START.0 & 1 == 1 && self.run.is_none() {
            self.start();
        }
        Ok(())
    }

    fn memory(&self) -> Range<u64> {
        0..self.world.ddr.size()
    }

    fn read_memory(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        Ok(self.world.ddr.read(address, bytes)?)
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        Ok(self.world.ddr.write(address, bytes)?)
    }

    fn wait(&mut self, cycles: u64) -> Result<bool, DeviceError> {
        if let Some(run) = &self.run
            && !self.registers.line()
        {
            let limit = run.now.saturating_add(cycles);
            self.advance(limit);
            if let Some(hazard) = self.world.hazards.get(self.told) {
                let message = hazard.to_string();
                self.told = self.world.hazards.len();
                return Err(DeviceError::Failed(message));
            }
        }
        Ok(self.registers.line())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        let shape = self.world.memories.shape;
        self.run = None;
        self.registers = Registers::new(shape);
        self.clear();
        Ok(())
    }
}
