//! The register map over AXI4-Lite.
#![cfg(top_control)]

mod control_bench;

use control_bench::Bench;
use control_bench::programs::{check, end, op_of, program};
use diffuser_cosim::bench::{Random, get_bits};
use diffuser_isa::generated::register::*;
use diffuser_isa::{Common, Unit};

const HELD: [u32; 13] = [
    PROGRAM_LOW,
    PROGRAM_HIGH,
    PROGRAM_LENGTH,
    DATA_LOW,
    DATA_HIGH,
    STEP_LOW,
    STEP_HIGH,
    STEP_STRIDE,
    STEPS,
    SEED_LOW,
    SEED_HIGH,
    IMAGE_LOW,
    IMAGE_HIGH,
];

#[test]
fn values_after_reset() {
    let mut bench = Bench::new(0);
    assert_eq!(bench.read(ID), 0x4449_4646);
    assert_eq!(bench.read(VERSION), 2);
    assert_eq!(bench.read(SHAPE), 4 | 8 << 8 | 8 << 16);
    assert_eq!(bench.read(TIMEOUT), 0x0100_0000);
    for offset in (0..0x200).step_by(4) {
        if ![ID, VERSION, SHAPE, TIMEOUT].contains(&offset) {
            assert_eq!(bench.read(offset), 0, "{offset:#x}");
        }
    }
    assert!(!bench.top.irq_o());
}

#[test]
fn writes_obey_strobes_and_reach_only_what_can_be_written() {
    for seed in 0..3 {
        let mut bench = Bench::new(seed);
        let mut random = Random::new(seed);
        let mut model = std::collections::BTreeMap::new();
        for &offset in HELD.iter().chain([&TIMEOUT, &INTERRUPT_ENABLE]) {
            model.insert(offset, bench.read(offset));
        }
        for _ in 0..600 {
            let offset = 4 * random.below(0x48) as u32;
            let (data, strobe) = (random.bits() as u32, random.below(16) as u8);
            if offset == CONTROL {
                continue;
            }
            bench
                .lite
                .write(offset + random.below(4) as u32, data, strobe);
            while !bench.lite.idle() {
                bench.step();
            }
            assert_eq!(bench.lite.written.pop_front(), Some(0));
            if let Some(old) = model.get_mut(&offset) {
                let bytes = (0..4).filter(|i| strobe >> i & 1 == 1);
                let mask = bytes.fold(0u32, |m, i| m | 0xff << (8 * i));
                *old = *old & !mask | data & mask;
                *old &= if offset == INTERRUPT_ENABLE {
                    3
                } else {
                    u32::MAX
                };
            }
            let &probe = model
                .keys()
                .nth(random.below(15) as usize)
                .expect("fifteen");
            assert_eq!(bench.read(probe), model[&probe], "{probe:#x}");
        }
        assert_eq!(bench.read(ID), 0x4449_4646);
        assert_eq!(bench.read(STATUS), 0);
    }
}

/// What the units are shown: program, length, data, step, stride, steps, seed, image; the last is lowest.
fn seen(bench: &Bench) -> [u64; 8] {
    let bits = bench.top.settings_o();
    let mut low = 0;
    let mut all = [64, 64, 32, 32, 64, 64, 32, 64].map(|width| {
        let value = get_bits(&bits, low, width);
        low += width;
        value
    });
    all.reverse();
    all
}

#[test]
fn writes_while_busy_reach_the_next_program() {
    let mut bench = Bench::new(2);
    bench.duration = 500;
    let all = program(6, 9, 0, 0);
    bench.load(&all, 1);
    for (register, value) in [
        (DATA_LOW, 0x1240),
        (DATA_HIGH, 5),
        (STEP_LOW, 0x80),
        (STEP_HIGH, 6),
        (STEP_STRIDE, 0x4000),
        (SEED_LOW, 7),
        (SEED_HIGH, 8),
        (IMAGE_LOW, 9),
        (IMAGE_HIGH, 10),
    ] {
        bench.write(register, value);
    }
    bench.start();
    bench.read(STATUS);
    let now = seen(&bench);
    let (program, length) = (control_bench::PROGRAM, all.len() as u64);
    assert_eq!(
        now,
        [
            program,
            length,
            5 << 32 | 0x1240,
            6 << 32 | 0x80,
            0x4000,
            1,
            8 << 32 | 7,
            10 << 32 | 9
        ]
    );
    for register in HELD {
        bench.write(register, 64);
        assert_eq!(bench.read(register), 64);
    }
    // start is ignored while busy
    bench.write(CONTROL, 1);
    assert_eq!(seen(&bench), now);
    assert_eq!(bench.finish(100_000), 2);
    check(&bench.starts, &all, 1);
    assert_eq!(bench.run(&all, 1), 2);
    assert_eq!(seen(&bench)[2], 64 << 32 | 64);
    // the time-out acts at once
    bench.load(&all, 1);
    bench.start();
    bench.write(TIMEOUT, 20);
    assert_eq!(bench.finish(100_000), 4);
    assert_eq!(bench.error().0, 5);
}

