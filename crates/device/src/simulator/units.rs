//! The five units: queues, waits, and descriptors that run at the same time.

use std::collections::VecDeque;

use diffuser_isa::{Descriptor, ErrorCode, Op, Unit};

use super::trace::Span;
use super::{Stop, World};
use crate::cycles::array::{self, Start};
use crate::cycles::dma::BusTime;
use crate::cycles::{Cost, Progress, Timing, Writes, norm, prep, sample};
use crate::fault::Fault;
use crate::memories::Shape;
use crate::ops::{self, Context};

/// A descriptor in a queue.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    /// Index in the program.
    pub index: u32,
    pub descriptor: Descriptor,
    /// Registers, and the step when it was dispatched.
    pub context: Context,
    /// What each unit's count of retirements must have reached, modulo 2^16.
    pub sums: [Option<u16>; 5],
    /// When it entered the queue.
    pub dispatched: u64,
}

/// A descriptor that a unit works on.
#[derive(Clone, Debug)]
struct Running {
    issued: Issued,
    start: u64,
    cost: Cost,
    /// It is wrong; known at its start.
    fault: Option<Fault>,
    /// Cycles that the unit stood still for `dma`, and for `prep` or `norm`, before it.
    stood: [u64; 2],
}

#[derive(Clone, Debug, Default)]
struct Queue {
    waiting: VecDeque<Issued>,
    running: VecDeque<Running>,
    retired: u64,
    stood: [u64; 2],
    /// The head had to wait for another descriptor.
    waits: bool,
    /// When the waits of the head are seen fulfilled.
    ready: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    queues: [Queue; 5],
    bus: BusTime,
    /// When the array has issued the last product of what it has had.
    issued: u64,
    /// Their accumulators on the way to requantisation.
    drain: array::Drain,
    /// When the array's last `conv` followed no `prep` any more.
    open: u64,
    /// When the array's last `attention` retired: no `conv` is set up beside it.
    attended: u64,
    /// When something retired last.
    pub last_retirement: u64,
}

impl Units {
    /// There is room in the queue of `unit`.
    pub(super) fn room(&self, unit: Unit, timing: &Timing) -> bool {
        self.queues[unit as usize].waiting.len() < timing.queue
    }

    pub(super) fn push(&mut self, unit: Unit, issued: Issued) {
        self.queues[unit as usize].waiting.push_back(issued);
    }

    /// Nothing waits and nothing runs.
    pub(super) fn idle(&self) -> bool {
        let mut queues = self.queues.iter();
        queues.all(|q| q.waiting.is_empty() && q.running.is_empty())
    }

    /// After an error: nothing more starts.
    pub(super) fn empty_queues(&mut self) {
        for queue in &mut self.queues {
            queue.waiting.clear();
            queue.ready = None;
            queue.waits = false;
        }
    }

    /// The lowest unit that works on something, and on what: the one that is blamed for a timeout.
    pub(super) fn blamed(&self) -> Option<(u32, u32)> {
        let running = |u: usize| Some((u as u32, self.queues[u].running.front()?.issued.index));
        (0..self.queues.len()).find_map(running)
    }

    /// When the next descriptor retires.
    pub(super) fn next_retirement(&self) -> Option<u64> {
        let running = self.queues.iter().filter_map(|q| q.running.front());
        running.map(|r| r.cost.end).min()
    }

    /// When the next head's waits are seen fulfilled, behind `now`.
    pub(super) fn next_start(&self, now: u64) -> Option<u64> {
        let ready = self.queues.iter().filter_map(|q| q.ready);
        ready.filter(|&at| at > now).min()
    }

    /// Unit `u` has retired what `sum` says; with `ahead`, all but one of that.
    fn reached(&self, u: usize, sum: u16, ahead: bool) -> bool {
        let missing = (self.queues[u].retired as u16).wrapping_sub(sum) as i16;
        missing >= 0 || (ahead && missing == -1 && !self.queues[u].running.is_empty())
    }

    /// The waits of `issued` for `unit` are fulfilled.
    fn fulfilled(&self, issued: &Issued, unit: Unit) -> bool {
        let u = unit as usize;
        let chained = issued.descriptor.common.chain && unit == Unit::Prep;
        issued.sums[u].is_none_or(|sum| self.reached(u, sum, chained))
    }

    /// Cycles from `from` to `to` pass, in which nothing changes.
    pub(super) fn pass(&mut self, from: u64, to: u64, world: &mut World) {
        let cycles = to - from;
        world.counters.cycles += cycles;
        let array = &self.queues[Unit::Array as usize];
        let Some(head) = array.waiting.front().filter(|_| array.running.is_empty()) else {
            return;
        };
        let data = !self.fulfilled(head, Unit::Dma);
        let operand = !self.fulfilled(head, Unit::Prep) || !self.fulfilled(head, Unit::Norm);
        let stood = &mut self.queues[Unit::Array as usize].stood;
        if data {
            world.counters.stall_weight += cycles;
            stood[0] += cycles;
        } else if operand {
            world.counters.stall_operand += cycles;
            stood[1] += cycles;
        }
    }

