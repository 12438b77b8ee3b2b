//! What stops a program: its code, its unit and descriptor; and that the next program runs.
#![cfg(top_control)]

mod control_bench;

use control_bench::programs::{back, check, end, op_of, program};
use control_bench::{Bench, PROGRAM, Trouble, words};
use diffuser_cosim::bench::Random;
use diffuser_isa::generated::register;
use diffuser_isa::{Common, Descriptor, ErrorCode, Op, Unit};

const DONE: u32 = 2;
const ERROR: u32 = 4;
const SEQUENCER: u32 = 7;

fn plain(op: Op) -> [u32; 16] {
    words(Common::default(), op)
}

/// Runs `wrong`, expects an error, and then that a good program runs.
fn stops(bench: &mut Bench, wrong: &[[u32; 16]], steps: u32, error: (ErrorCode, u32, u32)) {
    bench.write(register::INTERRUPT, 3);
    assert_eq!(bench.run(wrong, steps), ERROR, "{error:?}");
    let (code, unit, descriptor) = error;
    assert_eq!(bench.error(), (code as u32, unit, descriptor));
    assert_eq!(bench.read(register::INTERRUPT), 2);
    assert!(bench.flushed > 0, "units were not told");
    recovers(bench);
}

fn recovers(bench: &mut Bench) {
    bench.trouble = None;
    bench.ddr.heal();
    bench.write(register::TIMEOUT, 0);
    bench.write(register::INTERRUPT, 3);
    let good = program(bench.cycle, 3, 6, 2);
    assert_eq!(bench.run(&good, 3), DONE);
    check(&bench.starts, &good, 3);
    assert_eq!(bench.error(), (0, 0, 0));
    assert_eq!(bench.read(register::INTERRUPT), 1);
}

#[test]
fn wrong_bits_are_refused_where_they_stand() {
    let mut bench = Bench::new(1);
    let mut random = Random::new(9);
    let field = ErrorCode::Field;
    // a bit that no field names, in each operation
    for unit in Unit::ALL {
        for n in 0..2 {
            let good = plain(op_of(*unit, n));
            for _ in 0..3 {
                let mut wrong = good;
                let (word, bit) = loop {
                    let (word, bit) = (random.below(16) as usize, random.below(32));
                    let mut wrong = good;
                    wrong[word] ^= 1 << bit;
                    let sound = Descriptor::decode(&wrong);
                    if matches!(sound, Err(diffuser_isa::DecodeError::Reserved { .. })) {
                        break (word, bit);
                    }
                };
                wrong[word] ^= 1 << bit;
                let before = program(3, 3, 0, 0);
                let mut all = before[..3].to_vec();
                all.extend([wrong, good, end()]);
                stops(&mut bench, &all, 1, (field, SEQUENCER, 3));
            }
        }
    }
}

#[test]
fn whatever_the_bits_the_verdict_is_that_of_the_table() {
    let mut bench = Bench::new(2);
    let mut random = Random::new(4);
    let mut counts = [0; 3];
    for i in 0..400u32 {
        let unit = Unit::ALL[random.below(5) as usize];
        let mut wrong = plain(op_of(unit, random.below(9) as u32));
        // one change of a whole field's worth of bits
        match random.below(3) {
            0 => wrong[0] = wrong[0] & !0xff | random.below(14) as u32,
            1 => wrong[random.below(14) as usize] ^= 1 << random.below(32),
            _ => wrong[4 + random.below(10) as usize] &= random.bits() as u32,
        }
        let decoded = Descriptor::decode(&wrong);
        let status = bench.run(&[wrong, end()], 1);
        let (code, who, index) = bench.error();
        match decoded {
            Err(diffuser_isa::DecodeError::Opcode(_)) => {
                assert_eq!((status, code, who, index), (ERROR, 1, SEQUENCER, 0), "{i}");
                counts[0] += 1;
            }
            Err(e) => {
                assert_eq!(
                    (status, code, who, index),
                    (ERROR, 2, SEQUENCER, 0),
                    "{i}: {e}"
                );
                counts[1] += 1;
            }
            Ok(d) if broken(&d) => {
                assert_eq!(
                    (status, code, who, index),
                    (ERROR, 2, SEQUENCER, 0),
                    "{i}: {d}"
                );
                counts[2] += 1;
            }
            Ok(d) if matches!(d.op, Op::End(_) | Op::Loop(_)) => {}
            // a wait that nothing fulfils would never end
            Ok(d) if d.common.waits == 0 => {
                assert_eq!((status, code), (DONE, 0), "{i}: {d}");
            }
            Ok(_) => {}
        }
        if status == ERROR {
            assert_eq!(bench.starts.len(), 0, "{i}");
        }
    }
    assert!(counts.iter().all(|&n| n > 5), "{counts:?}");
}

