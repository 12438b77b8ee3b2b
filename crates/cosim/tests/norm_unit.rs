//! `norm` on the RTL's unit against the simulator of `diffuser_device`: every map of every channel, bit for bit.
#![cfg(top_norm_unit)]

mod real_layers;

use diffuser_cosim::bench::{
    DescriptorPort, Random, ReadPort, WritePort, get_bits, get_signed, set_bits,
};
use diffuser_cosim::tops::NormUnit;
use diffuser_device::{Memories, Shape, Sizes, ops};
use diffuser_isa::generated::{Norm, NormChannel, NormHead};
use diffuser_isa::{Common, Descriptor, ErrorCode, Op, Unit};
use diffuser_spec::norm::{Affine, Sums};

const SIZES: Sizes = Sizes {
    stream: 1,
    operand: 1,
    weight: 1,
    param: 1 << 12,
    affine: 1 << 11,
    sums: 1 << 12,
    state: 1,
    keys: 0,
};

/// A run of the unit on the memories.
struct Bench {
    top: NormUnit,
    memories: Memories,
    control: DescriptorPort,
    param: ReadPort<u64>,
    sums: ReadPort<[u32; 4]>,
    affine: WritePort,
    cycles: u64,
    written: u64,
}

impl Bench {
    fn new(memories: Memories, seed: u64, stall: u32, latency: usize) -> Self {
        let mut bench = Self {
            top: NormUnit::with_seed(seed as i32),
            memories,
            control: DescriptorPort::new(seed + 1, stall),
            param: ReadPort::new(seed + 2, latency, stall),
            sums: ReadPort::new(seed + 3, latency, stall),
            affine: WritePort::new(seed + 4, stall),
            cycles: 0,
            written: 0,
        };
        bench.sums.set_idle([u32::MAX; 4]);
        bench.param.set_idle(u64::MAX);
        bench.top.set_rst_ni(false);
        bench.top.set_desc_valid_i(false);
        bench.top.tick();
        bench.top.tick();
        bench.top.set_rst_ni(true);
        bench
    }

    fn push(&mut self, op: &Norm) {
        self.control.push(words(op), 0);
    }

    fn cycle(&mut self, flush: bool) {
        let top = &mut self.top;
        top.set_flush_i(flush);
        top.set_desc_valid_i(self.control.valid());
        top.set_desc_i(self.control.descriptor());
        top.set_param_rvalid_i(self.param.valid());
        top.set_param_rdata_i(self.param.data());
        top.set_sums_rvalid_i(self.sums.valid());
        top.set_sums_rdata_i(self.sums.data());
        top.eval();
        let memories = &mut self.memories;
        let param = |a: u64| memories.param.get(a as usize).copied().unwrap_or_default();
        let grant = self
            .param
            .grant(top.param_req_o(), top.param_addr_o().into(), param);
        top.set_param_gnt_i(grant);
        let sums = |a: u64| {
            let mut words = [0; 4];
            if let Some(entry) = memories.sums.get(a as usize) {
                set_bits(&mut words, 0, 64, entry.sum as u64);
                set_bits(&mut words, 64, 64, entry.sum_sq);
            }
            words
        };
        let grant = self
            .sums
            .grant(top.sums_req_o(), top.sums_addr_o().into(), sums);
        top.set_sums_gnt_i(grant);
        let grant = self
            .affine
            .grant(top.affine_we_o(), top.affine_waddr_o().into());
        top.set_affine_wgnt_i(grant);
        top.eval();
        if grant {
            let data = [
                top.affine_wdata_o() as u32,
                (top.affine_wdata_o() >> 32) as u32,
            ];
            memories.affine[top.affine_waddr_o() as usize] = Affine {
                a: get_signed(&data, 0, 16) as i16,
                b: get_signed(&data, 16, 32) as i32,
                shift: get_bits(&data, 48, 8) as u8,
            };
            self.written += 1;
        }
        let error = top.error_o().then(|| top.error_code_o());
        self.control
            .before_edge(top.desc_ready_o(), top.done_o(), error);
        top.tick();
        self.param.after_edge();
        self.sums.after_edge();
        self.affine.after_edge();
        self.cycles += 1;
    }

    fn run(&mut self) {
        let limit = self.cycles + 200_000;
        while !self.control.idle() {
            self.cycle(false);
            assert!(self.cycles < limit, "the unit hangs");
        }
    }
}

fn words(op: &Norm) -> [u32; 16] {
    let descriptor = Descriptor {
        common: Common::default(),
        op: Op::Norm(*op),
    };
    descriptor.encode().unwrap()
}

/// A number of random length, so that small and large ones are as frequent.
fn any_length(random: &mut Random, bits: u32) -> i64 {
    let length = random.below(u64::from(bits)) as u32 + 1;
    let x = random.bits() >> (64 - length);
    match random.below(4) {
        0 => -((1i64 << (length - 1)) - 1),
        1 => (1i64 << (length - 1)) - 1,
        _ => (x as i64) - (1 << (length - 1)),
    }
}

/// Any factor of a channel, often the lowest.
fn factor(random: &mut Random) -> i32 {
    match random.below(16) {
        0 => i32::MIN,
        _ => any_length(random, 32) as i32,
    }
}

