use diffuser_device::{Context, Ddr, Shape, ops};
use diffuser_isa::generated::{Sample, SampleHead};
use diffuser_isa::{ErrorCode, Op};
use diffuser_spec::normal::normal;
use diffuser_spec::philox::philox;
use proptest::prelude::*;

use crate::plain::{Random, rnd, same, sat, shapes};

proptest! {
    #[test]
    fn sample_is_what_the_page_says(
        (channels, noise, pixels, image) in (1u32..5, any::<bool>(), 1u32..50, 0u32..256),
        (step, exponent, small) in (0u32..3, -16i32..=24, any::<bool>()),
        (run_seed, first_image) in any::<(u64, u64)>(), shape in shapes(), seed: u64,
    ) {
        let mut random = Random(seed);
        let mut m = random.memories(shape);
        let bits = if small { 33 } else { 48 };
        let mut c = || random.within(-(1 << bits), 1 << bits);
        let head = SampleHead {
            x0_state: c(), x0_stream: c(), eps_state: c(), eps_stream: c(), next_state: c(),
            next_x0: c(), next_eps: c(), next_previous: c(), next_noise: c(),
            clip: c().abs() >> 1, exponent,
        };
        m.param[8..19].copy_from_slice(&head.encode().unwrap());
        let op = Sample { stream: 100, channels, noise, pixels, state: 70, param: 8, image };
        let context = Context { step, steps: 9, seed: run_seed, image: first_image, ..Context::default() };

        let mut want = m.clone();
        let image = first_image.wrapping_add(image.into());
        for n in 0..pixels as usize {
            for c in 0..channels as usize {
                let number = n * channels as usize + c;
                let counter = [(number / 4) as u32, image as u32, (image >> 32) as u32, step + 1];
                let block = philox(counter, [run_seed as u32, (run_seed >> 32) as u32]);
                let noise = if noise { i128::from(normal(block[number % 4])) } else { 0 };
                let x = i128::from(m.state[70 + n][c]);
                let out = i128::from(m.stream[(100 + n) * shape.outputs + c]) << (24 - exponent);
                let previous = if step == 0 { 0 } else { i128::from(m.previous[70 + n][c]) };
                let f = |terms: &[(i64, i128)]| {
                    rnd(terms.iter().map(|&(k, v)| i128::from(k) * v).sum(), 32)
                };
                let clip = i128::from(head.clip);
                let x0 = f(&[(head.x0_state, x), (head.x0_stream, out)]).clamp(-clip, clip);
                let eps = f(&[(head.eps_state, x), (head.eps_stream, out)]).clamp(-(1 << 47), 1 << 47);
                let next = f(&[
                    (head.next_state, x), (head.next_x0, x0), (head.next_eps, eps),
                    (head.next_previous, previous), (head.next_noise, noise),
                ]);
                want.state[70 + n][c] = sat(next, 32) as i32;
                want.previous[70 + n][c] = x0 as i64;
            }
        }
        ops::execute(&Op::Sample(op), &mut m, &mut Ddr::new(0), &context).unwrap();
        same(&m, &want)?;
    }
}

#[test]
fn sample_refuses_what_is_not_there() {
    let mut m = Random(7).memories(Shape::SMALL);
    let mut refused = |op: Sample, message: &str| {
        let fault = crate::plain::run(Op::Sample(op), &mut m).unwrap_err();
        assert_eq!(fault.code, ErrorCode::Field);
        assert_eq!(fault.to_string(), message);
    };
    let good = Sample {
        channels: 1,
        pixels: 1,
        ..Sample::default()
    };
    refused(
        Sample {
            stream: 2048,
            ..good
        },
        "sample: output: words 2048 to 2048 of stream memory, which has 2048",
    );
    // what the memory holds there is no head
    let fault = crate::plain::run(Op::Sample(good), &mut m).unwrap_err();
    assert!(fault.to_string().starts_with("param entry 0: "), "{fault}");
}
