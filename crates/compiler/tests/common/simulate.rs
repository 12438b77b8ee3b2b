//! Runs a compiled program on the simulator.

use std::ops::Range;

use diffuser_compiler::Compiled;
use diffuser_device::host::{Driver, Job};
use diffuser_device::{Options, Simulator};

use super::runner::{IMAGE, Reference, SEED, check_output, shape, sizes, with_starts};

/// More cycles than any test needs.
const CYCLES: u64 = 1 << 40;

/// The job of a program whose images start from these states.
pub fn job(compiled: &Compiled, starts: &[&[i32]]) -> Job {
    Job {
        program: compiled.program_bytes.clone(),
        data: with_starts(compiled, starts.iter().copied()),
        records: compiled.records.clone(),
        record_stride: compiled.stride as u32,
        steps: compiled.steps as u32,
        seed: SEED,
        image: IMAGE,
    }
}

/// A simulator that has run a program to its end.
pub fn simulate(compiled: &Compiled, starts: &[&[i32]], options: Options) -> Driver<Simulator> {
    let target = &compiled.target;
    let simulator = Simulator::new(shape(target), sizes(target), options);
    let mut driver = Driver::new(simulator).expect("an accelerator");
    driver.load(&job(compiled, starts)).expect("a sound job");
    if let Err(e) = driver.run(CYCLES) {
        let simulator = driver.device();
        panic!(
            "{e}: {:?} {:?}",
            simulator.fault(),
            simulator.hazards().first()
        );
    }
    driver
}

/// State and pixels of an image as they lie in DDR.
fn result(
    driver: &mut Driver<Simulator>,
    compiled: &Compiled,
    image: usize,
) -> (Vec<i32>, Vec<u8>) {
    let mut read = |range: Range<usize>| {
        let mut bytes = vec![0; range.len()];
        let read = driver.read_data(range.start as u64, &mut bytes);
        read.expect("in the job's data");
        bytes
    };
    let state = read(compiled.state_out(image));
    let pixels = read(compiled.pixels_out(image));
    (compiled.state_of(&state), compiled.pixels_of(&pixels))
}

/// States and pixels are the engine's, at the cycle model's times and at random ones, and nothing
/// races.
pub fn check_simulated(compiled: &Compiled, want: &[Reference]) {
    let starts: Vec<&[i32]> = want.iter().map(|w| &w.start[..]).collect();
    for jitter in [None, Some(1)] {
        let options = Options {
            jitter,
            ..Options::default()
        };
        let mut driver = simulate(compiled, &starts, options);
        let hazards = driver.device().hazards();
        assert!(hazards.is_empty(), "{}", hazards[0]);
        for (image, want) in want.iter().enumerate() {
            let (state, pixels) = result(&mut driver, compiled, image);
            check_output(&state, &pixels, want);
        }
    }
}
