use diffuser_device::Memories;
use diffuser_isa::Op;
use diffuser_isa::generated::{Attention, AttentionHead};
use diffuser_spec::tables::EXP2;
use proptest::prelude::*;

use crate::conv::writes_only_what_it_says;
use crate::plain::{Random, operand_at, rnd, run, same, sat, sat8, shapes};

fn expected(before: &Memories, op: &Attention, head: &AttentionHead) -> Memories {
    let mut m = before.clone();
    let (i_size, o_size) = (m.shape.inputs as u64, m.shape.outputs as u64);
    let (pixels, di) = (u64::from(op.pixels), u64::from(op.head_blocks));
    let (kt_size, dt_size) = (pixels.div_ceil(o_size), (di * i_size).div_ceil(o_size));
    let kb_size = pixels.div_ceil(i_size);
    let byte = |word: u64, o: u64, i: u64| {
        i128::from(before.weight[((word * o_size + o) * i_size + i) as usize])
    };
    for h in 0..u64::from(op.heads) {
        for n in 0..pixels {
            let logit = |key: u64| {
                let sum: i128 = (0..di * i_size)
                    .map(|c| {
                        let (db, i) = (c / i_size, c % i_size);
                        let q = operand_at(before, op.query, [0, h * di + db, 0], [n, pixels], i);
                        let word = u64::from(op.key) + (h * kt_size + key / o_size) * di + db;
                        i128::from(before.operand[q]) * byte(word, key % o_size, i)
                    })
                    .sum();
                sum
            };
            let logits: Vec<i128> = (0..pixels).map(logit).collect();
            let max = *logits.iter().max().unwrap();
            let weights: Vec<i128> = logits
                .iter()
                .map(|acc| {
                    let d = rnd((max - acc) * i128::from(head.mantissa), head.shift);
                    let d = sat(d, 32);
                    if d >= 2048 {
                        0
                    } else {
                        rnd(EXP2[(d % 256) as usize].into(), 8 + (d / 256) as u32)
                    }
                })
                .collect();
            let sum: i128 = weights.iter().sum();
            // the sum shifted to 16 bits
            let bits = 128 - sum.leading_zeros() as i32;
            let p = 16 - bits;
            let short = if p >= 0 { sum << p } else { sum >> -p };
            let (r, s) = ((1i128 << 31) / short, (31 - p) as u32);
            for c in 0..di * i_size {
                let (dt, o) = (c / o_size, c % o_size);
                let acc: i128 = weights
                    .iter()
                    .zip(0u64..)
                    .map(|(e, key)| {
                        let word =
                            u64::from(op.value) + (h * dt_size + dt) * kb_size + key / i_size;
                        e * byte(word, o, key % i_size)
                    })
                    .sum();
                let mean = sat(rnd(acc * r, s - 8), 16);
                let to = [0, h * di + c / i_size, 0];
                let at = operand_at(&m, op.dest, to, [n, pixels], c % i_size);
                m.operand[at] = sat8(rnd(mean * i128::from(head.gain), 15));
            }
        }
    }
    m
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn attention_is_what_the_page_says(
        (heads, head_blocks, pixels) in (1u32..3, 1u32..4, 1u32..40),
        shift in 16u32..30, mantissa in 32768u32..65536, gain in 0i32..32768,
        in_place: bool, shape in shapes(), seed: u64,
    ) {
        let mut m = Random(seed).memories(shape);
        let op = Attention {
            heads, head_blocks, pixels, query: 9, key: 4, value: 200,
            dest: if in_place { 9 } else { 1000 }, param: 30,
        };
        let head = AttentionHead { mantissa, shift, gain };
        m.param[30] = head.encode().unwrap()[0];
        let want = expected(&m, &op, &head);
        let before = m.clone();
        run(Op::Attention(op), &mut m).unwrap();
        same(&m, &want)?;
        writes_only_what_it_says(&before, &m, &Op::Attention(op))?;
    }
}

#[test]
fn attention_refuses_addresses_past_the_end() {
    let mut m = Random(3).memories(diffuser_device::Shape::SMALL);
    let op = Attention {
        heads: 1,
        head_blocks: 1,
        pixels: 9,
        value: 511,
        ..Attention::default()
    };
    let fault = run(Op::Attention(op), &mut m).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "attention: V: words 511 to 512 of weight memory, which has 512"
    );
}

#[test]
fn attention_refuses_more_keys_than_the_array_has_room_for() {
    let mut m = Random(3).memories(diffuser_device::Shape::SMALL);
    let op = Attention {
        heads: 1,
        head_blocks: 1,
        pixels: 65,
        ..Attention::default()
    };
    let fault = run(Op::Attention(op), &mut m).unwrap_err();
    assert_eq!(fault.to_string(), "attention: 65 keys, at most 64");
}
