//! DDR behind AXI4: read ports and a write port of 128 bits at the accelerator's clock.
//!
//! The model is of a Zynq UltraScale+ with DDR4-2400 x64 at 200 MHz: four ports give 64 bytes a cycle at the most, the controller 75 % of
//! 19.2 GB/s (72 bytes a cycle), and that for reads and writes together. Two of the ports go through one port of the controller, which gives
//! 128 bits at its own 533 MHz, 42 bytes a cycle, so it binds the two only where it is set lower. Data come after a latency with jitter,
//! nothing during a refresh. A display reads its picture in bursts that come before all others: 92 MB/s. It is no model of banks and rows.
//!
//! A master's bursts are answered in order; it has one identifier. Everything the model drives comes out of registers, so a cycle is:
//! drive [`Ddr::read_response`] and [`Ddr::write_response`], settle, hand what the masters show to [`Ddr::after_edge`].
//! Violations of the protocol panic.

mod read;
mod write;

use diffuser_device::BusError;

use crate::bench::Random;

/// Bytes of a beat.
pub const BEAT: usize = 16;
/// Longest burst in beats: AXI3 behind the ports of the processing system.
const BURST: usize = 16;
/// What no burst may cross.
const PAGE: u64 = 4096;

/// A display of 640 x 480 pixels of 32 bits, 75 times a second, at 200 MHz: 92 MB/s, 0.46 bytes a cycle, in 1/256.
pub const DISPLAY: u32 = 118;

/// How fast the memory is. A cycle is one of the accelerator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdrConfig {
    /// Read ports.
    pub read_ports: usize,
    /// The two read ports that share a port of the controller.
    pub shared: Option<(usize, usize)>,
    /// Bytes a cycle that the shared port gives.
    pub shared_rate: u32,
    /// Bytes a cycle that the controller gives to all.
    pub rate: u32,
    /// Cycles from an address to its first data, at least.
    pub latency: u64,
    /// Up to so many cycles more, by chance.
    pub jitter: u64,
    /// Cycles from one refresh to the next, 0 for none.
    pub refresh_period: u64,
    /// Cycles that a refresh takes.
    pub refresh_length: u64,
    /// Bytes that other masters (a display) read, in 1/256 of a byte a cycle; they come in bursts of 256 bytes.
    pub background: u32,
    /// Bursts that a port takes ahead.
    pub outstanding: usize,
    /// Of 256 cycles, in how many a port is not ready for an address, or holds a beat back.
    pub stall: u32,
    /// Of all that is random.
    pub seed: u64,
}

impl Default for DdrConfig {
    fn default() -> Self {
        Self {
            read_ports: 4,
            shared: Some((1, 2)),
            shared_rate: 42,
            rate: 72,
            latency: 60,
            jitter: 20,
            refresh_period: 1560,
            refresh_length: 70,
            background: DISPLAY,
            outstanding: 8,
            stall: 8,
            seed: 1,
        }
    }
}

/// AXI4's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Response {
    /// Done.
    #[default]
    Okay = 0,
    /// The slave could not.
    SlaveError = 2,
    /// Nobody is at that address.
    DecodeError = 3,
}

/// What a master shows on AR and R in a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub struct ReadRequest {
    pub arvalid: bool,
    pub araddr: u64,
    pub arlen: u8,
    pub arsize: u8,
    pub arburst: u8,
    pub arcache: u8,
    pub arprot: u8,
    pub rready: bool,
}

/// What the memory shows on AR and R in a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub struct ReadResponse {
    pub arready: bool,
    pub rvalid: bool,
    pub rdata: [u32; 4],
    pub rresp: Response,
    pub rlast: bool,
}

/// What the master shows on AW, W and B in a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub struct WriteRequest {
    pub awvalid: bool,
    pub awaddr: u64,
    pub awlen: u8,
    pub awsize: u8,
    pub awburst: u8,
    pub awcache: u8,
    pub awprot: u8,
    pub wvalid: bool,
    pub wdata: [u32; 4],
    pub wstrb: u16,
    pub wlast: bool,
    pub bready: bool,
}

/// What the memory shows on AW, W and B in a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub struct WriteResponse {
    pub awready: bool,
    pub wready: bool,
    pub bvalid: bool,
    pub bresp: Response,
}

