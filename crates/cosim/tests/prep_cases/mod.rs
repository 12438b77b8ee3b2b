//! Random memories and descriptors for `prep`.

use diffuser_cosim::bench::Random;
use diffuser_device::{Memories, Shape, Sizes};
use diffuser_isa::generated::Prep;
use diffuser_spec::norm::{Affine, Sums};

/// Sources and results have a half each; both are far larger than what one descriptor touches.
const HALF: u32 = 2048;

fn value(random: &mut Random, extreme: i64, usual: i64) -> i64 {
    match random.below(16) {
        0 => -extreme - 1,
        1 => extreme,
        2..6 => random.range(-extreme - 1, extreme),
        _ => random.range(-usual, usual),
    }
}

/// Memories of random values, extremes among them.
pub fn memories(random: &mut Random, shape: Shape) -> Memories {
    let mut m = Memories::new(shape, Sizes::SMALL);
    m.stream
        .fill_with(|| value(random, i64::from(i16::MAX), 2000) as i16);
    m.operand.fill_with(|| random.bits() as i8);
    m.state
        .fill_with(|| std::array::from_fn(|_| value(random, i64::from(i32::MAX), 1 << 25) as i32));
    m.sums.fill_with(|| Sums {
        sum: random.bits() as i64,
        sum_sq: random.bits(),
    });
    m.affine.fill_with(|| {
        // slopes of a few units, or anything
        let shift = random.below(23) as u8;
        let (a, b) = if random.chance(128) {
            (32767, 1 << 29)
        } else {
            (1i64 << shift.min(14), 1i64 << (shift + 7))
        };
        Affine {
            a: random.range(-a, a) as i16,
            b: random.range(-b, b) as i32,
            shift,
        }
    });
    m.param.fill_with(|| {
        let gain = value(random, 32766, 3000).unsigned_abs() & 32767;
        let zero = random.range(-127, 127) as u8;
        let shift = random.below(32);
        gain | u64::from(zero) << 16 | shift << 24
    });
    m
}

/// A descriptor that keeps every rule, on tensors of up to about 150 pixels.
pub fn descriptor(random: &mut Random, shape: Shape, kind: u32, resample: u32) -> Prep {
    let norm = kind == 0;
    let outputs = shape.outputs as i64;
    let width = random.range(1, 9) as u32;
    let height = random.range(1, 9) as u32;
    let (width, height) = match resample {
        2 => (width * 2, height * 2),
        1 => (width.min(6), height.min(6)),
        _ => (width, height),
    };
    let pixels = width * height;
    let result = match resample {
        1 => 4 * pixels,
        2 => pixels / 4,
        _ => pixels,
    };
    let channels_a = if kind == 3 {
        random.range(1, 4)
    } else {
        random.range(1, 2 * outputs + 3)
    };
    let channels_b = if norm && random.chance(128) {
        random.range(1, outputs + 3)
    } else {
        0
    };
    let words = |channels: i64| (channels + outputs - 1) as u32 / shape.outputs as u32;
    // a band of a larger tensor has words between its blocks
    let mut plane = |pixels: u32| pixels + random.below(9) as u32;
    let (plane_a, plane_b, plane_dest) = (plane(pixels), plane(pixels), plane(result));
    let second = channels_b != 0;
    let to_stream = kind == 4;
    let sums = to_stream && random.chance(160);
    let stream_a = random.below(40) as u32;
    let stream_b = stream_a + words(channels_a) * plane_a;
    assert!(stream_b + words(channels_b) * plane_b <= HALF);
    assert!(words(channels_a) * plane_dest + 40 <= HALF);
    Prep {
        kind,
        silu: norm && random.chance(128),
        resample,
        spread: !to_stream && random.chance(90),
        sums,
        sums_base: if sums { random.below(100) as u32 } else { 0 },
        stream_a,
        stream_b: if second { stream_b } else { 0 },
        channels_a: channels_a as u32,
        channels_b: channels_b as u32,
        width,
        height,
        dest: HALF + random.below(40) as u32,
        affine: if norm { random.below(200) as u32 } else { 0 },
        param: random.below(1000) as u32,
        plane_a,
        plane_b: if second { plane_b } else { 0 },
        plane_dest: if to_stream { plane_dest } else { 0 },
    }
}

/// Kind 4 keeps padded lanes 0 where the source does; the source's are made so.
pub fn clear_padding(m: &mut Memories, op: &Prep) {
    let outputs = m.shape.outputs as u32;
    let lanes = op.channels_a % outputs;
    if op.kind != 4 || lanes == 0 {
        return;
    }
    for n in 0..op.width * op.height {
        let word = op.stream_a + op.channels_a / outputs * op.plane_a + n;
        let at = m.stream_at(word as usize);
        m.stream[at + lanes as usize..at + outputs as usize].fill(0);
    }
}