/// Rules between fields.
fn broken(d: &Descriptor) -> bool {
    let waits = Unit::ALL.iter().any(|&u| {
        let count = match u {
            Unit::Dma => d.common.wait_dma,
            Unit::Norm => d.common.wait_norm,
            Unit::Prep => d.common.wait_prep,
            Unit::Array => d.common.wait_array,
            Unit::Sample => d.common.wait_sample,
        };
        d.common.waits >> u as u32 & 1 == 0 && count != 0
    });
    let chain =
        d.common.chain && !(matches!(d.op, Op::Conv(_)) && d.common.wait(Unit::Prep).is_some());
    waits
        || chain
        || match d.op {
            Op::End(_) => d.common.waits != 0,
            // the only loop here stands at 0: it has no target before it
            Op::Loop(_) => true,
            Op::Load(l) => l.space == 4,
            Op::Prep(p) => {
                (p.kind == 3 && p.channels_a > 4)
                    || (p.kind != 0 && (p.channels_b != 0 || p.silu || p.affine != 0))
                    || (p.kind != 4 && (p.sums || p.plane_dest != 0))
                    || (!p.sums && p.sums_base != 0)
                    || (p.channels_b == 0 && (p.stream_b != 0 || p.plane_b != 0))
                    || (p.resample == 2 && (p.width % 2 == 1 || p.height % 2 == 1))
            }
            Op::Conv(c) => {
                (c.dest_kind != 0 && (c.residual || c.sums))
                    || (c.add_sums && !c.sums)
                    || (c.dest_kind >= 2 && c.head_blocks == 0)
            }
            _ => false,
        }
}

#[test]
fn units_errors_are_kept_with_their_descriptor() {
    for seed in 0..5 {
        let mut bench = Bench::new(seed);
        let mut random = Random::new(seed);
        for round in 0..6 {
            let program = program(seed * 50 + round, 6, 8, 3);
            let steps = 2;
            let started = control_bench::programs::expected(&program, steps);
            let (victim, _) = &started[random.below(started.len() as u64) as usize];
            let mut number = 0;
            for (start, _) in &started {
                if start == victim {
                    break;
                }
                number += u64::from(start.unit == victim.unit);
            }
            let code = [ErrorCode::Read, ErrorCode::Write, ErrorCode::Field];
            let code = code[random.below(3) as usize];
            let index = program
                .iter()
                .position(|w| *w == victim.words)
                .expect("there") as u32;
            bench.trouble = Some(if round % 2 == 0 {
                Trouble::Error(victim.unit, number, code)
            } else {
                Trouble::Range(victim.unit, number)
            });
            let code = if round % 2 == 0 {
                code
            } else {
                ErrorCode::Field
            };
            stops(
                &mut bench,
                &program,
                steps,
                (code, victim.unit as u32, index),
            );
        }
    }
}

