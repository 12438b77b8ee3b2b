//! What is wrong ends in the register `ERROR`, and the accelerator works again afterwards.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::rtl::Rtl;
use diffuser_device::Device;
use diffuser_device::host::{Driver, HostError};
use diffuser_isa::generated::{End, Load, register};
use diffuser_isa::{Op, Space};
use diffuser_model::sampling::Sampler;

use crate::job::network;
use crate::model::random_model;
use crate::networks::PLAIN;
use crate::run::{Core, SIZES, job, rtl, simulate, step};

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
    let load = |address, words| Load {
        space: Space::Stream as u32,
        address,
        words,
        ..Load::default()
    };
    let end = SIZES.1.stream as u32;
    let program = |load: Load| {
        vec![
            step([None; 5], Op::Load(load)),
            step([None; 5], Op::End(End::default())),
        ]
    };
    let mut driver = Driver::new(rtl(1 << 16, DdrConfig::default())).expect("an accelerator");
    let data = vec![3; 1 << 14];
    let run = |driver: &mut Driver<_>, load: Load| {
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

/// Stops a network in the middle, again and again, at another place each time; it gives the right bytes afterwards.
fn interrupted(seed: u64, stop: impl Fn(&mut Driver<Rtl<Core>>, &mut Random, u64)) {
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
        driver.load(&job).expect("room");
        stop(&mut driver, &mut random, wanted.counters.cycles);
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
    interrupted(1, |driver, random, cycles| {
        let budget = random.below(cycles * 3 / 4);
        match driver.run(budget) {
            Err(HostError::Budget { .. }) => {}
            other => panic!("{other:?} within {budget} of {cycles} cycles"),
        }
    });
}

#[test]
fn bus_errors_in_the_middle() {
    interrupted(2, |driver, random, _| {
        let place = {
            let (_, job) = network(&random_model(PLAIN, 1, false), Sampler::Ddim, 2, None);
            driver.load(&job).expect("room")
        };
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
    interrupted(3, |driver, random, _| {
        let timeout = 50 + random.below(100) as u32;
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
