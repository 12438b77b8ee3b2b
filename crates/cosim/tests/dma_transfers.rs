//! Every kind of transfer, of every short length, against the simulator; speed.
#![cfg(all(top_dma_small, top_dma_zu9eg))]

mod dma_bench;

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::tops::{DmaSmall, DmaZu9eg};
use diffuser_device::ops::load::word_bytes;
use diffuser_isa::generated::{Load, Store};
use diffuser_isa::{Op, Space};
use dma_bench::top::{DmaTop, dma_top};
use dma_bench::{BYTES, Bench, fast, rough};

dma_top!(DmaSmall, 1, 8, 8);
dma_top!(DmaZu9eg, 4, 32, 16);

const LOADS: [Space; 5] = [
    Space::Weight,
    Space::Param,
    Space::Stream,
    Space::State,
    Space::Weight4,
];
const STORES: [Space; 3] = [Space::Stream, Space::State, Space::Pixel];

fn load(space: Space, address: u32, words: u32, ddr: u32) -> Op {
    Op::Load(Load {
        space: space as u32,
        address,
        words,
        ddr,
        ..Load::default()
    })
}

fn store(space: Space, address: u32, words: u32, ddr: u32) -> Op {
    Op::Store(Store {
        space: space as u32,
        address,
        words,
        ddr,
    })
}

/// A batch of all kinds of transfers whose words and bytes do not meet: each has a fourth of its memory, an eighth of the DDR.
fn batch(random: &mut Random, words: u32) -> Vec<Op> {
    let mut list = vec![];
    // weight memory: 512 words in two halves; stream: 1024; state: 512; param: 2048
    let at = |random: &mut Random, first: u64, size: u64| {
        (first + random.below(size - u64::from(words) + 1)) as u32
    };
    let part = BYTES as u64 / 64 / 8;
    let offset = |random: &mut Random, i: u64| {
        // often just before a boundary of 4 KB
        let room = part - 600;
        let any = random.below(room);
        let any = if random.chance(128) {
            any / 64 * 64 + 63 - random.below(4)
        } else {
            any
        };
        (i * part + any.min(room)) as u32
    };
    list.push(load(
        Space::Weight,
        at(random, 0, 256),
        words,
        offset(random, 0),
    ));
    list.push(load(
        Space::Weight4,
        at(random, 256, 256),
        words,
        offset(random, 1),
    ));
    list.push(load(
        Space::Param,
        at(random, 0, 2048),
        words,
        offset(random, 2),
    ));
    list.push(load(
        Space::Stream,
        at(random, 0, 512),
        words,
        offset(random, 3),
    ));
    list.push(load(
        Space::State,
        at(random, 0, 128),
        words,
        offset(random, 4),
    ));
    list.push(store(
        Space::Stream,
        at(random, 512, 512),
        words,
        offset(random, 5),
    ));
    list.push(store(
        Space::State,
        at(random, 128, 384),
        words,
        offset(random, 6),
    ));
    list.push(store(
        Space::Pixel,
        at(random, 128, 384),
        words,
        offset(random, 7),
    ));
    // in another order
    for i in (1..list.len()).rev() {
        list.swap(i, random.below(i as u64 + 1) as usize);
    }
    list
}

fn every_length<T: DmaTop>(seed: u64) {
    let mut random = Random::new(seed);
    let config = DdrConfig {
        latency: 20,
        ..rough(T::PORTS, seed)
    };
    let mut bench = Bench::<T>::new(seed, DdrConfig { stall: 8, ..config }, 20);
    for words in 1..=70 {
        bench.check(&batch(&mut random, words));
    }
    let read: u64 = bench.ddr.read_bytes().iter().sum();
    assert_eq!(16 * bench.beats, read, "READ_BYTES");
}

#[test]
fn every_length_small() {
    every_length::<DmaSmall>(1);
}

#[test]
fn every_length_zu9eg() {
    every_length::<DmaZu9eg>(2);
}

fn random_batches<T: DmaTop>(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut random = Random::new(seed);
        let stall = [0, 60, 200][seed as usize % 3];
        let mut bench = Bench::<T>::new(seed, rough(T::PORTS, seed), stall);
        for _ in 0..3 {
            let words = 1 + random.below(70) as u32;
            bench.check(&batch(&mut random, words));
        }
    }
}

#[test]
fn rough_memories_small() {
    random_batches::<DmaSmall>(100..130);
}

#[test]
fn rough_memories_zu9eg() {
    random_batches::<DmaZu9eg>(200..215);
}