#[test]
fn bus_errors_count_only_for_what_is_executed() {
    let mut bench = Bench::new(1);
    let all = program(8, 20, 0, 0);
    // the descriptor at fault, then one that is only read ahead
    bench
        .ddr
        .fail_reads(PROGRAM + 64 * 9 + 40, PROGRAM + 64 * 9 + 40);
    stops(&mut bench, &all, 1, (ErrorCode::Read, SEQUENCER, 9));
    let mut ends = all[..6].to_vec();
    ends.push(end());
    ends.extend_from_slice(&all[6..]);
    bench.ddr.fail_reads(PROGRAM + 64 * 7, PROGRAM + 64 * 7);
    assert_eq!(bench.run(&ends, 1), DONE);
    bench.ddr.heal();
    // no memory there, and no bus either
    for high in [1u32, 0x55, 0x1_00, 0x8000_0000] {
        bench.load(&all, 1);
        bench.write(register::PROGRAM_HIGH, high + 1);
        bench.start();
        assert_eq!(bench.finish(10_000), ERROR);
        assert_eq!(bench.error(), (ErrorCode::Read as u32, SEQUENCER, 0));
        recovers(&mut bench);
    }
}

#[test]
fn a_program_has_an_end_and_a_loop_has_a_body() {
    let mut bench = Bench::new(2);
    let all = program(4, 7, 0, 0);
    stops(&mut bench, &all[..7], 1, (ErrorCode::Length, SEQUENCER, 7));
    let field = ErrorCode::Field;
    // the target is not before the loop; it has no `first`
    stops(
        &mut bench,
        &[all[0], back(1), end()],
        2,
        (field, SEQUENCER, 1),
    );
    stops(
        &mut bench,
        &[all[0], back(5), end()],
        2,
        (field, SEQUENCER, 1),
    );
    stops(
        &mut bench,
        &[all[0], all[1], back(1), end()],
        2,
        (field, SEQUENCER, 2),
    );
    // a loop at the very end goes on behind the program
    let first = Common {
        first: true,
        ..Common::default()
    };
    let body = words(first, op_of(Unit::Norm, 1));
    stops(
        &mut bench,
        &[body, back(0)],
        3,
        (ErrorCode::Length, SEQUENCER, 2),
    );
    assert_eq!(bench.read(register::STEP), 2);
}

#[test]
fn registers_are_checked_at_start() {
    let mut bench = Bench::new(0);
    let all = program(4, 7, 0, 0);
    let wrong = [
        (register::PROGRAM_LOW, PROGRAM as u32 + 16),
        (register::DATA_LOW, 32),
        (register::STEP_LOW, 1),
        (register::STEP_STRIDE, 8),
        (register::STEPS, 0),
        (register::PROGRAM_LENGTH, 0),
    ];
    for (register, value) in wrong {
        bench.load(&all, 1);
        bench.write(register, value);
        bench.start();
        assert_eq!(bench.finish(1000), ERROR);
        assert_eq!(bench.error(), (ErrorCode::Register as u32, SEQUENCER, 0));
        assert!(bench.starts.is_empty() && bench.ddr.read_bytes() == [0]);
        bench.write(register, 0);
    }
    recovers(&mut bench);
}

#[test]
fn what_hangs_ends_in_a_timeout() {
    let mut bench = Bench::new(1);
    bench.duration = 20;
    let all: Vec<_> = (0..30)
        .map(|i| plain(op_of(Unit::ALL[i % 5], i as u32)))
        .chain([end()])
        .collect();
    for (unit, number) in [(Unit::Dma, 1), (Unit::Array, 0), (Unit::Sample, 1)] {
        bench.trouble = Some(Trouble::Hang(unit, number));
        bench.write(register::TIMEOUT, 300);
        let index = 5 * number as u32 + unit as u32;
        stops(
            &mut bench,
            &all,
            1,
            (ErrorCode::Timeout, unit as u32, index),
        );
    }
    // a wait that nothing fulfils: no unit works, the sequencer stands at `end`
    let waits = words(Common::default().after(Unit::Norm, 5), op_of(Unit::Prep, 0));
    bench.write(register::TIMEOUT, 1000);
    stops(
        &mut bench,
        &[waits, end()],
        1,
        (ErrorCode::Timeout, SEQUENCER, 1),
    );
    // long work is no hang while something retires
    bench.write(register::TIMEOUT, 2000);
    bench.duration = 1500;
    assert_eq!(bench.run(&all, 1), DONE);
    assert!(bench.read(register::CYCLES_LOW) > 2200);
}

/// Cycles without a retirement after an error that mean a unit or the bus will never answer.
const NEVER: u64 = 1 << 16;