/// Bytes behind an address, and where they answer with an error.
#[derive(Debug)]
struct Store {
    base: u64,
    bytes: Vec<u8>,
    /// First and last byte of what answers SLVERR: to reads, to writes.
    read_faults: Vec<(u64, u64)>,
    write_faults: Vec<(u64, u64)>,
}

impl Store {
    /// Index of the beat at `addr`, if all of it exists.
    fn index(&self, addr: u64) -> Option<usize> {
        let at = usize::try_from(addr.checked_sub(self.base)?).ok()?;
        (at + BEAT <= self.bytes.len()).then_some(at)
    }
}

/// Whether the beat at `addr` touches one of the ranges.
fn hit(ranges: &[(u64, u64)], addr: u64) -> bool {
    ranges
        .iter()
        .any(|&(first, last)| first < addr + BEAT as u64 && addr <= last)
}

/// The memory and its controller.
#[derive(Debug)]
pub struct Ddr {
    config: DdrConfig,
    store: Store,
    random: Random,
    cycle: u64,
    /// Bytes that may be moved now, in 1/256: of all, of the shared port.
    credit: i64,
    shared_credit: i64,
    /// Bytes that other masters want by now, in 1/256.
    wanted: i64,
    reads: Vec<read::ReadSide>,
    write: write::WriteSide,
}

impl Ddr {
    /// `bytes` zero bytes from address `base`; a multiple of 64 both.
    ///
    /// # Panics
    ///
    /// Where `base` or `bytes` is not a multiple of 64.
    #[must_use]
    pub fn new(config: DdrConfig, base: u64, bytes: usize) -> Self {
        assert!(
            base.is_multiple_of(64) && bytes.is_multiple_of(64),
            "base and size are multiples of 64"
        );
        let store = Store {
            base,
            bytes: vec![0; bytes],
            read_faults: vec![],
            write_faults: vec![],
        };
        let random = Random::new(config.seed);
        let reads = (0..config.read_ports)
            .map(|_| read::ReadSide::default())
            .collect();
        let write = write::WriteSide::default();
        Self {
            config,
            store,
            random,
            cycle: 0,
            credit: 0,
            shared_credit: 0,
            wanted: 0,
            reads,
            write,
        }
    }

    /// Addresses that answer.
    #[must_use]
    pub fn addresses(&self) -> std::ops::Range<u64> {
        self.store.base..self.store.base + self.store.bytes.len() as u64
    }

