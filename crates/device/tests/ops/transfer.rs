use diffuser_device::{Context, Ddr, Memories, Shape, ops};
use diffuser_isa::generated::{Load, Store};
use diffuser_isa::{ErrorCode, Op, Space};
use proptest::prelude::*;

use crate::plain::{Random, same, shapes};

const DDR: u64 = 1 << 17;

fn filled(random: &mut Random) -> Ddr {
    let mut ddr = Ddr::new(DDR);
    let bytes: Vec<u8> = (0..DDR).map(|_| random.next() as u8).collect();
    ddr.write(0, &bytes).unwrap();
    ddr
}

fn byte(ddr: &Ddr, address: u64) -> u8 {
    let mut byte = [0];
    ddr.read(address, &mut byte).unwrap();
    byte[0]
}

/// The word of `bytes` bytes at `address`, lowest byte first, with its sign.
fn word(ddr: &Ddr, address: u64, bytes: u64) -> i128 {
    let raw = (0..bytes).fold(0, |x, i| x | i128::from(byte(ddr, address + i)) << (8 * i));
    raw << (128 - 8 * bytes) >> (128 - 8 * bytes)
}

fn loaded(before: &Memories, ddr: &Ddr, op: &Load, address: u64) -> Memories {
    let mut m = before.clone();
    let (first, words) = (op.address as usize, op.words as usize);
    let (o, w) = (m.shape.outputs, m.shape.weight_bytes());
    let value = |k: usize, bytes: u64| word(ddr, address + k as u64 * bytes, bytes);
    match op.space {
        0 => (0..words * w).for_each(|k| m.weight[first * w + k] = value(k, 1) as i8),
        1 => (0..words).for_each(|k| m.param[first + k] = value(k, 8) as u64),
        2 => (0..words * o).for_each(|k| m.stream[first * o + k] = value(k, 2) as i16),
        3 => (0..words * 4).for_each(|k| m.state[first + k / 4][k % 4] = value(k, 4) as i32),
        _ => (0..words * w).for_each(|k| {
            let pair = byte(ddr, address + k as u64 / 2);
            let half = i32::from(pair >> (4 * (k % 2)) & 15);
            m.weight[first * w + k] = (half - if half >= 8 { 16 } else { 0 }) as i8;
        }),
    }
    m
}

proptest! {
    #[test]
    fn load_is_what_the_page_says(
        space in prop_oneof![0u32..4, Just(5)], per_step in 0u32..3, address in 0u32..100,
        words in 1u32..20, ddr in 0u32..50, (step, steps) in (0u32..4, 4u32..6),
        shape in shapes(), seed: u64,
    ) {
        let mut random = Random(seed);
        let mut m = random.memories(shape);
        let mut memory = filled(&mut random);
        let op = Load { space, per_step, address, words, ddr };
        let context = Context { step, steps, data: 0x1000, record: 0x8000, stride: 0x440, ..Context::default() };
        let base = match per_step {
            0 => 0x1000,
            1 => 0x8000 + 0x440 * u64::from(step),
            _ => 0x8000 + 0x440 * u64::from((step + 1).min(steps - 1)),
        };
        let want = loaded(&m, &memory, &op, base + 64 * u64::from(ddr));
        ops::execute(&Op::Load(op), &mut m, &mut memory, &context).unwrap();
        same(&m, &want)?;
    }

    #[test]
    fn store_writes_these_bytes_and_no_others(
        space in 2u32..5, address in 0u32..100, words in 1u32..20, ddr in 0u32..50,
        shape in shapes(), seed: u64,
    ) {
        let mut random = Random(seed);
        let mut m = random.memories(shape);
        let mut memory = filled(&mut random);
        let before = memory.clone();
        let op = Store { space, address, words, ddr };
        let context = Context { data: 0x1000, ..Context::default() };
        ops::execute(&Op::Store(op), &mut m, &mut memory, &context).unwrap();
        let o = shape.outputs;
        let first = address as usize;
        let want: Vec<u8> = (0..words as usize).flat_map(|k| match space {
            2 => m.stream[(first + k) * o..][..o].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(),
            3 => m.state[first + k].iter().flat_map(|x| x.to_le_bytes()).collect(),
            _ => m.state[first + k].iter().map(|&x| {
                let level = crate::plain::rnd(255 * (i128::from(x) + (1 << 24)), 25);
                level.clamp(0, 255) as u8
            }).collect(),
        }).collect();
        let at = 0x1000 + 64 * u64::from(ddr);
        for address in 0..DDR {
            let inside = address.checked_sub(at).and_then(|k| want.get(k as usize));
            let want = inside.copied().unwrap_or_else(|| byte(&before, address));
            prop_assert_eq!(byte(&memory, address), want, "at {:#x}", address);
        }
    }
}

#[test]
fn transfers_refuse_wrong_spaces_and_report_the_bus() {
    let mut m = Memories::new(Shape::SMALL, crate::plain::SIZES);
    let mut ddr = Ddr::new(0x2000);
    let context = Context::default();
    let mut run = |op: Op, ddr: &mut Ddr| ops::execute(&op, &mut m, ddr, &context).unwrap_err();
    let load = Load {
        space: Space::Pixel as u32,
        words: 1,
        ..Load::default()
    };
    assert_eq!(run(Op::Load(load), &mut ddr).code, ErrorCode::Field);
    let store = Store {
        space: Space::Weight as u32,
        words: 1,
        ..Store::default()
    };
    assert_eq!(run(Op::Store(store), &mut ddr).code, ErrorCode::Field);
    let far = Load {
        space: Space::Param as u32,
        words: 9,
        ddr: 0x7f,
        ..Load::default()
    };
    let fault = run(Op::Load(far), &mut ddr);
    assert_eq!(fault.code, ErrorCode::Read);
    assert_eq!(
        fault.to_string(),
        "load: no memory answers at address 0x2000"
    );
    ddr.set_faulty(0x47..0x48);
    let store = Store {
        space: Space::State as u32,
        words: 1,
        ddr: 1,
        ..Store::default()
    };
    let fault = run(Op::Store(store), &mut ddr);
    assert_eq!(fault.code, ErrorCode::Write);
    assert_eq!(
        fault.to_string(),
        "store: no memory answers at address 0x47"
    );
    let past = Load {
        space: Space::State as u32,
        address: 512,
        words: 1,
        ..Load::default()
    };
    let fault = run(Op::Load(past), &mut ddr);
    assert_eq!(
        fault.to_string(),
        "load: destination: words 512 to 512 of state memory, which has 512"
    );
}