    /// Start what can start at `now`; true where something did.
    pub(super) fn start(&mut self, now: u64, world: &mut World) -> bool {
        let mut any = false;
        for &unit in Unit::ALL {
            let limit = match unit {
                Unit::Dma => world.options.timing.dma_in_flight,
                _ => 1,
            };
            let queue = &self.queues[unit as usize];
            let Some(head) = queue.waiting.front() else {
                continue;
            };
            let free = queue.running.len() < limit;
            let fulfilled = Unit::ALL.iter().all(|&u| self.fulfilled(head, u));
            let queue = &mut self.queues[unit as usize];
            if !fulfilled {
                queue.waits = true;
                continue;
            }
            let seen = if queue.waits {
                world.options.timing.wait
            } else {
                0
            };
            let ready = *queue.ready.get_or_insert(now + seen);
            if !free || now < ready {
                continue;
            }
            queue.ready = None;
            queue.waits = false;
            let issued = queue.waiting.pop_front().expect("it has a head");
            let stood = std::mem::take(&mut queue.stood);
            let fault = ops::validate(&issued.descriptor.op, &world.memories).err();
            let cost = match fault {
                Some(_) => {
                    let end = self.refused(unit, now + world.options.timing.refuse);
                    if unit == Unit::Dma {
                        self.bus.refuse(end);
                    }
                    Cost {
                        end,
                        ..Cost::default()
                    }
                }
                None => self.cost(&issued, ready, now, world),
            };
            self.queues[unit as usize].running.push_back(Running {
                issued,
                start: now,
                cost,
                fault,
                stood,
            });
            if unit == Unit::Dma {
                self.delay_stores(&world.options.timing);
            }
            any = true;
        }
        any
    }

    /// A load has begun: stores under way get less of the bus.
    fn delay_stores(&mut self, timing: &Timing) {
        let running = self.queues[Unit::Dma as usize].running.iter_mut();
        let mut before = 0;
        for (transfer, end) in running.zip(self.bus.ends(timing)) {
            let cost = &mut transfer.cost;
            cost.end = cost.end.max(end).max(before);
            before = cost.end;
        }
    }

    /// End of a wrong descriptor: units retire in order.
    fn refused(&self, unit: Unit, end: u64) -> u64 {
        let before = self.queues[unit as usize].running.back();
        before.map_or(end, |r| r.cost.end.max(end))
    }

    fn cost(&mut self, issued: &Issued, ready: u64, now: u64, world: &mut World) -> Cost {
        let shape = world.memories.shape;
        let timing = world.options.timing;
        let mut cost = match &issued.descriptor.op {
            Op::End(_) | Op::Loop(_) => unreachable!("the sequencer executes them"),
            Op::Load(op) => self.bus.load(op, shape, &timing, now),
            Op::Store(op) => self.bus.store(op, shape, &timing, now),
            Op::Norm(op) => norm::norm(op, &timing, now),
            Op::Prep(op) => {
                let mut cost = prep::prep(op, shape, &timing, now);
                let writes = Writes {
                    count: prep::writes(op, shape),
                    cycles: cost.end - now,
                };
                let [own, query] = self.beside(writes, now, Unit::Array, shape);
                cost.delay(own);
                self.delay_query(query);
                cost
            }
            Op::Attention(op) => array::attention(op, shape, &timing, now),
            Op::Sample(op) => sample::sample(op, &timing, now),
            Op::Conv(op) => {
                let chain = self.chain(issued);
                let start = Start {
                    ready: ready.max(self.attended),
                    free: self.issued,
                    open: self.open,
                    retired: now,
                    drain: self.drain.clone(),
                    chain: chain.as_ref().map(|(progress, _)| *progress),
                };
                let mut cost = array::conv(op, shape, &timing, start);
                if let Some((_, end)) = chain {
                    // its function is executed when it retires, after that of the prep
                    cost.end = cost.end.max(end);
                } else {
                    let writes = Writes {
                        count: array::writes(op, shape),
                        cycles: cost.end.saturating_sub(now),
                    };
                    let [own, prep] = self.beside(writes, now, Unit::Prep, shape);
                    (cost.end, cost.issued) = (cost.end + own, cost.issued + own);
                    cost.stall_store += own;
                    if let Some(running) = self.queues[Unit::Prep as usize].running.front_mut() {
                        running.cost.delay(prep);
                    }
                }
                cost
            }
        };
        if matches!(issued.descriptor.op, Op::Attention(_)) {
            self.attended = cost.end;
        }
        self.issued = self.issued.max(cost.issued);
        if matches!(issued.descriptor.op, Op::Conv(_)) {
            self.open = if issued.descriptor.common.chain {
                cost.open
            } else {
                0
            };
        }
        if let Some(drain) = cost.drain.take() {
            self.drain = drain;
        }
        // a conv that was set up early may have little left to do
        cost.end = cost.end.max(now + 1);
        world.stretch(now, &mut cost);
        cost.end = self.refused(issued.descriptor.op.unit().expect("a unit's"), cost.end);
        cost
    }