fn one_after_the_other<T: DmaTop>() {
    // a single transfer at a time, one word and a few, at each address of a page's last lines
    let mut bench = Bench::<T>::new(7, fast(T::PORTS), 0);
    for i in 0..8 {
        for space in LOADS {
            bench.check(&[load(space, 11 + i, 1 + 5 * i, 56 + i)]);
        }
        for space in STORES {
            bench.check(&[store(space, 11 + i, 1 + 5 * i, 120 + i)]);
        }
    }
    // where the data begin
    for space in STORES {
        bench.check(&[store(space, 0, 9, 0)]);
    }
}

#[test]
fn one_transfer_at_a_time() {
    one_after_the_other::<DmaSmall>();
    one_after_the_other::<DmaZu9eg>();
}

fn steps<T: DmaTop>() {
    let mut bench = Bench::<T>::new(9, rough(T::PORTS, 3), 20);
    bench.context.steps = 5;
    bench.context.record = dma_bench::BASE + 0x8000;
    bench.context.data = dma_bench::BASE + 0x1000;
    for (stride, step) in [(64, 0), (4096 + 64, 3), (0x1_0040, 2), (64, 4), (0, 4)] {
        bench.context.stride = stride;
        bench.context.step = step;
        let op = |i: u32, per_step| {
            Op::Load(Load {
                space: Space::Param as u32,
                per_step,
                address: 300 * i + per_step,
                words: 17,
                ddr: 3 * i,
            })
        };
        bench.check(&[op(0, 1), op(1, 2), op(2, 0), op(3, 2), op(4, 1)]);
        for (i, space) in (0..).zip(LOADS) {
            for per_step in [1, 2] {
                bench.check(&[Op::Load(Load {
                    space: space as u32,
                    per_step,
                    address: 5 + i,
                    words: 3,
                    ddr: 2,
                })]);
            }
        }
    }
    // numbers that need all bits of the product: the base is far below
    bench.context.steps = 0xffff_fff0;
    for (stride, step) in [
        (0x00fe_dcc0, 0x0000_f1f3),
        (0x8765_4300, 0x1234),
        (0x40, 0x7fff_fffe),
    ] {
        bench.context.stride = stride;
        for per_step in [1, 2] {
            bench.context.step = step;
            let offset = u64::from(stride) * (u64::from(step) + u64::from(per_step) - 1);
            bench.context.record = (dma_bench::BASE + 0x400).wrapping_sub(offset);
            bench.check(&[Op::Load(Load {
                space: Space::Stream as u32,
                per_step,
                address: 5,
                words: 3,
                ddr: 2,
            })]);
        }
    }
    // the last step has no next one
    bench.context = diffuser_device::Context {
        steps: 1,
        step: 0,
        stride: 0x4000,
        record: dma_bench::BASE,
        ..bench.context
    };
    bench.check(&[Op::Load(Load {
        space: Space::State as u32,
        per_step: 2,
        address: 5,
        words: 3,
        ddr: 2,
    })]);
}

#[test]
fn addresses_follow_the_step() {
    steps::<DmaSmall>();
    steps::<DmaZu9eg>();
}

/// Bytes a cycle of `count` loads of `words` words one after the other, from the first taken to the last retired.
fn rate<T: DmaTop>(space: Space, words: u32, count: u32, config: DdrConfig) -> f64 {
    let mut bench = Bench::<T>::new(5, config, 0);
    let shape = bench.memories.shape;
    for i in 0..count {
        bench.push(load(space, i % 4 * 64, words, i % 8 * 256));
    }
    let begin = bench.cycle;
    bench.finish(100_000);
    let bytes = word_bytes(space, shape) * (words * count) as usize;
    let rate = bytes as f64 / (bench.cycle - begin) as f64;
    println!(
        "{space:?}, {count} x {words} words, {} ports: {rate:.2} bytes a cycle",
        T::PORTS
    );
    rate
}

#[test]
fn four_ports_give_64_bytes_a_cycle() {
    // 24 loads of 32 KB
    let weights = rate::<DmaZu9eg>(Space::Weight, 64, 24, fast(4));
    assert!(weights > 61.0, "{weights}");
    let small = rate::<DmaSmall>(Space::Weight, 64, 24, fast(1));
    assert!(small > 15.2, "{small}");
    // latency as of the board, with refresh and jitter
    let board = DdrConfig {
        shared: None,
        ..DdrConfig::default()
    };
    let weights = rate::<DmaZu9eg>(Space::Weight, 64, 24, board);
    assert!(weights > 54.0, "{weights}");
    // 4-bit weights too: 128 bytes of the weight memory a cycle
    let weights = rate::<DmaZu9eg>(Space::Weight4, 128, 24, fast(4));
    assert!(weights > 61.0, "{weights}");
    // a word of the small build is no longer than what comes in a cycle
    let small = rate::<DmaSmall>(Space::Weight4, 128, 24, fast(1));
    assert!(small > 15.2, "{small}");
    let stream = rate::<DmaZu9eg>(Space::Stream, 512, 4, fast(4));
    assert!(stream > 50.0, "{stream}");
}
