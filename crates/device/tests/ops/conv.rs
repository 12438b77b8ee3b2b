use diffuser_device::{Memories, Shape, ops};
use diffuser_isa::Op;
use diffuser_isa::generated::{Conv, ConvChannel, ConvHead};
use diffuser_spec::norm::Sums;
use proptest::prelude::*;

use crate::plain::{Random, operand_at, rnd, run, same, sat, sat8, shapes, spread_at, stream_at};

/// The accumulator of output channel `o` of tile `t` at output pixel `n`, modulo 2^32.
fn accumulator(m: &Memories, op: &Conv, zero_point: i128, t: u64, o: u64, n: u64) -> i32 {
    let (i_size, o_size) = (m.shape.inputs as u64, m.shape.outputs as u64);
    let k = [1, 3, 2][op.kernel as usize];
    let stride = if op.stride == 1 { 2 } else { 1 };
    let up = if op.upsample { 2 } else { 1 };
    let (w, h) = (i64::from(op.in_width), i64::from(op.in_height));
    let (y, x) = (n / u64::from(op.out_width), n % u64::from(op.out_width));
    let blocks = u64::from(op.blocks);
    let mut acc = 0i128;
    for p in 0..if op.planes { 2 } else { 1 } {
        for ky in 0..k {
            for kx in 0..k {
                let iy = (y * stride + ky) as i64 - i64::from(op.pad_top);
                let ix = (x * stride + kx) as i64 - i64::from(op.pad_left);
                let inside = (0..h * up).contains(&iy) && (0..w * up).contains(&ix);
                for b in 0..blocks {
                    let word = u64::from(op.weights) + ((t * k + ky) * k + kx) * blocks + b;
                    for i in 0..i_size {
                        let q = if inside {
                            let pixel = (iy / up * w + ix / up) as u64;
                            let pixels = (w * h) as u64;
                            let (block, pixel) = ([p, b, blocks], [pixel, pixels]);
                            let at = spread_at(m, op.operand, block, pixel, i, op.spread);
                            i128::from(m.operand[at])
                        } else if op.planes {
                            0
                        } else {
                            zero_point
                        };
                        let weight = m.weight[((word * o_size + o) * i_size + i) as usize];
                        let factor = if op.planes && p == 0 { 128 } else { 1 };
                        acc += factor * q * i128::from(weight);
                    }
                }
            }
        }
    }
    acc as i32
}

