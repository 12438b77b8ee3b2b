use diffuser_device::{Device, Options, Shape, Simulator, Sizes};
use diffuser_isa::generated::register::*;

use crate::program::*;

#[test]
fn values_at_reset() {
    let mut d = Simulator::new(Shape::ZU9EG, Sizes::ZU9EG, Options::default());
    let mut read = |offset| d.read_register(offset).unwrap();
    assert_eq!(read(ID), 0x4449_4646);
    assert_eq!(read(VERSION), 2);
    assert_eq!(read(SHAPE), 0x0010_2008);
    assert_eq!(read(TIMEOUT), 0x0100_0000);
    for offset in [
        STATUS,
        CONTROL,
        INTERRUPT,
        INTERRUPT_ENABLE,
        ERROR,
        STEPS,
        STEP,
        CYCLES_LOW,
        0x0c,
        0x400,
    ] {
        assert_eq!(read(offset), 0, "{offset:#x}");
    }
}

#[test]
fn writable_registers_hold_what_was_written_and_others_do_not() {
    let mut d = Simulator::new(Shape::SMALL, Sizes::SMALL, Options::default());
    let writable = [
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
        TIMEOUT,
    ];
    for (offset, value) in writable.into_iter().zip(0x1234_5678u32..) {
        d.write_register(offset, value).unwrap();
    }
    for (offset, value) in writable.into_iter().zip(0x1234_5678u32..) {
        assert_eq!(d.read_register(offset).unwrap(), value, "{offset:#x}");
    }
    d.write_register(INTERRUPT_ENABLE, !0).unwrap();
    assert_eq!(d.read_register(INTERRUPT_ENABLE).unwrap(), 3);
    for offset in [
        ID, VERSION, SHAPE, STATUS, ERROR, STEP, CYCLES_LOW, STALL_BANK,
    ] {
        let before = d.read_register(offset).unwrap();
        d.write_register(offset, !before).unwrap();
        assert_eq!(d.read_register(offset).unwrap(), before, "{offset:#x}");
    }
    d.reset().unwrap();
    assert_eq!(d.read_register(PROGRAM_LOW).unwrap(), 0);
    assert_eq!(d.read_register(TIMEOUT).unwrap(), TIMEOUT_RESET);
}

#[test]
fn the_interrupt_is_an_event_behind_an_enable() {
    let mut driver = device(Options::default());
    driver.load(&copy_job()).unwrap();
    let d = driver.device_mut();
    d.write_register(CONTROL, 1).unwrap();
    // not enabled: the line stays low, the event is there
    assert!(!d.wait(BUDGET).unwrap());
    assert_eq!(d.read_register(STATUS).unwrap(), 2);
    assert_eq!(d.read_register(INTERRUPT).unwrap(), 1);
    d.write_register(INTERRUPT_ENABLE, 2).unwrap();
    assert!(!d.wait(1).unwrap());
    d.write_register(INTERRUPT_ENABLE, 1).unwrap();
    assert!(d.wait(1).unwrap());
    // a zero clears nothing, a start neither
    d.write_register(INTERRUPT, 2).unwrap();
    assert!(d.wait(1).unwrap());
    d.write_register(CONTROL, 1).unwrap();
    assert_eq!(d.read_register(STATUS).unwrap(), 1, "busy again, not done");
    assert_eq!(d.read_register(INTERRUPT).unwrap(), 1);
    d.write_register(INTERRUPT, 1).unwrap();
    assert!(d.wait(BUDGET).unwrap());
}

#[test]
fn writes_while_busy_count_from_the_next_start() {
    let mut driver = device(Options::default());
    driver.load(&copy_job()).unwrap();
    let d = driver.device_mut();
    d.write_register(INTERRUPT_ENABLE, 3).unwrap();
    d.write_register(CONTROL, 1).unwrap();
    let data = d.read_register(DATA_LOW).unwrap();
    d.write_register(DATA_LOW, 64 * 1000).unwrap();
    d.write_register(PROGRAM_LENGTH, 0).unwrap();
    assert!(d.wait(BUDGET).unwrap());
    assert_eq!(d.read_register(STATUS).unwrap(), 2);
    let mut word = [0; 4];
    d.read_memory(u64::from(data) + 64, &mut word).unwrap();
    assert_eq!(word, [1, 0, 0, 0]);
}

#[test]
fn low_halves_hold_the_high_ones() {
    let mut driver = device(Options::default());
    driver.load(&copy_job()).unwrap();
    driver.run(BUDGET).unwrap();
    let counters = *driver.device().counters();
    assert_eq!(driver.counters().unwrap(), counters);
    assert!(counters.cycles > 100 && counters.cycles < 1000);
    // three descriptors and a state word
    assert_eq!(counters.read_bytes, 3 * 64 + 16);
    let d = driver.device_mut();
    assert_eq!(
        u64::from(d.read_register(CYCLES_LOW).unwrap()),
        counters.cycles
    );
    assert_eq!(d.read_register(CYCLES_HIGH).unwrap(), 0);
}
