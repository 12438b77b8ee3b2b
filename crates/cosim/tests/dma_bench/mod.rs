//! The unit `dma` between a queue, DDR and the on-chip memories; the simulator's `load` and `store` say what is right.
#![allow(dead_code, reason = "each test uses its part")]

pub mod top;

use std::collections::VecDeque;

use diffuser_cosim::bench::{Random, ReadPort, WritePort};
use diffuser_cosim::memory::{Ddr, DdrConfig};
use diffuser_device::{Context, Memories, Shape, Sizes, ops};
use diffuser_isa::{Common, Descriptor, Op, Space};

use top::{DmaTop, Grants, Inputs, Outputs};

/// First address of the memory, and its size.
pub const BASE: u64 = 0x12_3456_7000;
pub const BYTES: usize = 1 << 20;

/// Words of the memories as the tops are built.
pub const SIZES: Sizes = Sizes {
    stream: 1024,
    operand: 1,
    weight: 512,
    param: 2048,
    affine: 1,
    sums: 1,
    state: 512,
    keys: 0,
};

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Code of its error.
    pub error: Option<u8>,
    pub cycle: u64,
}

pub struct Bench<T> {
    pub top: T,
    pub ddr: Ddr,
    /// What the unit writes and reads.
    pub memories: Memories,
    pub context: Context,
    pub flush: bool,
    pub cycle: u64,
    pub ends: Vec<End>,
    pub taken: usize,
    pub beats: u64,
    queue: VecDeque<([u32; 16], u32)>,
    random: Random,
    gap: u32,
    weight: WritePort,
    param: WritePort,
    stream_write: WritePort,
    state_write: WritePort,
    stream_read: ReadPort<usize>,
    state_read: ReadPort<usize>,
    /// An error that came before its `done`.
    error: Option<u8>,
}

/// Memory without faults at full speed.
pub fn fast(ports: usize) -> DdrConfig {
    DdrConfig {
        read_ports: ports,
        shared: None,
        stall: 0,
        jitter: 0,
        refresh_period: 0,
        ..DdrConfig::default()
    }
}

/// Memory with all that happens to a master.
pub fn rough(ports: usize, seed: u64) -> DdrConfig {
    let mut random = Random::new(seed);
    DdrConfig {
        read_ports: ports,
        shared: (ports == 4).then_some((1, 2)),
        latency: 1 + random.below(120),
        jitter: random.below(100),
        stall: [0, 20, 120, 200][random.below(4) as usize],
        refresh_period: 400,
        refresh_length: 60,
        outstanding: 1 + random.below(8) as usize,
        seed,
        ..DdrConfig::default()
    }
}

impl<T: DmaTop> Bench<T> {
    /// `stall` of 256 cycles a memory grants nothing.
    pub fn new(seed: u64, config: DdrConfig, stall: u32) -> Self {
        let mut random = Random::new(seed);
        let shape = Shape {
            pixels: 4,
            outputs: T::OUTPUTS,
            inputs: T::INPUTS,
        };
        let mut memories = Memories::new(shape, SIZES);
        memories.weight.fill_with(|| random.bits() as i8);
        memories.param.fill_with(|| random.bits());
        memories.stream.fill_with(|| random.bits() as i16);
        let value = |random: &mut Random| match random.below(4) {
            0 => random.bits() as i32,
            1 => random.range(-20, 20) as i32 + (1 << 24) * random.range(-1, 1) as i32,
            _ => random.range(-(5 << 22), 5 << 22) as i32,
        };
        (memories.state).fill_with(|| std::array::from_fn(|_| value(&mut random)));
        let mut ddr = Ddr::new(config, BASE, BYTES);
        ddr.bytes_mut().fill_with(|| random.bits() as u8);
        let latency = 1 + random.below(4) as usize;
        let mut top = T::with_seed(seed as i32 + 1);
        top.reset();
        Self {
            top,
            ddr,
            memories,
            context: Context {
                steps: 1,
                data: BASE,
                record: BASE,
                ..Context::default()
            },
            flush: false,
            cycle: 0,
            ends: vec![],
            taken: 0,
            beats: 0,
            queue: VecDeque::new(),
            gap: stall / 2,
            weight: WritePort::new(seed, stall),
            param: WritePort::new(seed + 1, stall),
            stream_write: WritePort::new(seed + 2, stall),
            state_write: WritePort::new(seed + 3, stall),
            stream_read: ReadPort::new(seed + 4, latency, stall),
            state_read: ReadPort::new(seed + 5, latency, stall),
            random,
            error: None,
        }
    }