fn expected(before: &Memories, op: &Conv) -> Memories {
    let mut m = before.clone();
    let (i_size, o_size) = (m.shape.inputs as u64, m.shape.outputs as u64);
    let head = before.param[op.param as usize];
    let zero_point = i128::from(head as i8);
    let shift = i32::from((head >> 8) as i8);
    let pixels = u64::from(op.out_width) * u64::from(op.out_height);
    let dest = u64::from(op.dest);
    let di = u64::from(op.head_blocks);
    for t in 0..u64::from(op.tiles) {
        for o in 0..o_size {
            let entry = before.param[(u64::from(op.param) + 1 + t * o_size + o) as usize];
            let (bias, mantissa, by) = (entry as i32, entry >> 32 & 0xffff, entry >> 48 & 0xff);
            let at = (u64::from(op.sums_base) + t * o_size + o) as usize;
            let mut sums = if op.add_sums {
                before.sums[at]
            } else {
                Sums::default()
            };
            for n in 0..pixels {
                let acc = accumulator(before, op, zero_point, t, o, n);
                let y = i128::from(acc.wrapping_add(bias)) * i128::from(mantissa);
                let there = mantissa != 0 && by != 0;
                let y = if there { sat(rnd(y, by as u32), 32) } else { 0 };
                let tile = u64::from(op.first_tile) + t;
                let c = tile * o_size + o;
                match op.dest_kind {
                    0 => {
                        let c = t * o_size + o;
                        let from = stream_at(&m, op.residual_at, op.dest_plane, c, n);
                        let r = i128::from(m.stream[from]);
                        let r = if shift >= 0 {
                            rnd(r, shift as u32)
                        } else {
                            sat(r << -shift, 32)
                        };
                        let r = if op.residual { r } else { 0 };
                        let x = if there { sat(sat(y + r, 32), 16) } else { 0 };
                        let place = if op.interleave {
                            let w = u64::from(op.out_width);
                            let (y, x) = (n / w, n % w);
                            // in a row of the tensor of twice the size
                            2 * y * (2 * w) + 2 * x
                        } else {
                            n
                        };
                        let to = stream_at(&m, op.dest, op.dest_plane, c, place);
                        m.stream[to] = x as i16;
                        sums.sum += x as i64;
                        sums.sum_sq += (x * x) as u64;
                    }
                    1 => {
                        let (b, i) = (c / i_size, c % i_size);
                        let at = operand_at(&m, op.dest, [0, b, 0], [n, pixels], i);
                        m.operand[at] = sat8(y);
                    }
                    2 => {
                        let (h, db, i) = (c / (di * i_size), c / i_size % di, c % i_size);
                        let (kt, lane) = (n / o_size, n % o_size);
                        let word = dest + (h * pixels.div_ceil(o_size) + kt) * di + db;
                        m.weight[((word * o_size + lane) * i_size + i) as usize] = sat8(y);
                    }
                    _ => {
                        let tiles = (di * i_size).div_ceil(o_size);
                        let (h, dt) = (tile / tiles, tile % tiles);
                        let kb = n / i_size;
                        let word = dest + (h * tiles + dt) * pixels.div_ceil(i_size) + kb;
                        m.weight[((word * o_size + o) * i_size + n % i_size) as usize] = sat8(y);
                    }
                }
            }
            if op.sums {
                m.sums[at] = sums;
            }
        }
    }
    m
}

prop_compose! {
    fn convs()(
        (dest_kind, planes, kernel, stride, upsample) in (0u32..4, any::<bool>(), 0u32..3, 0u32..2, any::<bool>()),
        (residual, sums, add_sums, interleave) in any::<(bool, bool, bool, bool)>(),
        (pad_top, pad_left, spread) in (0u32..4, 0u32..4, any::<bool>()),
        (blocks, tiles) in (1u32..4, 1u32..3),
        (in_width, in_height, out_width, out_height) in (1u32..6, 1u32..6, 1u32..6, 1u32..6),
        (first_tile, head_blocks) in (0u32..3, 1u32..4),
        in_place in any::<bool>(),
    ) -> Conv {
        let stream = dest_kind == 0;
        Conv {
            dest_kind, planes, kernel, stride, upsample, pad_top, pad_left, spread, blocks, tiles,
            in_width, in_height, out_width, out_height,
            residual: residual && stream && !interleave,
            interleave: interleave && stream,
            sums: sums && stream,
            add_sums: add_sums && sums && stream,
            operand: 5,
            weights: 3,
            dest: match dest_kind { 0 => 700, 1 => 1000, _ => 200 },
            residual_at: match (residual && stream && !interleave, in_place) { (false, _) => 0, (_, true) => 700, _ => 100 },
            dest_plane: if stream { 110 } else { 0 },
            param: 17,
            sums_base: if sums && stream { 11 } else { 0 },
            first_tile: if stream { 0 } else { first_tile },
            head_blocks: if dest_kind >= 2 { head_blocks } else { 0 },
        }
    }
}

