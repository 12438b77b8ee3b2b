//! A job on both machines.

use diffuser_cosim::activity::{Counts, Quota};
use diffuser_cosim::lockstep::{Lockstep, executions};
use diffuser_cosim::memory::{Ddr, DdrConfig};
use diffuser_cosim::rtl::{DATA_PORTS, Rtl};
use diffuser_device::host::{Driver, HostError, Job, Placement};
use diffuser_device::{Context, Counters, Options, Simulator};
use diffuser_isa::generated::{Load, Store};
use diffuser_isa::{Common, Descriptor, Op, Space, Unit};

#[cfg(not(top_core_zu9eg))]
mod build {
    use diffuser_compiler::Target;
    use diffuser_device::{Shape, Sizes};

    pub type Core = diffuser_cosim::tops::CoreSmall;
    pub const TARGET: Target = Target::SMALL;
    pub const SIZES: (Shape, Sizes) = (Shape::SMALL, Sizes::SMALL);
}
#[cfg(top_core_zu9eg)]
mod build {
    use diffuser_compiler::Target;
    use diffuser_device::{Shape, Sizes};

    pub type Core = diffuser_cosim::tops::CoreZu9eg;
    pub const TARGET: Target = Target::ZU9EG;
    pub const SIZES: (Shape, Sizes) = (Shape::ZU9EG, Sizes::ZU9EG);
}
pub use build::{Core, SIZES, TARGET};

/// First address of the RTL's DDR: above 32 bits.
const BASE: u64 = 0x8_0000_0000;

/// Cycles that no test comes near to.
const LIMIT: u64 = 200_000_000;

/// The RTL with `bytes` of DDR.
pub fn rtl(bytes: usize, config: DdrConfig) -> Rtl<Core> {
    let config = DdrConfig {
        read_ports: DATA_PORTS + 1,
        ..config
    };
    let seed = config.seed;
    Rtl::new(Core::new(), Ddr::new(config, BASE, bytes), seed)
}

/// A descriptor that waits for these counts, in the order dma, norm, prep, array, sample.
pub fn step(waits: [Option<i32>; 5], op: Op) -> Descriptor {
    let mut common = Common::default();
    for (unit, count) in waits.iter().enumerate() {
        common.waits |= u32::from(count.is_some()) << unit;
    }
    let count = |u: usize| waits[u].unwrap_or(0);
    common.wait_dma = count(0);
    common.wait_norm = count(1);
    common.wait_prep = count(2);
    common.wait_array = count(3);
    common.wait_sample = count(4);
    Descriptor { common, op }
}

/// From the data's byte `at`, a multiple of 64, to `words` of a memory.
pub fn load(space: Space, address: u32, words: u32, at: usize) -> Op {
    Op::Load(Load {
        space: space as u32,
        address,
        words,
        ddr: (at / 64) as u32,
        ..Load::default()
    })
}

/// From `words` of a memory to the data's byte `at`, a multiple of 64.
pub fn store(space: Space, address: u32, words: u32, at: usize) -> Op {
    Op::Store(Store {
        space: space as u32,
        address,
        words,
        ddr: (at / 64) as u32,
    })
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
    /// For each descriptor of the array its step, index, and the counters at its end: see [`Quota`].
    pub ends: Vec<(u32, usize, Counts)>,
    /// What the array has to multiply.
    pub quotas: Vec<Quota>,
}

/// A job on the simulator.
pub fn simulate(job: &Job, program: &[Descriptor]) -> Outcome {
    simulate_on(job, program, &DdrConfig::default())
}

