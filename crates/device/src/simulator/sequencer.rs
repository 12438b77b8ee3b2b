//! Fetches descriptors in order, checks them, and hands them to the queues.

use std::collections::VecDeque;

use diffuser_isa::{Common, DecodeError, Descriptor, ErrorCode, Op, Unit};

use super::registers::SEQUENCER;
use super::units::{Issued, Units};
use super::{Stop, World};
use crate::cycles::Timing;
use crate::fault::Fault;
use crate::ops::{self, Context};

/// Bytes of a descriptor.
const BYTES: usize = 4 * diffuser_isa::generated::DESCRIPTOR_WORDS;

/// What the sequencer does at the moment.
#[derive(Clone, Debug)]
enum State {
    /// Takes the next descriptor at this time.
    Fetch(u64),
    /// Waits for room in a queue.
    Push(Box<Issued>),
    /// `end`: waits until everything has retired.
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Sequencer {
    /// Address and length of the program.
    program: u64,
    length: u32,
    /// Registers at start, and the present step.
    pub context: Context,
    /// Index of the present descriptor.
    pub index: u32,
    /// Index of the `loop` that went on at the present descriptor.
    jumped: Option<u32>,
    /// Descriptors dispatched to each unit, at the start of the pass and now.
    base: [u64; 5],
    dispatched: [u64; 5],
    ahead: Ahead,
    state: State,
}

/// Descriptors that are read ahead of the present one.
#[derive(Clone, Debug)]
struct Ahead {
    /// When the next one has come.
    come: u64,
    /// When the last ones were taken: each makes room for one.
    taken: VecDeque<u64>,
}

impl Ahead {
    /// From the beginning, or from another place, at time `now`.
    fn jump(now: u64, timing: &Timing) -> Self {
        Self {
            come: now + timing.fetch + timing.ddr.latency,
            taken: vec![now; timing.fetch_ahead].into(),
        }
    }

    /// The next one is taken; when the one behind it has come.
    fn take(&mut self, now: u64, timing: &Timing) -> u64 {
        self.taken.push_back(now);
        let room = self.taken.pop_front().unwrap_or(now);
        self.come = (self.come + timing.fetch_cycles(BYTES as u64)).max(room + timing.round_trip());
        self.come
    }
}

/// What follows from a look at the sequencer.
pub(super) enum Turn {
    /// Nothing to do before this time, or before something retires.
    Idle(Option<u64>),
    /// Something happened; look again.
    Again,
    /// `end` is reached and everything has retired.
    End,
    /// The program is wrong.
    Fault(Stop),
}

impl Sequencer {
    pub(super) fn new(program: u64, length: u32, context: Context, timing: &Timing) -> Self {
        let ahead = Ahead::jump(0, timing);
        Self {
            program,
            length,
            context,
            index: 0,
            jumped: None,
            base: [0; 5],
            dispatched: [0; 5],
            state: State::Fetch(ahead.come),
            ahead,
        }
    }

    /// Do what can be done at time `now`.
    pub(super) fn turn(&mut self, now: u64, units: &mut Units, world: &mut World) -> Turn {
        match &mut self.state {
            State::Fetch(at) if *at > now => Turn::Idle(Some(*at)),
            State::Fetch(_) => match self.fetch(now, world) {
                Ok(()) => Turn::Again,
                Err((index, fault)) => Turn::Fault(Stop {
                    fault,
                    unit: SEQUENCER,
                    index,
                }),
            },
            State::Push(issued) => {
                let unit = issued.descriptor.op.unit().expect("a unit's descriptor");
                if units.room(unit, &world.options.timing) {
                    let mut issued = (**issued).clone();
                    issued.dispatched = now;
                    units.push(unit, issued);
                    self.dispatched[unit as usize] += 1;
                    self.index += 1;
                    self.state = State::Fetch(self.next(now, &world.options.timing));
                    Turn::Again
                } else {
                    Turn::Idle(None)
                }
            }
            State::End if units.idle() => Turn::End,
            State::End => Turn::Idle(None),
        }
    }

    /// When the descriptor behind the present one, which is done with at `now`, is at hand.
    fn next(&mut self, now: u64, timing: &Timing) -> u64 {
        self.ahead.take(now, timing).max(now + timing.dispatch)
    }

