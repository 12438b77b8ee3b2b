//! Programs of a few descriptors.

use diffuser_device::host::{Driver, Job};
use diffuser_device::{Options, Shape, Simulator, Sizes};
use diffuser_isa::generated::{End, Load, Loop, SampleHead, Store};
use diffuser_isa::{Common, Descriptor, Op, Space, Unit};

/// Cycles that every program of these tests ends in.
pub const BUDGET: u64 = 1 << 32;

/// Waits for nothing.
pub const FREE: Common = Common {
    waits: 0,
    chain: false,
    first: false,
    wait_dma: 0,
    wait_norm: 0,
    wait_prep: 0,
    wait_array: 0,
    wait_sample: 0,
    tag: 0,
};

/// Waits for `count` of `unit`.
pub const fn after(unit: Unit, count: i32) -> Common {
    FREE.after(unit, count)
}

/// The same as the first descriptor of a pass.
pub const fn first(common: Common) -> Common {
    Common {
        first: true,
        ..common
    }
}

pub fn bytes(program: &[(Common, Op)]) -> Vec<u8> {
    let words = |&(common, op): &(Common, Op)| {
        let descriptor = Descriptor { common, op };
        descriptor.encode().expect("fields are in their ranges")
    };
    program
        .iter()
        .flat_map(words)
        .flat_map(u32::to_le_bytes)
        .collect()
}

pub fn end() -> (Common, Op) {
    (FREE, Op::End(End {}))
}

pub fn jump(target: u32) -> (Common, Op) {
    (FREE, Op::Loop(Loop { target }))
}

pub fn load(space: Space, per_step: u32, address: u32, words: u32, ddr: u32) -> Op {
    Op::Load(Load {
        space: space as u32,
        per_step,
        address,
        words,
        ddr,
    })
}

pub fn store(space: Space, address: u32, words: u32, ddr: u32) -> Op {
    Op::Store(Store {
        space: space as u32,
        address,
        words,
        ddr,
    })
}

/// A head of `sample` that multiplies the state with `factor`, and adds noise / 16 if any is drawn.
pub fn scale(factor: i64) -> SampleHead {
    SampleHead {
        next_state: factor << 32,
        next_noise: 1 << 28,
        clip: 1 << 47,
        ..SampleHead::default()
    }
}

pub fn entries(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// `bytes`, zeros behind them up to `size`.
pub fn padded(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    assert!(bytes.len() <= size);
    bytes.resize(size, 0);
    bytes
}

pub fn device(options: Options) -> Driver<Simulator> {
    let simulator = Simulator::new(Shape::SMALL, Sizes::SMALL, options);
    Driver::new(simulator).expect("an accelerator")
}

/// A program that moves one state word from offset 0 of the data to offset 64.
pub fn copy_job() -> Job {
    let data = [1u32, 2, 3, 0x8000_0000].map(u32::to_le_bytes).concat();
    Job {
        program: bytes(&[
            (FREE, load(Space::State, 0, 5, 1, 0)),
            (after(Unit::Dma, 1), store(Space::State, 5, 1, 1)),
            end(),
        ]),
        data: padded(data, 128),
        steps: 1,
        ..Job::default()
    }
}

/// [`copy_job`] works on `driver`.
pub fn assert_works(driver: &mut Driver<Simulator>) {
    let job = copy_job();
    driver.load(&job).expect("it fits");
    driver.run(BUDGET).expect("a good program");
    let mut got = [0; 16];
    driver.read_data(64, &mut got).expect("in the data");
    assert_eq!(got, job.data[..16]);
}
