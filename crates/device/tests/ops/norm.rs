use diffuser_device::Memories;
use diffuser_isa::Op;
use diffuser_isa::generated::{Norm, NormChannel, NormHead};
use diffuser_spec::norm::{Sums, channel_affine, group_factors};
use proptest::prelude::*;

use crate::plain::{Random, run, same, shapes};

/// Group `g` after group, as the table of fields says; the arithmetic of a group is the spec's.
fn expected(before: &Memories, op: &Norm, head: &NormHead) -> Memories {
    let mut m = before.clone();
    let size = op.group_channels;
    for c in op.first_group * size..(op.first_group + op.groups) * size {
        let of = |c: u32| {
            let second = c >= op.channels_a;
            let at = if second {
                op.sums_b + c - op.channels_a
            } else {
                op.sums_a + c
            };
            let gap = if second { head.gap_b } else { head.gap_a };
            (before.sums[at as usize], gap)
        };
        let mut total = Sums::default();
        for other in c / size * size..(c / size + 1) * size {
            let (sums, gap) = of(other);
            total.sum += sums.sum * (1 << gap);
            total.sum_sq += sums.sum_sq * (1 << (2 * gap));
        }
        let factors = group_factors(total, op.count, head.eps, head.exponent);
        let entry = before.param[(op.param + 2 + c) as usize];
        let (gamma, beta) = (entry as i32, (entry >> 32) as i32);
        m.affine[(op.affine + c) as usize] = channel_affine(factors, gamma, beta, of(c).1);
    }
    m
}

proptest! {
    #[test]
    fn norm_is_what_the_page_says(
        (group_channels, all, cut) in (1u32..13, 1u32..9, 0u32..100),
        (first, last) in (0u32..8, 0u32..8),
        (gap_a, gap_b, exponent) in (0u32..8, 0u32..8, -16i32..=24),
        eps: u64, shape in shapes(), seed: u64,
    ) {
        let mut m = Random(seed).memories(shape);
        let channels = group_channels * all;
        let channels_a = 1 + cut % channels;
        let (first, last) = (first.min(last).min(all - 1), first.max(last).min(all - 1));
        let op = Norm {
            sums_a: 200, channels_a, sums_b: 7, channels_b: channels - channels_a,
            group_channels, first_group: first, groups: last - first + 1,
            affine: 21, param: 33, count: group_channels * 64,
        };
        let head = NormHead { eps: eps >> 1, exponent, gap_a, gap_b };
        m.param[33..35].copy_from_slice(&head.encode().unwrap());
        let want = expected(&m, &op, &head);
        run(Op::Norm(op), &mut m).unwrap();
        same(&m, &want)?;
        // the accesses name what is written and, among what is read, each entry once
        let accesses = diffuser_device::ops::accesses(&Op::Norm(op), shape);
        let words = |write: bool, memory| -> u64 {
            let of = accesses.iter().filter(|a| a.write == write && a.memory == memory);
            of.map(|a| a.words.end - a.words.start).sum()
        };
        let range = u64::from(op.groups * group_channels);
        use diffuser_device::Memory;
        prop_assert_eq!(words(true, Memory::Affine), range);
        prop_assert_eq!(words(false, Memory::Sums), range);
        prop_assert_eq!(words(false, Memory::Param), range + 2);
    }
}

#[test]
fn rules_of_norm() {
    let mut m = Random(5).memories(diffuser_device::Shape::SMALL);
    m.param[0..2].fill(0);
    let good = Norm {
        channels_a: 8,
        group_channels: 4,
        groups: 2,
        count: 256,
        ..Norm::default()
    };
    let channel = NormChannel { gamma: 1, beta: 2 };
    m.param[2..10].fill(channel.encode().unwrap()[0]);
    run(Op::Norm(good), &mut m).unwrap();
    let mut refused = |op: Norm, message: &str| {
        assert_eq!(run(Op::Norm(op), &mut m).unwrap_err().to_string(), message);
    };
    refused(
        Norm {
            channels_b: 1,
            ..good
        },
        "norm: the channels are not whole groups",
    );
    refused(
        Norm {
            first_group: 1,
            ..good
        },
        "norm: the range of groups goes past the channels",
    );
    refused(
        Norm {
            affine: 510,
            ..good
        },
        "norm: affine maps: words 510 to 517 of affine memory, which has 512",
    );
    m.sums[0] = Sums {
        sum: 1 << 40,
        sum_sq: 1,
    };
    let fault = run(Op::Norm(good), &mut m).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "norm: the sums of group 0 are not those of 256 values"
    );
}
