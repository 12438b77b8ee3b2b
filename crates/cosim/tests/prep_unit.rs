//! The unit `prep` against `diffuser_device::ops::prep`: every word of every memory, for random descriptors of all kinds.
#![cfg(any(top_prep_small, top_prep_wide, top_prep_four))]

mod prep_cases;
#[cfg(top_prep_small)]
mod real_layers;

use diffuser_cosim::bench::{
    DescriptorPort, Random, ReadPort, WritePort, get_bits, get_signed, set_bits,
};
use diffuser_device::{Memories, Shape, ops, prep_cycles};
use diffuser_isa::{Common, Descriptor, Op, generated::Prep};
use diffuser_spec::norm::Sums;

use prep_cases::{clear_padding, descriptor, memories};

/// What one descriptor took.
#[derive(Debug)]
struct Run {
    cycles: u64,
    stream_reads: u64,
    errors: Vec<u8>,
}

/// Rows of the result, and in blocks of both planes.
fn groups_and_blocks(op: &Prep, shape: Shape) -> (usize, usize) {
    let (w, h) = ops::prep::result_size(op);
    let blocks = ops::prep::blocks(op, shape) * ops::prep::planes(op);
    (shape.rows(w * h) as usize, blocks as usize)
}

/// Runs of one model; `W` and so on are words of 32 bits of its ports.
macro_rules! bench {
    ($module:ident, $top:ident, $shape:expr) => {
        mod $module {
            use super::*;
            use diffuser_cosim::tops::$top;

            const SHAPE: Shape = $shape;
            const STREAM: usize = SHAPE.outputs / 2;
            const AFFINE: usize = SHAPE.inputs * 56 / 32;

            pub struct Bench {
                top: $top,
                pub m: Memories,
                random: Random,
                /// Of 256 cycles, those that grant nothing.
                pub stall: u32,
                /// An error elsewhere in this cycle of the next run.
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
                        flush: None,
                    }
                }

                pub fn descriptor(&mut self, kind: u32, resample: u32) -> Prep {
                    let op = descriptor(&mut self.random, SHAPE, kind, resample);
                    clear_padding(&mut self.m, &op);
                    op
                }

                /// Compares all memories behind the descriptor, and the operand's groups as `progress_o` counts them.
                pub fn check(&mut self, op: &Prep) -> Run {
                    let mut want = self.m.clone();
                    ops::prep::execute(op, &mut want).unwrap();
                    let run = self.run(op, Some(&want));
                    assert_eq!(run.errors, [0; 0], "{op:?}");
                    assert!(self.m.stream == want.stream, "stream: {op:?}");
                    assert!(self.m.operand == want.operand, "operand: {op:?}");
                    assert!(self.m.sums == want.sums, "sums: {op:?}");
                    run
                }

                pub fn run(&mut self, op: &Prep, want: Option<&Memories>) -> Run {
                    let seed = self.random.bits();
                    let stall = self.stall;
                    let latency = |r: &mut Random| 1 + r.below(6) as usize;
                    let random = &mut Random::new(seed);
                    let mut stream = ReadPort::new(seed ^ 1, latency(random), stall);
                    let mut state = ReadPort::new(seed ^ 2, latency(random), stall);
                    let mut affine = ReadPort::new(seed ^ 3, latency(random), stall);
                    let mut param = ReadPort::<u64>::new(seed ^ 4, latency(random), stall);
                    stream.set_idle([0x5a5a_a5a5; STREAM]);
                    state.set_idle([0x5a5a_a5a5; 4]);
                    affine.set_idle([0x1357_9bdf; AFFINE]);
                    param.set_idle(u64::MAX / 3);
                    let mut stream_w = WritePort::new(seed ^ 5, stall);
                    let mut operand_w = WritePort::new(seed ^ 6, stall);
                    let mut sums_w = WritePort::new(seed ^ 7, stall);
                    let mut control = DescriptorPort::new(seed ^ 8, stall);
                    let words = Descriptor {
                        common: Common::default(),
                        op: Op::Prep(op.clone()),
                    }
                    .encode()
                    .unwrap();
                    control.push(words, 0);

                    let top = &mut self.top;
                    let m = &mut self.m;
                    let (groups, blocks) = groups_and_blocks(op, SHAPE);
                    let (outputs, inputs, pixels) = (SHAPE.outputs, SHAPE.inputs, SHAPE.pixels);
                    let (mut cycles, mut progress) = (0, 0usize);
                    while !control.idle() {
                        top.set_desc_valid_i(control.valid());
                        top.set_desc_i(control.descriptor());
                        top.set_flush_i(self.flush == Some(cycles));
                        top.set_stream_rvalid_i(stream.valid());
                        top.set_stream_rdata_i(stream.data());
                        top.set_state_rvalid_i(state.valid());
                        top.set_state_rdata_i(state.data());
                        top.set_affine_rvalid_i(affine.valid());
                        top.set_affine_rdata_i(affine.data());
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
                        let gnt = state.grant(top.state_req_o(), top.state_addr_o().into(), |a| {
                            m.state[a as usize].map(|x| x as u32)
                        });
                        top.set_state_gnt_i(gnt);
                        let gnt =
                            affine.grant(top.affine_req_o(), top.affine_addr_o().into(), |a| {
                                let mut word = [0; AFFINE];
                                for i in 0..inputs {
                                    let e = m.affine[(a as usize + i) % m.affine.len()];
                                    set_bits(&mut word, i * 56, 16, e.a as u64);
                                    set_bits(&mut word, i * 56 + 16, 32, e.b as u64);
                                    set_bits(&mut word, i * 56 + 48, 8, e.shift.into());
                                }
                                word
                            });
                        top.set_affine_gnt_i(gnt);
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
                        let sums_gnt = sums_w.grant(top.sums_we_o(), top.sums_waddr_o().into());
                        top.set_sums_wgnt_i(sums_gnt);
                        top.eval();
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
                        if sums_gnt {
                            let data = top.sums_wdata_o();
                            m.sums[top.sums_waddr_o() as usize] = Sums {
                                sum: get_signed(&data, 0, 64),
                                sum_sq: get_bits(&data, 64, 64),
                            };
                        }
                        let error = top.error_o().then(|| top.error_code_o());
                        control.before_edge(top.desc_ready_o(), top.done_o(), error);
                        top.tick();
                        stream.after_edge();
                        state.after_edge();
                        affine.after_edge();
                        param.after_edge();
                        stream_w.after_edge();
                        operand_w.after_edge();
                        sums_w.after_edge();
                        cycles += 1;
                        assert!(cycles < 200_000, "no end: {op:?}");
                        // what `progress_o` promises
                        let now = top.progress_o() as usize;
                        if let Some(want) = want
                            && now > progress
                        {
                            assert_eq!(now, progress + 1, "progress in single groups");
                            for b in 0..blocks {
                                let row = op.dest as usize + b * groups + progress;
                                let at = m.operand_at(row, 0)..m.operand_at(row + 1, 0);
                                assert!(m.operand[at.clone()] == want.operand[at], "early: {op:?}");
                            }
                            progress = now;
                        }
                    }
                    assert_eq!(top.progress_o(), 0, "progress stays behind");
                    if want.is_some() && op.kind != 4 {
                        assert_eq!(progress, groups, "progress: {op:?}");
                    }
                    Run {
                        cycles,
                        stream_reads: stream.reads,
                        errors: control.errors,
                    }
                }
            }

            /// All kinds and resamplings, without and with back-pressure.
            #[test]
            fn all_kinds() {
                let mut bench = Bench::new(7);
                for round in 0..24 {
                    bench.stall = [0, 20, 128, 0, 60, 200][round % 6];
                    for kind in 0..5 {
                        for resample in 0..3 {
                            let op = bench.descriptor(kind, resample);
                            bench.check(&op);
                        }
                    }
                }
            }

            /// A word of a stream a cycle, which is read once, in all kinds and resamplings: the cycles of the model.
            #[test]
            fn throughput() {
                let mut bench = Bench::new(8);
                for (kind, resample) in (0..5).flat_map(|k| (0..3).map(move |r| (k, r))) {
                    for channels in [SHAPE.outputs, 2 * SHAPE.outputs + 1, 3] {
                        let channels = if kind == 3 { 3 } else { channels };
                        let mut op = bench.descriptor(kind, resample);
                        (op.width, op.height) = (18, 6);
                        op.channels_a = channels as u32;
                        (op.channels_b, op.stream_b, op.plane_b) = (0, 0, 0);
                        op.plane_a = 108;
                        op.plane_dest = if kind == 4 { 432 } else { 0 };
                        (op.sums, op.sums_base) = (false, 0);
                        clear_padding(&mut bench.m, &op);
                        let run = bench.check(&op);
                        let model = prep_cycles(&op, SHAPE);
                        println!(
                            "{SHAPE:?} {kind} {resample} {channels}: {}, model {model}",
                            run.cycles
                        );
                        assert!(run.cycles + 12 > model, "{op:?}: {run:?}, model {model}");
                        assert!(run.cycles <= model + 12, "{op:?}: {run:?}, model {model}");
                        let words = u64::from(op.channels_a.div_ceil(SHAPE.outputs as u32));
                        let (w, h) = ops::prep::result_size(&op);
                        if kind < 3 && resample < 2 {
                            assert_eq!(run.stream_reads, words * w * h);
                        }
                    }
                }
            }

            /// A descriptor that is given up retires soon, whenever that happens, and the next one is right.
            #[test]
            fn flush() {
                let mut bench = Bench::new(10);
                for (round, at) in [0, 1, 3, 12, 14, 20, 40, 100, 200].into_iter().enumerate() {
                    for kind in 0..5 {
                        let mut op = bench.descriptor(kind, (round % 3) as u32);
                        if at > 40 {
                            op.channels_a = 4; // one word, and long enough to be given up
                            (op.channels_b, op.stream_b, op.plane_b) = (0, 0, 0);
                            (op.width, op.height, op.plane_dest) = (32, 32, op.plane_dest);
                        }
                        bench.flush = Some(at);
                        bench.stall = 0;
                        let run = bench.run(&op, None);
                        assert!(run.cycles < at.max(14) + 120 || at < 14, "{run:?}");
                        bench.flush = None;
                        bench.stall = 60;
                        let op = bench.descriptor((kind + 1) % 5, 2);
                        bench.check(&op);
                    }
                }
            }

            /// Broken rules end in an error, and the next descriptor is right again.
            #[test]
            fn broken_rules() {
                let mut bench = Bench::new(9);
                let good = |bench: &mut Bench, kind, resample| {
                    let mut op = bench.descriptor(kind, resample);
                    (op.channels_b, op.stream_b, op.plane_b) = (0, 0, 0);
                    (op.sums, op.sums_base) = (false, 0);
                    op
                };
                let breaks: [(u32, u32, fn(&mut Prep)); 10] = [
                    (4, 0, |op| op.spread = true),
                    (1, 0, |op| op.channels_b = 1),
                    (3, 0, |op| op.channels_a = 5),
                    (0, 2, |op| op.width += 1),
                    (0, 2, |op| op.height += 1),
                    (2, 0, |op| op.silu = true),
                    (0, 0, |op| op.sums = true),
                    (0, 0, |op| op.plane_dest = 1),
                    (4, 0, |op| op.sums_base = 1),
                    (0, 0, |op| op.plane_b = 1),
                ];
                for (kind, resample, break_it) in breaks {
                    let mut op = good(&mut bench, kind, resample);
                    break_it(&mut op);
                    assert!(
                        ops::prep::execute(&op, &mut bench.m.clone()).is_err(),
                        "{op:?}"
                    );
                    let before = bench.m.clone();
                    let run = bench.run(&op, None);
                    assert_eq!(run.errors, [diffuser_isa::ErrorCode::Field as u8], "{op:?}");
                    assert!(bench.m == before);
                    let op = good(&mut bench, kind, resample);
                    bench.check(&op);
                }
            }
        }
    };
}

#[cfg(top_prep_small)]
#[test]
fn layers_of_a_real_model() {
    let mut bench = small::Bench::new(4);
    let kinds = real_layers::each(diffuser_isa::Unit::Prep, |op, _, before, _| {
        if let Op::Prep(op) = op {
            bench.m = before.clone();
            bench.check(op);
        }
    });
    assert!(kinds > 3, "{kinds}");
}

#[cfg(top_prep_small)]
bench!(small, PrepSmall, Shape::SMALL);
#[cfg(top_prep_wide)]
bench!(wide, PrepWide, Shape::ZU9EG);
#[cfg(top_prep_four)]
bench!(
    four,
    PrepFour,
    Shape {
        pixels: 4,
        outputs: 16,
        inputs: 4
    }
);