    pub fn push(&mut self, op: Op) {
        let common = Common::default();
        let words = Descriptor { common, op }.encode().expect("in range");
        self.queue.push_back((words, self.context.step));
    }

    /// All that was pushed has ended.
    pub fn idle(&self) -> bool {
        self.queue.is_empty() && self.ends.len() == self.taken
    }

    pub fn forget_queue(&mut self) {
        self.queue.clear();
    }

    /// Until nothing is left to do; then the bus is quiet, too.
    pub fn finish(&mut self, limit: u64) {
        let begin = self.cycle;
        while !self.idle() {
            assert!(self.cycle - begin < limit, "not done in {limit} cycles");
            self.step();
        }
        assert!(self.ddr.idle(), "done before the bus was quiet");
    }

    /// A cycle.
    pub fn step(&mut self) {
        let offer = !self.flush && !self.random.chance(self.gap);
        let outputs = T::OUTPUTS;
        let stream = match self.stream_read.valid() {
            true => {
                let at = self.stream_read.data() * outputs;
                let words = self.memories.stream[at..at + outputs].as_chunks::<2>().0;
                let pair = |p: &[i16; 2]| u32::from(p[0] as u16) | u32::from(p[1] as u16) << 16;
                (true, words.iter().map(pair).collect())
            }
            false => (false, vec![self.random.bits() as u32; outputs / 2]),
        };
        let state = match self.state_read.valid() {
            true => (
                true,
                self.memories.state[self.state_read.data()].map(|v| v as u32),
            ),
            false => (false, [self.random.bits() as u32; 4]),
        };
        let inputs = Inputs {
            desc: self.queue.front().copied().filter(|_| offer),
            flush: self.flush,
            data: self.context.data,
            step_base: self.context.record,
            stride: self.context.stride,
            steps: self.context.steps,
            read: (0..T::PORTS).map(|p| self.ddr.read_response(p)).collect(),
            write: self.ddr.write_response(),
            stream,
            state,
        };
        self.top.drive(&inputs);
        let out = self.top.outputs();
        let at = |a: Option<u32>| u64::from(a.unwrap_or(0));
        let grants = Grants {
            weight: self
                .weight
                .grant(out.weight.is_some(), at(out.weight.as_ref().map(|w| w.0))),
            param: self
                .param
                .grant(out.param.is_some(), at(out.param.map(|w| w.0))),
            stream_write: self.stream_write.grant(
                out.stream_write.is_some(),
                at(out.stream_write.as_ref().map(|w| w.0)),
            ),
            state_write: self
                .state_write
                .grant(out.state_write.is_some(), at(out.state_write.map(|w| w.0))),
            stream_read: self.stream_read.grant(
                out.stream_read.is_some(),
                at(out.stream_read),
                |a| a as usize,
            ),
            state_read: self
                .state_read
                .grant(out.state_read.is_some(), at(out.state_read), |a| a as usize),
        };
        self.top.grant(&grants);
        let out = self.top.outputs();
        self.take(&inputs, &out);
        self.write(&out, &grants);
        self.top.tick();
        self.ddr.after_edge(&out.read, &out.write);
        for port in [
            &mut self.weight,
            &mut self.param,
            &mut self.stream_write,
            &mut self.state_write,
        ] {
            port.after_edge();
        }
        self.stream_read.after_edge();
        self.state_read.after_edge();
        self.cycle += 1;
    }

    fn take(&mut self, inputs: &Inputs, out: &Outputs) {
        self.beats += u64::from(out.beats);
        if let Some(code) = out.error {
            assert!(self.error.is_none(), "two errors of one descriptor");
            self.error = Some(code);
        }
        if out.done {
            let error = self.error.take();
            let cycle = self.cycle;
            self.ends.push(End { error, cycle });
            assert!(self.ends.len() <= self.taken, "done without a descriptor");
        }
        if inputs.desc.is_some() && out.ready {
            self.queue.pop_front();
            self.taken += 1;
        }
    }

