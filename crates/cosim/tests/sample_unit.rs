//! `sample` on the RTL's unit against the simulator of `diffuser_device`: every state and, through the next step, every `x0_previous`.
#![cfg(top_sample_unit)]

mod real_layers;

use diffuser_cosim::bench::{DescriptorPort, Random, ReadPort, WritePort, get_bits, pack};
use diffuser_cosim::tops::SampleUnit;
use diffuser_device::{Context, Memories, Shape, Sizes, ops, sample_cycles};
use diffuser_isa::generated::{Sample, SampleHead};
use diffuser_isa::{Common, Descriptor, ErrorCode, Op, Unit};

const SIZES: Sizes = Sizes {
    stream: 512,
    operand: 1,
    weight: 1,
    param: 64,
    affine: 1,
    sums: 1,
    state: 256,
    keys: 0,
};

/// Largest magnitude of a coefficient.
const COEFFICIENT: i64 = 1 << 48;

/// A run of the unit on the memories.
struct Bench {
    top: SampleUnit,
    memories: Memories,
    control: DescriptorPort,
    param: ReadPort<u64>,
    stream: ReadPort<[u32; 4]>,
    state: ReadPort<[u32; 4]>,
    writes: WritePort,
    cycles: u64,
}

impl Bench {
    fn new(memories: Memories, context: &Context, seed: u64, stall: u32, latency: usize) -> Self {
        let mut bench = Self {
            top: SampleUnit::with_seed(seed as i32),
            memories,
            control: DescriptorPort::new(seed + 1, stall),
            param: ReadPort::new(seed + 2, latency, stall),
            stream: ReadPort::new(seed + 3, latency, stall),
            state: ReadPort::new(seed + 4, latency, stall),
            writes: WritePort::new(seed + 5, stall),
            cycles: 0,
        };
        bench.stream.set_idle([u32::MAX; 4]);
        bench.state.set_idle([0x5555_5555; 4]);
        bench.top.set_rst_ni(false);
        bench.top.set_seed_i(context.seed);
        bench.top.set_image_i(context.image);
        bench.top.set_desc_valid_i(false);
        bench.top.tick();
        bench.top.tick();
        bench.top.set_rst_ni(true);
        bench
    }

    fn push(&mut self, op: &Sample, step: u32) {
        let descriptor = Descriptor {
            common: Common::default(),
            op: Op::Sample(*op),
        };
        self.control.push(descriptor.encode().unwrap(), step);
    }

    fn cycle(&mut self, flush: bool) {
        let top = &mut self.top;
        top.set_flush_i(flush);
        top.set_desc_valid_i(self.control.valid());
        top.set_desc_i(self.control.descriptor());
        top.set_step_i(self.control.step());
        top.set_param_rvalid_i(self.param.valid());
        top.set_param_rdata_i(self.param.data());
        top.set_stream_rvalid_i(self.stream.valid());
        top.set_stream_rdata_i(self.stream.data());
        top.set_state_rvalid_i(self.state.valid());
        top.set_state_rdata_i(self.state.data());
        top.eval();
        let memories = &mut self.memories;
        let param = |a: u64| memories.param[a as usize];
        let grant = self
            .param
            .grant(top.param_req_o(), top.param_addr_o().into(), param);
        top.set_param_gnt_i(grant);
        let stream = |a: u64| {
            let at = memories.stream_at(a as usize);
            pack(
                16,
                memories.stream[at..at + 8].iter().map(|&x| i64::from(x)),
            )
        };
        let grant = self
            .stream
            .grant(top.stream_req_o(), top.stream_addr_o().into(), stream);
        top.set_stream_gnt_i(grant);
        let state = |a: u64| memories.state[a as usize].map(|x| x as u32);
        let grant = self
            .state
            .grant(top.state_req_o(), top.state_addr_o().into(), state);
        top.set_state_gnt_i(grant);
        let grant = self
            .writes
            .grant(top.state_we_o(), top.state_waddr_o().into());
        top.set_state_wgnt_i(grant);
        top.eval();
        if grant {
            let word = &mut memories.state[top.state_waddr_o() as usize];
            for (lane, value) in word.iter_mut().enumerate() {
                if top.state_wstrb_o() >> lane & 1 == 1 {
                    *value = get_bits(&top.state_wdata_o(), 32 * lane, 32) as i32;
                }
            }
        }
        let error = top.error_o().then(|| top.error_code_o());
        self.control
            .before_edge(top.desc_ready_o(), top.done_o(), error);
        top.tick();
        self.param.after_edge();
        self.stream.after_edge();
        self.state.after_edge();
        self.writes.after_edge();
        self.cycles += 1;
    }

