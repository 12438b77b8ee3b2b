//! What goes wrong on the bus or in a descriptor, and a flush in the middle of everything.
#![cfg(all(top_dma_small, top_dma_zu9eg))]

mod dma_bench;

use diffuser_cosim::bench::Random;
use diffuser_cosim::tops::{DmaSmall, DmaZu9eg};
use diffuser_device::Memories;
use diffuser_isa::generated::{Load, Store};
use diffuser_isa::{ErrorCode, Op, Space};
use dma_bench::top::{DmaTop, dma_top};
use dma_bench::{BASE, BYTES, Bench, rough};

dma_top!(DmaSmall, 1, 8, 8);
dma_top!(DmaZu9eg, 4, 32, 16);

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

/// Runs transfers one of which fails: its error comes with it, the others do what they should.
fn fails<T: DmaTop>(bench: &mut Bench<T>, good: &[Op], wrong: Op, at: usize, code: ErrorCode) {
    let first = bench.ends.len();
    let mut truth = bench.memories.clone();
    let mut ddr = bench.truth_ddr();
    for op in good {
        diffuser_device::ops::execute(op, &mut truth, &mut ddr, &bench.context).expect("sound");
    }
    let mut list = good.to_vec();
    list.insert(at, wrong);
    for op in &list {
        bench.push(*op);
    }
    bench.finish(100_000);
    for (i, end) in bench.ends[first..].iter().enumerate() {
        let wanted = (i == at).then_some(code as u8);
        assert_eq!(end.error, wanted, "transfer {i}, {wrong:?} at {at}");
    }
    // nothing of the one that failed is looked at: it has words and bytes of its own
    let heal = |words: std::ops::Range<usize>, to: &mut Memories, from: &Memories| {
        let size = to.weight.len() / 512;
        to.weight[words.start * size..words.end * size]
            .copy_from_slice(&from.weight[words.start * size..words.end * size]);
    };
    if let Op::Load(l) = wrong
        && l.space == Space::Weight as u32
        && l.address + l.words <= 512
    {
        let range = l.address as usize..(l.address + l.words) as usize;
        heal(range, &mut truth, &bench.memories);
    }
    if let Op::Store(s) = wrong {
        let from = 64 * s.ddr as usize;
        let size = diffuser_device::ops::store::bytes(&s, bench.memories.shape);
        let found = &bench.ddr.bytes()[from..BYTES.min(from + size)];
        ddr.write(BASE + from as u64, found).expect("there");
    }
    bench.compare(&truth, &ddr, &list);
}

/// Good transfers beside which there is room: weight words 256 on, DDR from 0x80000 on.
const GOOD: fn() -> Vec<Op> = || {
    vec![
        load(Space::Param, 3, 40, 1),
        store(Space::Pixel, 7, 33, 600),
        load(Space::Weight, 5, 9, 50),
        load(Space::State, 100, 17, 300),
        store(Space::Stream, 1, 20, 700),
    ]
};

fn bus_errors<T: DmaTop>() {
    for seed in 0..10 {
        let mut bench = Bench::<T>::new(seed, rough(T::PORTS, seed), 30);
        let mut random = Random::new(seed);
        for _ in 0..4 {
            let at = random.below(6) as usize;
            let words = 1 + random.below(30) as u32;
            let shape = bench.memories.shape;
            // a byte in the middle, or the last
            let wrong = load(Space::Weight, 256, words, 0x80000 / 64);
            let bytes = u64::from(words) * shape.weight_bytes() as u64;
            let byte = BASE + 0x80000 + [random.below(bytes), bytes - 1][random.below(2) as usize];
            bench.ddr.fail_reads(byte, byte);
            fails(&mut bench, &GOOD(), wrong, at, ErrorCode::Read);
            let wrong = store(Space::Pixel, 200, words, 0x80000 / 64);
            let byte = BASE + 0x80000 + random.below(4 * u64::from(words));
            bench.ddr.fail_writes(byte, byte);
            fails(&mut bench, &GOOD(), wrong, at, ErrorCode::Write);
            bench.ddr.heal();
            bench.check(&GOOD());
        }
        // past the end of the memory: DECERR
        let end = (BYTES / 64) as u32;
        fails(
            &mut bench,
            &GOOD(),
            load(Space::Weight, 256, 16, end - 1),
            2,
            ErrorCode::Read,
        );
        fails(
            &mut bench,
            &GOOD(),
            store(Space::State, 0, 16, end - 1),
            2,
            ErrorCode::Write,
        );
    }
}

#[test]
fn bus_errors_stay_with_their_transfer() {
    bus_errors::<DmaSmall>();
    bus_errors::<DmaZu9eg>();
}

