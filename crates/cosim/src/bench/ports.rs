//! Memory ports and the descriptor port of `hw/README.md`.

use std::collections::VecDeque;

use super::Random;

/// The memory's side of a read port: random grants, data in order a fixed number of cycles after the grant.
///
/// It checks that a request stays as it is until it is granted.
#[derive(Debug)]
pub struct ReadPort<W> {
    random: Random,
    /// Parts of 256 of the cycles that grant nothing.
    stall: u32,
    open: bool,
    /// What comes in 0, 1, … cycles.
    pipe: VecDeque<Option<W>>,
    granted: Option<W>,
    waiting: Option<u64>,
    idle: W,
    /// Reads that were granted.
    pub reads: u64,
}

impl<W: Copy + Default> ReadPort<W> {
    /// Data follow `latency` cycles (at least 1) after the grant; `stall` of 256 cycles grant nothing.
    #[must_use]
    pub fn new(seed: u64, latency: usize, stall: u32) -> Self {
        assert!(
            latency >= 1,
            "data come a cycle after the grant at the earliest"
        );
        let mut random = Random::new(seed);
        let open = !random.chance(stall);
        let pipe = std::iter::repeat_n(None, latency).collect();
        Self {
            random,
            stall,
            open,
            pipe,
            granted: None,
            waiting: None,
            idle: W::default(),
            reads: 0,
        }
    }

    /// What stands on the data lines while nothing is valid.
    pub fn set_idle(&mut self, idle: W) {
        self.idle = idle;
    }

    /// `rvalid` of this cycle.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.pipe[0].is_some()
    }

    /// `rdata` of this cycle.
    #[must_use]
    pub fn data(&self) -> W {
        self.pipe[0].unwrap_or(self.idle)
    }

    /// `gnt` of this cycle; `read` gives the word of an address as it is before this cycle's edge.
    ///
    /// # Panics
    ///
    /// Where a request was taken back, or changed its address, before it was granted.
    pub fn grant(&mut self, req: bool, addr: u64, read: impl FnOnce(u64) -> W) -> bool {
        if let Some(waiting) = self.waiting {
            assert!(req, "request of {waiting:#x} taken back before the grant");
            assert_eq!(addr, waiting, "address changed before the grant");
        }
        let grant = req && self.open;
        self.granted = grant.then(|| read(addr));
        self.waiting = (req && !grant).then_some(addr);
        grant
    }

    /// Ends the cycle.
    pub fn after_edge(&mut self) {
        self.pipe.pop_front();
        self.reads += u64::from(self.granted.is_some());
        self.pipe.push_back(self.granted.take());
        self.open = !self.random.chance(self.stall);
    }
}

/// The memory's side of a write port: random grants. The test itself writes what was granted, after all reads of the cycle.
#[derive(Debug)]
pub struct WritePort {
    random: Random,
    stall: u32,
    open: bool,
    waiting: Option<u64>,
    granted: bool,
    /// Writes that were granted.
    pub writes: u64,
}

impl WritePort {
    /// `stall` of 256 cycles grant nothing.
    #[must_use]
    pub fn new(seed: u64, stall: u32) -> Self {
        let mut random = Random::new(seed);
        let open = !random.chance(stall);
        Self {
            random,
            stall,
            open,
            waiting: None,
            granted: false,
            writes: 0,
        }
    }

    /// `wgnt` of this cycle.
    ///
    /// # Panics
    ///
    /// Where a write was taken back, or changed its address, before it was granted.
    pub fn grant(&mut self, we: bool, addr: u64) -> bool {
        if let Some(waiting) = self.waiting {
            assert!(we, "write of {waiting:#x} taken back before the grant");
            assert_eq!(addr, waiting, "address changed before the grant");
        }
        self.granted = we && self.open;
        self.waiting = (we && !self.granted).then_some(addr);
        self.granted
    }

    /// Ends the cycle.
    pub fn after_edge(&mut self) {
        self.writes += u64::from(self.granted);
        self.open = !self.random.chance(self.stall);
    }
}

/// The control unit's side of a unit: hands out descriptors with random gaps and counts what retires.
#[derive(Debug)]
pub struct DescriptorPort {
    random: Random,
    gap: u32,
    open: bool,
    queue: VecDeque<([u32; 16], u32)>,
    noise: [u32; 16],
    /// Descriptors that the unit has taken.
    pub taken: u64,
    /// Descriptors that have retired.
    pub done: u64,
    /// Error codes in the order they came.
    pub errors: Vec<u8>,
}

impl DescriptorPort {
    /// `gap` of 256 cycles offer nothing, when something could be offered.
    #[must_use]
    pub fn new(seed: u64, gap: u32) -> Self {
        let mut random = Random::new(seed);
        let open = !random.chance(gap);
        let noise = std::array::from_fn(|_| random.bits() as u32);
        Self {
            random,
            gap,
            open,
            queue: VecDeque::new(),
            noise,
            taken: 0,
            done: 0,
            errors: Vec::new(),
        }
    }

    /// One more descriptor, word 0 first, and the time step that goes with it.
    pub fn push(&mut self, descriptor: [u32; 16], step: u32) {
        self.queue.push_back((descriptor, step));
    }

    /// `desc_valid_i` of this cycle.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.open && !self.queue.is_empty()
    }

    /// `desc_i` of this cycle: noise while nothing is valid.
    #[must_use]
    pub fn descriptor(&self) -> [u32; 16] {
        if self.valid() {
            self.queue[0].0
        } else {
            self.noise
        }
    }

    /// `step_i` of this cycle.
    #[must_use]
    pub fn step(&self) -> u32 {
        if self.valid() {
            self.queue[0].1
        } else {
            self.noise[0]
        }
    }

    /// All that was pushed has retired.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.queue.is_empty() && self.done == self.taken
    }

    /// What the unit showed in this cycle, before the edge: `desc_ready_o`, `done_o`, `error_o`, `error_code_o`.
    ///
    /// # Panics
    ///
    /// Where more retires than was taken.
    pub fn before_edge(&mut self, ready: bool, done: bool, error: Option<u8>) {
        if done {
            self.done += 1;
            assert!(self.done <= self.taken, "done without a descriptor");
        }
        self.errors.extend(error);
        if self.valid() {
            if ready {
                self.queue.pop_front();
                self.taken += 1;
                self.open = !self.random.chance(self.gap);
            }
        } else {
            self.open = !self.random.chance(self.gap);
        }
        self.noise[0] = self.random.bits() as u32;
        self.noise[4] = self.noise[0].rotate_left(7);
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadPort, WritePort};

    #[test]
    fn data_follow_the_grant_by_the_latency() {
        for latency in 1..5 {
            let mut port = ReadPort::<u32>::new(3, latency, 128);
            let mut granted = None;
            let mut seen = 0;
            for cycle in 0..100usize {
                if port.valid() {
                    assert_eq!(granted, Some((cycle - latency, port.data())));
                    granted = None;
                    seen += 1;
                }
                let req = granted.is_none();
                if port.grant(req, seen, |a| a as u32 + 7) {
                    granted = Some((cycle, seen as u32 + 7));
                }
                port.after_edge();
            }
            assert_eq!(port.reads, seen + u64::from(granted.is_some()));
            assert!(seen > 10, "{seen}");
        }
    }

    #[test]
    #[should_panic(expected = "taken back")]
    fn a_write_stays_until_granted() {
        let mut port = WritePort::new(1, 256);
        port.grant(true, 5);
        port.after_edge();
        port.grant(false, 5);
    }
}
