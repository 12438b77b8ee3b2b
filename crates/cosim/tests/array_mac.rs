//! The multiply-accumulate array against plain sums: random and extreme operands, accumulators that begin anew, go on, and are
//! multiplied by 128 for a second plane, with and without gaps.
#![cfg(any(top_array_mac, top_array_mac_tree))]

use std::collections::VecDeque;

use diffuser_cosim::bench::{Random, pack, unpack};

/// Values of one issue.
struct Issue {
    first: bool,
    last: bool,
    shift: bool,
    operands: Vec<i64>,
    weights: Vec<i64>,
}

fn values(random: &mut Random, count: usize, extreme: bool) -> Vec<i64> {
    let one = |random: &mut Random| {
        if !extreme {
            random.range(-127, 127)
        } else if random.chance(128) {
            127
        } else {
            -127
        }
    };
    // all of one sign is the largest sum that a cascade holds
    let sign = if random.chance(128) { 127 } else { -127 };
    let same = extreme && random.chance(128);
    (0..count)
        .map(|_| if same { sign } else { one(random) })
        .collect()
}

macro_rules! bench {
    ($module:ident, $top:ident, $p:expr, $o:expr, $i:expr) => {
        mod $module {
            use super::*;
            use diffuser_cosim::tops::$top;

            const P: usize = $p;
            const O: usize = $o;
            const I: usize = $i;
            /// As array_pkg says it.
            const LATENCY: usize = 1 + 7 + 4 + 1 + (I / 8).ilog2() as usize + 1;

            fn run(seed: u64, issues: usize, gap: u32) {
                let mut random = Random::new(seed);
                let mut top = $top::with_seed(seed as i32 + 1);
                top.set_rst_ni(false);
                top.tick();
                top.set_rst_ni(true);
                let mut acc = vec![0i32; P * O];
                // what must come after LATENCY cycles
                let mut coming: VecDeque<Option<Vec<i64>>> =
                    std::iter::repeat_with(|| None).take(LATENCY).collect();
                let mut length = 0;
                let mut compared = 0;
                for _ in 0..issues {
                    let valid = !random.chance(gap);
                    let extreme = random.chance(64);
                    let issue = Issue {
                        first: length == 0,
                        last: random.chance(64),
                        shift: random.chance(20),
                        operands: values(&mut random, P * I, extreme),
                        weights: values(&mut random, O * I, extreme),
                    };
                    top.set_issue_i(
                        u8::from(valid) << 3
                            | u8::from(issue.first) << 2
                            | u8::from(issue.last) << 1
                            | u8::from(issue.shift),
                    );
                    top.set_operand_i(pack(8, issue.operands.iter().copied()));
                    top.set_weight_i(pack(8, issue.weights.iter().copied()));
                    if valid {
                        for p in 0..P {
                            for o in 0..O {
                                let dot = (0..I)
                                    .map(|i| issue.operands[p * I + i] * issue.weights[o * I + i])
                                    .sum::<i64>() as i32;
                                let acc = &mut acc[p * O + o];
                                let before = match (issue.first, issue.shift) {
                                    (true, _) => 0,
                                    (false, true) => acc.wrapping_shl(7),
                                    (false, false) => *acc,
                                };
                                *acc = before.wrapping_add(dot);
                            }
                        }
                        length = if issue.last { 0 } else { length + 1 };
                    }
                    let done = valid && issue.last;
                    coming.push_back(done.then(|| acc.iter().map(|&a| i64::from(a)).collect()));
                    top.eval();
                    let want = coming.pop_front().unwrap();
                    assert_eq!(top.acc_valid_o(), want.is_some());
                    if let Some(want) = want {
                        assert_eq!(unpack(&top.acc_o(), 32, P * O), want);
                        compared += 1;
                    }
                    top.tick();
                }
                assert!(compared > issues / 16, "{compared} of {issues} compared");
            }

            #[test]
            fn sums_of_random_issues() {
                run(1, 1500, 0);
                run(2, 1500, 100);
            }
        }
    };
}

#[cfg(top_array_mac)]
bench!(eight, ArrayMac, 4, 8, 8);
#[cfg(top_array_mac_tree)]
bench!(tree, ArrayMacTree, 2, 4, 32);