    fn run(&mut self) {
        let limit = self.cycles + 400_000;
        while !self.control.idle() {
            self.cycle(false);
            assert!(self.cycles < limit, "the unit hangs");
        }
    }
}

/// A number up to `limit` in magnitude, of random length: small, large, and the ends.
fn any_length(random: &mut Random, limit: i64) -> i64 {
    match random.below(6) {
        0 => limit,
        1 => -limit,
        2 => 0,
        _ => {
            let limit = (limit >> random.below(64 - u64::from(limit.leading_zeros()))).max(1);
            random.range(-limit, limit)
        }
    }
}

fn head(random: &mut Random) -> SampleHead {
    let mut coefficient = || any_length(random, COEFFICIENT);
    let mut head = SampleHead {
        x0_state: coefficient(),
        x0_stream: coefficient(),
        clip: coefficient().abs() / 2,
        eps_state: coefficient(),
        eps_stream: coefficient(),
        next_state: coefficient(),
        next_x0: coefficient(),
        next_eps: coefficient(),
        next_previous: coefficient(),
        next_noise: coefficient(),
        exponent: 0,
    };
    head.exponent = random.range(-16, 24) as i32;
    head
}

/// A head as schedules make it: no form saturates.
fn tame_head(random: &mut Random) -> SampleHead {
    let mut coefficient = || random.range(-(1 << 31), 1 << 31);
    SampleHead {
        x0_state: coefficient(),
        x0_stream: coefficient(),
        clip: 1 << 24,
        eps_state: coefficient(),
        eps_stream: coefficient(),
        next_state: coefficient(),
        next_x0: coefficient(),
        next_eps: coefficient(),
        next_previous: coefficient(),
        next_noise: coefficient(),
        exponent: 13,
    }
}

fn problem(random: &mut Random, memories: &mut Memories, head: &SampleHead) -> Sample {
    for x in &mut memories.stream {
        *x = any_length(random, 1 << 15).clamp(-(1 << 15), (1 << 15) - 1) as i16;
    }
    for x in memories.state.iter_mut().flatten() {
        *x = any_length(random, 1 << 31).clamp(-(1 << 31), (1 << 31) - 1) as i32;
    }
    let pixels = 1 + random.below(40);
    let op = Sample {
        stream: random.below(SIZES.stream as u64 - pixels + 1) as u32,
        channels: 1 + random.below(4) as u32,
        noise: random.chance(128),
        pixels: pixels as u32,
        state: random.below(SIZES.state as u64 - pixels + 1) as u32,
        param: random.below(SIZES.param as u64 - 10) as u32,
        image: random.below(256) as u32,
    };
    let at = op.param as usize;
    memories.param[at..at + 11].copy_from_slice(&head.encode().unwrap());
    op
}

fn empty() -> Memories {
    Memories::new(Shape::SMALL, SIZES)
}

fn context(random: &mut Random) -> Context {
    Context {
        seed: random.bits(),
        image: match random.below(3) {
            0 => u64::MAX - random.below(100),
            1 => (1 << 32) - 1 - random.below(100),
            _ => random.bits(),
        },
        ..Context::default()
    }
}

