//! The array unit's `conv` against `diffuser_device::ops::conv`: every word of every memory behind rows of random descriptors, and
//! how many of its cycles multiply.
#![cfg(any(top_array_small, top_array_wide))]

mod array_cases;
#[cfg(top_array_small)]
mod real_layers;

use std::collections::VecDeque;

use diffuser_cosim::bench::{
    DescriptorPort, Random, ReadPort, WritePort, get_bits, get_signed, set_bits,
};
use diffuser_device::{Memories, Shape, ops};
use diffuser_isa::{Common, Descriptor, Op, generated::Conv};
use diffuser_spec::norm::Sums;

use array_cases::{Bits, Chain, Run, conflicts, descriptor, issues, memories};

/// Runs of one model; `W` and so on are words of 32 bits of its ports.
macro_rules! bench {
    ($module:ident, $top:ident, $shape:expr) => {
        mod $module {
            use super::*;
            use diffuser_cosim::tops::$top;

            const SHAPE: Shape = $shape;
            const STREAM: usize = SHAPE.outputs / 2;
            const WEIGHT: usize = SHAPE.outputs * SHAPE.inputs / 4;
            const OPERAND: usize = SHAPE.pixels * SHAPE.inputs / 4;
            /// Of the operand and weight memory.
            const LATENCY: usize = 2;

            pub struct Bench {
                top: $top,
                pub m: Memories,
                random: Random,
                /// Of 256 cycles, those that grant nothing.
                pub stall: u32,
                /// Of 256 cycles, those in which a chained operand grows.
                pub progress: u32,
                /// An error elsewhere from this cycle of the next run on: nothing more is handed out.
                pub flush: Option<u64>,
            }

            impl Bench {
                pub fn new(seed: u64) -> Self {
                    let mut random = Random::new(seed);
                    let m = memories(&mut random, SHAPE);
                    let mut top = $top::with_seed(seed as i32 + 1);
                    top.set_rst_ni(false);
                    top.tick();
                    top.set_rst_ni(true);
                    Self {
                        top,
                        m,
                        random,
                        stall: 0,
                        progress: 256,
                        flush: None,
                    }
                }

                /// `count` descriptors of any kind, each with parameters of its own.
                pub fn descriptors(&mut self, count: u32) -> Vec<(Conv, bool)> {
                    let mut all: Vec<(Conv, bool)> = Vec::new();
                    for k in 0..count {
                        let kind = [0, 0, 1, 2, 3][self.random.below(5) as usize];
                        let op = descriptor(&mut self.random, &mut self.m, kind, k * 64);
                        // what it reads is told apart from the one before by its half
                        let apart = all.last().is_none_or(|(last, _)| {
                            let half = array_cases::halves(SHAPE).operand;
                            last.operand / half != op.operand / half
                        });
                        let chain = apart && self.random.chance(80);
                        all.push((op, chain));
                    }
                    all
                }

                /// Compares all memories behind the descriptors.
                pub fn check(&mut self, all: &[(Conv, bool)]) -> Run {
                    let mut want = self.m.clone();
                    for (op, _) in all {
                        ops::conv::execute(op, &mut want).unwrap();
                    }
                    let run = self.run(all);
                    assert_eq!(run.errors, [0; 0], "{all:?}");
                    assert!(self.m.stream == want.stream, "stream: {all:?}");
                    assert!(self.m.operand == want.operand, "operand: {all:?}");
                    assert!(self.m.weight == want.weight, "weight: {all:?}");
                    assert!(self.m.sums == want.sums, "sums: {all:?}");
                    let [busy, bank] = [issues, conflicts]
                        .map(|count| all.iter().map(|(op, _)| count(op, SHAPE)).sum::<u64>());
                    assert_eq!((run.busy, run.stall_bank), (busy, bank), "{all:?}");
                    run
                }

                pub fn run(&mut self, all: &[(Conv, bool)]) -> Run {
                    let seed = self.random.bits();
                    let stall = self.stall;
                    let latency = |r: &mut Random| 1 + r.below(6) as usize;
                    let random = &mut Random::new(seed);
                    let mut stream = ReadPort::new(seed ^ 1, latency(random), stall);
                    let mut sums = ReadPort::new(seed ^ 2, latency(random), stall);
                    let mut param = ReadPort::<u64>::new(seed ^ 4, latency(random), stall);
                    stream.set_idle([0x5a5a_a5a5; STREAM]);
                    sums.set_idle([0x5a5a_a5a5; 4]);
                    param.set_idle(u64::MAX / 3);
                    let mut stream_w = WritePort::new(seed ^ 5, stall);
                    let mut operand_w = WritePort::new(seed ^ 6, stall);
                    let mut sums_w = WritePort::new(seed ^ 7, stall);
                    let mut weight_w = WritePort::new(seed ^ 9, stall);
                    let mut control = DescriptorPort::new(seed ^ 8, stall);
                    for (op, chain) in all {
                        let common = Common {
                            chain: *chain,
                            ..Common::default()
                        };
                        let op = Op::Conv(op.clone());
                        control.push(Descriptor { common, op }.encode().unwrap(), 0);
                    }
                    // always granted; the words of no request are noise
                    let noise = |r: &mut Random| r.bits() as u32;
                    let mut operands: VecDeque<[u32; OPERAND]> = VecDeque::new();
                    let mut weights: VecDeque<[u32; WEIGHT]> = VecDeque::new();
                    for _ in 0..LATENCY {
                        operands.push_back([noise(random); OPERAND]);
                        weights.push_back([noise(random); WEIGHT]);
                    }

                    let top = &mut self.top;
                    let m = &mut self.m;
                    let (outputs, inputs, pixels) = (SHAPE.outputs, SHAPE.inputs, SHAPE.pixels);
                    let mut chain: Option<Chain> = None;
                    let mut run = Run::default();
                    let mut first = None;
                    loop {
                        let flush = self.flush.is_some_and(|at| run.cycles >= at);
                        if control.idle() || (flush && control.done == control.taken) {
                            break;
                        }
                        top.set_desc_valid_i(control.valid() && !flush);
                        top.set_desc_i(control.descriptor());
                        top.set_flush_i(flush);
                        top.set_chain_groups_i(chain.as_ref().map_or(0, |c| {
                            if c.groups == c.rows {
                                0xff_ffff
                            } else {
                                c.groups as u32
                            }
                        }));
                        top.set_operand_rdata_i(operands.pop_front().unwrap());
                        top.set_weight_rdata_i(weights.pop_front().unwrap());
                        top.set_stream_rvalid_i(stream.valid());
                        top.set_stream_rdata_i(stream.data());
                        top.set_sums_rvalid_i(sums.valid());
                        top.set_sums_rdata_i(sums.data());
                        top.set_param_rvalid_i(param.valid());
                        top.set_param_rdata_i(param.data());
                        top.eval();
                        let gnt =
                            stream.grant(top.stream_req_o(), top.stream_addr_o().into(), |a| {
                                let at = m.stream_at(a as usize);
                                let mut word = [0; STREAM];
                                for (l, &x) in m.stream[at..at + outputs].iter().enumerate() {
                                    set_bits(&mut word, l * 16, 16, x as u64);
                                }
                                word
                            });
                        top.set_stream_gnt_i(gnt);
                        let gnt = sums.grant(top.sums_req_o(), top.sums_addr_o().into(), |a| {
                            let s = m.sums[a as usize];
                            let mut word = [0; 4];
                            set_bits(&mut word, 0, 64, s.sum as u64);
                            set_bits(&mut word, 64, 64, s.sum_sq);
                            word
                        });
                        top.set_sums_gnt_i(gnt);
                        let gnt = param.grant(top.param_req_o(), top.param_addr_o().into(), |a| {
                            m.param[a as usize]
                        });
                        top.set_param_gnt_i(gnt);
                        let stream_gnt =
                            stream_w.grant(top.stream_we_o(), top.stream_waddr_o().into());
                        top.set_stream_wgnt_i(stream_gnt);
                        let operand_gnt =
                            operand_w.grant(top.operand_we_o(), top.operand_waddr_o().into());
                        top.set_operand_wgnt_i(operand_gnt);
                        let weight_gnt =
                            weight_w.grant(top.weight_we_o(), top.weight_waddr_o().into());
                        top.set_weight_wgnt_i(weight_gnt);
                        let sums_gnt = sums_w.grant(top.sums_we_o(), top.sums_waddr_o().into());
                        top.set_sums_wgnt_i(sums_gnt);
                        top.eval();

                        // operand and weight reads
                        let mut word = [noise(random); OPERAND];
                        if top.operand_req_o() {
                            let rows = top.operand_addr_o();
                            for b in 0..pixels {
                                let row = get_bits(&rows, b * 24, 24) as usize;
                                assert!(row < m.sizes.operand, "row {row}");
                                if top.operand_en_o() >> b & 1 == 0 {
                                    continue;
                                }
                                if let Some(c) = &chain {
                                    let count = ops::conv::planes(&c.op) * u64::from(c.op.blocks);
                                    let at = (row as u64).wrapping_sub(c.op.operand.into());
                                    assert!(
                                        at >= count * c.rows || at % c.rows < c.groups,
                                        "group {} of {}, before it is there: {:?}",
                                        at % c.rows,
                                        c.groups,
                                        c.op
                                    );
                                }
                                let at = m.operand_at(row, b);
                                for i in 0..inputs {
                                    let byte = m.operand[at + i] as u64;
                                    set_bits(&mut word, (b * inputs + i) * 8, 8, byte);
                                }
                            }
                        }
                        operands.push_back(word);
                        let mut word = [noise(random); WEIGHT];
                        if top.weight_req_o() {
                            let at = m.weight_at(top.weight_addr_o() as usize);
                            for j in 0..outputs * inputs {
                                set_bits(&mut word, j * 8, 8, m.weight[at + j] as u64);
                            }
                        }
                        weights.push_back(word);

                        // writes, after this cycle's reads
                        if stream_gnt {
                            let at = m.stream_at(top.stream_waddr_o() as usize);
                            for l in (0..outputs).filter(|l| top.stream_wstrb_o() >> l & 1 == 1) {
                                m.stream[at + l] =
                                    get_signed(&top.stream_wdata_o(), l * 16, 16) as i16;
                            }
                        }
                        if operand_gnt {
                            let row = top.operand_waddr_o() as usize;
                            for p in (0..pixels).filter(|p| top.operand_wstrb_o() >> p & 1 == 1) {
                                let at = m.operand_at(row, p);
                                for i in 0..inputs {
                                    let bit = (p * inputs + i) * 8;
                                    m.operand[at + i] =
                                        get_signed(&top.operand_wdata_o(), bit, 8) as i8;
                                }
                            }
                        }
                        if weight_gnt {
                            let at = m.weight_at(top.weight_waddr_o() as usize);
                            for j in 0..outputs * inputs {
                                if top.weight_wstrb_o().bit(j) {
                                    m.weight[at + j] =
                                        get_signed(&top.weight_wdata_o(), j * 8, 8) as i8;
                                }
                            }
                        }
                        if sums_gnt {
                            let data = top.sums_wdata_o();
                            m.sums[top.sums_waddr_o() as usize] = Sums {
                                sum: get_signed(&data, 0, 64),
                                sum_sq: get_bits(&data, 64, 64),
                            };
                        }
                        if top.busy_o() {
                            run.busy += 1;
                            run.span = run.cycles - *first.get_or_insert(run.cycles) + 1;
                        }
                        run.stall_operand += u64::from(top.stall_operand_o());
                        run.stall_bank += u64::from(top.stall_bank_o());
                        run.stall_store += u64::from(top.stall_store_o());

                        let error = top.error_o().then(|| top.error_code_o());
                        let taken = control.taken;
                        control.before_edge(top.desc_ready_o() && !flush, top.done_o(), error);
                        if let Some(c) = &mut chain {
                            c.groups =
                                (c.groups + u64::from(random.chance(self.progress))).min(c.rows);
                        }
                        if control.taken != taken {
                            let (op, chained) = &all[taken as usize];
                            chain = chained.then(|| Chain {
                                op: op.clone(),
                                groups: 0,
                                rows: SHAPE.rows(ops::conv::in_pixels(op)),
                            });
                        }
                        top.tick();
                        stream.after_edge();
                        sums.after_edge();
                        param.after_edge();
                        stream_w.after_edge();
                        operand_w.after_edge();
                        weight_w.after_edge();
                        sums_w.after_edge();
                        run.cycles += 1;
                        assert!(run.cycles < 100_000, "no end: {all:?}");
                    }
                    run.errors = control.errors;
                    run
                }
            }

            /// Rows of descriptors of all kinds, without and with back-pressure, chained to operands that grow slowly.
            #[test]
            fn random_descriptors() {
                for round in 0..120 {
                    let mut bench = Bench::new(round as u64);
                    bench.stall = [0, 20, 128, 0, 60, 200][round % 6];
                    bench.progress = [256, 10, 60, 3][round % 4];
                    let all = bench.descriptors(1 + (round % 7) as u32);
                    bench.check(&all);
                }
            }

            /// Every padding of every kernel and stride, whatever the sizes.
            #[test]
            fn paddings() {
                let mut bench = Bench::new(77);
                for (kernel, stride) in (0..3).flat_map(|kernel| [(kernel, 0), (kernel, 1)]) {
                    for (pad_top, pad_left) in
                        (0..4).flat_map(|top| (0..4).map(move |left| (top, left)))
                    {
                        let op = descriptor(&mut bench.random, &mut bench.m, 0, 0);
                        let op = Conv {
                            kernel,
                            stride,
                            pad_top,
                            pad_left,
                            ..op
                        };
                        bench.check(&[(op, false)]);
                    }
                }
            }

            /// Sums are added, slowly, while the next descriptor waits for the operand that it follows.
            #[test]
            fn sums_beside_a_chain() {
                let mut bench = Bench::new(78);
                (bench.stall, bench.progress) = (200, 3);
                let half = array_cases::halves(SHAPE).operand;
                for _ in 0..8 {
                    let first = descriptor(&mut bench.random, &mut bench.m, 0, 0);
                    let first = Conv {
                        sums: true,
                        add_sums: true,
                        ..first
                    };
                    let next = loop {
                        let next = descriptor(&mut bench.random, &mut bench.m, 0, 64);
                        if next.operand / half != first.operand / half {
                            break next;
                        }
                    };
                    bench.check(&[(first, false), (next, true)]);
                }
            }

            /// Descriptors that are given up retire soon, whenever that happens, and the next ones are right.
            #[test]
            fn flush() {
                let mut given_up = 0;
                for (round, at) in (0..30).map(|k| (k, k * k)) {
                    let mut bench = Bench::new(100 + round);
                    bench.stall = [0, 40, 200][round as usize % 3];
                    bench.progress = [256, 0][round as usize % 2];
                    let mut all = bench.descriptors(2);
                    for (k, (op, chained)) in all.iter_mut().enumerate() {
                        op.tiles += 2; // long enough to be given up
                        (op.sums_base, op.param) = (op.sums_base.min(200), k as u32 * 128);
                        // an operand that never comes
                        *chained = k == 0 && bench.progress == 0 && at > 400;
                    }
                    bench.flush = Some(at);
                    let run = bench.run(&all);
                    assert_eq!(run.errors, [0; 0]);
                    assert!(run.cycles <= at + 200, "{run:?}");
                    given_up += u64::from(run.cycles > at);
                    bench.flush = None;
                    bench.progress = 128;
                    let all = bench.descriptors(3);
                    bench.check(&all);
                }
                assert!(given_up > 20, "{given_up}");
            }

            /// Broken rules end in an error, and the descriptors around are right.
            #[test]
            fn broken_rules() {
                let mut bench = Bench::new(9);
                let breaks: [(u32, fn(&mut Conv)); 10] = [
                    (1, |op| op.residual = true),
                    (2, |op| op.sums = true),
                    (3, |op| (op.sums, op.add_sums) = (true, true)),
                    (0, |op| (op.sums, op.add_sums) = (false, true)),
                    (2, |op| op.head_blocks = 0),
                    (3, |op| op.head_blocks = 0),
                    (0, |op| (op.interleave, op.residual) = (true, true)),
                    (1, |op| op.interleave = true),
                    (2, |op| op.interleave = true),
                    (3, |op| op.interleave = true),
                ];
                for (kind, break_it) in breaks {
                    let mut bad = descriptor(&mut bench.random, &mut bench.m, kind, 512);
                    break_it(&mut bad);
                    assert!(ops::conv::execute(&bad, &mut bench.m.clone()).is_err());
                    let good = bench.descriptors(2);
                    let mut want = bench.m.clone();
                    for (op, _) in &good {
                        ops::conv::execute(op, &mut want).unwrap();
                    }
                    let all = [good[0].clone(), (bad, false), good[1].clone()];
                    let run = bench.run(&all);
                    assert_eq!(run.errors, [diffuser_isa::ErrorCode::Field as u8]);
                    assert!(bench.m == want);
                }
            }

            /// A product a cycle: over taps, groups, tiles and descriptors; the drain goes on meanwhile.
            #[test]
            fn throughput() {
                let plain = Conv {
                    tiles: 3,
                    in_width: 16,
                    in_height: 12,
                    out_width: 16,
                    out_height: 12,
                    dest_plane: 192,
                    ..Conv::default()
                };
                let three = Conv {
                    kernel: 1,
                    pad_top: 1,
                    pad_left: 1,
                    ..plain.clone()
                };
                let p = SHAPE.pixels as u32;
                let odd = |op: &Conv| Conv {
                    in_width: 13,
                    out_width: 13,
                    ..op.clone()
                };
                let small = Conv {
                    tiles: 1,
                    in_width: 4,
                    in_height: 4,
                    out_width: 4,
                    out_height: 4,
                    dest_plane: 16,
                    ..three.clone()
                };
                // name, descriptor, times, blocks, cycles lost from the first product to the last
                let phase = Conv {
                    kernel: 2,
                    interleave: true,
                    sums: true,
                    add_sums: true,
                    dest_plane: 64,
                    ..small.clone()
                };
                let cases: [(&str, Conv, u32, u32, u64); 13] = [
                    ("3x3", three.clone(), 1, 8, 0),
                    ("3x3, one block", three.clone(), 1, 1, 0),
                    ("3x3, width 13", odd(&three), 1, 3, 0),
                    (
                        "3x3 with residual and sums",
                        Conv {
                            residual: true,
                            residual_at: 2048,
                            sums: true,
                            ..three.clone()
                        },
                        1,
                        2,
                        0,
                    ),
                    ("1x1", plain.clone(), 1, p + 1, 0),
                    // the drain has no cycle to spare: two for a tile
                    ("1x1, P blocks", plain.clone(), 1, p, 0),
                    ("3x3 on 4x4, single tiles", small.clone(), 6, 8, 6),
                    // the sums of a tile are added while the next one is multiplied
                    (
                        "2x2 on 4x4 to 8x8, added sums",
                        Conv {
                            tiles: 2,
                            ..phase.clone()
                        },
                        4,
                        3 * p,
                        4,
                    ),
                    (
                        "2x2, interleaved",
                        Conv {
                            kernel: 2,
                            interleave: true,
                            dest_plane: 768,
                            ..three.clone()
                        },
                        1,
                        p,
                        0,
                    ),
                    (
                        "2x2, interleaved, width 13, no cycle to spare",
                        Conv {
                            kernel: 2,
                            pad_top: 1,
                            pad_left: 0,
                            interleave: true,
                            tiles: 2,
                            dest_plane: 768,
                            ..odd(&three)
                        },
                        1,
                        p / 4 + 1,
                        0,
                    ),
                    (
                        "two planes",
                        Conv {
                            planes: true,
                            ..three.clone()
                        },
                        1,
                        1,
                        0,
                    ),
                    (
                        "3x3 stride 2, spread",
                        Conv {
                            stride: 1,
                            spread: true,
                            out_width: 8,
                            out_height: 6,
                            ..three.clone()
                        },
                        1,
                        2,
                        0,
                    ),
                    (
                        "3x3 stride 2",
                        Conv {
                            stride: 1,
                            out_width: 8,
                            out_height: 6,
                            ..three.clone()
                        },
                        1,
                        2,
                        0,
                    ),
                ];
                for (name, op, times, blocks, lost) in cases {
                    let mut bench = Bench::new(3);
                    let op = Conv { blocks, ..op };
                    let run = bench.check(&vec![(op.clone(), false); times as usize]);
                    println!("{SHAPE:?} {name}: {run:?}");
                    assert!(
                        run.span <= run.busy + run.stall_bank + lost,
                        "{name}: {run:?}"
                    );
                    assert!(run.cycles <= run.span + 130, "{name}: {run:?}");
                }
            }
        }
    };
}

#[cfg(top_array_small)]
#[test]
fn layers_of_a_real_model() {
    let mut bench = small::Bench::new(4);
    let kinds = real_layers::each(diffuser_isa::Unit::Array, |op, _, before, _| {
        if let Op::Conv(op) = op {
            bench.m = before.clone();
            bench.check(&[(*op, false)]);
        }
    });
    assert!(kinds > 10, "{kinds}");
}
#[cfg(top_array_small)]
bench!(small, ArraySmall, Shape::SMALL);
#[cfg(top_array_wide)]
bench!(
    wide,
    ArrayWide,
    Shape {
        pixels: 8,
        outputs: 16,
        inputs: 8
    }
);
