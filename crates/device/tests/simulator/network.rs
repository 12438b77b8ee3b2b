//! A network of two convolutions and a norm in a loop, with as few waits as are right.

use diffuser_device::host::Job;
use diffuser_device::{Context, Ddr, Memories, Shape, Sizes, ops};
use diffuser_isa::generated::*;
use diffuser_isa::{Common, Op, Space, Unit};

use crate::program::*;

pub const STEPS: u32 = 3;
/// Entries of parameters in a record.
const PARAM_WORDS: u32 = 41;
const STRIDE: u32 = 384;
/// Offsets of data in units of 64 bytes: result, weights.
pub const RESULT: u32 = 4;
const WEIGHTS: u32 = 8;
const WEIGHT_WORDS: u32 = 9;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

fn record(seed: &mut u64) -> Vec<u8> {
    let mut words = Vec::new();
    let prep = PrepHead {
        shift: 12,
        ..PrepHead::default()
    };
    words.extend(prep.encode().unwrap());
    let conv = |words: &mut Vec<u64>, seed: &mut u64, shift: u32| {
        let head = ConvHead {
            zero_point: (random(seed) % 20) as i32,
            residual_shift: 0,
        };
        words.extend(head.encode().unwrap());
        for _ in 0..8 {
            let channel = ConvChannel {
                bias: (random(seed) % 4096) as i32,
                mantissa: 32768 + (random(seed) % 32768) as u32,
                shift,
            };
            words.extend(channel.encode().unwrap());
        }
    };
    conv(&mut words, seed, 24);
    let norm = NormHead {
        eps: 1 << 24,
        exponent: 8,
        gap_a: 0,
        gap_b: 0,
    };
    words.extend(norm.encode().unwrap());
    for _ in 0..8 {
        let channel = NormChannel {
            gamma: 1 << 16 | (random(seed) % 4096) as i32,
            beta: (random(seed) % 4096) as i32,
        };
        words.extend(channel.encode().unwrap());
    }
    let prep = PrepHead {
        gain: 2000,
        zero_point: (random(seed) % 20) as i32,
        shift: 0,
    };
    words.extend(prep.encode().unwrap());
    conv(&mut words, seed, 22);
    let sample = SampleHead {
        x0_state: 1 << 32,
        x0_stream: (random(seed) % (1 << 30)) as i64,
        clip: 1 << 26,
        eps_stream: 1 << 31,
        next_state: 1 << 31,
        next_x0: 1 << 30,
        next_eps: (random(seed) % (1 << 30)) as i64,
        next_previous: 1 << 29,
        next_noise: 1 << 28,
        exponent: 10,
        ..SampleHead::default()
    };
    words.extend(sample.encode().unwrap());
    assert_eq!(words.len(), PARAM_WORDS as usize);
    padded(entries(&words), STRIDE as usize)
}

const fn conv(op: Conv) -> Op {
    Op::Conv(Conv {
        kernel: 1,
        pad_top: 1,
        pad_left: 1,
        blocks: 1,
        tiles: 1,
        in_width: 4,
        in_height: 4,
        out_width: 4,
        out_height: 4,
        dest_plane: 16,
        ..op
    })
}

/// The program. Nothing in it waits without need: see the table at the end of `docs/isa.md`.
pub fn program() -> Vec<(Common, Op)> {
    let from_state = Op::Prep(Prep {
        kind: 3,
        channels_a: 3,
        width: 4,
        height: 4,
        dest: 10,
        ..DEFAULT_PREP
    });
    let from_norm = Op::Prep(Prep {
        silu: true,
        channels_a: 8,
        width: 4,
        height: 4,
        stream_a: 20,
        plane_a: 16,
        dest: 30,
        param: 20,
        ..DEFAULT_PREP
    });
    let norm = Op::Norm(Norm {
        sums_a: 7,
        channels_a: 8,
        group_channels: 4,
        groups: 2,
        param: 10,
        count: 64,
        ..DEFAULT_NORM
    });
    let first_conv = conv(Conv {
        planes: true,
        sums: true,
        sums_base: 7,
        operand: 10,
        weights: 0,
        dest: 20,
        param: 1,
        ..DEFAULT_CONV
    });
    let second_conv = conv(Conv {
        operand: 30,
        weights: 50,
        dest: 40,
        param: 21,
        ..DEFAULT_CONV
    });
    let sample = Op::Sample(Sample {
        stream: 40,
        channels: 3,
        noise: true,
        pixels: 16,
        state: 0,
        param: 30,
        image: 0,
    });
    let chained = Common {
        chain: true,
        ..FREE
    };
    let weights = |second: u32| {
        load(
            Space::Weight,
            0,
            50 * second,
            WEIGHT_WORDS,
            WEIGHTS + 9 * second,
        )
    };
    vec![
        (FREE, load(Space::State, 0, 0, 16, 0)),
        (FREE, load(Space::Param, 1, 0, PARAM_WORDS, 0)),
        (FREE, weights(0)),
        (FREE, weights(1)),
        (first(after(Unit::Dma, -2)), from_state),
        (after(Unit::Prep, 1).after(Unit::Dma, -1), first_conv),
        (after(Unit::Array, 1), norm),
        (after(Unit::Norm, 1), from_norm),
        (
            chained.after(Unit::Prep, 2).after(Unit::Dma, 0),
            second_conv,
        ),
        (after(Unit::Array, 2), sample),
        (
            after(Unit::Sample, 1).after(Unit::Prep, 2),
            load(Space::Param, 2, 0, PARAM_WORDS, 0),
        ),
        (FREE, weights(0)),
        (FREE, weights(1)),
        jump(4),
        // behind a load in the same queue, which has waited for `sample`
        (FREE, store(Space::State, 0, 16, RESULT)),
        end(),
    ]
}