/// Parameters of `op` in `m`, as its head and channels are defined; some lanes are no channels.
fn write_parameters(random: &mut Random, m: &mut Memories, op: &Conv) {
    let head = ConvHead {
        zero_point: random.within(-127, 127) as i32,
        residual_shift: random.within(-20, 20) as i32,
    };
    let at = op.param as usize;
    m.param[at..=at].copy_from_slice(&head.encode().unwrap());
    for at in at + 1..at + 1 + op.tiles as usize * m.shape.outputs {
        let none = random.within(0, 9);
        let channel = ConvChannel {
            bias: random.within(-(1 << 24), 1 << 24) as i32,
            mantissa: if none == 0 {
                0
            } else {
                random.within(32768, 65535) as u32
            },
            shift: if none == 1 {
                0
            } else {
                random.within(16, 36) as u32
            },
        };
        m.param[at..=at].copy_from_slice(&channel.encode().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn conv_is_what_the_page_says(op in convs(), shape in shapes(), seed: u64) {
        let mut random = Random(seed);
        let mut m = random.memories(shape);
        write_parameters(&mut random, &mut m, &op);
        let want = expected(&m, &op);
        let before = m.clone();
        run(Op::Conv(op), &mut m).unwrap();
        same(&m, &want)?;
        writes_only_what_it_says(&before, &m, &Op::Conv(op))?;
    }
}

/// Nearest 2x and a 3x3 convolution is four 2x2 convolutions of the small input: with weights that add without loss every bit is the
/// same, and so are the sums.
#[test]
fn four_phases_are_one_upsampling_convolution() {
    for (seed, shape) in [(1, Shape::SMALL), (2, Shape::ZU9EG)] {
        let mut random = Random(seed);
        let mut m = random.memories(shape);
        let (blocks, tiles, width, height) = (2, 2, 5, 3);
        let whole = Conv {
            kernel: 1,
            upsample: true,
            sums: true,
            pad_top: 1,
            pad_left: 1,
            blocks,
            operand: 7,
            tiles,
            weights: 10,
            in_width: width,
            in_height: height,
            out_width: 2 * width,
            out_height: 2 * height,
            dest: 100,
            dest_plane: 4 * width * height,
            param: 1,
            ..Conv::default()
        };
        write_parameters(&mut random, &mut m, &whole);
        let word = shape.weight_bytes();
        let (blocks, tiles) = (blocks as usize, tiles as usize);
        let at = |first: usize, size: usize, [t, ky, kx, b]: [usize; 4]| {
            (first + ((t * size + ky) * size + kx) * blocks + b) * word
        };
        let words = 10 * word..at(10, 3, [tiles, 0, 0, 0]);
        for weight in &mut m.weight[words.clone()] {
            *weight = random.within(-31, 31) as i8; // four of them are a weight
        }
        let mut phases = m.clone();
        run(Op::Conv(whole), &mut m).unwrap();

        let old = phases.weight[words.clone()].to_vec();
        for (py, px) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            phases.weight[words.clone()].fill(0);
            for t in 0..tiles {
                for (ky, kx, b) in (0..3)
                    .flat_map(|ky| (0..3).flat_map(move |kx| (0..2).map(move |b| (ky, kx, b))))
                {
                    let from = at(0, 3, [t, ky, kx, b]);
                    // rows 2y + py + ky - 1 of the large input are rows y + (py + ky - 1) div 2 of the small one
                    let (ky, kx) = ((ky + 1 + py) / 2 - py, (kx + 1 + px) / 2 - px);
                    let to = at(10, 2, [t, ky, kx, b]);
                    for j in 0..word {
                        phases.weight[to + j] += old[from + j];
                    }
                }
            }
            let phase = Conv {
                kernel: 2,
                upsample: false,
                add_sums: (py, px) != (0, 0),
                interleave: true,
                pad_top: 1 - py as u32,
                pad_left: 1 - px as u32,
                out_width: width,
                out_height: height,
                dest: whole.dest + py as u32 * 2 * width + px as u32,
                ..whole
            };
            run(Op::Conv(phase), &mut phases).unwrap();
        }
        assert!(phases.stream == m.stream, "{shape:?}");
        assert_eq!(phases.sums, m.sums, "{shape:?}");
    }
}

/// Every word that changed is among the accesses.
pub fn writes_only_what_it_says(
    before: &Memories,
    after: &Memories,
    op: &Op,
) -> Result<(), TestCaseError> {
    use diffuser_device::Memory;
    let shape = before.shape;
    let accesses = ops::accesses(op, shape);
    let written = |memory: Memory, word: usize| {
        let word = word as u64;
        accesses
            .iter()
            .any(|a| a.write && a.memory == memory && a.words.contains(&word))
    };
    let mut changed = Vec::new();
    let mut compare = |memory, size: usize, differs: &dyn Fn(usize) -> bool| {
        changed.extend((0..size).filter(|&i| differs(i)).map(|i| (memory, i)));
    };
    let (s, o, w) = (
        shape.outputs,
        shape.pixels * shape.inputs,
        shape.weight_bytes(),
    );
    let sizes = before.sizes;
    compare(Memory::Stream, sizes.stream, &|i| {
        before.stream[i * s..][..s] != after.stream[i * s..][..s]
    });
    compare(Memory::Operand, sizes.operand, &|i| {
        before.operand[i * o..][..o] != after.operand[i * o..][..o]
    });
    compare(Memory::Weight, sizes.weight, &|i| {
        before.weight[i * w..][..w] != after.weight[i * w..][..w]
    });
    compare(Memory::Sums, sizes.sums, &|i| {
        before.sums[i] != after.sums[i]
    });
    for (memory, word) in changed {
        prop_assert!(written(memory, word), "{op:?} writes {memory} {word}");
    }
    Ok(())
}

#[test]
fn addresses_and_rules_are_checked() {
    let mut m = Random(1).memories(Shape::SMALL);
    let good = Conv {
        blocks: 1,
        tiles: 1,
        in_width: 2,
        in_height: 2,
        out_width: 2,
        out_height: 2,
        param: 0,
        ..Conv::default()
    };
    write_parameters(&mut Random(2), &mut m, &good);
    run(Op::Conv(good), &mut m).unwrap();
    let refused = |op: Conv, message: &str| {
        let before = m.clone();
        let mut m = m.clone();
        let fault = run(Op::Conv(op), &mut m).unwrap_err();
        assert_eq!(fault.code, diffuser_isa::ErrorCode::Field);
        assert_eq!(fault.to_string(), message);
        assert!(m == before, "{message}: memories changed");
    };
    refused(
        Conv { dest: 2045, ..good },
        "conv: result: words 2045 to 2048 of stream memory, which has 2048",
    );
    refused(
        Conv {
            operand: 2048,
            ..good
        },
        "conv: operand: words 2048 to 2048 of operand memory, which has 2048",
    );
    refused(
        Conv {
            weights: 500,
            tiles: 13,
            ..good
        },
        "conv: weights: words 500 to 512 of weight memory, which has 512",
    );
    refused(
        Conv {
            dest_kind: 2,
            head_blocks: 1,
            dest: 1 << 20,
            ..good
        },
        "conv: K: words 1048576 to 1048576 of weight memory, which has 512",
    );
    refused(
        Conv {
            dest_kind: 1,
            sums: true,
            ..good
        },
        "conv: only a stream has a residual or sums",
    );
    refused(
        Conv {
            dest_kind: 3,
            ..good
        },
        "conv: K and V need head_blocks",
    );
    for wrong in [
        Conv {
            dest_kind: 1,
            ..good
        },
        Conv {
            residual: true,
            ..good
        },
    ] {
        refused(
            Conv {
                interleave: true,
                ..wrong
            },
            "conv: only a stream without a residual is interleaved",
        );
    }
    refused(
        Conv {
            interleave: true,
            dest: 2041,
            ..good
        },
        "conv: result: words 2041 to 2051 of stream memory, which has 2048",
    );
    refused(
        Conv {
            add_sums: true,
            ..good
        },
        "conv: add_sums without sums",
    );
}