fn ranges<T: DmaTop>() {
    let mut bench = Bench::<T>::new(4, rough(T::PORTS, 1), 30);
    let before: u64 = bench.ddr.read_bytes().iter().sum();
    for (space, depth) in [
        (Space::Weight, 512),
        (Space::Weight4, 512),
        (Space::Param, 2048),
        (Space::Stream, 1024),
        (Space::State, 512),
    ] {
        for (address, words) in [
            (depth - 3, 4),
            (depth, 1),
            (0, depth + 1),
            (0xff_ffff, 0xff_ffff),
        ] {
            bench.push(load(space, address, words, 0));
            if matches!(space, Space::Stream | Space::State) {
                bench.push(store(space, address, words, 0));
            }
        }
    }
    bench.push(store(Space::Pixel, 509, 4, 0));
    let (memories, ddr) = (bench.memories.clone(), bench.truth_ddr());
    bench.finish(100_000);
    assert_eq!(bench.ends.len(), 29);
    assert!(
        bench
            .ends
            .iter()
            .all(|e| e.error == Some(ErrorCode::Field as u8))
    );
    bench.compare(&memories, &ddr, &[]);
    assert_eq!(
        bench.ddr.read_bytes().iter().sum::<u64>(),
        before,
        "nothing was read"
    );
    // up to the last word it is no error
    bench.check(&[
        load(Space::Weight, 509, 3, 0),
        load(Space::Param, 2047, 1, 0),
        store(Space::Pixel, 508, 4, 100),
        load(Space::Stream, 1020, 4, 0),
    ]);
}

#[test]
fn words_that_a_memory_does_not_have_are_refused() {
    ranges::<DmaSmall>();
    ranges::<DmaZu9eg>();
}

fn far<T: DmaTop>() {
    let mut bench = Bench::<T>::new(4, rough(T::PORTS, 1), 30);
    let (memories, ddr) = (bench.memories.clone(), bench.truth_ddr());
    let read = ErrorCode::Read as u8;
    for data in [1u64 << 40, 1 << 63, (1 << 40) - 64, u64::MAX - 127] {
        bench.context.data = data;
        for (op, code) in [
            (load(Space::Param, 0, 9, 0), read),
            (store(Space::State, 0, 5, 0), ErrorCode::Write as u8),
        ] {
            bench.push(op);
            bench.finish(10_000);
            assert_eq!(
                bench.ends.last().and_then(|e| e.error),
                Some(code),
                "{data:#x}"
            );
        }
    }
    // a transfer that ends with the bus is one that nobody answers here, and no address beyond it is shown
    bench.context.data = (1 << 40) - 64;
    let before: u64 = bench.ddr.read_bytes().iter().sum();
    bench.push(load(Space::Param, 0, 8, 0));
    bench.finish(10_000);
    assert_eq!(bench.ends.last().and_then(|e| e.error), Some(read));
    assert_eq!(bench.ddr.read_bytes().iter().sum::<u64>(), before + 64);
    // the words hold what came, and the rest what it was
    let mut now = bench.memories.clone();
    now.param[..8].copy_from_slice(&memories.param[..8]);
    assert!(now == memories);
    bench.context.data = BASE;
    bench.memories.param[..8].copy_from_slice(&memories.param[..8]);
    bench.compare(&memories, &ddr, &[]);
    bench.check(&GOOD());
}

#[test]
fn addresses_beyond_the_bus_are_errors() {
    far::<DmaSmall>();
    far::<DmaZu9eg>();
}

fn flush<T: DmaTop>(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut random = Random::new(seed);
        let mut bench =
            Bench::<T>::new(seed, rough(T::PORTS, seed), [0, 60, 200][seed as usize % 3]);
        for _ in 0..4 {
            let before = bench.memories.clone();
            let bytes = bench.ddr.bytes().to_vec();
            for _ in 0..2 {
                bench.push(load(Space::Weight, 100, 60, 30));
                bench.push(store(Space::Stream, 17, 150, 1000));
                bench.push(load(Space::Param, 0, 300, 77));
                bench.push(store(Space::Pixel, 9, 99, 8000));
            }
            for _ in 0..random.below(1200) {
                bench.step();
            }
            bench.flush = true;
            bench.forget_queue();
            // all that was taken ends, and the bus comes to rest with it
            bench.finish(3_000);
            for _ in 0..1 + random.below(3) {
                bench.step();
            }
            bench.flush = false;
            bench.step();
            // what none of them touches is as it was
            let now = &bench.memories;
            assert!(now.state == before.state && now.stream == before.stream);
            assert!(now.param[300..] == before.param[300..]);
            let word = now.shape.weight_bytes();
            assert!(now.weight[..100 * word] == before.weight[..100 * word]);
            assert!(now.weight[160 * word..] == before.weight[160 * word..]);
            let stores = [(1000, 150 * 2 * T::OUTPUTS), (8000, 99 * 4)];
            for (i, (a, b)) in bench.ddr.bytes().iter().zip(&bytes).enumerate() {
                let inside = stores
                    .iter()
                    .any(|&(at, n)| (64 * at..64 * at + n).contains(&i));
                assert!(inside || a == b, "byte {i:#x}");
            }
            // and what was written of them is right
            let first = bench.ends.len();
            bench.check(&GOOD());
            assert_eq!(bench.ends.len(), first + 5);
        }
    }
}

#[test]
fn a_flush_ends_all_and_the_next_transfers_are_right_small() {
    flush::<DmaSmall>(0..16);
}

#[test]
fn a_flush_ends_all_and_the_next_transfers_are_right_zu9eg() {
    flush::<DmaZu9eg>(20..32);
}