/// The same, with cycles of this memory.
pub fn simulate_on(job: &Job, program: &[Descriptor], config: &DdrConfig) -> Outcome {
    let options = Options {
        timing: config.timing(),
        trace: true,
        ..Options::default()
    };
    let simulator = Simulator::new(SIZES.0, SIZES.1, options);
    let mut driver = Driver::new(simulator).expect("an accelerator");
    driver.load(job).expect("room");
    driver.run(LIMIT).expect("a sound program");
    let mut data = vec![0; job.data.len()];
    driver.read_data(0, &mut data).expect("in DDR");
    let trace = driver.device().trace();
    let array = || trace.iter().filter(|s| s.unit == Unit::Array);
    let quotas = array().map(|s| Quota {
        busy: s.busy,
        overlaps: overlaps(&program[s.index as usize]),
    });
    let mut sum = Counts::default();
    let ends = array().map(|s| {
        sum.cycles = s.issued;
        sum.busy += s.busy;
        sum.weight += s.stall_weight;
        sum.operand += s.stall_operand;
        sum.bank += s.stall_bank;
        sum.drain += s.stall_store;
        (s.step, s.index as usize, sum)
    });
    Outcome {
        data,
        quotas: quotas.collect(),
        ends: ends.collect(),
        counters: driver.counters().expect("registers"),
    }
}

/// Whether the cycles of a layer and step are those of the simulator's cycle model: within 2 %, or 50.
pub fn near(rtl: u64, model: u64) -> bool {
    rtl.abs_diff(model) <= (rtl / 50).max(50)
}

/// The array goes on to the next descriptor while this one drains.
fn overlaps(descriptor: &Descriptor) -> bool {
    matches!(&descriptor.op, Op::Conv(op) if op.dest_kind == 0)
}

/// The simulator's side of a job that is loaded.
fn lockstep(job: &Job, program: &[Descriptor], place: &Placement, core: &Core) -> Lockstep {
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
    Lockstep::new(program, SIZES, ddr, context, core)
}

/// Runs a job on the RTL, held against the simulator at each retirement; `quotas` of the array's descriptors.
pub fn execute(
    job: &Job,
    program: &[Descriptor],
    quotas: &[Quota],
    config: DdrConfig,
) -> Result<Outcome, HostError> {
    let bytes = job.program.len() + job.data.len() + job.records.len() + 4 * 4096;
    let mut driver = Driver::new(rtl(bytes.next_multiple_of(4096), config))?;
    let place = driver.load(job)?;
    let lockstep = lockstep(job, program, &place, driver.device().core());
    driver.device_mut().follow(lockstep);
    driver.device_mut().split(quotas);
    driver.run(LIMIT)?;
    let lockstep = driver.device().lockstep().expect("it was given");
    assert!(
        lockstep.finished(),
        "descriptors that did not retire, {} did",
        lockstep.compared
    );
    let steps = executions(program, job.steps).into_iter();
    let array = steps.filter(|&(index, _)| program[index].op.unit() == Some(Unit::Array));
    let activity = driver.device().activity().expect("it was given");
    let counted = activity.now();
    let ends = array.zip(activity.ends());
    let ends: Vec<_> = ends.map(|((i, step), &end)| (step, i, end)).collect();
    assert_eq!(ends.len(), quotas.len(), "descriptors of the array");
    let mut data = vec![0; job.data.len()];
    driver.read_data(0, &mut data)?;
    let counters = driver.counters()?;
    let registers = Counts {
        cycles: counters.cycles,
        busy: counters.array_busy,
        weight: counters.stall_weight,
        operand: counters.stall_operand,
        bank: counters.stall_bank,
        drain: counters.stall_store,
    };
    assert_eq!(counted, registers, "what was counted, and the registers");
    Ok(Outcome {
        data,
        counters,
        ends,
        quotas: quotas.to_vec(),
    })
}

/// The same bytes on both; what the RTL did, then the simulator.
pub fn compare(job: &Job, program: &[Descriptor], config: DdrConfig) -> (Outcome, Outcome) {
    let simulated = simulate_on(job, program, &config);
    let rtl = execute(job, program, &simulated.quotas, config).unwrap_or_else(|e| panic!("{e}"));
    let difference = rtl
        .data
        .iter()
        .zip(&simulated.data)
        .position(|(a, b)| a != b);
    assert_eq!(difference, None, "first byte that differs");
    (rtl, simulated)
}
