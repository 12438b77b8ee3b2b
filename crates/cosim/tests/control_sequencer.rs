//! Order, waits, passes and steps of the sequencer and the units' queues.
#![cfg(top_control)]

mod control_bench;

use control_bench::Bench;
use control_bench::programs::{back, check, end, op_of, program};
use diffuser_cosim::bench::Random;
use diffuser_isa::generated::{Prep, register};
use diffuser_isa::{Common, Op, Unit};

const DONE: u32 = 2;

#[test]
fn random_programs_run_in_order_and_none_too_early() {
    for seed in 0..12 {
        let mut random = Random::new(100 + seed);
        let mut bench = Bench::new(seed);
        bench.duration = [1, 30, 200][seed as usize % 3];
        for round in 0..3 {
            let size = |random: &mut Random, n| random.below(n) as usize;
            let (before, after) = (size(&mut random, 8), size(&mut random, 8));
            let body = size(&mut random, 14);
            let steps = 1 + random.below(5) as u32;
            let program = program(1000 * seed + round, before, body, after);
            assert_eq!(bench.run(&program, steps), DONE, "seed {seed}.{round}");
            check(&bench.starts, &program, steps);
            let step = if body == 0 { 0 } else { steps - 1 };
            assert_eq!(bench.read(register::STEP), step);
        }
        assert_eq!(bench.flushed, 0);
    }
}

#[test]
fn a_loop_goes_through_its_body_once_a_step() {
    for steps in [1, 2, 7] {
        let mut bench = Bench::new(5);
        let program = program(77, 2, 5, 3);
        assert_eq!(bench.run(&program, steps), DONE);
        check(&bench.starts, &program, steps);
        let body = 2 + 5 + 5 * steps as usize + 3;
        assert_eq!(bench.starts.len(), body);
    }
}

#[test]
fn counters_go_through_zero() {
    // 8 descriptors of `norm` in a pass, each waits for the one before it: 66,000 of them, and as many of `dma` and `prep`
    let mut bench = Bench::new(3);
    bench.duration = 1;
    let mut program = vec![];
    for pass in 0..2 {
        for i in 0..8 {
            let common = Common {
                first: pass == 1 && i == 0,
                ..Common::default()
            };
            let common = if pass == 0 {
                common
            } else {
                common.after(Unit::Norm, i - 3).after(Unit::Dma, i - 5)
            };
            program.push(control_bench::words(common, op_of(Unit::Norm, i as u32)));
            program.push(control_bench::words(Common::default(), op_of(Unit::Dma, 2)));
            program.push(control_bench::words(
                Common::default(),
                op_of(Unit::Prep, 1),
            ));
        }
        // it follows no `prep`, how many there ever were
        program.push(control_bench::words(
            Common::default(),
            op_of(Unit::Array, 0),
        ));
    }
    program.push(back(25));
    program.push(end());
    let steps = 8_300;
    bench.load(&program, steps);
    bench.start();
    assert_eq!(bench.finish(3_000_000), DONE);
    check(&bench.starts, &program, steps);
    assert!(bench.starts.len() > 2 * 65_536);
}

#[test]
fn a_chained_conv_follows_its_prep() {
    let mut groups = 0;
    for seed in 0..6 {
        let mut bench = Bench::new(seed);
        bench.duration = 300;
        let mut program = vec![];
        for i in 0..6 {
            let prep = Prep {
                channels_a: 1 + i,
                width: 8,
                height: 8,
                ..Prep::default()
            };
            program.push(control_bench::words(Common::default(), Op::Prep(prep)));
            let chain = Common {
                chain: true,
                ..Common::default().after(Unit::Prep, i as i32 + 1)
            };
            program.push(control_bench::words(chain, op_of(Unit::Array, 2 * i)));
            if i % 2 == 1 {
                let plain = Common::default().after(Unit::Prep, i as i32 + 1);
                program.push(control_bench::words(plain, op_of(Unit::Array, 2 * i)));
            }
        }
        program.push(end());
        assert_eq!(bench.run(&program, 1), DONE);
        let early = bench.starts.iter().filter(|s| {
            let common = diffuser_isa::Descriptor::decode(&s.words)
                .expect("sound")
                .common;
            let wait = common.wait(Unit::Prep).unwrap_or(0) as u64;
            assert!(s.retired[2] + u64::from(common.chain) >= wait, "{s:?}");
            s.retired[2] < wait
        });
        assert!(early.count() > 0, "nothing was chained");
        groups = groups.max(bench.chained_groups);
    }
    assert!(groups > 5, "progress was never shown: {groups}");
}

#[test]
fn a_full_queue_holds_the_sequencer_and_not_the_others() {
    let mut bench = Bench::new(4);
    bench.duration = 400;
    let mut program: Vec<_> = (0..12)
        .map(|i| control_bench::words(Common::default(), op_of(Unit::Sample, i)))
        .collect();
    program.extend((0..3).map(|i| control_bench::words(Common::default(), op_of(Unit::Norm, i))));
    program.push(end());
    assert_eq!(bench.run(&program, 1), DONE);
    check(&bench.starts, &program, 1);
    // the first `norm` is dispatched only when seven of `sample` wait or run at most
    let norm = bench
        .starts
        .iter()
        .find(|s| s.unit == Unit::Norm)
        .expect("ran");
    assert!((5..=8).contains(&norm.retired[4]), "{:?}", norm.retired);
}
