use diffuser_device::host::{Driver, HostError, Job};
use diffuser_device::{Device, Options, Simulator};
use diffuser_isa::generated::{Loop, Norm, Prep, Sample, register};
use diffuser_isa::{Common, ErrorCode, Op, Space, Unit};

use crate::program::*;

const SEQUENCER: u32 = 7;

fn quiet() -> Options {
    Options {
        hazards: false,
        ..Options::default()
    }
}

/// `job` stops with this error, says so everywhere, and a good program runs behind it.
fn stops(driver: &mut Driver<Simulator>, job: &Job, want: (ErrorCode, u32, u32), message: &str) {
    driver.load(job).unwrap();
    let error = driver.run(BUDGET).unwrap_err();
    let HostError::Program {
        code,
        unit,
        descriptor,
    } = error
    else {
        panic!("{message}: {error}");
    };
    assert_eq!(
        (code, unit, descriptor),
        (want.0 as u32, want.1, want.2),
        "{message}"
    );
    let device = driver.device_mut();
    assert_eq!(device.fault().unwrap().to_string(), message);
    assert_eq!(device.fault().unwrap().code, want.0);
    assert_eq!(
        device.read_register(register::STATUS).unwrap(),
        4,
        "error, not busy"
    );
    let word = want.0 as u32 | want.1 << 4 | want.2 << 8;
    assert_eq!(device.read_register(register::ERROR).unwrap(), word);
    device.ddr_mut().clear_faulty();
    assert_works(driver);
    let device = driver.device_mut();
    assert!(device.fault().is_none());
    assert_eq!(device.read_register(register::ERROR).unwrap(), 0);
}

fn program(list: &[(Common, Op)]) -> Job {
    Job {
        program: bytes(list),
        data: vec![0; 4096],
        steps: 2,
        ..Job::default()
    }
}

#[test]
fn words_that_are_no_descriptor() {
    let mut driver = device(quiet());
    let mut job = copy_job();
    job.program[64] = 0xee;
    let at = |code| (code, SEQUENCER, 1);
    stops(
        &mut driver,
        &job,
        at(ErrorCode::Opcode),
        "unknown opcode 238",
    );
    let mut job = copy_job();
    job.program[64 + 63] = 1;
    let message = "store: reserved bits 0x1000000 of word 15 are not zero";
    stops(&mut driver, &job, at(ErrorCode::Field), message);
    let mut job = copy_job();
    job.program[64 + 16] = 0;
    let message = "store: space is 0, expected 2 to 4";
    stops(&mut driver, &job, at(ErrorCode::Field), message);
}

#[test]
fn rules_that_the_sequencer_checks() {
    let mut driver = device(quiet());
    let mut refused = |list: &[(Common, Op)], index, message: &str| {
        let want = (ErrorCode::Field, SEQUENCER, index);
        stops(&mut driver, &program(list), want, message);
    };
    let transfer = load(Space::Param, 0, 0, 1, 0);
    let prep = Prep {
        kind: 3,
        channels_a: 5,
        width: 1,
        height: 1,
        ..Prep::default()
    };
    refused(
        &[(FREE, transfer), (FREE, Op::Prep(prep)), end()],
        1,
        "prep: the state has at most 4 channels",
    );
    refused(
        &[(FREE, load(Space::Pixel, 0, 0, 1, 0)), end()],
        0,
        "load: space pixel can only be stored",
    );
    refused(
        &[
            (
                Common {
                    wait_array: 1,
                    ..FREE
                },
                transfer,
            ),
            end(),
        ],
        0,
        "a count of array, which waits does not name",
    );
    refused(
        &[
            (
                Common {
                    chain: true,
                    ..after(Unit::Prep, 0)
                },
                transfer,
            ),
            end(),
        ],
        0,
        "chain is for a conv that waits for a prep",
    );
    refused(
        &[
            (first(FREE), transfer),
            (after(Unit::Dma, 1), Op::Loop(Loop { target: 0 })),
            end(),
        ],
        1,
        "loop and end do not wait for a unit",
    );
    refused(
        &[(first(FREE), transfer), jump(1), end()],
        1,
        "loop: target 1 is not before it",
    );
    refused(
        &[(FREE, transfer), (FREE, transfer), jump(0), end()],
        2,
        "loop: descriptor 0, its target, is not the first of a pass",
    );
}

#[test]
fn rules_and_addresses_that_units_check() {
    let mut driver = device(quiet());
    let norm = Norm {
        channels_a: 7,
        group_channels: 2,
        groups: 1,
        count: 1,
        ..Norm::default()
    };
    stops(
        &mut driver,
        &program(&[(FREE, Op::Norm(norm)), end()]),
        (ErrorCode::Field, Unit::Norm as u32, 0),
        "norm: the channels are not whole groups",
    );
    let sample = Sample {
        channels: 1,
        pixels: 1,
        state: 1024,
        ..Sample::default()
    };
    stops(
        &mut driver,
        &program(&[
            (FREE, load(Space::Param, 0, 0, 1, 0)),
            (FREE, Op::Sample(sample)),
            end(),
        ]),
        (ErrorCode::Field, Unit::Sample as u32, 1),
        "sample: state: words 1024 to 1024 of state memory, which has 1024",
    );
    stops(
        &mut driver,
        &program(&[(FREE, load(Space::Param, 0, 2047, 2, 0)), end()]),
        (ErrorCode::Field, Unit::Dma as u32, 0),
        "load: destination: words 2047 to 2048 of param memory, which has 2048",
    );
}