/// Sums that `pixels` values of magnitude `limit` at most can have.
fn sums(random: &mut Random, pixels: u64, limit: i64) -> Sums {
    let most = pixels as i64 * limit;
    let sum = match random.below(6) {
        0 => 0,
        1 => most,
        2 => -most,
        _ => random.range(-most, most),
    };
    let least = (u128::from(sum.unsigned_abs()).pow(2)).div_ceil(u128::from(pixels)) as u64;
    let most = pixels * (limit as u64).pow(2);
    let sum_sq = match random.below(4) {
        0 => least,
        1 => most,
        _ => least + random.below(most - least + 1),
    };
    Sums { sum, sum_sq }
}

/// A norm of `groups` groups of `size` channels, its parameters and sums, anywhere in the memories.
fn problem(random: &mut Random, memories: &mut Memories, groups: u64, size: u64) -> Norm {
    let channels = groups * size;
    let channels_b = if random.chance(128) {
        0
    } else {
        random.below(channels)
    };
    let channels_a = channels - channels_b;
    let pixels = match random.below(3) {
        0 => 1 + random.below(16),
        1 => 1 << random.below(11),
        _ => 1 + random.below(((1 << 24) - 1) / size),
    };
    // 64 bits hold the group's squares after rescaling
    let values = pixels * size;
    let room = (u64::MAX / values).isqrt();
    let most = room.min(1 << 15) as i64;
    let limit = 1 + any_length(random, 16).abs().min(most - 1);
    let largest = u64::from((room / limit as u64).ilog2().min(7));
    let mut gap = || random.below(largest + 1) as u32;
    let (gap_a, gap_b) = (gap(), gap());
    let head = NormHead {
        eps: match random.below(4) {
            0 => 0,
            1 => u64::MAX >> random.below(64),
            2 => random.bits() >> random.below(64),
            _ => 10_995_116,
        },
        exponent: random.range(-16, 24) as i32,
        gap_a,
        gap_b,
    };
    let first_group = random.below(groups);
    let op = Norm {
        sums_a: random.below(SIZES.sums as u64 - channels_a + 1) as u32,
        channels_a: channels_a as u32,
        sums_b: random.below(SIZES.sums as u64 - channels_b + 1) as u32,
        channels_b: channels_b as u32,
        group_channels: size as u32,
        first_group: first_group as u32,
        groups: (1 + random.below(groups - first_group)) as u32,
        affine: random.below(SIZES.affine as u64 - channels + 1) as u32,
        param: random.below(SIZES.param as u64 - channels - 1) as u32,
        count: values as u32,
    };
    let at = op.param as usize;
    memories.param[at..at + 2].copy_from_slice(&head.encode().unwrap());
    for c in 0..channels as usize {
        let channel = NormChannel {
            gamma: factor(random),
            beta: factor(random),
        };
        memories.param[at + 2 + c] = channel.encode().unwrap()[0];
    }
    for (first, count) in [(op.sums_a, op.channels_a), (op.sums_b, op.channels_b)] {
        for c in first..first + count {
            memories.sums[c as usize] = sums(random, pixels, limit);
        }
    }
    op
}

/// The first entry that differs, if any: the whole memory would not be read by anyone.
#[track_caller]
fn equal(got: &[Affine], want: &[Affine], what: &str) {
    for (c, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got, want, "{what}: entry {c}");
    }
}

fn empty() -> Memories {
    Memories::new(Shape::SMALL, SIZES)
}

#[test]
fn maps_of_random_norms() {
    let mut compared = 0;
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let stall = [0, 30, 128, 230][seed as usize % 4];
        let latency = 1 + random.below(5) as usize;
        let mut memories = empty();
        let groups = 1 + random.below(20);
        let size = 1 + random.below(30);
        let op = problem(&mut random, &mut memories, groups, size);
        let mut bench = Bench::new(memories.clone(), seed, stall, latency);
        bench.push(&op);
        bench.run();
        // sums of the two streams may lie on one another, and then be no sums of `count` values
        let wanted = ops::norm::execute(&op, &mut memories);
        if let Err(fault) = wanted {
            assert_eq!(
                bench.control.errors,
                [fault.code as u8],
                "seed {seed}: {fault}"
            );
            continue;
        }
        assert_eq!(bench.control.errors, [0; 0], "seed {seed}");
        assert_eq!(
            bench.written,
            u64::from(op.groups * op.group_channels),
            "seed {seed}"
        );
        equal(
            &bench.memories.affine,
            &memories.affine,
            &format!("seed {seed}, {op:?}"),
        );
        compared += bench.written;
    }
    assert!(compared > 60_000, "{compared}");
}

#[test]
fn layers_of_a_real_model() {
    let kinds = real_layers::each(Unit::Norm, |op, _, before, after| {
        if let Op::Norm(op) = op {
            let mut bench = Bench::new(before.clone(), 5, 60, 3);
            bench.push(op);
            bench.run();
            assert_eq!(bench.control.errors, [0; 0], "{op:?}");
            equal(&bench.memories.affine, &after.affine, &format!("{op:?}"));
        }
    });
    assert!(kinds > 10, "{kinds}");
}

