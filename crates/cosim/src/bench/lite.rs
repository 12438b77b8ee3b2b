//! An AXI4-Lite master.

use std::collections::VecDeque;

use super::Random;

/// What the master drives in a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub struct LiteRequest {
    pub awvalid: bool,
    pub awaddr: u32,
    pub wvalid: bool,
    pub wdata: u32,
    pub wstrb: u8,
    pub bready: bool,
    pub arvalid: bool,
    pub araddr: u32,
    pub rready: bool,
}

/// What the slave shows in a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub struct LiteResponse {
    pub awready: bool,
    pub wready: bool,
    pub bvalid: bool,
    pub bresp: u8,
    pub arready: bool,
    pub rvalid: bool,
    pub rresp: u8,
    pub rdata: u32,
}

#[derive(Debug, Clone, Copy)]
enum Access {
    Write { addr: u32, data: u32, strobe: u8 },
    Read { addr: u32 },
}

/// One access at a time, in order; the two halves of a write come in random order and the answers meet random back-pressure.
#[derive(Debug)]
pub struct LiteMaster {
    random: Random,
    stall: u32,
    queue: VecDeque<Access>,
    request: LiteRequest,
    /// Halves of a write, or the address of a read, that are still to be shown.
    address_left: bool,
    data_left: bool,
    running: Option<Access>,
    /// Answers to reads, in order: data and response.
    pub read: VecDeque<(u32, u8)>,
    /// Responses to writes, in order.
    pub written: VecDeque<u8>,
}

impl LiteMaster {
    /// `stall` of 256 cycles hold back what could be driven.
    #[must_use]
    pub fn new(seed: u64, stall: u32) -> Self {
        Self {
            random: Random::new(seed),
            stall,
            queue: VecDeque::new(),
            request: LiteRequest::default(),
            address_left: false,
            data_left: false,
            running: None,
            read: VecDeque::new(),
            written: VecDeque::new(),
        }
    }

    /// Forgets what is under way and what was answered.
    pub fn reset(&mut self) {
        *self = Self::new(self.random.bits(), self.stall);
    }

    /// Queues a write of the bytes that `strobe` names.
    pub fn write(&mut self, addr: u32, data: u32, strobe: u8) {
        self.queue.push_back(Access::Write { addr, data, strobe });
    }

    /// Queues a read; the answer comes to [`Self::read`].
    pub fn read(&mut self, addr: u32) {
        self.queue.push_back(Access::Read { addr });
    }

    /// Every access was answered.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_none()
    }

    /// What is driven in this cycle.
    #[must_use]
    pub fn request(&self) -> LiteRequest {
        self.request
    }

    /// Ends the cycle with what the slave showed before the edge.
    ///
    /// # Panics
    ///
    /// Where the slave answers what was not asked.
    pub fn after_edge(&mut self, slave: &LiteResponse) {
        let sent = self.request;
        self.request.awvalid &= !slave.awready;
        self.request.wvalid &= !slave.wready;
        self.request.arvalid &= !slave.arready;
        if slave.bvalid && sent.bready {
            let write = matches!(self.running, Some(Access::Write { .. }));
            assert!(
                write && !sent.awvalid && !sent.wvalid && !self.address_left && !self.data_left,
                "early B"
            );
            self.written.push_back(slave.bresp);
            self.running = None;
        }
        if slave.rvalid && sent.rready {
            let read = matches!(self.running, Some(Access::Read { .. }));
            assert!(read && !sent.arvalid && !self.address_left, "early R");
            self.read.push_back((slave.rdata, slave.rresp));
            self.running = None;
        }
        if self.running.is_none() {
            self.running = self.queue.pop_front();
            self.address_left = self.running.is_some();
            self.data_left = matches!(self.running, Some(Access::Write { .. }));
        }
        match self.running {
            Some(Access::Write { addr, data, strobe }) => {
                if self.address_left && !self.random.chance(self.stall) {
                    self.address_left = false;
                    (self.request.awvalid, self.request.awaddr) = (true, addr);
                }
                if self.data_left && !self.random.chance(self.stall) {
                    self.data_left = false;
                    (self.request.wvalid, self.request.wdata, self.request.wstrb) =
                        (true, data, strobe);
                }
            }
            Some(Access::Read { addr }) if self.address_left && !self.random.chance(self.stall) => {
                self.address_left = false;
                (self.request.arvalid, self.request.araddr) = (true, addr);
            }
            Some(Access::Read { .. }) | None => {}
        }
        self.request.bready = !self.random.chance(self.stall);
        self.request.rready = !self.random.chance(self.stall);
    }
}