    /// Take, check and execute or prepare the descriptor at `index`; errors with the index that is
    /// to blame.
    fn fetch(&mut self, now: u64, world: &mut World) -> Result<(), (u32, Fault)> {
        let index = self.index;
        let here = |fault| (index, fault);
        if index >= self.length {
            let length = self.length;
            return Err(here(Fault {
                code: ErrorCode::Length,
                message: format!("the program of {length} descriptors has no end"),
            }));
        }
        let mut bytes = [0; BYTES];
        let address = self.program.wrapping_add(u64::from(index) * BYTES as u64);
        world
            .ddr
            .read(address, &mut bytes)
            .map_err(|e| here(Fault::bus(ErrorCode::Read, "descriptor", e)))?;
        world.counters.read_bytes += BYTES as u64;
        let words = std::array::from_fn(|i| {
            u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().expect("four bytes"))
        });
        let descriptor = Descriptor::decode(&words).map_err(|e| {
            let code = match e {
                DecodeError::Opcode(_) => ErrorCode::Opcode,
                DecodeError::Reserved { .. } | DecodeError::Field(_) => ErrorCode::Field,
            };
            let message = e.to_string();
            here(Fault { code, message })
        })?;
        rules(&descriptor, index, world).map_err(here)?;
        if let Some(from) = self.jumped.take()
            && !descriptor.common.first
        {
            let message =
                format!("loop: descriptor {index}, its target, is not the first of a pass");
            return Err((from, Fault::field(message)));
        }
        if descriptor.common.first {
            self.base = self.dispatched;
        }
        let timing = &world.options.timing;
        self.state = match &descriptor.op {
            Op::End(_) => State::End,
            Op::Loop(op) => {
                if self.context.step.saturating_add(1) < self.context.steps {
                    self.context.step += 1;
                    self.index = op.target;
                    self.jumped = Some(index);
                    self.ahead = Ahead::jump(now, timing);
                    State::Fetch(self.ahead.come)
                } else {
                    self.index += 1;
                    State::Fetch(self.next(now, timing))
                }
            }
            _ => State::Push(Box::new(self.issue(descriptor, world))),
        };
        Ok(())
    }

    fn issue(&self, descriptor: Descriptor, world: &mut World) -> Issued {
        let waits: [Option<i64>; 5] = std::array::from_fn(|u| {
            let count = descriptor.common.wait(Unit::ALL[u])?;
            Some(self.base[u] as i64 + i64::from(count))
        });
        if let Some(hazards) = &mut world.checker {
            let found = hazards.dispatch(self.index, &descriptor, &waits, &self.context);
            world.hazards.extend(found);
        }
        Issued {
            index: self.index,
            descriptor,
            context: self.context,
            // sums and counts are modulo 2^16
            sums: waits.map(|wait| wait.map(|wait| wait as u16)),
            dispatched: 0,
        }
    }
}

/// What the sequencer checks besides the ranges of fields.
fn rules(descriptor: &Descriptor, index: u32, world: &World) -> Result<(), Fault> {
    let Common { chain, waits, .. } = descriptor.common;
    let named = |unit: Unit| waits >> unit as u32 & 1 == 1;
    let counts = [
        (Unit::Dma, descriptor.common.wait_dma),
        (Unit::Norm, descriptor.common.wait_norm),
        (Unit::Prep, descriptor.common.wait_prep),
        (Unit::Array, descriptor.common.wait_array),
        (Unit::Sample, descriptor.common.wait_sample),
    ];
    if let Some((unit, _)) = counts.iter().find(|(u, count)| !named(*u) && *count != 0) {
        let unit = unit.name();
        return Err(Fault::field(format!(
            "a count of {unit}, which waits does not name"
        )));
    }
    let conv = matches!(descriptor.op, Op::Conv(_));
    if chain && !(conv && named(Unit::Prep)) {
        return Err(Fault::field("chain is for a conv that waits for a prep"));
    }
    match &descriptor.op {
        Op::Loop(_) | Op::End(_) if waits != 0 => {
            Err(Fault::field("loop and end do not wait for a unit"))
        }
        Op::Loop(op) if op.target >= index => {
            let target = op.target;
            Err(Fault::field(format!(
                "loop: target {target} is not before it"
            )))
        }
        // needs a division: the unit checks it
        Op::Norm(_) => Ok(()),
        op => ops::rules(op, world.memories.shape),
    }
}