#[test]
fn one_norm_after_another() {
    let mut random = Random::new(7);
    let mut memories = empty();
    let mut bench = Bench::new(empty(), 7, 60, 3);
    for _ in 0..20 {
        let groups = 1 + random.below(8);
        let op = problem(&mut random, &mut memories, groups, 4);
        bench.memories.param.clone_from(&memories.param);
        bench.memories.sums.clone_from(&memories.sums);
        let mut done = memories.clone();
        if ops::norm::execute(&op, &mut done).is_ok() {
            memories = done;
            bench.push(&op);
            bench.run();
            equal(&bench.memories.affine, &memories.affine, "in a row");
        }
    }
    assert!(bench.control.done >= 10, "{}", bench.control.done);
}

/// 32 groups of 8 channels on free memories: about two cycles a channel, and one group alone well under 200.
#[test]
fn cycles() {
    for (groups, limit) in [(1, 180), (32, 32 * 14 + 180)] {
        let mut random = Random::new(3);
        let mut memories = empty();
        let mut op = problem(&mut random, &mut memories, groups, 8);
        (op.first_group, op.groups) = (0, groups as u32);
        let mut bench = Bench::new(memories, 1, 0, 3);
        bench.push(&op);
        bench.run();
        println!("{groups} groups of 8 channels: {} cycles", bench.cycles);
        assert!(bench.cycles < limit, "{groups} groups: {}", bench.cycles);
    }
}

#[test]
fn what_is_wrong_is_told_and_written_nowhere() {
    let mut random = Random::new(11);
    let mut memories = empty();
    let good = problem(&mut random, &mut memories, 6, 5);
    let broken: [fn(&mut Norm, &mut Memories); 6] = [
        |op, _| op.groups = 7 - op.first_group,
        |op, _| op.first_group = 65_535,
        |op, memories| memories.param[op.param as usize + 1] = 25,
        |op, memories| memories.param[op.param as usize + 1] = 8 << 8,
        |op, memories| memories.param[op.param as usize + 1] = 8 << 16,
        |op, memories| memories.param[op.param as usize + 1] |= 1 << 63,
    ];
    for (i, make) in broken.iter().enumerate() {
        let (mut op, mut memories) = (good, memories.clone());
        make(&mut op, &mut memories);
        let mut bench = Bench::new(memories.clone(), 4, 40, 2);
        bench.push(&op);
        bench.run();
        assert_eq!(bench.control.errors, [ErrorCode::Field as u8], "case {i}");
        assert_eq!(bench.written, 0, "case {i}");
        assert!(ops::norm::execute(&op, &mut memories).is_err(), "case {i}");
        // and the unit works on
        bench.memories = memories;
        let head = bench.memories.param[good.param as usize + 1];
        if i < 2 {
            assert!(head >> 63 == 0);
            bench.push(&good);
            bench.run();
            assert_eq!(bench.control.errors.len(), 1);
        }
    }
}

#[test]
fn sums_that_no_values_have() {
    let mut random = Random::new(12);
    let mut memories = empty();
    let mut op = problem(&mut random, &mut memories, 4, 3);
    (op.first_group, op.groups, op.channels_a, op.channels_b) = (0, 4, 12, 0);
    for c in 0..12 {
        memories.sums[op.sums_a as usize + c] = Sums {
            sum: 1 << 20,
            sum_sq: 5,
        };
    }
    op.count = 30;
    let mut bench = Bench::new(memories.clone(), 4, 40, 2);
    bench.push(&op);
    bench.run();
    assert_eq!(bench.control.errors, [ErrorCode::Field as u8]);
    assert!(ops::norm::execute(&op, &mut memories).is_err());
}

/// A flush at any time: the descriptor retires soon, nothing wrong is written, and the next one is whole.
#[test]
fn flushes() {
    let mut random = Random::new(21);
    let mut memories = empty();
    let op = loop {
        let mut op = problem(&mut random, &mut memories, 30, 9);
        (op.first_group, op.groups) = (0, 30);
        if ops::norm::execute(&op, &mut memories.clone()).is_ok() {
            break op;
        }
    };
    let mut whole = memories.clone();
    ops::norm::execute(&op, &mut whole).unwrap();
    let mut cut_short = 0;
    for at in (0..600).step_by(13) {
        let mut bench = Bench::new(memories.clone(), at, 50, 2);
        bench.push(&op);
        let mut waited = 0;
        while !bench.control.idle() {
            let flush = bench.cycles >= at;
            bench.cycle(flush);
            waited += u32::from(flush);
            assert!(waited < 400, "flush at {at}");
        }
        cut_short += u32::from(bench.written < 270);
        for (got, want) in bench.memories.affine.iter().zip(&whole.affine) {
            assert!(*got == Affine::default() || got == want, "flush at {at}");
        }
        bench.push(&op);
        bench.run();
        equal(
            &bench.memories.affine,
            &whole.affine,
            &format!("after a flush at {at}"),
        );
    }
    assert!(cut_short > 20, "{cut_short}");
}