#[track_caller]
fn equal(got: &Memories, want: &Memories, what: &str) {
    for (n, (got, want)) in got.state.iter().zip(&want.state).enumerate() {
        assert_eq!(got, want, "{what}: word {n}");
    }
}

/// Several steps on the same state, so that what one leaves in `x0_previous` shows in the next.
#[test]
fn random_steps() {
    let mut values = 0;
    for seed in 0..150u64 {
        let mut random = Random::new(seed);
        let stall = [0, 40, 128, 220][seed as usize % 4];
        let latency = 1 + random.below(6) as usize;
        let mut context = context(&mut random);
        let mut memories = empty();
        let mut bench = Bench::new(empty(), &context, seed, stall, latency);
        let mut op = Sample::default();
        for step in 0..4 {
            let head = if seed % 3 == 0 {
                tame_head(&mut random)
            } else {
                head(&mut random)
            };
            let (state, channels) = (op.state, op.channels);
            op = problem(&mut random, &mut memories, &head);
            if step > 0 {
                // where the last step was, or partly there
                op.state = state.min(SIZES.state as u32 - op.pixels);
                op.channels = channels;
            }
            context.step = match random.below(3) {
                0 if step > 0 => u32::MAX - 1,
                1 if step > 2 => 0,
                _ => step,
            };
            bench.memories.stream.clone_from(&memories.stream);
            bench.memories.state.clone_from(&memories.state);
            bench.memories.param.clone_from(&memories.param);
            bench.push(&op, context.step);
            bench.run();
            ops::sample::execute(&op, &mut memories, &context).unwrap();
            assert_eq!(bench.control.errors, [0; 0], "seed {seed}");
            equal(
                &bench.memories,
                &memories,
                &format!("seed {seed}, step {step}, {op:?}"),
            );
            values += op.pixels * op.channels;
        }
    }
    assert!(values > 20_000, "{values}");
}

/// The steps of an image: what the first leaves in `x0_previous` is inside of the unit.
#[test]
fn layers_of_a_real_model() {
    let mut bench: Option<Bench> = None;
    let steps = real_layers::each(Unit::Sample, |op, context, before, after| {
        let Op::Sample(op) = op else { return };
        let bench = bench.get_or_insert_with(|| Bench::new(empty(), context, 6, 60, 3));
        bench.memories = before.clone();
        bench.push(op, context.step);
        bench.run();
        assert_eq!(bench.control.errors, [0; 0], "{op:?}");
        equal(&bench.memories, after, &format!("{op:?}"));
    });
    assert_eq!(steps, 2);
}

/// The noise through `w` alone, so that the state becomes it: 20,000 numbers of 20 images. (`sample_normal.rs` reads every entry of the table.)
#[test]
fn noise_alone() {
    let head = SampleHead {
        next_noise: 1 << 32,
        ..SampleHead::default()
    };
    let mut random = Random::new(9);
    let mut memories = empty();
    let mut op = problem(&mut random, &mut memories, &head);
    (op.noise, op.channels, op.pixels, op.state, op.stream) = (true, 4, 256, 0, 0);
    for seed in 0..20 {
        let mut context = context(&mut random);
        context.step = seed;
        let mut bench = Bench::new(memories.clone(), &context, 3, 0, 1);
        bench.push(&op, context.step);
        bench.run();
        let mut want = memories.clone();
        ops::sample::execute(&op, &mut want, &context).unwrap();
        equal(&bench.memories, &want, &format!("seed {seed}"));
    }
}

