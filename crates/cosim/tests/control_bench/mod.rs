//! The control unit between a host, a memory and five units that only take time.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::VecDeque;

use diffuser_cosim::bench::{LiteMaster, LiteResponse, Random, get_bits};
use diffuser_cosim::memory::{Ddr, DdrConfig, ReadRequest, WriteRequest};
use diffuser_cosim::tops::Control;
pub mod programs;

use diffuser_isa::generated::register;
use diffuser_isa::{Common, Descriptor, ErrorCode, Op, Unit};

/// Where programs lie.
pub const PROGRAM: u64 = 0x1_0000_0fc0;
/// First address of the memory.
const BASE: u64 = 0x1_0000_0000;
const BYTES: usize = 1 << 16;

/// What a unit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub unit: Unit,
    pub words: [u32; 16],
    pub step: u32,
    /// Retired by each unit when it was handed over.
    pub retired: [u64; 5],
}

/// What goes wrong in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The unit reports an error of its `n`-th descriptor.
    Error(Unit, u64, ErrorCode),
    /// An access of the `n`-th descriptor leaves its memory.
    Range(Unit, u64),
    /// The unit never ends its `n`-th descriptor, until it is told to flush.
    Hang(Unit, u64),
    /// The same, and it does not hear that either for so many cycles.
    Deaf(Unit, u64, u64),
}

/// A descriptor in a unit.
#[derive(Debug)]
struct Work {
    number: u64,
    ends: u64,
    groups: u32,
}

#[derive(Debug)]
struct UnitModel {
    /// How many it takes before the first has retired.
    capacity: usize,
    running: VecDeque<Work>,
    taken: u64,
    retired: u64,
    ready: bool,
}

/// What the array is shown where its operand is finished.
const ALL_GROUPS: u32 = (1 << 24) - 1;

