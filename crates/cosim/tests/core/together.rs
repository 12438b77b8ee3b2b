//! Everything at once: all units work on regions of their own of every memory, with no wait but for what was set up, so that they meet at memories and at the bus in
//! every way that they can. Results do not depend on who waits for whom.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_isa::generated::{
    Attention, AttentionHead, Conv, ConvChannel, ConvHead, End, Norm, NormChannel, NormHead, Prep,
    PrepHead, Sample, SampleHead,
};
use diffuser_isa::{Descriptor, Op, Space, Unit};

use crate::run::{compare, job, load, step, store};

/// Pixels of all tensors, and their channels.
const SIZE: (u32, u32) = (8, 4);
const PIXELS: u32 = SIZE.0 * SIZE.1;
const CHANNELS: u32 = 16;
/// Blocks of 8 channels.
const BLOCKS: u32 = CHANNELS / 8;

/// So many that all results have places of their own.
const ROUNDS: u32 = 24;

/// Entries of the parameter memory.
const CONV: u32 = 0;
const PREP: u32 = 32;
const NORM: u32 = 40;
const ATTENTION: u32 = 80;
const SAMPLE: u32 = 96;

/// Where the data for each space lie, in bytes, and where results go.
const STREAM_AT: usize = 0;
const STATE_AT: usize = 32 << 10;
const WEIGHT_AT: usize = 48 << 10;
const PARAM_AT: usize = 112 << 10;
const OUT_AT: usize = 128 << 10;
const BYTES: usize = 256 << 10;

/// A program, and how many descriptors each unit has.
#[derive(Default)]
struct Program {
    descriptors: Vec<Descriptor>,
    counts: [i32; 5],
}

impl Program {
    /// Waits for `counts` of the units' descriptors.
    fn push(&mut self, counts: [i32; 5], chain: bool, op: Op) {
        let mut descriptor = step(counts.map(|n| (n > 0).then_some(n)), op);
        descriptor.common.chain = chain;
        if let Some(unit) = op.unit() {
            self.counts[unit as usize] += 1;
        }
        self.descriptors.push(descriptor);
    }
}

