//! Transfers: data of loads come one load after the other as DDR gives them, go to their memory piece by piece, and stores get what loads
//! leave of the bus.

use std::collections::VecDeque;
use std::ops::Range;

use diffuser_isa::Space;
use diffuser_isa::generated::{Load, Store};

use super::{Cost, Timing};
use crate::memories::Shape;
use crate::ops;
use crate::ops::load::space_of;

/// What the bus has had, and when it is free again.
#[derive(Clone, Debug, Default)]
pub(crate) struct BusTime {
    /// When the next descriptor can be set up: one at a time.
    free: u64,
    /// When the data of all loads have come.
    arrived: u64,
    /// When they are in their memories.
    written: u64,
    /// When the read ports are busy, as far as stores may still have to know.
    reads: VecDeque<Range<u64>>,
    /// When the data of all stores that have retired were out.
    sent: u64,
    /// Retirement of the last transfer that has: they retire in order.
    retired: u64,
    /// Those that have not retired, in order.
    flights: VecDeque<Flight>,
}

/// A transfer under way.
#[derive(Clone, Copy, Debug)]
enum Flight {
    /// All of it is in its memory, or found wrong, at this time.
    Load(u64),
    /// Bytes that can go from this time on; cycles that they take at their memory.
    Store { first: u64, bytes: u64, memory: u64 },
}

/// Cycles that `words` words of a space take at their memory: one a cycle, but a weight word as
/// many as its bytes take on the bus, and a pixel one for each of its channels.
fn memory_cycles(space: Space, words: u32, shape: Shape, timing: &Timing) -> u64 {
    let word = match space {
        Space::Weight => (shape.weight_bytes() as u64).div_ceil(timing.dma_bytes),
        Space::Weight4 => (shape.weight_bytes() as u64).div_ceil(2 * timing.dma_bytes),
        Space::Param | Space::Stream | Space::State => 1,
        Space::Pixel => 4,
    };
    u64::from(words) * word
}

impl BusTime {
    /// A descriptor taken at `start` is set up; in how many cycles the next one can be.
    fn set_up(&mut self, start: u64, cycles: u64) -> u64 {
        let begin = self.free.max(start);
        self.free = begin + cycles;
        begin
    }

    /// A `load` that starts now.
    pub(crate) fn load(&mut self, op: &Load, shape: Shape, timing: &Timing, start: u64) -> Cost {
        let read_bytes = ops::load::bytes(op, shape) as u64;
        let memory = memory_cycles(space_of(op.space), op.words, shape, timing);
        let step = if op.per_step == 0 {
            0
        } else {
            timing.step_latency
        };
        let begin = self.set_up(start, timing.dma_set_up + step);
        let first = begin + timing.load_start + step + timing.ddr.latency;
        // what has come waits for its memory, as much as there is room for
        let come = first
            .max(self.arrived)
            .max(self.written.saturating_sub(timing.read_ahead()));
        let bus = timing.read_cycles(read_bytes);
        self.arrived = come + bus;
        self.written = (first.max(self.written + timing.load_gap) + memory).max(self.arrived);
        match self.reads.back_mut() {
            Some(last) if last.end >= come => last.end = self.arrived,
            _ => self.reads.push_back(come..self.arrived),
        }
        self.flights.push_back(Flight::Load(self.written));
        Cost {
            end: self.last_end(timing),
            busy: bus.max(memory),
            read_bytes,
            ..Cost::default()
        }
    }

    /// A `store` that starts now.
    pub(crate) fn store(&mut self, op: &Store, shape: Shape, timing: &Timing, start: u64) -> Cost {
        let memory = memory_cycles(space_of(op.space), op.words, shape, timing);
        let bytes = ops::store::bytes(op, shape) as u64;
        let first = self.set_up(start, timing.dma_set_up) + timing.store_start;
        self.flights.push_back(Flight::Store {
            first,
            bytes,
            memory,
        });
        Cost {
            end: self.last_end(timing),
            busy: timing.write_cycles(bytes).max(memory),
            ..Cost::default()
        }
    }

    /// A transfer that is wrong retires at `end`.
    pub(crate) fn refuse(&mut self, end: u64) {
        self.flights.push_back(Flight::Load(end));
    }

    /// The first of those under way has retired at `now`.
    pub(crate) fn retire(&mut self, now: u64, timing: &Timing) {
        if let Some(flight) = self.flights.pop_front() {
            self.sent = self.out(&flight, self.sent, timing);
            self.retired = now;
        }
        // what lies before the next store's data is of no use any more
        let next = self.flights.iter().find_map(|flight| match flight {
            Flight::Store { first, .. } => Some(self.sent.max(*first)),
            Flight::Load(_) => None,
        });
        let from = next.unwrap_or(now);
        while self.reads.front().is_some_and(|r| r.end <= from) {
            self.reads.pop_front();
        }
    }

    /// When those under way retire, in order. A store's end moves while loads take the bus.
    pub(crate) fn ends(&self, timing: &Timing) -> Vec<u64> {
        let (mut sent, mut retired) = (self.sent, self.retired);
        let mut end = |flight: &Flight| {
            sent = self.out(flight, sent, timing);
            retired = retired.max(match flight {
                Flight::Load(end) => *end,
                Flight::Store { .. } => sent + timing.store_end + timing.ddr.latency,
            });
            retired
        };
        self.flights.iter().map(&mut end).collect()
    }

