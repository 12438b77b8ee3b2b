//! Programs, and what they should do.

use diffuser_cosim::bench::Random;
use diffuser_isa::generated::{Attention, Conv, End, Load, Loop, Norm, Prep, Sample, Store};
use diffuser_isa::{Common, Descriptor, Op, Unit};

use super::{Start, words};

/// A descriptor of a unit that passes the checks; `n` tells it from others.
pub fn op_of(unit: Unit, n: u32) -> Op {
    match (unit, n % 2) {
        (Unit::Dma, 0) => Op::Load(Load {
            words: 1 + n,
            address: n,
            space: n % 4,
            ..Load::default()
        }),
        (Unit::Dma, _) => Op::Store(Store {
            words: 1 + n,
            space: 2 + n % 3,
            ..Store::default()
        }),
        (Unit::Norm, _) => Op::Norm(Norm {
            channels_a: 1 + n,
            group_channels: 1,
            groups: 1,
            count: 1 + n,
            ..Norm::default()
        }),
        (Unit::Prep, _) => Op::Prep(Prep {
            channels_a: 1 + n,
            width: 4,
            height: 4,
            dest: n,
            ..Prep::default()
        }),
        (Unit::Array, 0) => Op::Conv(Conv {
            blocks: 1 + n,
            tiles: 1,
            in_width: 1,
            in_height: 1,
            out_width: 1,
            out_height: 1,
            ..Conv::default()
        }),
        (Unit::Array, _) => Op::Attention(Attention {
            heads: 1,
            head_blocks: 1,
            pixels: 1 + n,
            ..Attention::default()
        }),
        (Unit::Sample, _) => Op::Sample(Sample {
            channels: 3,
            pixels: 1 + n,
            ..Sample::default()
        }),
    }
}

pub fn end() -> [u32; 16] {
    words(Common::default(), Op::End(End {}))
}

pub fn back(target: u32) -> [u32; 16] {
    words(Common::default(), Op::Loop(Loop { target }))
}

/// `before` descriptors, a body of `body`, a loop, `after` more and `end`; waits at random among those that cannot lock up.
/// With a loop, what stands before has the body's units at its end, so that counts can reach back over the start.
pub fn program(seed: u64, before: usize, body: usize, after: usize) -> Vec<[u32; 16]> {
    let mut random = Random::new(seed);
    let unit = |random: &mut Random| Unit::ALL[random.below(5) as usize];
    let units: Vec<Unit> = (0..body).map(|_| unit(&mut random)).collect();
    let mut all = Vec::new();
    let mut place: Vec<Unit> = (0..before).map(|_| unit(&mut random)).collect();
    if body > 0 {
        place.extend(&units);
    }
    let first = place.len();
    place.extend(&units);
    place.extend((0..after).map(|_| unit(&mut random)));
    for (i, &unit) in place.iter().enumerate() {
        if body > 0 && i == first + body {
            all.push(back(first as u32));
        }
        let mut common = Common {
            first: body > 0 && i == first,
            tag: i as u32,
            ..Common::default()
        };
        for &other in Unit::ALL {
            if !random.chance(90) {
                continue;
            }
            // descriptors of `other` between the pass's start and this one
            let from = if i < first || body == 0 { 0 } else { first };
            let here = place[from..i].iter().filter(|&&u| u == other).count() as i64;
            let earlier = units.iter().filter(|&&u| u == other).count() as i64;
            let lowest = if from == 0 { 0 } else { -earlier };
            common = common.after(other, random.range(lowest, here) as i32);
        }
        all.push(words(common, op_of(unit, i as u32)));
    }
    if body > 0 && after == 0 {
        all.push(back(first as u32));
    }
    all.push(end());
    all
}

/// What each unit is to be given, with the retired counts that it has to wait for (of named units).
pub fn expected(program: &[[u32; 16]], steps: u32) -> Vec<(Start, [Option<i64>; 5])> {
    let mut found = Vec::new();
    let (mut at, mut step) = (0, 0);
    let (mut given, mut base) = ([0i64; 5], [0i64; 5]);
    loop {
        let descriptor = Descriptor::decode(&program[at]).expect("sound");
        if descriptor.common.first {
            base = given;
        }
        at += 1;
        let unit = match descriptor.op {
            Op::End(_) => return found,
            Op::Loop(l) => {
                if step + 1 < steps {
                    (step, at) = (step + 1, l.target as usize);
                }
                continue;
            }
            Op::Load(_) | Op::Store(_) => Unit::Dma,
            Op::Norm(_) => Unit::Norm,
            Op::Prep(_) => Unit::Prep,
            Op::Conv(_) | Op::Attention(_) => Unit::Array,
            Op::Sample(_) => Unit::Sample,
        };
        let waits = std::array::from_fn(|u| {
            let wait = descriptor.common.wait(Unit::ALL[u]);
            wait.map(|w| base[u] + i64::from(w))
        });
        given[unit as usize] += 1;
        let start = Start {
            unit,
            words: program[at - 1],
            step,
            retired: [0; 5],
        };
        found.push((start, waits));
    }
}

/// Every unit got its descriptors, in order, none too early.
pub fn check(starts: &[Start], program: &[[u32; 16]], steps: u32) {
    let expected = expected(program, steps);
    assert_eq!(starts.len(), expected.len(), "descriptors that ran");
    for &unit in Unit::ALL {
        let found = starts.iter().filter(|s| s.unit == unit);
        let wanted = expected.iter().filter(|(s, _)| s.unit == unit);
        for (n, (found, (wanted, waits))) in found.zip(wanted).enumerate() {
            let name = unit.name();
            assert_eq!(found.words, wanted.words, "descriptor {n} of {name}");
            assert_eq!(found.step, wanted.step, "step of descriptor {n} of {name}");
            for u in 0..5 {
                let retired = found.retired[u] as i64;
                assert!(
                    waits[u].is_none_or(|w| retired >= w),
                    "descriptor {n} of {name} started at {:?}, waits for {waits:?}",
                    found.retired
                );
            }
        }
    }
}