/// All of it.
pub struct Bench {
    pub top: Control,
    pub ddr: Ddr,
    pub lite: LiteMaster,
    pub starts: Vec<Start>,
    pub trouble: Option<Trouble>,
    /// Longest time that a descriptor takes.
    pub duration: u64,
    pub cycle: u64,
    /// Cycles in which a unit was told to flush.
    pub flushed: u64,
    units: Vec<UnitModel>,
    random: Random,
    progress: u32,
    chain: Option<u64>,
    /// Cycles since the array took a descriptor of this program, none before.
    array_since: Option<u64>,
    /// Largest number of groups that a chained `conv` was shown while its `prep` ran.
    pub chained_groups: u32,
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        let stall = [0, 40, 160][seed as usize % 3];
        let config = DdrConfig {
            read_ports: 1,
            shared: None,
            stall,
            seed,
            refresh_period: 700,
            ..DdrConfig::default()
        };
        let unit = |u: usize| UnitModel {
            capacity: [4, 1, 1, 2, 1][u],
            running: VecDeque::new(),
            taken: 0,
            retired: 0,
            ready: false,
        };
        let mut bench = Self {
            top: Control::with_seed(seed as i32 + 1),
            ddr: Ddr::new(config, BASE, BYTES),
            lite: LiteMaster::new(seed, stall),
            starts: vec![],
            trouble: None,
            duration: 60,
            cycle: 0,
            flushed: 0,
            units: (0..5).map(unit).collect(),
            random: Random::new(seed),
            progress: 0,
            chain: None,
            array_since: None,
            chained_groups: 0,
        };
        bench.top.set_rst_ni(false);
        bench.top.tick();
        bench.top.set_rst_ni(true);
        bench
    }

    /// Puts descriptors at [`PROGRAM`] and sets the registers for `steps` steps.
    pub fn load(&mut self, program: &[[u32; 16]], steps: u32) {
        let at = (PROGRAM - BASE) as usize;
        let bytes = program.iter().flatten().flat_map(|w| w.to_le_bytes());
        for (i, byte) in bytes.enumerate() {
            self.ddr.bytes_mut()[at + i] = byte;
        }
        self.write(register::PROGRAM_LOW, PROGRAM as u32);
        self.write(register::PROGRAM_HIGH, (PROGRAM >> 32) as u32);
        self.write(register::PROGRAM_LENGTH, program.len() as u32);
        self.write(register::STEPS, steps);
    }

    /// Starts what is loaded and runs it; `STATUS` at its end.
    pub fn run(&mut self, program: &[[u32; 16]], steps: u32) -> u32 {
        self.load(program, steps);
        self.start();
        self.finish(400_000)
    }

    pub fn start(&mut self) {
        self.starts.clear();
        self.chain = None;
        self.array_since = None;
        for unit in &mut self.units {
            (unit.taken, unit.retired) = (0, 0);
            assert!(unit.running.is_empty(), "a unit still works");
        }
        self.write(register::CONTROL, 1);
    }

    /// Waits until nothing is busy.
    pub fn finish(&mut self, limit: u64) -> u32 {
        let begin = self.cycle;
        loop {
            let status = self.read(register::STATUS);
            if status & 1 == 0 {
                assert!(
                    self.units.iter().all(|u| u.running.is_empty()) && self.ddr.idle(),
                    "busy fell early"
                );
                return status;
            }
            assert!(
                self.cycle - begin < limit,
                "still busy after {limit} cycles"
            );
        }
    }

    pub fn write(&mut self, register: u32, value: u32) {
        self.lite.write(register, value, 15);
        self.settle();
        assert_eq!(self.lite.written.pop_front(), Some(0));
    }

    pub fn read(&mut self, register: u32) -> u32 {
        self.lite.read(register);
        self.settle();
        let (value, response) = self.lite.read.pop_front().expect("an answer");
        assert_eq!(response, 0);
        value
    }

    /// `ERROR` as code, unit, descriptor.
    pub fn error(&mut self) -> (u32, u32, u32) {
        let error = self.read(register::ERROR);
        (error & 15, error >> 4 & 7, error >> 8)
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.lite.idle() {
                return;
            }
            self.step();
        }
        panic!("the registers do not answer");
    }

    fn troubled(&self, unit: usize, number: u64) -> Option<Trouble> {
        self.trouble.filter(|t| match *t {
            Trouble::Error(u, n, _)
            | Trouble::Range(u, n)
            | Trouble::Hang(u, n)
            | Trouble::Deaf(u, n, _) => (u as usize, n) == (unit, number),
        })
    }

    /// A cycle.
    pub fn step(&mut self) {
        let flush = self.top.flush_o();
        let (mut ready, mut done, mut error, mut range) = (0u8, 0u8, 0u8, 0u8);
        let mut codes = 0u32;
        for u in 0..5 {
            let waits = self.units[u].running.front().map(|w| (w.number, w.ends));
            if let Some((number, ends)) = waits {
                let trouble = self.troubled(u, number);
                let over = match trouble {
                    Some(Trouble::Hang(..)) => flush,
                    Some(Trouble::Deaf(_, _, cycles)) => flush && self.cycle >= ends + cycles,
                    _ => self.cycle >= ends || flush,
                };
                if over {
                    done |= 1 << u;
                    if let Some(Trouble::Error(_, _, code)) = trouble {
                        error |= 1 << u;
                        codes |= (code as u32) << (4 * u);
                    }
                    if let Some(Trouble::Range(..)) = trouble {
                        range |= 1 << u;
                    }
                }
            }
            // the array takes nothing behind what still follows a `prep`
            let open = u == Unit::Array as usize && self.chained().is_some();
            let unit = &mut self.units[u];
            unit.ready = !open && unit.running.len() < unit.capacity && self.random.chance(128);
            ready |= u8::from(unit.ready) << u;
        }
        // groups of the running `prep` that are finished
        if let Some(work) = self.units[Unit::Prep as usize].running.front() {
            if self.progress < work.groups && self.random.chance(100) {
                self.progress += 1;
            }
            if done >> Unit::Prep as usize & 1 == 1 {
                self.progress = work.groups;
            }
        }
        let response = self.ddr.read_response(0);
        let lite = self.lite.request();
        let top = &mut self.top;
        top.set_desc_ready_i(ready);
        top.set_done_i(done);
        top.set_error_i(error);
        top.set_error_code_i(codes);
        top.set_range_error_i(range);
        top.set_prep_progress_i(self.progress);
        top.set_m_axi_arready_i(response.arready);
        top.set_m_axi_rvalid_i(response.rvalid);
        top.set_m_axi_rdata_i(response.rdata);
        top.set_m_axi_rresp_i(response.rresp as u8);
        top.set_m_axi_rlast_i(response.rlast);
        top.set_s_axil_awvalid_i(lite.awvalid);
        top.set_s_axil_awaddr_i(lite.awaddr as u16);
        top.set_s_axil_wvalid_i(lite.wvalid);
        top.set_s_axil_wdata_i(lite.wdata);
        top.set_s_axil_wstrb_i(lite.wstrb);
        top.set_s_axil_bready_i(lite.bready);
        top.set_s_axil_arvalid_i(lite.arvalid);
        top.set_s_axil_araddr_i(lite.araddr as u16);
        top.set_s_axil_rready_i(lite.rready);
        top.eval();

        let request = ReadRequest {
            arvalid: top.m_axi_arvalid_o(),
            araddr: top.m_axi_araddr_o(),
            arlen: top.m_axi_arlen_o(),
            arsize: top.m_axi_arsize_o(),
            arburst: top.m_axi_arburst_o(),
            arcache: top.m_axi_arcache_o(),
            arprot: top.m_axi_arprot_o(),
            rready: top.m_axi_rready_o(),
        };
        let answer = LiteResponse {
            awready: top.s_axil_awready_o(),
            wready: top.s_axil_wready_o(),
            bvalid: top.s_axil_bvalid_o(),
            bresp: top.s_axil_bresp_o(),
            arready: top.s_axil_arready_o(),
            rvalid: top.s_axil_rvalid_o(),
            rresp: top.s_axil_rresp_o(),
            rdata: top.s_axil_rdata_o(),
        };
        self.flushed += u64::from(flush);
        self.check_chain();
        self.end_of_cycle(ready & self.top.desc_valid_o(), done);
        self.top.tick();
        self.ddr.after_edge(&[request], &WriteRequest::default());
        self.lite.after_edge(&answer);
        self.cycle += 1;
    }

    /// The count of `prep` that ends the chain of the descriptor that the array took last, while it has not.
    fn chained(&self) -> Option<u64> {
        self.chain
            .filter(|&wait| self.units[Unit::Prep as usize].retired < wait)
    }

    /// The array is never shown groups that the `prep` it follows has not written; all of them where it follows none.
    fn check_chain(&mut self) {
        let shown = self.top.chain_groups_o();
        self.array_since = self.array_since.map(|cycles| cycles + 1);
        // in the cycle after it took one it is shown none
        if self.chain.is_none() && self.array_since.is_some_and(|cycles| cycles > 2) {
            assert_eq!(shown, ALL_GROUPS, "a descriptor that is not chained");
        }
        let Some(wait) = self.chained().filter(|_| !self.top.flush_o()) else {
            return;
        };
        let retired = self.units[Unit::Prep as usize].retired;
        assert_eq!(retired + 1, wait, "started too early");
        let groups = self.progress;
        assert!(shown <= groups, "shown {shown} of {groups} groups");
        self.chained_groups = self.chained_groups.max(shown);
    }

    fn end_of_cycle(&mut self, taken: u8, done: u8) {
        let retired: [u64; 5] = std::array::from_fn(|u| self.units[u].retired);
        for u in 0..5 {
            if done >> u & 1 == 1 {
                self.units[u].running.pop_front();
                self.units[u].retired += 1;
            }
            if taken >> u & 1 == 0 {
                continue;
            }
            let words: [u32; 16] = self.top.desc_o()[16 * u..][..16]
                .try_into()
                .expect("sixteen");
            let step = get_bits(&self.top.step_o(), 32 * u, 32) as u32;
            self.starts.push(Start {
                unit: Unit::from_value(u as u32).expect("a unit"),
                words,
                step,
                retired,
            });
            let ends = self.cycle + 1 + self.random.below(self.duration);
            let number = self.units[u].taken;
            let groups = 1 + self.random.below(20) as u32;
            self.units[u].taken += 1;
            self.units[u].running.push_back(Work {
                number,
                ends,
                groups,
            });
            if u == Unit::Prep as usize {
                self.progress = 0;
            }
            if u == Unit::Array as usize {
                self.array_since = Some(0);
                // where the tests chain, the program has one pass and the count is that of the program
                let common =
                    Descriptor::decode(&words).map_or_else(|_| Common::default(), |d| d.common);
                self.chain = common
                    .wait(Unit::Prep)
                    .filter(|_| common.chain)
                    .map(|w| w as u64);
            }
        }
    }
}

/// The bits of a descriptor.
pub fn words(common: Common, op: Op) -> [u32; 16] {
    Descriptor { common, op }.encode().expect("in range")
}
