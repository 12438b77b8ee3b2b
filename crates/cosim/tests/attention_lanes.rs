//! The arithmetic of the softmax, a lane at a time, at its limits.
#![cfg(any(top_softmax_exp, top_softmax_reciprocal, top_attention_lane))]

/// Weights: every shift, differences around each step of the table.
#[cfg(top_softmax_exp)]
#[test]
fn weights() {
    use diffuser_cosim::bench::Random;
    use diffuser_cosim::tops::SoftmaxExp;
    use diffuser_spec::Multiplier;
    use diffuser_spec::softmax::weight;
    use std::collections::VecDeque;

    const LATENCY: usize = 11;
    let mut top = SoftmaxExp::new();
    let mut random = Random::new(1);
    let mut seen = [0u32; 128];
    for shift in 1..=62u32 {
        for mantissa in [32768, 65535, random.range(32768, 65535) as u16] {
            let to_log2 = Multiplier {
                mantissa,
                shift: shift as u8,
            };
            top.set_mantissa_i(mantissa);
            top.set_shift_i(shift as u8);
            let bits = (1u64 << 48) - 1;
            top.set_half_i(1u64 << (shift - 1) & bits);
            top.set_over_i(bits.checked_shl(shift + 11).unwrap_or(0) & bits);
            top.set_flat_i(shift >= 48);
            let mut expected = VecDeque::new();
            for _ in 0..600 {
                let max = random.bits() as u32;
                // what d = 0 to 2,300 comes from, or anything
                let d = random.below(2300) << shift;
                let below = match random.below(8) {
                    0 => random.bits() as u32,
                    1 => {
                        [0, 1, i32::MAX as u32, i32::MIN as u32, u32::MAX][random.below(5) as usize]
                    }
                    _ => (d / u64::from(mantissa)) as u32 ^ random.below(2) as u32,
                };
                let valid = !random.chance(10);
                top.set_valid_i(valid);
                top.set_max_i(max);
                top.set_logit_i(max.wrapping_sub(below));
                expected.push_back((if valid { weight(below, to_log2) } else { 0 }, below));
                if expected.len() > LATENCY {
                    let (want, below) = expected.pop_front().unwrap();
                    assert_eq!(top.e_o() as i8, want, "{below} below, {to_log2:?}");
                    seen[want as usize] += 1;
                }
                top.tick();
            }
        }
    }
    assert!(seen.iter().all(|&n| n > 0), "a weight never came: {seen:?}");
}

/// Reciprocals: every power of two and what is beside it, and others.
#[cfg(top_softmax_reciprocal)]
#[test]
fn reciprocals() {
    use diffuser_cosim::bench::Random;
    use diffuser_cosim::tops::SoftmaxReciprocal;
    use diffuser_spec::softmax::row_reciprocal;

    let mut top = SoftmaxReciprocal::new();
    top.set_rst_ni(false);
    top.tick();
    top.set_rst_ni(true);
    let mut random = Random::new(2);
    let powers = (2..=16).flat_map(|b| [(1u32 << b) - 1, 1 << b, (1 << b) + 1]);
    let others: Vec<u32> = (0..4000)
        .map(|_| random.range(2, (1 << 17) - 1) as u32)
        .collect();
    for sum in powers.chain(others).chain([(1 << 17) - 1]) {
        top.set_start_i(true);
        top.set_sum_i(sum);
        top.tick();
        top.set_start_i(false);
        top.set_sum_i(random.bits() as u32 & 0x1_ffff);
        let mut cycles = 0;
        while !top.done_o() {
            top.tick();
            cycles += 1;
            assert!(cycles < 22, "no end: {sum}");
        }
        let want = row_reciprocal(sum);
        let got = (top.mantissa_o(), u32::from(top.top_o()) + 16);
        assert_eq!(got, (want.mantissa, want.shift), "1 / {sum}");
    }
}

/// Means to operands: every shift, limits of the accumulator and of the mantissa.
#[cfg(top_attention_lane)]
#[test]
fn means() {
    use diffuser_cosim::bench::Random;
    use diffuser_cosim::tops::AttentionLane;
    use diffuser_spec::softmax::{RowReciprocal, weighted_mean};
    use diffuser_spec::{mul_q15, saturate_operand};
    use std::collections::VecDeque;

    const LATENCY: usize = 9;
    let mut top = AttentionLane::new();
    let mut random = Random::new(3);
    for gain in [0, 1, 300, 20000, 32767] {
        top.set_gain_i(gain as u16);
        let mut expected = VecDeque::new();
        for _ in 0..6000 {
            let at = random.range(6, 21) as u8;
            let mantissa = match random.below(4) {
                0 => [1 << 15, 1 << 16][random.below(2) as usize],
                _ => random.range(1 << 15, 1 << 16) as u32,
            };
            let acc = match random.below(6) {
                0 => [i32::MIN, i32::MAX, 0, -1][random.below(4) as usize],
                1 => random.bits() as i32,
                _ => random.range(-130 << at, 130 << at) as i32,
            };
            top.set_x_i(acc as u32);
            top.set_mantissa_i(mantissa);
            top.set_top_i(at);
            let row = RowReciprocal {
                mantissa,
                shift: 16 + u32::from(at),
            };
            let want = saturate_operand(mul_q15(weighted_mean(acc, row), gain).into());
            expected.push_back((want, acc, row));
            if expected.len() > LATENCY {
                let (want, acc, row) = expected.pop_front().unwrap();
                assert_eq!(top.operand_o() as i8, want, "{acc}, {row:?}, gain {gain}");
            }
            top.tick();
        }
    }
}
