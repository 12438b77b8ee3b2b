//! What registers without a reset begin with, and what unknown values become, changes nothing: not a byte, not a cycle.

use diffuser_cosim::memory::{Ddr, DdrConfig};
use diffuser_cosim::rtl::{DATA_PORTS, Rtl};
use diffuser_device::host::Driver;
use diffuser_model::sampling::Sampler;

use crate::common::model::random_model;
use crate::job::network;
use crate::networks::PLAIN;
use crate::run::{Core, simulate};

#[test]
fn noise_in_registers_changes_nothing() {
    let (compiled, job) = network(&random_model(PLAIN, 1, false), Sampler::Ddim, 2, None);
    let wanted = simulate(&job, &compiled.program).data;
    let bytes = job.program.len() + job.data.len() + job.records.len() + 4 * 4096;
    let config = DdrConfig {
        read_ports: DATA_PORTS + 1,
        seed: 5,
        ..DdrConfig::default()
    };
    let mut cycles = None;
    for noise in [2, 3, 17, 0x7fff_fffe] {
        let ddr = Ddr::new(config.clone(), 0x8_0000_0000, bytes.next_multiple_of(4096));
        let rtl = Rtl::new(Core::with_seed(noise), ddr, 5);
        let mut driver = Driver::new(rtl).expect("an accelerator");
        driver.load(&job).expect("room");
        driver.run(1_000_000).expect("a sound program");
        let mut data = vec![0; job.data.len()];
        driver.read_data(0, &mut data).expect("in DDR");
        assert!(data == wanted, "bytes with noise {noise}");
        let counters = driver.counters().expect("registers");
        assert_eq!(
            *cycles.get_or_insert(counters.cycles),
            counters.cycles,
            "cycles with noise {noise}"
        );
    }
}