    fn last_end(&self, timing: &Timing) -> u64 {
        self.ends(timing).pop().unwrap_or(0)
    }

    /// When the data of all stores up to a transfer are out, where those before it are at `sent`.
    fn out(&self, flight: &Flight, sent: u64, timing: &Timing) -> u64 {
        let Flight::Store {
            first,
            bytes,
            memory,
        } = *flight
        else {
            return sent;
        };
        let begin = first.max(sent);
        let [alone, beside] = timing.write_rates();
        // in 1/256 of a byte
        let (mut now, mut left) = (begin, 256 * bytes);
        for read in &self.reads {
            let free = read.start.saturating_sub(now) * alone;
            if left <= free {
                break;
            }
            left -= free;
            now = now.max(read.start);
            let shared = read.end.saturating_sub(now) * beside;
            if left <= shared {
                return (now + left.div_ceil(beside)).max(begin + memory);
            }
            left -= shared;
            now = now.max(read.end);
        }
        (now + left.div_ceil(alone)).max(begin + memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycles::DdrTiming;

    const SHAPE: Shape = Shape::ZU9EG;

    /// DDR that gives something in every cycle.
    fn even() -> Timing {
        let ddr = DdrTiming {
            held: 0,
            refresh: [0, 1],
            background: 0,
            ..DdrTiming::default()
        };
        Timing {
            ddr,
            ..Timing::default()
        }
    }

    fn of(space: Space, words: u32) -> Load {
        Load {
            space: space as u32,
            words,
            ..Load::default()
        }
    }

    fn busy(shape: Shape, space: Space, words: u32) -> u64 {
        let mut bus = BusTime::default();
        bus.load(&of(space, words), shape, &even(), 0).busy
    }

    #[test]
    fn refreshes_and_beats_held_back_take_their_part() {
        let timing = |refresh, held| Timing {
            ddr: DdrTiming {
                refresh,
                held,
                ..DdrTiming::default()
            },
            ..Timing::default()
        };
        for timing in [timing([1, 4], 0), timing([0, 1], 64)] {
            let mut bus = BusTime::default();
            let cost = bus.load(&of(Space::Weight, 30), SHAPE, &timing, 0);
            assert_eq!(cost.busy, 240 * 4 / 3);
        }
    }

    #[test]
    fn the_bus_or_the_memory_decides() {
        assert_eq!(busy(SHAPE, Space::Weight, 10), 80);
        assert_eq!(busy(SHAPE, Space::Weight4, 10), 40, "half of the bytes");
        // a word a cycle, not two
        assert_eq!(busy(Shape::SMALL, Space::Weight4, 10), 10);
        assert_eq!(busy(SHAPE, Space::Param, 10), 10);
        assert_eq!(busy(SHAPE, Space::Stream, 10), 10);
        assert_eq!(busy(SHAPE, Space::State, 10), 10);
    }

    #[test]
    fn transfers_follow_each_other_without_the_latency_and_retire_in_order() {
        let timing = even();
        let mut bus = BusTime::default();
        let first = bus.load(&of(Space::Weight, 100), SHAPE, &timing, 0);
        let latency = timing.load_start + timing.ddr.latency;
        assert_eq!(first.end, latency + 800);
        let second = bus.load(&of(Space::Weight, 100), SHAPE, &timing, 10);
        assert_eq!(second.end, first.end + timing.load_gap + 800);
        // a short store beside them, behind them
        let op = Store {
            space: Space::Pixel as u32,
            words: 16,
            ..Store::default()
        };
        let third = bus.store(&op, SHAPE, &timing, 20);
        assert_eq!((third.busy, third.end), (64, second.end));
    }

    #[test]
    fn entries_take_longer_to_write_than_to_read() {
        let timing = Timing::default();
        let alone = |words| {
            let mut bus = BusTime::default();
            bus.load(&of(Space::Weight, words), SHAPE, &timing, 0).end
        };
        let mut bus = BusTime::default();
        let entries = bus.load(&of(Space::Param, 500), SHAPE, &timing, 0);
        let behind = bus.load(&of(Space::Weight, 100), SHAPE, &timing, 0);
        // meanwhile weights come, as many as there is room for
        let saved = alone(100) + 500 - behind.end;
        assert!(saved > 0 && saved <= timing.read_ahead(), "{saved}");
        assert!(behind.end > entries.end);
    }

    #[test]
    fn a_store_gets_what_loads_leave() {
        let timing = Timing::default();
        let op = Store {
            space: Space::Stream as u32,
            words: 1000,
            ..Store::default()
        };
        let mut bus = BusTime::default();
        let alone = bus.store(&op, SHAPE, &timing, 0).end;
        bus.load(&of(Space::Weight, 1000), SHAPE, &timing, 100);
        let beside = bus.ends(&timing)[0];
        let [full, rest] = timing.write_rates();
        assert!(rest < full);
        let more = (beside - alone) as i64;
        let by_rates = (1000 * 64 * 256 / rest) as i64 - (1000 * 64 * 256 / full) as i64;
        assert!((more - by_rates).abs() < 200, "{more} {by_rates}");
        // loads do not wait for it, but retire behind it
        assert_eq!(bus.ends(&timing)[1], beside.max(bus.written));
    }
}