    /// All bytes, from the base on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.store.bytes
    }

    /// The same, for the host to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.store.bytes
    }

    /// Where `bytes` from `address` on lie in [`Self::bytes`].
    fn place(&self, address: u64, bytes: usize) -> Result<std::ops::Range<usize>, BusError> {
        let memory = self.addresses();
        if address < memory.start || address + bytes as u64 > memory.end {
            return Err(BusError { address });
        }
        let first = (address - memory.start) as usize;
        Ok(first..first + bytes)
    }

    /// What the host reads: fills `bytes` from `address` on.
    ///
    /// # Errors
    ///
    /// Where there is no memory.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), BusError> {
        let place = self.place(address, bytes.len())?;
        bytes.copy_from_slice(&self.store.bytes[place]);
        Ok(())
    }

    /// What the host writes, from `address` on.
    ///
    /// # Errors
    ///
    /// Where there is no memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BusError> {
        let place = self.place(address, bytes.len())?;
        self.store.bytes[place].copy_from_slice(bytes);
        Ok(())
    }

    /// Reads of `first` to `last` answer SLVERR.
    pub fn fail_reads(&mut self, first: u64, last: u64) {
        self.store.read_faults.push((first, last));
    }

    /// Writes to `first` to `last` answer SLVERR and write nothing.
    pub fn fail_writes(&mut self, first: u64, last: u64) {
        self.store.write_faults.push((first, last));
    }

    /// Ends all faults.
    pub fn heal(&mut self) {
        self.store.read_faults.clear();
        self.store.write_faults.clear();
    }

    /// What read port `port` shows in this cycle.
    #[must_use]
    pub fn read_response(&self, port: usize) -> ReadResponse {
        self.reads[port].response
    }

    /// What the write port shows in this cycle.
    #[must_use]
    pub fn write_response(&self) -> WriteResponse {
        self.write.response
    }

    /// A reset of the whole system: every burst is forgotten, bytes stay.
    pub fn reset(&mut self) {
        self.reads.fill_with(read::ReadSide::default);
        self.write = write::WriteSide::default();
    }

    /// No burst is under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.write.idle() && self.reads.iter().all(read::ReadSide::idle)
    }

    /// Bytes that went out of each read port.
    #[must_use]
    pub fn read_bytes(&self) -> Vec<u64> {
        self.reads.iter().map(|r| r.bytes).collect()
    }

    /// Bytes of beats that came into the write port.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.write.bytes
    }

    /// Ends the cycle with what the masters showed before the edge, one request a read port.
    ///
    /// # Panics
    ///
    /// On a violation of the protocol: a valid taken back or changed before it was accepted, a burst over 16 beats, over a boundary of 4 KB, of
    /// another size than 16 bytes a beat, not incrementing, or not aligned to its beats; an access that is anything but to normal memory, not cached,
    /// unprivileged, secure data; WLAST in the wrong place.
    pub fn after_edge(&mut self, reads: &[ReadRequest], write: &WriteRequest) {
        assert_eq!(reads.len(), self.reads.len(), "one request a read port");
        let Self {
            config,
            store,
            random,
            ..
        } = self;
        self.cycle += 1;
        let refresh = config.refresh_period > 0
            && self.cycle % config.refresh_period >= config.refresh_period - config.refresh_length;
        if refresh {
            // the controller's queues do not save up what a refresh took
            (self.credit, self.shared_credit) = (0, 0);
        } else {
            let full = |rate: u32| 4 * 256 * i64::from(rate);
            self.credit = (self.credit + 256 * i64::from(config.rate)).min(full(config.rate));
            self.shared_credit = (self.shared_credit + 256 * i64::from(config.shared_rate))
                .min(full(config.shared_rate));
        }
        // other masters come first, and wait for nothing but a refresh
        self.wanted += i64::from(config.background);
        let burst = 256 * (BURST * BEAT) as i64;
        while self.wanted >= burst && !refresh {
            self.wanted -= burst;
            self.credit -= burst;
        }
        let beat = 256 * BEAT as i64;
        // another port comes first in each cycle
        let ports = reads.len();
        for turn in 0..ports {
            let port = (turn + self.cycle as usize) % ports;
            let side = &mut self.reads[port];
            side.accept(port, &reads[port], config, random, self.cycle);
            let shared = config.shared.is_some_and(|(a, b)| port == a || port == b);
            let credit = self.credit >= beat && (!shared || self.shared_credit >= beat) && !refresh;
            if side.supply(credit, store, config, random, self.cycle) {
                self.credit -= beat;
                self.shared_credit -= if shared { beat } else { 0 };
            }
        }
        let credit = self.credit >= beat && !refresh;
        if self
            .write
            .cycle(write, credit, store, config, random, self.cycle)
        {
            self.credit -= beat;
        }
    }
}

/// The rules that both kinds of bursts keep.
fn check_burst(what: &str, addr: u64, len: u8, size: u8, burst: u8) {
    let beats = usize::from(len) + 1;
    assert!(
        beats <= BURST,
        "{what} at {addr:#x}: {beats} beats, at most {BURST}"
    );
    assert_eq!(size, 4, "{what} at {addr:#x}: size");
    assert_eq!(burst, 1, "{what} at {addr:#x}: not incrementing");
    assert_eq!(addr % BEAT as u64, 0, "{what} at {addr:#x}: not aligned");
    let last = addr + (beats * BEAT) as u64 - 1;
    assert_eq!(
        addr / PAGE,
        last / PAGE,
        "{what} at {addr:#x}, {beats} beats: over a boundary of 4 KB"
    );
}

/// ARCACHE or AWCACHE of normal memory that is not cached, but may be buffered.
const NORMAL: u8 = 0b0011;
/// ARPROT or AWPROT of unprivileged, secure data.
const DATA: u8 = 0;

/// What kind of memory both kinds of bursts say they are for.
fn check_kind(what: &str, cache: u8, prot: u8) {
    assert_eq!((cache, prot), (NORMAL, DATA), "{what}: CACHE and PROT");
}

/// A channel's valid stays, and what it carries too, until it is accepted.
fn check_stable<T: PartialEq + std::fmt::Debug>(what: &str, waiting: Option<&T>, now: Option<&T>) {
    if let Some(waiting) = waiting {
        assert_eq!(
            now,
            Some(waiting),
            "{what}: taken back or changed before it was accepted"
        );
    }
}

#[cfg(test)]
mod tests;