const DEFAULT_PREP: Prep = Prep {
    kind: 0,
    silu: false,
    spread: false,
    resample: 0,
    sums: false,
    sums_base: 0,
    stream_a: 0,
    stream_b: 0,
    channels_a: 0,
    channels_b: 0,
    width: 0,
    height: 0,
    dest: 0,
    affine: 0,
    param: 0,
    plane_a: 0,
    plane_b: 0,
    plane_dest: 0,
};
const DEFAULT_NORM: Norm = Norm {
    sums_a: 0,
    channels_a: 0,
    sums_b: 0,
    channels_b: 0,
    group_channels: 0,
    first_group: 0,
    groups: 0,
    affine: 0,
    param: 0,
    count: 0,
};
const DEFAULT_CONV: Conv = Conv {
    dest_kind: 0,
    planes: false,
    kernel: 0,
    stride: 0,
    upsample: false,
    residual: false,
    sums: false,
    add_sums: false,
    interleave: false,
    pad_top: 0,
    pad_left: 0,
    spread: false,
    blocks: 0,
    operand: 0,
    tiles: 0,
    weights: 0,
    in_width: 0,
    in_height: 0,
    out_width: 0,
    out_height: 0,
    dest: 0,
    residual_at: 0,
    dest_plane: 0,
    param: 0,
    sums_base: 0,
    first_tile: 0,
    head_blocks: 0,
};

pub fn job(program: &[(Common, Op)]) -> Job {
    let mut seed = 11;
    let state: Vec<u8> = (0..64)
        .flat_map(|_| ((random(&mut seed) % (1 << 24)) as i32 - (1 << 23)).to_le_bytes())
        .collect();
    let weights: Vec<u8> = (0..2 * WEIGHT_WORDS * 64)
        .map(|_| (random(&mut seed) % 255) as i8 as u8)
        .map(|w| if w == 0x80 { 0 } else { w })
        .collect();
    let records = (0..STEPS).flat_map(|_| record(&mut seed)).collect();
    Job {
        program: bytes(program),
        data: [padded(state, WEIGHTS as usize * 64), weights].concat(),
        records,
        record_stride: STRIDE,
        steps: STEPS,
        seed: 5,
        image: 3,
    }
}

/// The result, one descriptor after the other.
pub fn expected() -> Vec<u8> {
    let program = program();
    let job = job(&program);
    let mut ddr = Ddr::new(1 << 20);
    let (data, record) = (0, 1 << 16);
    ddr.write(data, &job.data).unwrap();
    ddr.write(record, &job.records).unwrap();
    let mut memories = Memories::new(Shape::SMALL, Sizes::SMALL);
    let mut context = Context {
        step: 0,
        steps: STEPS,
        seed: job.seed,
        image: job.image,
        data,
        record,
        stride: STRIDE,
    };
    let mut at = 0;
    loop {
        match program[at].1 {
            Op::End(_) => break,
            Op::Loop(op) if context.step + 1 < STEPS => {
                context.step += 1;
                at = op.target as usize;
            }
            op => {
                ops::execute(&op, &mut memories, &mut ddr, &context).unwrap();
                at += 1;
            }
        }
    }
    let mut result = vec![0; 256];
    ddr.read(u64::from(RESULT) * 64, &mut result).unwrap();
    result
}
