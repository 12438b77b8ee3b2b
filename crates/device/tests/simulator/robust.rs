//! Whatever a program says, the simulator ends with `done` or an error, and runs the next one.

use diffuser_device::Options;
use diffuser_device::host::{HostError, Job};
use diffuser_isa::generated::*;
use diffuser_isa::{Common, Op, Record};
use proptest::prelude::*;

use crate::program::*;

/// A record whose fields are drawn from their ranges: mostly small, sometimes anything.
fn fields<R: Record>(draw: &mut impl FnMut() -> u64) -> R {
    let record: Result<R, std::convert::Infallible> = R::build(|field| {
        let (min, max) = (field.min, field.max);
        let limit = match draw() % 128 {
            0 => max - min,
            1..6 => 4000,
            6..40 => 40,
            _ => 4,
        };
        // around zero where the range holds it
        let low = min.max(if min < 0 { -limit } else { min });
        let high = max.min(low + limit + if min < 0 { limit } else { 0 });
        let span = (high - low + 1) as u128;
        Ok(low + (u128::from(draw()) % span) as i128)
    });
    record.unwrap_or_else(|never| match never {})
}

fn operation(draw: &mut impl FnMut() -> u64) -> Op {
    match draw() % 24 {
        0 => Op::End(End {}),
        1 => Op::Loop(fields(draw)),
        2..5 => Op::Load(fields(draw)),
        5..7 => Op::Store(fields(draw)),
        7..11 => Op::Norm(fields(draw)),
        11..15 => Op::Prep(fields(draw)),
        15..20 => Op::Conv(fields(draw)),
        20..22 => Op::Attention(fields(draw)),
        _ => Op::Sample(fields(draw)),
    }
}

/// The same without what breaks a rule, so that a unit has something to work on.
fn mended(op: Op) -> Op {
    match op {
        Op::Loop(_) => Op::Loop(Loop { target: 0 }),
        Op::Norm(mut op) => {
            let channels = op.group_channels * (op.first_group + op.groups);
            op.channels_a = channels.min(65_535);
            op.channels_b = 0;
            Op::Norm(Norm {
                count: op.count.max(4),
                ..op
            })
        }
        Op::Prep(mut op) => {
            if op.kind != 0 {
                (op.silu, op.affine, op.channels_b) = (false, 0, 0);
            }
            if op.kind != 4 {
                (op.sums, op.plane_dest) = (false, 0);
            }
            if op.kind == 3 {
                op.channels_a = op.channels_a.min(4);
            }
            if !op.sums {
                op.sums_base = 0;
            }
            if op.channels_b == 0 {
                (op.stream_b, op.plane_b) = (0, 0);
            }
            if op.resample == 2 {
                (op.width, op.height) = (op.width & !1 | 2, op.height & !1 | 2);
            }
            Op::Prep(op)
        }
        Op::Conv(mut op) => {
            if op.dest_kind != 0 {
                (op.residual, op.sums) = (false, false);
            }
            op.add_sums &= op.sums;
            op.head_blocks = op.head_blocks.max(1);
            Op::Conv(op)
        }
        op => op,
    }
}

fn common(draw: &mut impl FnMut() -> u64, op: &Op) -> Common {
    let mut common = Common {
        first: draw().is_multiple_of(4),
        ..FREE
    };
    for &unit in diffuser_isa::Unit::ALL {
        if draw().is_multiple_of(4) {
            common = common.after(unit, (draw() % 4) as i32 - 3);
        }
    }
    if matches!(op, Op::Conv(_)) && draw().is_multiple_of(2) {
        common = common.after(diffuser_isa::Unit::Prep, 1);
        common.chain = true;
    }
    common
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn programs_of_any_fields_end(seed: u64, length in 1usize..12) {
        let mut state = seed;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.rotate_left(31)
        };
        let mut list: Vec<_> = (0..length).map(|_| {
            let op = operation(&mut draw);
            let op = if draw().is_multiple_of(8) { op } else { mended(op) };
            (common(&mut draw, &op), op)
        }).collect();
        for (common, op) in &mut list {
            // these wait for nothing, or all programs stop there
            if matches!(op, Op::End(_) | Op::Loop(_)) {
                *common = Common { first: common.first, ..FREE };
            }
        }
        list[0].0.first = true;
        list.push(end());
        let job = Job {
            program: bytes(&list),
            data: (0..1 << 14).map(|_| draw() as u8).collect(),
            steps: 3,
            ..Job::default()
        };
        let mut driver = device(Options { hazards: false, ..Options::default() });
        // what earlier programs have left in the memories
        let memories = driver.device_mut().memories_mut();
        memories.param.fill_with(|| match draw() % 64 {
            // a channel of a conv, a head of an attention; the rest are small numbers of any head
            0 => 0x0018_9000_0000_0000 | draw() >> 40,
            1 => 0x12_3418_9000,
            _ => draw() & 0x0707,
        });
        memories.stream.fill_with(|| draw() as i16);
        memories.state.fill_with(|| [draw() as i32, 0, 1, -1]);
        driver.load(&job).unwrap();
        match driver.run(BUDGET) {
            Ok(()) | Err(HostError::Program { .. }) => {}
            Err(e) => return Err(TestCaseError::fail(e.to_string())),
        }
        assert_works(&mut driver);
    }

    #[test]
    fn programs_of_any_bytes_end(program in proptest::collection::vec(any::<u8>(), 64..256)) {
        let program = program[..program.len() / 64 * 64].to_vec();
        let mut driver = device(Options::default());
        driver.load(&Job { program, steps: 1, ..Job::default() }).unwrap();
        let stopped = matches!(driver.run(BUDGET), Err(HostError::Program { .. }));
        prop_assert!(stopped);
        assert_works(&mut driver);
    }
}