/// A value a cycle: the cycles of the model.
#[test]
fn cycles() {
    for (noise, channels) in [(false, 3), (true, 3), (false, 1), (true, 4)] {
        let mut random = Random::new(3);
        let mut memories = empty();
        let head = tame_head(&mut random);
        let mut op = problem(&mut random, &mut memories, &head);
        (op.pixels, op.channels, op.noise) = (256, channels, noise);
        (op.state, op.stream) = (0, 0);
        let mut bench = Bench::new(memories, &Context::default(), 1, 0, 3);
        bench.push(&op, 1);
        bench.run();
        let model = sample_cycles(&op);
        println!(
            "256 x {channels}, noise {noise}: {}, model {model}",
            bench.cycles
        );
        assert!(
            bench.cycles.abs_diff(model) < 16,
            "{} {model}",
            bench.cycles
        );
    }
}

#[test]
fn heads_out_of_range() {
    let mut random = Random::new(17);
    let mut memories = empty();
    let head = tame_head(&mut random);
    let mut op = problem(&mut random, &mut memories, &head);
    op.noise = true;
    let param = op.param as usize;
    let cases: [(usize, u64); 9] = [
        (0, COEFFICIENT as u64 + 1),
        (1, (-COEFFICIENT - 1) as u64),
        (2, u64::MAX),
        (2, (1 << 47) + 1),
        (5, 1 << 63),
        (9, 1 << 49),
        (10, 25),
        (10, 0xef),
        (10, 1 << 63),
    ];
    let ends: [(usize, u64); 5] = [
        (0, COEFFICIENT as u64),
        (3, (-COEFFICIENT) as u64),
        (2, 1 << 47),
        (10, 0xf0),
        (10, 24),
    ];
    for (good, (entry, value)) in cases
        .map(|case| (false, case))
        .into_iter()
        .chain(ends.map(|case| (true, case)))
    {
        let mut memories = memories.clone();
        memories.param[param + entry] = value;
        let mut bench = Bench::new(memories.clone(), &Context::default(), 5, 60, 2);
        bench.push(&op, 0);
        bench.run();
        let before = memories.clone();
        let result = ops::sample::execute(&op, &mut memories, &Context::default());
        assert_eq!(result.is_ok(), good, "{entry}: {value:#x}");
        if good {
            assert_eq!(bench.control.errors, [0; 0], "{entry}: {value:#x}");
            equal(&bench.memories, &memories, "at the end of a range");
        } else {
            assert_eq!(
                bench.control.errors,
                [ErrorCode::Field as u8],
                "{entry}: {value:#x}"
            );
            equal(&bench.memories, &before, "nothing is written");
        }
    }
}

/// A flush at any time: the descriptor retires soon, each value is the old or the new one, and the next descriptor is whole.
#[test]
fn flushes() {
    let mut random = Random::new(23);
    let mut memories = empty();
    let mut head = tame_head(&mut random);
    head.next_previous = 0;
    let mut op = problem(&mut random, &mut memories, &head);
    (op.pixels, op.channels, op.noise) = (40, 3, true);
    (op.state, op.stream) = (7, 9);
    let context = context(&mut random);
    let mut whole = memories.clone();
    ops::sample::execute(&op, &mut whole, &context).unwrap();
    let mut cut_short = 0;
    for at in (0..400).step_by(7) {
        let mut bench = Bench::new(memories.clone(), &context, at, 50, 2);
        bench.push(&op, 0);
        let mut waited = 0;
        while !bench.control.idle() {
            let flush = bench.cycles >= at;
            bench.cycle(flush);
            waited += u32::from(flush);
            assert!(waited < 300, "flush at {at}");
        }
        let mut changed = 0;
        for (n, got) in bench.memories.state.iter().enumerate() {
            for (c, got) in got.iter().enumerate() {
                let (old, new) = (memories.state[n][c], whole.state[n][c]);
                assert!(*got == old || *got == new, "flush at {at}: {n} {c}");
                changed += u32::from(*got != old);
            }
        }
        cut_short += u32::from(changed < 100);
        bench.memories = memories.clone();
        bench.push(&op, 0);
        bench.run();
        equal(&bench.memories, &whole, &format!("after a flush at {at}"));
    }
    assert!(cut_short > 20, "{cut_short}");
}