    /// What writes to the operand memory that begin at `now` and those that `unit` is at cost each other.
    fn beside(&self, own: Writes, now: u64, unit: Unit, shape: Shape) -> [u64; 2] {
        let Some(running) = self.queues[unit as usize].running.front() else {
            return [0; 2];
        };
        let count = match &running.issued.descriptor.op {
            Op::Conv(op) => array::writes(op, shape),
            Op::Prep(op) => prep::writes(op, shape),
            _ => 0,
        };
        let all = running.cost.end - running.start;
        let cycles = running.cost.end.saturating_sub(now);
        if own.count == 0 || count == 0 || cycles == 0 {
            return [0; 2];
        }
        // what is left of them
        own.beside(Writes {
            count: count * cycles / all,
            cycles,
        })
    }

    /// A Q takes longer, since another image's `prep` writes to the operand memory too.
    fn delay_query(&mut self, cycles: u64) {
        if let Some(running) = self.queues[Unit::Array as usize].running.front_mut()
            && cycles > 0
        {
            let cost = &mut running.cost;
            (cost.end, cost.issued) = (cost.end + cycles, cost.issued + cycles);
            cost.stall_store += cycles;
            self.issued = self.issued.max(cost.issued);
        }
    }

    /// Progress and end of the `prep` that a chained `conv` follows, while that still runs.
    fn chain(&self, issued: &Issued) -> Option<(Progress, u64)> {
        let prep = Unit::Prep as usize;
        let sum = issued.sums[prep].filter(|_| issued.descriptor.common.chain)?;
        if self.reached(prep, sum, false) {
            return None;
        }
        let running = self.queues[prep].running.front()?;
        Some((running.cost.progress?, running.cost.end))
    }

    /// Retire what ends at `now`, executing it; true where something did.
    ///
    /// # Errors
    /// Where a descriptor is wrong; it has retired nevertheless.
    pub(super) fn retire(&mut self, now: u64, world: &mut World) -> Result<bool, Stop> {
        let mut any = false;
        // in the order of units, `prep` before `array`: a chained conv may end with its prep
        for &unit in Unit::ALL {
            let queue = &mut self.queues[unit as usize];
            while queue.running.front().is_some_and(|r| r.cost.end <= now) {
                let done = queue.running.pop_front().expect("it has a front");
                queue.retired += 1;
                if unit == Unit::Dma {
                    self.bus.retire(now, &world.options.timing);
                }
                self.last_retirement = now;
                any = true;
                count(&done, unit, world);
                let Running { issued, fault, .. } = done;
                let result = match fault {
                    Some(fault) => Err(fault),
                    None => ops::execute(
                        &issued.descriptor.op,
                        &mut world.memories,
                        &mut world.ddr,
                        &issued.context,
                    ),
                };
                result.map_err(|fault| Stop {
                    fault,
                    unit: unit as u32,
                    index: issued.index,
                })?;
            }
        }
        Ok(any)
    }
}

/// Add what a descriptor cost to counters and trace.
fn count(done: &Running, unit: Unit, world: &mut World) {
    let (cost, issued) = (&done.cost, &done.issued);
    let counters = &mut world.counters;
    counters.read_bytes += cost.read_bytes;
    if unit == Unit::Array {
        counters.array_busy += cost.busy;
        counters.stall_bank += cost.stall_bank;
        counters.stall_store += cost.stall_store;
        counters.stall_operand += cost.stall_operand;
    }
    if world.options.trace {
        world.trace.push(Span {
            index: issued.index,
            step: issued.context.step,
            tag: issued.descriptor.common.tag,
            operation: issued.descriptor.op.name(),
            unit,
            dispatched: issued.dispatched,
            start: done.start,
            end: cost.end,
            issued: cost.issued,
            busy: cost.busy,
            stall_weight: done.stood[0],
            stall_operand: done.stood[1] + cost.stall_operand,
            stall_bank: cost.stall_bank,
            stall_store: cost.stall_store,
        });
    }
}

/// The error of a program in which nothing retires.
pub(super) fn timeout(cycles: u32, blamed: Option<(u32, u32)>, sequencer: (u32, u32)) -> Stop {
    let (unit, index) = blamed.unwrap_or(sequencer);
    Stop {
        fault: Fault {
            code: ErrorCode::Timeout,
            message: format!("nothing retired for {cycles} cycles"),
        },
        unit,
        index,
    }
}
