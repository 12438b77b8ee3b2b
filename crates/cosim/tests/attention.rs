//! The controller of `attention` with its array against `diffuser_device::ops::attention`, bit for bit.
#![cfg(any(top_attention_small, top_attention_wide, top_attention_four))]

#[cfg(top_attention_small)]
mod real_layers;

use diffuser_cosim::bench::{DescriptorPort, Random, ReadPort, WritePort};
use diffuser_device::{Memories, Shape, Sizes, ops};
use diffuser_isa::{Common, Descriptor, ErrorCode, Op, generated::Attention};

/// How Q, K and V are filled.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Any operand.
    Uniform,
    /// Small ones: many weights of one size.
    Small,
    /// Only ±127: logits and sums at their limits.
    Extreme,
}

const FILLS: [Fill; 3] = [Fill::Uniform, Fill::Small, Fill::Extreme];

fn fill(values: &mut [i8], random: &mut Random, how: Fill) {
    values.fill_with(|| match how {
        Fill::Uniform => random.range(-127, 127) as i8,
        Fill::Small => random.range(-6, 6) as i8,
        Fill::Extreme => [-127, 127][random.below(2) as usize],
    });
}

/// A memory's word; arrays of this length have no default.
#[derive(Clone, Copy)]
struct Word<const N: usize>([u32; N]);

impl<const N: usize> Default for Word<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Word<N> {
    fn of(bytes: &[i8]) -> Self {
        Self(std::array::from_fn(|w| {
            let bytes: [i8; 4] = bytes[4 * w..4 * w + 4].try_into().unwrap();
            u32::from_le_bytes(bytes.map(|b| b as u8))
        }))
    }
}

/// What one descriptor took.
#[derive(Debug)]
struct Run {
    cycles: u64,
    busy: u64,
    errors: Vec<u8>,
}