/// A bench that has started a program whose first descriptor, of `norm`, does not end, and does not hear of a flush for so many cycles; `norm` has it, and an
/// opcode that is none comes later, if that is `wrong`. The host is told of errors.
fn deaf(seed: u64, cycles: u64, wrong: bool) -> Bench {
    let mut bench = Bench::new(seed);
    let mut all = vec![plain(op_of(Unit::Norm, 0))];
    // more than the queue holds: the last ones are dispatched when the unit works
    all.extend((0..8).map(|n| plain(op_of(Unit::Dma, n))));
    all.push(if wrong { [0xff; 16] } else { end() });
    bench.trouble = Some(Trouble::Deaf(Unit::Norm, 0, cycles));
    bench.write(register::TIMEOUT, 0);
    bench.write(register::INTERRUPT_ENABLE, 2);
    bench.load(&all, 1);
    bench.start();
    while !bench.starts.iter().any(|s| s.unit == Unit::Norm) {
        bench.step();
    }
    bench
}

/// Whatever the timeout, 0 (never) among them, and whoever it was that stopped the program.
#[test]
fn the_host_hears_of_a_unit_that_does_not_come_to_an_end() {
    let (opcode, timeout) = (ErrorCode::Opcode, ErrorCode::Timeout);
    for (cycles, code, who) in [
        (1, timeout, Unit::Norm as u32),
        (500, timeout, Unit::Norm as u32),
        (0, opcode, SEQUENCER),
    ] {
        let mut bench = deaf(0, NEVER + 10_000, code == opcode);
        bench.write(register::TIMEOUT, cycles);
        let begin = bench.cycle;
        while !bench.top.irq_o() {
            assert!(bench.cycle - begin < NEVER + 2000, "{code:?} {cycles}");
            bench.step();
        }
        assert!(bench.cycle - begin > NEVER, "{code:?} {cycles}");
        assert_eq!(bench.read(register::STATUS), ERROR | 1);
        let (found, unit, _) = bench.error();
        assert_eq!((found, unit), (code as u32, who));
        bench.write(register::INTERRUPT, 3);
        assert_eq!(bench.finish(30_000), ERROR);
        assert_eq!(bench.read(register::INTERRUPT), 0, "raised once");
        recovers(&mut bench);
    }
}

/// However short the timeout is: the error is told when all have come to their end, never while one has not.
#[test]
fn an_error_is_told_at_rest() {
    for timeout in [1, 2, 7, 50, 500] {
        let mut bench = deaf(timeout.into(), 3000, false);
        bench.write(register::TIMEOUT, timeout);
        while !bench.top.irq_o() {
            bench.step();
        }
        assert_eq!(bench.read(register::STATUS), ERROR, "after {timeout}");
        bench.write(register::INTERRUPT, 3);
        recovers(&mut bench);
    }
}

#[test]
fn a_reset_in_the_middle_leaves_nothing() {
    for seed in 0..8 {
        let mut bench = Bench::new(seed);
        let mut random = Random::new(seed);
        let all = program(seed, 10, 12, 2);
        bench.duration = 2000;
        for _ in 0..4 {
            bench.load(&all, 4);
            bench.start();
            for _ in 0..random.below(1500) {
                bench.step();
            }
            let both = random.below(2) as u32;
            bench.write(register::CONTROL, 2 | both);
            assert_eq!(bench.finish(10_000), 0);
            for register in [register::ERROR, register::INTERRUPT, register::STEP] {
                assert_eq!(bench.read(register), 0);
            }
            assert_eq!(bench.read(register::CYCLES_LOW), 0);
            assert_eq!(bench.read(register::READ_BYTES_LOW), 0);
        }
        bench.duration = 60;
        recovers(&mut bench);
        // of what is over, a reset clears the traces
        bench.write(register::CONTROL, 2);
        assert_eq!(bench.finish(100), 0);
        assert_eq!(bench.read(register::CYCLES_LOW), 0);
        assert_eq!(bench.read(register::INTERRUPT), 1, "events stay");
    }
}
