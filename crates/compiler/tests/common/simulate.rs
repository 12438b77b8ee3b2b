//! Runs a compiled program on the simulator.

use diffuser_compiler::Compiled;
use diffuser_device::host::{Driver, Job};
use diffuser_device::{Options, Simulator};

use super::runner::{IMAGE, Reference, SEED, check_output, shape, sizes};

/// More cycles than any test needs.
const CYCLES: u64 = 1 << 40;

/// The job of a program that starts from this state.
pub fn job(compiled: &Compiled, start: &[i32]) -> Job {
    let mut data = compiled.data.clone();
    let state = compiled.state_bytes(start);
    data[compiled.layout.state_in..][..state.len()].copy_from_slice(&state);
    Job {
        program: compiled.program_bytes.clone(),
        data,
        records: compiled.records.clone(),
        record_stride: compiled.stride as u32,
        steps: compiled.steps as u32,
        seed: SEED,
        image: IMAGE,
    }
}

/// A simulator that has run a program to its end, and state and pixels as they lie in DDR.
pub fn simulate(
    compiled: &Compiled,
    start: &[i32],
    options: Options,
) -> (Driver<Simulator>, Vec<i32>, Vec<u8>) {
    let target = &compiled.target;
    let simulator = Simulator::new(shape(target), sizes(target), options);
    let mut driver = Driver::new(simulator).expect("an accelerator");
    driver.load(&job(compiled, start)).expect("a sound job");
    if let Err(e) = driver.run(CYCLES) {
        let simulator = driver.device();
        panic!(
            "{e}: {:?} {:?}",
            simulator.fault(),
            simulator.hazards().first()
        );
    }
    let [height, width, _] = compiled.image;
    let mut state = vec![0; 16 * height * width];
    let mut pixels = vec![0; 4 * height * width];
    let layout = compiled.layout;
    let read = driver.read_data(layout.state_out as u64, &mut state);
    read.expect("state");
    let read = driver.read_data(layout.pixels_out as u64, &mut pixels);
    read.expect("pixels");
    let (state, pixels) = (compiled.state_of(&state), compiled.pixels_of(&pixels));
    (driver, state, pixels)
}

/// State and pixels are the engine's, at the cycle model's times and at random ones, and nothing
/// races.
pub fn check_simulated(compiled: &Compiled, want: &Reference) {
    for jitter in [None, Some(1)] {
        let options = Options {
            jitter,
            ..Options::default()
        };
        let (driver, state, pixels) = simulate(compiled, &want.start, options);
        let hazards = driver.device().hazards();
        assert!(hazards.is_empty(), "{}", hazards[0]);
        check_output(&state, &pixels, want);
    }
}