#[test]
fn errors_of_the_bus() {
    let mut driver = device(quiet());
    let job = copy_job();
    let place = driver.load(&job).unwrap();
    // read of data, write of data, descriptor
    let faults = [
        (
            place.data + 15,
            ErrorCode::Read,
            Unit::Dma as u32,
            0,
            "load",
        ),
        (
            place.data + 64,
            ErrorCode::Write,
            Unit::Dma as u32,
            1,
            "store",
        ),
        (
            place.program + 64,
            ErrorCode::Read,
            SEQUENCER,
            1,
            "descriptor",
        ),
    ];
    for (address, code, unit, index, what) in faults {
        // the job is in place; the driver could not write it over a faulty address
        driver.load(&job).unwrap();
        driver
            .device_mut()
            .ddr_mut()
            .set_faulty(address..address + 1);
        let error = driver.run(BUDGET).unwrap_err();
        let HostError::Program {
            code: c,
            unit: u,
            descriptor,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((c, u, descriptor), (code as u32, unit, index), "{what}");
        let message = format!("{what}: no memory answers at address {address:#x}");
        assert_eq!(driver.device().fault().unwrap().to_string(), message);
        driver.device_mut().ddr_mut().clear_faulty();
        assert_works(&mut driver);
    }
}

#[test]
fn a_program_without_end() {
    let mut driver = device(quiet());
    let mut job = copy_job();
    job.program.truncate(128);
    let want = (ErrorCode::Length, SEQUENCER, 2);
    stops(
        &mut driver,
        &job,
        want,
        "the program of 2 descriptors has no end",
    );
}

#[test]
fn a_program_that_hangs() {
    let mut driver = device(quiet());
    let job = program(&[
        (after(Unit::Array, 1), load(Space::Param, 0, 0, 1, 0)),
        end(),
    ]);
    // nothing runs: the sequencer stands at `end`
    let message = "nothing retired for 1000 cycles";
    let want = (ErrorCode::Timeout, SEQUENCER, 1);
    driver
        .device_mut()
        .write_register(register::TIMEOUT, 1000)
        .unwrap();
    stops(&mut driver, &job, want, message);
    // a unit that takes longer than that is blamed
    let sample = Sample {
        channels: 4,
        pixels: 1024,
        ..Sample::default()
    };
    let long = Job {
        data: vec![0; 4096],
        ..program(&[
            (FREE, load(Space::Param, 0, 0, 11, 0)),
            (after(Unit::Dma, 1), Op::Sample(sample)),
            end(),
        ])
    };
    let want = (ErrorCode::Timeout, Unit::Sample as u32, 1);
    stops(&mut driver, &long, want, message);
    driver
        .device_mut()
        .write_register(register::TIMEOUT, 1 << 20)
        .unwrap();
    driver.load(&long).unwrap();
    driver.run(BUDGET).unwrap();

    // without a limit the host's own decides, and a reset brings the device back
    driver
        .device_mut()
        .write_register(register::TIMEOUT, 0)
        .unwrap();
    driver.load(&job).unwrap();
    let error = driver.run(100_000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the program has not ended after 100000 cycles"
    );
    assert_works(&mut driver);
}

#[test]
fn a_reset_waits_for_what_runs_and_raises_nothing() {
    let mut driver = device(quiet());
    driver.load(&copy_job()).unwrap();
    let device = driver.device_mut();
    device
        .write_register(register::INTERRUPT_ENABLE, 3)
        .unwrap();
    device.write_register(register::CONTROL, 1).unwrap();
    // the load is on the bus
    assert!(!device.wait(100).unwrap());
    assert_eq!(device.read_register(register::STATUS).unwrap(), 1);
    // both bits: a reset
    device.write_register(register::CONTROL, 3).unwrap();
    assert!(!device.wait(1).unwrap());
    assert_eq!(
        device.read_register(register::STATUS).unwrap(),
        1,
        "it drains"
    );
    assert!(!device.wait(1000).unwrap());
    assert_eq!(device.read_register(register::STATUS).unwrap(), 0);
    assert_eq!(device.read_register(register::CYCLES_LOW).unwrap(), 0);
    assert_eq!(
        device.memories().state[5][0],
        1,
        "the load has come to its end"
    );
    let data = driver.device().ddr();
    let mut stored = [0; 4];
    data.read(0x1040, &mut stored).unwrap();
    assert_eq!(stored, [0; 4], "the store has not begun");
    assert_works(&mut driver);
}

#[test]
fn registers_are_checked_at_start() {
    use register::*;
    let mut driver = device(quiet());
    let message = "a register holds a value that no program can run with";
    for (offset, value) in [
        (PROGRAM_LOW, 32),
        (DATA_LOW, 8),
        (STEP_LOW, 1),
        (STEP_STRIDE, 100),
        (STEPS, 0),
        (PROGRAM_LENGTH, 0),
    ] {
        driver.load(&copy_job()).unwrap();
        driver.device_mut().write_register(offset, value).unwrap();
        let error = driver.run(BUDGET).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program stopped: error register at descriptor 0 (sequencer)",
            "{offset:#x}"
        );
        assert_eq!(driver.device().fault().unwrap().to_string(), message);
        assert_works(&mut driver);
    }
}

/// The first error is kept, and the units come to their ends.
#[test]
fn the_first_of_two_errors_is_kept() {
    let mut driver = device(quiet());
    let far = load(Space::Param, 0, 2048, 1, 0);
    let job = program(&[(FREE, far), (FREE, far), (FREE, far), end()]);
    let message = "load: destination: words 2048 to 2048 of param memory, which has 2048";
    stops(&mut driver, &job, (ErrorCode::Field, 0, 0), message);
}
