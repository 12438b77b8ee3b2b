//! A job on both machines.

use diffuser_cosim::lockstep::Lockstep;
use diffuser_cosim::memory::{Ddr, DdrConfig};
use diffuser_cosim::rtl::{DATA_PORTS, Rtl};
use diffuser_cosim::tops::CoreSmall;
use diffuser_device::host::{Driver, HostError, Job, Placement};
use diffuser_device::{Context, Counters, Options, Shape, Simulator, Sizes};
use diffuser_isa::Descriptor;

/// First address of the RTL's DDR: above 32 bits.
const BASE: u64 = 0x8_0000_0000;

/// Cycles that no test comes near to.
const LIMIT: u64 = 200_000_000;

/// The RTL with `bytes` of DDR.
pub fn rtl(bytes: usize, config: DdrConfig) -> Rtl<CoreSmall> {
    let config = DdrConfig {
        read_ports: DATA_PORTS + 1,
        ..config
    };
    let seed = config.seed;
    Rtl::new(CoreSmall::new(), Ddr::new(config, BASE, bytes), seed)
}

/// A job of these descriptors.
pub fn job(program: &[Descriptor], data: Vec<u8>, records: Vec<u8>, steps: u32) -> Job {
    let record_stride = records.len() as u32 / steps;
    let words = program
        .iter()
        .flat_map(|d| d.encode().expect("fields in range"));
    Job {
        program: words.flat_map(u32::to_le_bytes).collect(),
        data,
        records,
        record_stride,
        steps,
        seed: 0x0123_4567_89ab,
        image: 7,
    }
}

/// The job's data afterwards, and counters.
pub struct Outcome {
    pub data: Vec<u8>,
    pub counters: Counters,
}

pub fn simulate(job: &Job) -> Outcome {
    let simulator = Simulator::new(Shape::SMALL, Sizes::SMALL, Options::default());
    let mut driver = Driver::new(simulator).expect("an accelerator");
    driver.load(job).expect("room");
    driver.run(LIMIT).expect("a sound program");
    let mut data = vec![0; job.data.len()];
    driver.read_data(0, &mut data).expect("in DDR");
    Outcome {
        data,
        counters: driver.counters().expect("registers"),
    }
}

/// The simulator's side of a job that is loaded.
fn lockstep(job: &Job, program: &[Descriptor], place: &Placement, core: &CoreSmall) -> Lockstep {
    let mut ddr = diffuser_device::Ddr::new(1 << 40);
    ddr.write(place.data, &job.data).expect("room");
    ddr.write(place.records, &job.records).expect("room");
    let context = Context {
        step: 0,
        steps: job.steps,
        seed: job.seed,
        image: job.image,
        data: place.data,
        record: place.records,
        stride: job.record_stride,
    };
    Lockstep::new(program, (Shape::SMALL, Sizes::SMALL), ddr, context, core)
}

/// Runs a job on the RTL, held against the simulator at each retirement.
pub fn execute(job: &Job, program: &[Descriptor], config: DdrConfig) -> Result<Outcome, HostError> {
    let bytes = job.program.len() + job.data.len() + job.records.len() + 4 * 4096;
    let mut driver = Driver::new(rtl(bytes.next_multiple_of(4096), config))?;
    let place = driver.load(job)?;
    let lockstep = lockstep(job, program, &place, driver.device().core());
    driver.device_mut().follow(lockstep);
    driver.run(LIMIT)?;
    let lockstep = driver.device().lockstep().expect("it was given");
    assert!(
        lockstep.finished(),
        "descriptors that did not retire, {} did",
        lockstep.compared
    );
    let mut data = vec![0; job.data.len()];
    driver.read_data(0, &mut data)?;
    Ok(Outcome {
        data,
        counters: driver.counters()?,
    })
}

/// The same bytes on both; the RTL's counters, then the simulator's.
pub fn compare(job: &Job, program: &[Descriptor], config: DdrConfig) -> (Counters, Counters) {
    let rtl = execute(job, program, config).unwrap_or_else(|e| panic!("{e}"));
    let simulated = simulate(job);
    let difference = rtl
        .data
        .iter()
        .zip(&simulated.data)
        .position(|(a, b)| a != b);
    assert_eq!(difference, None, "first byte that differs");
    (rtl.counters, simulated.counters)
}