    fn write(&mut self, out: &Outputs, grants: &Grants) {
        if let Some((addr, data, strobe)) = out.weight.as_ref().filter(|_| grants.weight) {
            let bytes = self.memories.shape.weight_bytes();
            let word = &mut self.memories.weight[*addr as usize * bytes..][..bytes];
            for (i, byte) in word.iter_mut().enumerate() {
                if strobe[i / 32] >> (i % 32) & 1 == 1 {
                    *byte = (data[i / 4] >> (8 * (i % 4))) as i8;
                }
            }
        }
        if let Some((addr, data)) = out.param.filter(|_| grants.param) {
            self.memories.param[addr as usize] = data;
        }
        if let Some((addr, data)) = out.stream_write.as_ref().filter(|_| grants.stream_write) {
            let word = &mut self.memories.stream[*addr as usize * T::OUTPUTS..][..T::OUTPUTS];
            for (i, value) in word.iter_mut().enumerate() {
                *value = (data[i / 2] >> (16 * (i % 2))) as i16;
            }
        }
        if let Some((addr, data)) = out.state_write.filter(|_| grants.state_write) {
            self.memories.state[addr as usize] = data.map(|v| v as i32);
        }
    }

    /// Pushes `ops`, which touch different words, runs them, and compares everything with the simulator.
    pub fn check(&mut self, list: &[Op]) {
        let mut truth = self.memories.clone();
        let mut ddr = self.truth_ddr();
        for op in list {
            ops::execute(op, &mut truth, &mut ddr, &self.context).expect("sound");
        }
        let first = self.ends.len();
        for op in list {
            self.push(*op);
        }
        let mut checked = 0;
        let limit = self.cycle + 400_000;
        while !self.idle() {
            self.step();
            assert!(self.cycle < limit, "{list:?} hangs");
            // what has retired is there
            for op in &list[checked..self.ends.len() - first] {
                if checked % 3 == 0 {
                    self.compare_result(op, &truth, &ddr);
                }
                checked += 1;
            }
        }
        assert!(
            self.ends[first..].iter().all(|e| e.error.is_none()),
            "{list:?}"
        );
        self.compare(&truth, &ddr, list);
    }

    /// The simulator's memory with what is in ours.
    pub fn truth_ddr(&self) -> diffuser_device::Ddr {
        let mut ddr = diffuser_device::Ddr::new(BASE + BYTES as u64);
        ddr.write(BASE, self.ddr.bytes()).expect("there");
        ddr
    }

    fn compare_result(&self, op: &Op, truth: &Memories, ddr: &diffuser_device::Ddr) {
        let shape = self.memories.shape;
        match op {
            Op::Load(l) => {
                let (from, n) = (l.address as usize, l.words as usize);
                let equal = match Space::from_value(l.space).expect("a space") {
                    Space::Weight | Space::Weight4 => {
                        let range = from * shape.weight_bytes()..(from + n) * shape.weight_bytes();
                        self.memories.weight[range.clone()] == truth.weight[range]
                    }
                    Space::Param => {
                        self.memories.param[from..from + n] == truth.param[from..from + n]
                    }
                    Space::Stream => {
                        let range = from * shape.outputs..(from + n) * shape.outputs;
                        self.memories.stream[range.clone()] == truth.stream[range]
                    }
                    _ => self.memories.state[from..from + n] == truth.state[from..from + n],
                };
                assert!(equal, "not all there at the end of {op:?}");
            }
            Op::Store(s) => {
                let at = ops::store::address(s, &self.context);
                let mut wanted = vec![0; ops::store::bytes(s, shape)];
                ddr.read(at, &mut wanted).expect("there");
                let from = (at - BASE) as usize;
                let found = &self.ddr.bytes()[from..from + wanted.len()];
                assert!(found == wanted, "not all there at the end of {op:?}");
            }
            _ => unreachable!("no transfer"),
        }
    }

    pub fn compare(&self, truth: &Memories, ddr: &diffuser_device::Ddr, what: &[Op]) {
        let m = &self.memories;
        assert!(m.weight == truth.weight, "weight memory after {what:?}");
        assert!(m.param == truth.param, "param memory after {what:?}");
        assert!(m.stream == truth.stream, "stream memory after {what:?}");
        assert!(m.state == truth.state, "state memory after {what:?}");
        let mut bytes = vec![0; BYTES];
        ddr.read(BASE, &mut bytes).expect("there");
        let wrong = self
            .ddr
            .bytes()
            .iter()
            .zip(&bytes)
            .position(|(a, b)| a != b);
        assert_eq!(wrong, None, "DDR after {what:?}");
    }
}
