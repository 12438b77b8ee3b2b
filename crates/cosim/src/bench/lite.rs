//! An AXI4-Lite master.

use std::collections::VecDeque;

use diffuser_device::DeviceError;

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

    /// The answer to the read of `offset`, all others taken before.
    ///
    /// # Errors
    ///
    /// None yet, or another response than OKAY.
    pub fn take_read(&mut self, offset: u32) -> Result<u32, DeviceError> {
        match self.read.pop_front() {
            Some((data, 0)) => Ok(data),
            answer => Err(DeviceError::Failed(format!(
                "read of {offset:#x}: {answer:?}"
            ))),
        }
    }

    /// The same of a write.
    ///
    /// # Errors
    ///
    /// None yet, or another response than OKAY.
    pub fn take_written(&mut self, offset: u32) -> Result<(), DeviceError> {
        match self.written.pop_front() {
            Some(0) => Ok(()),
            answer => Err(DeviceError::Failed(format!(
                "write of {offset:#x}: {answer:?}"
            ))),
        }
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

/// Drives the port `s_axil` of a top with a [`LiteRequest`].
#[cfg(any(
    top_core_small,
    top_core_zu9eg,
    top_display_unit,
    top_display_small,
    top_display_cells
))]
macro_rules! drive_lite {
    ($top:expr, $lite:expr) => {
        $top.set_s_axil_awvalid_i($lite.awvalid);
        $top.set_s_axil_awaddr_i($lite.awaddr as u16);
        $top.set_s_axil_wvalid_i($lite.wvalid);
        $top.set_s_axil_wdata_i($lite.wdata);
        $top.set_s_axil_wstrb_i($lite.wstrb);
        $top.set_s_axil_bready_i($lite.bready);
        $top.set_s_axil_arvalid_i($lite.arvalid);
        $top.set_s_axil_araddr_i($lite.araddr as u16);
        $top.set_s_axil_rready_i($lite.rready);
    };
}

/// The [`LiteResponse`] that a top shows there.
#[cfg(any(
    top_core_small,
    top_core_zu9eg,
    top_display_unit,
    top_display_small,
    top_display_cells
))]
macro_rules! lite_response {
    ($top:expr) => {
        $crate::bench::LiteResponse {
            awready: $top.s_axil_awready_o(),
            wready: $top.s_axil_wready_o(),
            bvalid: $top.s_axil_bvalid_o(),
            bresp: $top.s_axil_bresp_o(),
            arready: $top.s_axil_arready_o(),
            rvalid: $top.s_axil_rvalid_o(),
            rresp: $top.s_axil_rresp_o(),
            rdata: $top.s_axil_rdata_o(),
        }
    };
}
