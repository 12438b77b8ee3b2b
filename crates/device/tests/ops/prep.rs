use diffuser_device::{Memories, Shape};
use diffuser_isa::Op;
use diffuser_isa::generated::{Prep, PrepHead};
use diffuser_spec::norm::Sums;
use diffuser_spec::silu::silu;
use proptest::prelude::*;

use crate::conv::writes_only_what_it_says;
use crate::plain::{Random, rnd, run, same, sat, sat8, shapes, spread_at, stream_at};

/// The result's channel at pixel (y, x) from `value` of the source's pixels.
fn resampled(op: &Prep, y: u64, x: u64, value: impl Fn(u64) -> i128) -> i128 {
    let w = u64::from(op.width);
    match op.resample {
        1 => value(y / 2 * w + x / 2),
        2 => {
            let sum: i128 = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .map(|(dy, dx)| value((2 * y + dy) * w + 2 * x + dx))
                .iter()
                .sum();
            (sum + 2).div_euclid(4)
        }
        _ => value(y * w + x),
    }
}

fn expected(before: &Memories, op: &Prep, head: &PrepHead) -> Memories {
    let mut m = before.clone();
    let (i_size, o_size) = (m.shape.inputs as u64, m.shape.outputs as u64);
    let (w, h) = (u64::from(op.width), u64::from(op.height));
    let (w, h) = match op.resample {
        1 => (2 * w, 2 * h),
        2 => (w / 2, h / 2),
        _ => (w, h),
    };
    let (ca, cb) = (u64::from(op.channels_a), u64::from(op.channels_b));
    let blocks_a = ca.div_ceil(i_size);
    let blocks = blocks_a + cb.div_ceil(i_size);
    if op.kind == 4 && op.sums {
        m.sums[op.sums_base as usize..][..ca as usize].fill(Sums::default());
    }
    for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
        let n = y * w + x;
        if op.kind == 4 {
            for c in 0..ca.div_ceil(o_size) * o_size {
                let value =
                    |n| i128::from(before.stream[stream_at(before, op.stream_a, op.plane_a, c, n)]);
                let v = if c < ca {
                    resampled(op, y, x, value)
                } else {
                    0
                };
                let at = stream_at(&m, op.dest, op.plane_dest, c, n);
                m.stream[at] = v as i16;
                if op.sums && c < ca {
                    let sums = &mut m.sums[(u64::from(op.sums_base) + c) as usize];
                    sums.sum += v as i64;
                    sums.sum_sq += (v * v) as u64;
                }
            }
            continue;
        }
        for (b, i) in (0..blocks).flat_map(|b| (0..i_size).map(move |i| (b, i))) {
            let second = b >= blocks_a;
            let c = if second { b - blocks_a } else { b } * i_size + i;
            let there = c < if second { cb } else { ca };
            let stream = |n: u64| {
                let (base, plane) = if second {
                    (op.stream_b, op.plane_b)
                } else {
                    (op.stream_a, op.plane_a)
                };
                i128::from(before.stream[stream_at(before, base, plane, c, n)])
            };
            let quantise = |u: i128| {
                let y = rnd(u * i128::from(head.gain), 15) + i128::from(head.zero_point);
                i128::from(sat8(y))
            };
            let values: Vec<i128> = if !there {
                vec![0; if op.kind == 2 || op.kind == 3 { 2 } else { 1 }]
            } else {
                match op.kind {
                    0 => vec![resampled(op, y, x, |n| {
                        let c = u64::from(op.affine) + c + if second { ca } else { 0 };
                        let map = before.affine[c as usize];
                        let u = stream(n) * i128::from(map.a) + i128::from(map.b);
                        let u = sat(rnd(u, map.shift.into()), 16) as i16;
                        quantise(if op.silu { silu(u) } else { u }.into())
                    })],
                    1 => vec![resampled(op, y, x, |n| quantise(stream(n)))],
                    kind => {
                        let state = |n: u64| {
                            i128::from(
                                before.state[(u64::from(op.stream_a) + n) as usize][c as usize],
                            )
                        };
                        let v = if kind == 2 {
                            rnd(resampled(op, y, x, stream), 1)
                        } else {
                            rnd(resampled(op, y, x, state), head.shift)
                        };
                        let v = v.clamp(-16319, 16319);
                        let high = (v + 64).div_euclid(128);
                        vec![high, v - 128 * high]
                    }
                }
            };
            for (p, v) in values.into_iter().enumerate() {
                let block = [p as u64, b, blocks];
                let at = spread_at(&m, op.dest, block, [n, w * h], i, op.spread);
                m.operand[at] = v as i8;
            }
        }
    }
    m
}

