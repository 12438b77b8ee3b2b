//! What is wrong ends in the register `ERROR`, and the accelerator works again afterwards.

use diffuser_cosim::memory::DdrConfig;
use diffuser_device::host::{Driver, HostError};
use diffuser_isa::generated::{End, Load};
use diffuser_isa::{Op, Space};

use crate::hand::step;
use crate::run::{job, rtl};

#[test]
fn an_address_past_a_memory_and_a_bus_error() {
    let load = |address, words| Load {
        space: Space::Stream as u32,
        address,
        words,
        ..Load::default()
    };
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
    let error = |outcome: Result<(), HostError>| match outcome {
        Err(HostError::Program {
            code,
            unit,
            descriptor,
        }) => (code, unit, descriptor),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        error(run(&mut driver, load(32_760, 16))),
        (2, 0, 0),
        "past the end"
    );
    run(&mut driver, load(32_752, 16)).expect("the last words");
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