macro_rules! bench {
    ($module:ident, $top:ident, $shape:expr, $keys:expr) => {
        mod $module {
            use super::*;
            use diffuser_cosim::tops::$top;

            const SHAPE: Shape = $shape;
            const MAX_KEYS: u32 = $keys;
            const OPERAND: usize = SHAPE.pixels * SHAPE.inputs / 4;
            const WEIGHT: usize = SHAPE.outputs * SHAPE.inputs / 4;

            pub struct Bench {
                top: $top,
                pub m: Memories,
                random: Random,
                /// Of 256 cycles, those that grant nothing.
                stall: u32,
                flush: Option<u64>,
            }

            impl Bench {
                pub fn new(seed: u64) -> Self {
                    let mut top = $top::with_seed(seed as i32 + 1);
                    top.set_rst_ni(false);
                    top.tick();
                    top.set_rst_ni(true);
                    Self {
                        top,
                        m: Memories::new(SHAPE, Sizes::SMALL),
                        random: Random::new(seed),
                        stall: 0,
                        flush: None,
                    }
                }

                /// New memories and a descriptor, with the result over Q or beside it.
                fn descriptor(
                    &mut self,
                    heads: u32,
                    head_blocks: u32,
                    pixels: u32,
                    how: Fill,
                ) -> Attention {
                    let random = &mut self.random;
                    fill(&mut self.m.operand, random, how);
                    fill(&mut self.m.weight, random, how);
                    let op = Attention {
                        heads,
                        head_blocks,
                        pixels,
                        query: random.below(50) as u32,
                        key: [0, random.below(20)][random.below(2) as usize] as u32,
                        value: 0,
                        dest: 0,
                        param: [0, random.below(100)][random.below(2) as usize] as u32,
                    };
                    let keys = heads as u64
                        * ops::attention::key_tiles(&op, SHAPE)
                        * u64::from(head_blocks);
                    let rows = u64::from(heads * head_blocks) * SHAPE.rows(pixels.into());
                    let value = u64::from(op.key) + keys + random.below(5);
                    let dest = match random.below(2) {
                        0 => u64::from(op.query),
                        _ => u64::from(op.query) + rows + random.below(5),
                    };
                    // differences of logits to some 2^11, or any scale at all
                    let magnitude = match how {
                        Fill::Uniform => 22,
                        Fill::Small => 12,
                        Fill::Extreme => 24,
                    };
                    let shift = match random.below(4) {
                        0 => random.range(1, 62),
                        _ => random.range(magnitude - 2, magnitude + 3),
                    };
                    let mantissa = random.range(32768, 65535);
                    let gain = random.range(0, 32767);
                    self.m.param[op.param as usize] = (mantissa | shift << 16 | gain << 24) as u64;
                    Attention {
                        value: value as u32,
                        dest: dest as u32,
                        ..op
                    }
                }

                pub fn check(&mut self, op: &Attention) -> Run {
                    let mut want = self.m.clone();
                    ops::attention::execute(op, &mut want).unwrap();
                    let run = self.run(op);
                    assert_eq!(run.errors, [0; 0], "{op:?}");
                    let at = self
                        .m
                        .operand
                        .iter()
                        .zip(&want.operand)
                        .position(|(a, b)| a != b);
                    if let Some(at) = at {
                        let bank = at / SHAPE.inputs;
                        panic!(
                            "row {}, bank {}, byte {}: {} for {}; {op:?}, head {:#x}",
                            bank / SHAPE.pixels,
                            bank % SHAPE.pixels,
                            at % SHAPE.inputs,
                            self.m.operand[at],
                            want.operand[at],
                            self.m.param[op.param as usize],
                        );
                    }
                    run
                }

                fn run(&mut self, op: &Attention) -> Run {
                    let seed = self.random.bits();
                    let latency = 1 + self.random.below(4) as usize;
                    let mut operand = ReadPort::new(seed, 2, 0);
                    let mut weight = ReadPort::new(seed, 2, 0);
                    operand.set_idle(Word([0x8181_7f7f; OPERAND]));
                    weight.set_idle(Word([0x7f81_7f81; WEIGHT]));
                    let mut param = ReadPort::<u64>::new(seed ^ 1, latency, self.stall);
                    param.set_idle(u64::MAX / 3);
                    let mut write = WritePort::new(seed ^ 2, self.stall);
                    let mut control = DescriptorPort::new(seed ^ 3, self.stall);
                    let common = Common::default();
                    let op_words = Descriptor {
                        common,
                        op: Op::Attention(op.clone()),
                    }
                    .encode()
                    .unwrap();
                    control.push(op_words, 0);
                    let (top, m) = (&mut self.top, &mut self.m);
                    let mut run = Run {
                        cycles: 0,
                        busy: 0,
                        errors: Vec::new(),
                    };
                    while !control.idle() {
                        top.set_desc_valid_i(control.valid());
                        top.set_desc_i(control.descriptor());
                        top.set_flush_i(self.flush == Some(run.cycles));
                        top.set_operand_rdata_i(operand.data().0);
                        top.set_weight_rdata_i(weight.data().0);
                        top.set_param_rvalid_i(param.valid());
                        top.set_param_rdata_i(param.data());
                        top.eval();
                        operand.grant(top.operand_req_o(), top.operand_addr_o().into(), |a| {
                            let at = m.operand_at(a as usize, 0);
                            Word::of(&m.operand[at..at + 4 * OPERAND])
                        });
                        weight.grant(top.weight_req_o(), top.weight_addr_o().into(), |a| {
                            let at = m.weight_at(a as usize);
                            Word::of(&m.weight[at..at + 4 * WEIGHT])
                        });
                        let gnt = param.grant(top.param_req_o(), top.param_addr_o().into(), |a| {
                            m.param[a as usize]
                        });
                        top.set_param_gnt_i(gnt);
                        let gnt = write.grant(top.operand_we_o(), top.operand_waddr_o().into());
                        top.set_operand_wgnt_i(gnt);
                        top.eval();
                        if gnt {
                            let at = m.operand_at(top.operand_waddr_o() as usize, 0);
                            for (w, word) in top.operand_wdata_o().iter().enumerate() {
                                for (b, byte) in word.to_le_bytes().into_iter().enumerate() {
                                    let byte_at = 4 * w + b;
                                    if top.operand_wstrb_o() >> (byte_at / SHAPE.inputs) & 1 == 1 {
                                        m.operand[at + byte_at] = byte as i8;
                                    }
                                }
                            }
                        }
                        run.busy += u64::from(top.busy_o());
                        let error = top.error_o().then(|| top.error_code_o());
                        control.before_edge(top.desc_ready_o(), top.done_o(), error);
                        top.tick();
                        operand.after_edge();
                        weight.after_edge();
                        param.after_edge();
                        write.after_edge();
                        run.cycles += 1;
                        assert!(run.cycles < 100_000, "no end: {op:?}");
                    }
                    run.errors = control.errors;
                    run
                }
            }

            /// One head and several, all sorts of numbers of keys, results over Q and beside it.
            #[test]
            fn heads_and_sizes() {
                let mut bench = Bench::new(5);
                let outputs = SHAPE.outputs as u32;
                let pixels = [
                    1,
                    2,
                    3,
                    4,
                    outputs - 1,
                    outputs,
                    outputs + 1,
                    2 * outputs,
                    3 * outputs - 2,
                    MAX_KEYS / 2 + 3,
                ];
                for (i, &n) in pixels.iter().enumerate() {
                    bench.stall = [0, 30, 128, 0, 200][i % 5];
                    for (j, how) in FILLS.into_iter().enumerate() {
                        let heads = 1 + (3 * i as u32 + j as u32) % 8;
                        let blocks = 1 + (i as u32 + 2 * j as u32) % 5;
                        let room = 500 / (n.div_ceil(outputs) * heads.max(blocks)).max(1);
                        let op = bench.descriptor(heads.min(room.max(1)), blocks, n, how);
                        bench.check(&op);
                    }
                }
            }

            /// Few and many heads of few and many blocks, every number of pixels past a tile; the head's largest values.
            #[test]
            fn heads_and_blocks() {
                let mut bench = Bench::new(8);
                for (heads, blocks) in
                    (1..4).flat_map(|heads| (1..4).map(move |blocks| (heads, blocks)))
                {
                    let n = SHAPE.outputs as u32 + 3 * heads + blocks;
                    let op = bench.descriptor(heads, blocks, n, FILLS[blocks as usize % 3]);
                    // V before K
                    let op = Attention {
                        key: 200,
                        value: 0,
                        ..op
                    };
                    bench.m.param[op.param as usize] |= 65535 | 32767 << 24;
                    bench.check(&op);
                }
            }

            /// As many keys as fit, at every size of a difference.
            #[test]
            fn most_keys() {
                let mut bench = Bench::new(6);
                for how in FILLS {
                    let op = bench.descriptor(1, 2, MAX_KEYS, how);
                    // some tens of keys with weight, results that do not saturate
                    let (shift, gain) = match how {
                        Fill::Uniform => (23, 300),
                        Fill::Small => (14, 9000),
                        Fill::Extreme => (25, 300),
                    };
                    bench.m.param[op.param as usize] = 40000 | shift << 16 | gain << 24;
                    bench.check(&op);
                    let at = bench.m.operand_at(op.dest as usize, 0);
                    let mut seen =
                        bench.m.operand[at..at + 2 * MAX_KEYS as usize * SHAPE.inputs].to_vec();
                    seen.sort_unstable();
                    seen.dedup();
                    assert!(seen.len() > 40, "{how:?}: results are but {seen:?}");
                }
                // uniform weights: the largest sums
                let op = bench.descriptor(1, 2, MAX_KEYS, Fill::Uniform);
                bench.m.param[op.param as usize] = 32768 | 62 << 16 | 32767 << 24;
                bench.check(&op);
            }

            /// Every shift of the head's multiplier.
            #[test]
            fn shifts() {
                let mut bench = Bench::new(7);
                for shift in 1..=62u64 {
                    let how = FILLS[shift as usize % 3];
                    let op = bench.descriptor(1, 1, SHAPE.pixels as u32 + 3, how);
                    bench.m.param[op.param as usize] =
                        (32768 + 528 * shift) | shift << 16 | 20000 << 24;
                    bench.check(&op);
                }
            }

            /// The array works nearly always where a head is wide enough.
            #[test]
            fn cycles() {
                let mut bench = Bench::new(8);
                let blocks = (MAX_KEYS.min(256) / SHAPE.inputs as u32).max(4);
                let op = bench.descriptor(1, blocks, MAX_KEYS, Fill::Uniform);
                let run = bench.check(&op);
                let groups = SHAPE.rows(MAX_KEYS.into());
                let keys = ops::attention::key_tiles(&op, SHAPE);
                let array = keys * u64::from(blocks)
                    + ops::attention::value_tiles(&op, SHAPE)
                        * ops::attention::key_blocks(&op, SHAPE);
                let softmax = 2 * SHAPE.pixels as u64 * keys;
                let drain = SHAPE.pixels as u64 * u64::from(blocks);
                let ideal = groups * array.max(softmax).max(drain);
                println!(
                    "{SHAPE:?} {op:?}: {} cycles, array busy {}, ideal {ideal}",
                    run.cycles, run.busy
                );
                assert_eq!(run.busy, groups * array);
                assert!(
                    run.cycles <= ideal + 2 * array + 250,
                    "{run:?}, ideal {ideal}"
                );
            }

            /// More keys than the build has room for end in an error; a flush ends the descriptor; the next one is right.
            #[test]
            fn refused_and_flushed() {
                let mut bench = Bench::new(9);
                let op = bench.descriptor(1, 1, MAX_KEYS + 1, Fill::Uniform);
                let before = bench.m.clone();
                assert_eq!(bench.run(&op).errors, [ErrorCode::Field as u8]);
                assert!(bench.m == before);
                for at in [1, 3, 5, 10, 40, 60, 90, 150, 260] {
                    let op = bench.descriptor(2, 2, MAX_KEYS - 5, Fill::Uniform);
                    bench.flush = Some(at);
                    bench.stall = 20;
                    let run = bench.run(&op);
                    assert!(at < 3 || run.cycles < at + 300, "{run:?}");
                    bench.flush = None;
                    let op = bench.descriptor(2, 1, 2 * SHAPE.outputs as u32 - 3, Fill::Small);
                    bench.check(&op);
                }
            }
        }
    };
}

#[cfg(top_attention_small)]
#[test]
fn layers_of_a_real_model() {
    let mut bench = small::Bench::new(4);
    let mut count = 0;
    real_layers::each(diffuser_isa::Unit::Array, |op, _, before, _| {
        if let Op::Attention(op) = op {
            bench.m = before.clone();
            bench.check(op);
            count += 1;
        }
    });
    assert!(count > 0);
}

#[cfg(top_attention_small)]
bench!(small, AttentionSmall, Shape::SMALL, 128);
#[cfg(top_attention_wide)]
bench!(
    wide,
    AttentionWide,
    Shape {
        pixels: 8,
        outputs: 16,
        inputs: 8
    },
    256
);
#[cfg(top_attention_four)]
bench!(
    four,
    AttentionFour,
    Shape {
        pixels: 4,
        outputs: 16,
        inputs: 4
    },
    64
);