#[test]
fn the_interrupt_follows_enabled_events() {
    let mut bench = Bench::new(0);
    let good = [end()];
    assert_eq!(bench.run(&good, 1), 2);
    assert_eq!((bench.read(INTERRUPT), bench.top.irq_o()), (1, false));
    bench.write(INTERRUPT_ENABLE, 2);
    assert!(!bench.top.irq_o());
    bench.write(INTERRUPT_ENABLE, 1);
    bench.step();
    assert!(bench.top.irq_o());
    // clearing the other bit, or without the strobe, does nothing
    bench.write(INTERRUPT, 2);
    bench.lite.write(INTERRUPT, 1, 0b1110);
    bench.read(ID);
    assert!(bench.top.irq_o());
    bench.write(INTERRUPT, 1);
    bench.step();
    assert!(!bench.top.irq_o());
    bench.load(&good, 0);
    bench.start();
    assert_eq!(bench.finish(1000), 4);
    assert_eq!((bench.read(INTERRUPT), bench.top.irq_o()), (2, false));
    assert_eq!(bench.read(ERROR) & 15, 7);
    // a start clears status and error, not the event
    assert_eq!(bench.run(&good, 1), 2);
    assert_eq!((bench.read(INTERRUPT), bench.read(ERROR)), (3, 0));
}

#[test]
fn an_event_wins_over_the_write_that_clears_it() {
    // writes of ones without pause: the event must be seen after the last write that could have met it
    for delay in 0..24 {
        let mut bench = Bench::new(0);
        bench.load(&[end()], 1);
        bench.write(INTERRUPT_ENABLE, 1);
        bench.start();
        let mut seen_at = None;
        // the cycle of the event, without writes
        for n in 0..2000 {
            bench.step();
            if bench.top.irq_o() {
                seen_at = Some(n);
                break;
            }
        }
        let event = seen_at.expect("an interrupt");
        let mut bench = Bench::new(0);
        bench.load(&[end()], 1);
        bench.write(INTERRUPT_ENABLE, 1);
        bench.start();
        for _ in 0..event - 12 + delay {
            bench.step();
        }
        bench.lite.write(INTERRUPT, 1, 1);
        let mut written_before = true;
        for _ in 0..40 {
            bench.step();
            written_before &= !bench.top.irq_o() || !bench.lite.written.is_empty();
        }
        // raised first and cleared then, or cleared in vain
        assert_eq!(bench.top.irq_o(), written_before, "delay {delay}");
    }
}

#[test]
fn counters_count() {
    let mut bench = Bench::new(1);
    bench.duration = 100;
    bench.top.set_array_busy_i(true);
    bench.top.set_stall_bank_i(true);
    let mut all = program(6, 9, 0, 0);
    all.pop();
    // the array waits for `dma`, then for `norm`
    for unit in [Unit::Dma, Unit::Norm] {
        let before = all.iter().filter(|w| is_of(w, unit)).count() as i32;
        let earlier = all.iter().filter(|w| is_of(w, Unit::Array)).count() as i32;
        let behind = Common::default().after(Unit::Array, earlier);
        all.push(control_bench::words(behind, op_of(unit, 2)));
        let common = Common::default().after(unit, before + 1);
        all.push(control_bench::words(common, op_of(Unit::Array, 2)));
    }
    all.push(end());
    assert_eq!(bench.run(&all, 1), 2);
    let cycles = bench.read(CYCLES_LOW);
    assert!((200..20_000).contains(&cycles), "{cycles}");
    assert_eq!(bench.read(CYCLES_LOW), cycles, "stands still when idle");
    let read = bench.read(READ_BYTES_LOW);
    assert_eq!(u64::from(read), bench.ddr.read_bytes()[0]);
    assert!(read as usize >= 64 * all.len());
    assert!(bench.read(STALL_BANK) >= cycles);
    assert!(bench.read(ARRAY_BUSY_LOW) >= cycles);
    let (weight, operand) = (bench.read(STALL_WEIGHT), bench.read(STALL_OPERAND));
    assert!(
        weight > 0 && operand > 0 && weight + operand < cycles,
        "{weight} {operand}"
    );
    assert_eq!(bench.read(STALL_STORE), 0);
    for high in [CYCLES_HIGH, ARRAY_BUSY_HIGH, READ_BYTES_HIGH] {
        assert_eq!(bench.read(high), 0);
    }
    // `start` clears them
    bench.top.set_stall_bank_i(false);
    assert_eq!(bench.run(&[end()], 1), 2);
    assert!(bench.read(CYCLES_LOW) < cycles);
    assert_eq!(bench.read(STALL_BANK), 0);
}

fn is_of(words: &[u32; 16], unit: Unit) -> bool {
    use diffuser_isa::{Descriptor, Op};
    match Descriptor::decode(words).expect("sound").op {
        Op::Load(_) | Op::Store(_) => unit == Unit::Dma,
        Op::Norm(_) => unit == Unit::Norm,
        Op::Prep(_) => unit == Unit::Prep,
        Op::Sample(_) => unit == Unit::Sample,
        _ => unit == Unit::Array,
    }
}