prop_compose! {
    fn preps()(
        (kind, resample, silu, sums) in (0u32..5, 0u32..3, any::<bool>(), any::<bool>()),
        (channels_a, channels_b, two) in (1u32..70, 1u32..40, any::<bool>()),
        (width, height, spread) in (1u32..6, 1u32..6, any::<bool>()),
    ) -> Prep {
        let two = two && kind == 0;
        let sums = sums && kind == 4;
        let even = |n: u32| if resample == 2 { 2 * n.div_ceil(2) } else { n };
        Prep {
            kind, resample, sums,
            silu: silu && kind == 0,
            spread: spread && kind != 4,
            sums_base: if sums { 50 } else { 0 },
            stream_a: 13,
            stream_b: if two { 900 } else { 0 },
            channels_a: if kind == 3 { 1 + channels_a % 4 } else { channels_a },
            channels_b: if two { channels_b } else { 0 },
            width: even(width),
            height: even(height),
            dest: 1000,
            affine: if kind == 0 { 5 } else { 0 },
            param: 60,
            plane_a: if kind == 3 { 0 } else { 37 },
            plane_b: if two { 41 } else { 0 },
            plane_dest: if kind == 4 { 103 } else { 0 },
        }
    }
}

proptest! {
    #[test]
    fn prep_is_what_the_page_says(
        op in preps(), shape in shapes(), seed: u64,
        gain in 0i32..32768, zero_point in -127i32..=127, shift in 0u32..32,
    ) {
        let mut m = Random(seed).memories(shape);
        let head = PrepHead { gain, zero_point, shift };
        m.param[60] = head.encode().unwrap()[0];
        let want = expected(&m, &op, &head);
        let before = m.clone();
        run(Op::Prep(op), &mut m).unwrap();
        same(&m, &want)?;
        writes_only_what_it_says(&before, &m, &Op::Prep(op))?;
    }
}

#[test]
fn rules_of_prep() {
    let mut m = Random(7).memories(Shape::SMALL);
    m.param[0] = 0;
    let good = Prep {
        channels_a: 3,
        width: 3,
        height: 2,
        ..Prep::default()
    };
    run(Op::Prep(good), &mut m).unwrap();
    let mut refused = |op: Prep, message: &str| {
        assert_eq!(run(Op::Prep(op), &mut m).unwrap_err().to_string(), message);
    };
    refused(
        Prep {
            resample: 2,
            ..good
        },
        "prep: the mean of 2x2 needs even sizes",
    );
    refused(
        Prep {
            kind: 4,
            spread: true,
            ..good
        },
        "prep: a stream is not spread over banks",
    );
    refused(
        Prep {
            kind: 3,
            channels_a: 5,
            ..good
        },
        "prep: the state has at most 4 channels",
    );
    refused(
        Prep {
            kind: 1,
            channels_b: 5,
            ..good
        },
        "prep: only a norm reads two streams",
    );
    refused(
        Prep {
            kind: 1,
            silu: true,
            ..good
        },
        "prep: silu and affine belong to kind 0",
    );
    refused(
        Prep { sums: true, ..good },
        "prep: sums and plane_dest belong to kind 4",
    );
    refused(
        Prep {
            kind: 3,
            stream_a: 507,
            ..good
        },
        "prep: state: words 507 to 512 of state memory, which has 512",
    );
}