fn data(random: &mut Random) -> Vec<u8> {
    let mut data: Vec<u8> = (0..BYTES).map(|_| random.bits() as u8).collect();
    for byte in &mut data[WEIGHT_AT..PARAM_AT] {
        *byte = if *byte == 0x80 { 0x81 } else { *byte };
    }
    let mut put = |entry: u32, words: &[u64]| {
        for (i, word) in words.iter().enumerate() {
            let at = PARAM_AT + 8 * (entry as usize + i);
            data[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
    };
    let conv = ConvHead {
        zero_point: -3,
        residual_shift: 1,
    };
    put(CONV, &conv.encode().expect("in range"));
    for c in 0..CHANNELS {
        let channel = ConvChannel {
            bias: 1000 * c as i32 - 4000,
            mantissa: 40_000 + c,
            shift: 22,
        };
        put(CONV + 1 + c, &channel.encode().expect("in range"));
        let channel = NormChannel {
            gamma: 1 << 16,
            beta: 100 * c as i32,
        };
        put(NORM + 2 + c, &channel.encode().expect("in range"));
    }
    let prep = PrepHead {
        gain: 120,
        zero_point: -3,
        shift: 12,
    };
    put(PREP, &prep.encode().expect("in range"));
    let norm = NormHead {
        eps: 1 << 20,
        exponent: 10,
        ..NormHead::default()
    };
    put(NORM, &norm.encode().expect("in range"));
    let attention = AttentionHead {
        mantissa: 40_000,
        shift: 20,
        gain: 20_000,
    };
    put(ATTENTION, &attention.encode().expect("in range"));
    let sample = SampleHead {
        x0_state: 1 << 32,
        x0_stream: -(1 << 31),
        clip: 1 << 24,
        eps_stream: 1 << 32,
        next_state: 1 << 30,
        next_x0: 1 << 31,
        next_eps: 1 << 30,
        next_previous: -(1 << 28),
        next_noise: 1 << 29,
        exponent: 10,
        ..SampleHead::default()
    };
    put(SAMPLE, &sample.encode().expect("in range"));
    data
}

fn prep(kind: u32) -> Prep {
    let planes = kind == 3;
    Prep {
        kind,
        channels_a: if planes { 3 } else { CHANNELS },
        width: SIZE.0,
        height: SIZE.1,
        plane_a: PIXELS,
        param: PREP,
        ..Prep::default()
    }
}

fn norm(affine: u32, groups: u32) -> Op {
    Op::Norm(Norm {
        channels_a: CHANNELS,
        group_channels: CHANNELS / groups,
        groups,
        affine,
        param: NORM,
        count: CHANNELS / groups * PIXELS,
        ..Norm::default()
    })
}

/// What every unit reads: noise in stream, state and weight memory, sums and affine maps of a stream, operands of one and of two planes.
fn set_up(program: &mut Program) {
    let sums = Prep {
        sums: true,
        dest: 2048,
        plane_dest: PIXELS,
        ..prep(4)
    };
    let planes = Prep {
        dest: 64,
        ..prep(2)
    };
    for op in [
        load(Space::Stream, 0, 2048, STREAM_AT),
        load(Space::State, 0, 1024, STATE_AT),
        load(Space::Weight, 0, 1024, WEIGHT_AT),
        load(Space::Param, 0, 512, PARAM_AT),
        Op::Prep(sums),
        norm(0, 4),
        norm(CHANNELS, 2),
        Op::Prep(prep(1)),
        Op::Prep(planes),
    ] {
        let counts = program.counts;
        program.push(counts, false, op);
    }
}

/// `place` is another from one to the next: their results lie apart.
fn of_prep(random: &mut Random, place: u32) -> Prep {
    let stream = Prep {
        sums: random.chance(128),
        stream_a: 256 * random.below(4) as u32,
        dest: 4096 + 256 * place,
        ..prep(4)
    };
    let stream = Prep {
        sums_base: if stream.sums { 256 + 16 * place } else { 0 },
        ..stream
    };
    let operand = Prep {
        dest: 1024 + 128 * place,
        ..prep(0)
    };
    // one of three makes what a convolution may follow
    match random.below(8) {
        0 => Prep {
            plane_dest: PIXELS,
            ..stream
        },
        1 => Prep {
            resample: 1,
            plane_dest: 4 * PIXELS,
            ..stream
        },
        2 => Prep {
            silu: true,
            channels_b: CHANNELS,
            stream_b: 1024,
            plane_b: PIXELS,
            ..operand
        },
        3 => Prep { kind: 2, ..operand },
        4 => Prep {
            stream_a: 0,
            ..Prep {
                dest: operand.dest,
                ..prep(3)
            }
        },
        _ => Prep { kind: 1, ..operand },
    }
}

fn of_array(random: &mut Random, place: u32) -> Op {
    let planes = random.chance(64);
    let conv = Conv {
        planes,
        blocks: BLOCKS,
        operand: if planes { 64 } else { 0 },
        tiles: BLOCKS,
        weights: random.below(64) as u32,
        in_width: SIZE.0,
        in_height: SIZE.1,
        out_width: SIZE.0,
        out_height: SIZE.1,
        dest: 12_288 + 256 * place,
        dest_plane: PIXELS,
        param: CONV,
        ..Conv::default()
    };
    let sums = Conv {
        sums: true,
        sums_base: 1024 + 16 * place,
        ..conv
    };
    // one of three writes keys or values
    Op::Conv(match random.below(9) {
        0 => Conv {
            kernel: 1,
            pad_top: 1,
            pad_left: 1,
            ..sums
        },
        1 => Conv {
            residual: true,
            residual_at: 256 * random.below(4) as u32,
            ..sums
        },
        2 => Conv {
            kernel: 1,
            stride: 1,
            pad_top: 1,
            pad_left: 1,
            out_width: SIZE.0 / 2,
            out_height: SIZE.1 / 2,
            dest_plane: PIXELS / 4,
            ..conv
        },
        3 => Conv {
            kernel: 2,
            interleave: true,
            dest_plane: 4 * PIXELS,
            ..conv
        },
        4 => Conv {
            dest_kind: 1,
            dest: 4096 + 64 * place,
            ..conv
        },
        kind @ 5..8 => Conv {
            dest_kind: 2 + kind as u32 % 2,
            dest: 1024 + 64 * place,
            head_blocks: 1,
            ..conv
        },
        _ => {
            return Op::Attention(Attention {
                heads: 2,
                head_blocks: 1,
                pixels: PIXELS,
                key: random.below(64) as u32,
                value: 64 + random.below(64) as u32,
                dest: 4096 + 64 * place,
                param: ATTENTION,
                ..Attention::default()
            });
        }
    })
}

fn of_dma(random: &mut Random, place: u32) -> Op {
    let from = 4096 * random.below(4) as usize;
    match random.below(10) {
        0 | 7 => load(Space::Weight, 3072 + 16 * place, 16, WEIGHT_AT + from),
        1 => load(Space::Weight4, 3072 + 16 * place, 8, WEIGHT_AT + from),
        2 => load(Space::Param, 1024 + 16 * place, 16, PARAM_AT + from),
        3 => load(Space::Stream, 24_576 + 64 * place, 64, STREAM_AT + from),
        4 => load(Space::State, 896 + 2 * place, 2, STATE_AT + from),
        5 | 8 => store(
            Space::Stream,
            64 * (place % 16),
            62,
            OUT_AT + 1024 * place as usize,
        ),
        _ => {
            let space = if random.chance(128) {
                Space::State
            } else {
                Space::Pixel
            };
            store(space, 4 * place, 61, OUT_AT + 1024 * place as usize)
        }
    }
}

/// `rounds` of what all units do with no wait for each other, but where a `conv` follows a `prep`.
fn program(random: &mut Random, rounds: u32) -> Vec<Descriptor> {
    let mut program = Program::default();
    set_up(&mut program);
    let ready = program.counts;
    for round in 0..rounds {
        for unit in [
            Unit::Dma,
            Unit::Prep,
            Unit::Array,
            Unit::Norm,
            Unit::Sample,
            Unit::Dma,
        ] {
            let place = round;
            let op = match unit {
                Unit::Dma => of_dma(random, program.counts[0] as u32),
                Unit::Norm => norm(64 + 16 * place, [1, 4, 16][random.below(3) as usize]),
                Unit::Prep => {
                    let op = of_prep(random, place);
                    program.push(ready, false, Op::Prep(op));
                    if op.kind == 1 && random.chance(192) {
                        // of the operand that is being written
                        let mut waits = ready;
                        waits[Unit::Prep as usize] = program.counts[Unit::Prep as usize];
                        let conv = Conv {
                            blocks: BLOCKS,
                            operand: op.dest,
                            tiles: 1,
                            in_width: SIZE.0,
                            in_height: SIZE.1,
                            out_width: SIZE.0,
                            out_height: SIZE.1,
                            dest: 20_480 + PIXELS * place,
                            dest_plane: PIXELS,
                            param: CONV,
                            ..Conv::default()
                        };
                        program.push(waits, true, Op::Conv(conv));
                    }
                    continue;
                }
                Unit::Array => of_array(random, place),
                Unit::Sample => Op::Sample(Sample {
                    stream: 32 * random.below(16) as u32,
                    channels: 1 + random.below(4) as u32,
                    noise: random.chance(128),
                    pixels: 16,
                    state: 512 + 16 * place,
                    param: SAMPLE,
                    ..Sample::default()
                }),
            };
            let mut waits = ready;
            // sometimes it is the last load that the array waits for, though it needs it not
            if unit == Unit::Array && random.chance(64) {
                waits[Unit::Dma as usize] = program.counts[Unit::Dma as usize];
            }
            program.push(waits, false, op);
        }
    }
    program.push([0; 5], false, Op::End(End::default()));
    program.descriptors
}

fn run(seed: u64, config: DdrConfig) {
    let mut random = Random::new(seed);
    let data = data(&mut random);
    let program = program(&mut random, ROUNDS);
    compare(&job(&program, data, vec![0; 4096], 1), &program, config);
}

#[test]
fn units_that_meet_at_every_memory() {
    for seed in 0..10 {
        run(
            100 + seed,
            DdrConfig {
                seed,
                ..DdrConfig::default()
            },
        );
    }
}

/// Data come soon, but ports are seldom ready.
#[test]
fn units_that_meet_and_a_bus_that_holds_back() {
    for seed in 0..10 {
        let config = DdrConfig {
            seed,
            latency: 5,
            stall: 170,
            refresh_period: 300,
            outstanding: 2,
            ..DdrConfig::default()
        };
        run(200 + seed, config);
    }
}
