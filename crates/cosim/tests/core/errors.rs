//! What is wrong ends in the register `ERROR`, and the accelerator works again afterwards.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::rtl::Rtl;
use diffuser_device::host::{Driver, HostError, Placement};
use diffuser_device::{Device, Options, Simulator};
use diffuser_isa::generated::{Attention, AttentionHead, Conv, End, Norm, Prep, Sample, register};
use diffuser_isa::{Op, Space};
use diffuser_model::sampling::Sampler;

use crate::common::model::random_model;
use crate::job::network;
use crate::networks::PLAIN;
use crate::run::{Core, SIZES, job, load, rtl, simulate, step, store};

/// Code, unit and descriptor of a program that stopped.
fn error(outcome: Result<(), HostError>) -> (u32, u32, u32) {
    match outcome {
        Err(HostError::Program {
            code,
            unit,
            descriptor,
        }) => (code, unit, descriptor),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_past_a_memory_and_a_bus_error() {
    let load = |address, words| load(Space::Stream, address, words, 0);
    let end = SIZES.1.stream as u32;
    let program = |load: Op| {
        vec![
            step([None; 5], load),
            step([None; 5], Op::End(End::default())),
        ]
    };
    let mut driver = Driver::new(rtl(1 << 16, DdrConfig::default())).expect("an accelerator");
    let data = vec![3; 1 << 14];
    let run = |driver: &mut Driver<_>, load: Op| {
        let job = job(&program(load), data.clone(), vec![], 1);
        driver.load(&job).expect("room");
        driver.run(100_000)
    };
    assert_eq!(
        error(run(&mut driver, load(end - 8, 16))),
        (2, 0, 0),
        "past the end"
    );
    run(&mut driver, load(end - 16, 16)).expect("the last words");
    let place = {
        let job = job(&program(load(0, 16)), data.clone(), vec![], 1);
        driver.load(&job).expect("room")
    };
    driver
        .device_mut()
        .ddr_mut()
        .fail_reads(place.data + 70, place.data + 70);
    assert_eq!(error(driver.run(100_000)), (3, 0, 0), "SLVERR");
    driver.device_mut().ddr_mut().heal();
    driver.run(100_000).expect("healed");
}

/// A descriptor that runs, and what it is where one of its addresses lies past the end of a memory.
fn past_the_end(op: &Op) -> Vec<(&'static str, Op)> {
    let sizes = SIZES.1;
    let [stream, operand, weight] = [sizes.stream, sizes.operand, sizes.weight].map(|n| n as u32);
    let [param, affine, sums, state] =
        [sizes.param, sizes.affine, sizes.sums, sizes.state].map(|n| n as u32);
    macro_rules! each {
        ($make:path, $op:expr, $($field:ident = $end:expr),*) => {
            vec![$((stringify!($field), { let mut op = *$op; op.$field = $end; $make(op) })),*]
        };
    }
    let space = |space: u32| match Space::from_value(space) {
        Some(Space::Weight | Space::Weight4) => weight,
        Some(Space::Param) => param,
        Some(Space::Stream) => stream,
        _ => state,
    };
    match op {
        Op::Load(op) => each!(Op::Load, op, address = space(op.space)),
        Op::Store(op) => each!(Op::Store, op, address = space(op.space)),
        Op::Norm(op) => each!(Op::Norm, op, sums_a = sums, param = param, affine = affine),
        Op::Prep(op) if op.kind == 4 => each!(
            Op::Prep,
            op,
            stream_a = stream,
            dest = stream,
            sums_base = sums
        ),
        Op::Prep(op) if op.kind == 3 => each!(
            Op::Prep,
            op,
            stream_a = state,
            dest = operand,
            param = param
        ),
        Op::Prep(op) => each!(
            Op::Prep,
            op,
            stream_a = stream,
            stream_b = stream,
            dest = operand,
            param = param,
            affine = affine
        ),
        Op::Conv(op) => {
            let mut all = each!(
                Op::Conv,
                op,
                operand = operand,
                weights = weight,
                param = param,
                dest = [stream, operand, weight, weight][op.dest_kind as usize]
            );
            if op.dest_kind == 0 {
                all.extend(each!(Op::Conv, op, residual_at = stream, sums_base = sums));
            }
            all
        }
        Op::Attention(op) => each!(
            Op::Attention,
            op,
            query = operand,
            key = weight,
            value = weight,
            dest = operand,
            param = param
        ),
        Op::Sample(op) => each!(
            Op::Sample,
            op,
            stream = stream,
            state = state,
            param = param
        ),
        Op::End(_) | Op::Loop(_) => vec![],
    }
}

/// Whatever leaves its memory ends the program, on the simulator and on the RTL, as an error of the unit that it is of.
#[test]
fn every_address_of_every_descriptor_past_its_memory() {
    let (width, height) = (4, 2);
    let pixels = width * height;
    let (p, o, i) = (
        SIZES.0.pixels as u32,
        SIZES.0.outputs as u32,
        SIZES.0.inputs as u32,
    );
    let prep = |kind: u32| Prep {
        kind,
        channels_a: 3,
        width,
        height,
        plane_a: pixels,
        ..Prep::default()
    };
    let conv = |dest_kind: u32| Conv {
        dest_kind,
        blocks: 1,
        tiles: 1,
        in_width: width,
        in_height: height,
        out_width: width,
        out_height: height,
        head_blocks: u32::from(dest_kind > 1),
        dest: 8,
        ..Conv::default()
    };
    let norm = Op::Norm(Norm {
        channels_a: 3,
        group_channels: 3,
        groups: 1,
        count: 3 * pixels,
        ..Norm::default()
    });
    let sums = |sums_base: u32| {
        Op::Prep(Prep {
            sums: true,
            sums_base,
            dest: 32,
            plane_dest: pixels,
            ..prep(4)
        })
    };
    let all_zero = [
        load(Space::Param, 0, 256, 0),
        load(Space::Stream, 0, 64, 0),
        load(Space::Weight, 0, 8, 0),
        load(Space::State, 0, 64, 0),
        // sums of zeros
        sums(0),
        norm,
        // an attention's head behind the zeros; its lowest mantissa, its lowest shift
        Op::Prep(prep(1)),
    ];
    let head = AttentionHead {
        mantissa: 32_768,
        shift: 1,
        gain: 1,
    };
    let good = [
        load(Space::Weight4, 0, 4, 0),
        store(Space::Stream, 0, 4, 256 * 64),
        store(Space::Pixel, 0, 4, 256 * 64),
        sums(1),
        Op::Prep(Prep {
            channels_b: 2,
            stream_b: 16,
            plane_b: pixels,
            ..prep(0)
        }),
        Op::Prep(prep(3)),
        norm,
        Op::Conv(Conv {
            residual: true,
            sums: true,
            sums_base: 1,
            dest_plane: pixels,
            ..conv(0)
        }),
        Op::Conv(conv(1)),
        Op::Conv(conv(2)),
        Op::Conv(conv(3)),
        Op::Attention(Attention {
            heads: 1,
            head_blocks: 1,
            pixels,
            key: 2,
            value: 4,
            dest: 16,
            param: 128,
            ..Attention::default()
        }),
        Op::Sample(Sample {
            channels: 3,
            pixels,
            ..Sample::default()
        }),
    ];
    assert!(p <= pixels && i <= o, "whole groups");
    let bytes = 1 << 15;
    let mut data = vec![0; bytes];
    data[128 * 8..129 * 8].copy_from_slice(&u64::to_le_bytes(head.encode().expect("in range")[0]));
    let program = |op: &Op| {
        let mut program: Vec<_> = all_zero.iter().map(|op| step([None; 5], *op)).collect();
        // each behind all before it
        let mut retired = [0; 5];
        for descriptor in &mut program {
            let unit = descriptor.op.unit().expect("of a unit") as usize;
            *descriptor = step(retired.map(|n| (n > 0).then_some(n)), descriptor.op);
            retired[unit] += 1;
        }
        program.push(step(retired.map(|n| (n > 0).then_some(n)), *op));
        program.push(step([None; 5], Op::End(End::default())));
        program
    };
    let mut rtl = Driver::new(rtl(1 << 17, DdrConfig::default())).expect("an accelerator");
    let simulator = Simulator::new(SIZES.0, SIZES.1, Options::default());
    let mut simulator = Driver::new(simulator).expect("an accelerator");
    let mut run = |op: &Op| {
        let job = job(&program(op), data.clone(), vec![0; 4096], 1);
        rtl.load(&job).expect("room");
        simulator.load(&job).expect("room");
        (rtl.run(100_000), simulator.run(100_000))
    };
    let mut count = 0;
    for op in &good {
        let (on_rtl, on_simulator) = run(op);
        on_rtl.unwrap_or_else(|e| panic!("{op:?}: {e}"));
        on_simulator.unwrap_or_else(|e| panic!("{op:?} on the simulator: {e}"));
        for (field, op) in past_the_end(op) {
            let (on_rtl, on_simulator) = run(&op);
            let unit = op.unit().expect("of a unit") as u32;
            let wanted = (2, unit, all_zero.len() as u32);
            assert_eq!(error(on_rtl), wanted, "{field} of {op:?}");
            assert_eq!(
                error(on_simulator),
                wanted,
                "{field} of {op:?} on the simulator"
            );
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

/// Stops a network in the middle, again and again, at another place each time; it gives the right bytes afterwards.
/// `stop` is told where the job lies, and how many cycles it takes.
fn interrupted(seed: u64, stop: impl Fn(&mut Driver<Rtl<Core>>, &mut Random, &Placement, u64)) {
    let (compiled, job) = network(&random_model(PLAIN, 1, false), Sampler::Ddim, 2, None);
    let wanted = simulate(&job, &compiled.program);
    let mut random = Random::new(seed);
    let bytes =
        (job.program.len() + job.data.len() + job.records.len()).next_multiple_of(4096) + 4 * 4096;
    let mut driver = Driver::new(rtl(
        bytes,
        DdrConfig {
            seed,
            ..DdrConfig::default()
        },
    ))
    .expect("an accelerator");
    for _ in 0..12 {
        let place = driver.load(&job).expect("room");
        let cycles = wanted.counters.cycles;
        stop(&mut driver, &mut random, &place, cycles);
        driver.load(&job).expect("room");
        driver
            .run(200_000)
            .expect("nothing is left of the program that was stopped");
        let mut data = vec![0; job.data.len()];
        driver.read_data(0, &mut data).expect("in DDR");
        assert!(
            data == wanted.data,
            "bytes after a program that was stopped"
        );
    }
}

#[test]
fn a_reset_in_the_middle() {
    interrupted(1, |driver, random, _, cycles| {
        let budget = random.below(cycles * 3 / 4);
        match driver.run(budget) {
            Err(HostError::Budget { .. }) => {}
            other => panic!("{other:?} within {budget} of {cycles} cycles"),
        }
    });
}

/// Everything outside is reset with it: what the bus still owes never comes.
#[test]
fn the_reset_line_in_the_middle() {
    interrupted(4, |driver, random, _, cycles| {
        let device = driver.device_mut();
        let start = 1 << register::CONTROL_START.0;
        device
            .write_register(register::CONTROL, start)
            .expect("a register");
        for _ in 0..random.below(cycles * 3 / 4) {
            device.cycle().expect("nothing is compared");
        }
        device.reset().expect("it has a line");
        for register in [
            register::STATUS,
            register::ERROR,
            register::CYCLES_LOW,
            register::PROGRAM_LENGTH,
        ] {
            assert_eq!(device.read_register(register).expect("answers"), 0);
        }
    });
}

#[test]
fn bus_errors_in_the_middle() {
    interrupted(2, |driver, random, place, _| {
        // a line of weights, of a step's record or of the program
        let at = match random.below(3) {
            0 => place.data + 2048 + random.below(32) * 64,
            1 => place.records + random.below(16) * 64,
            _ => place.program + 64 * random.below(60),
        };
        driver.device_mut().ddr_mut().fail_reads(at, at);
        let (code, unit, _) = error(driver.run(200_000));
        let program = at < place.data;
        assert_eq!(
            (code, unit),
            (3, if program { 7 } else { 0 }),
            "a read of {at:#x}"
        );
        driver.device_mut().ddr_mut().heal();
    });
}

#[test]
fn a_program_that_hangs_times_out() {
    interrupted(3, |driver, random, _, _| {
        // shorter too than the units take to stop: the host hears of it when they have
        let timeout = 1 + random.below(150) as u32;
        let device = driver.device_mut();
        device
            .write_register(register::TIMEOUT, timeout)
            .expect("a register");
        let (code, _, _) = error(driver.run(200_000));
        assert_eq!(
            code, 5,
            "nothing retires within {timeout} cycles while the first load waits for DDR"
        );
        let device = driver.device_mut();
        device
            .write_register(register::TIMEOUT, 1 << 24)
            .expect("a register");
    });
}
