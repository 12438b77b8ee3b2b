//! Programs of a few descriptors.

use diffuser_cosim::memory::DdrConfig;
use diffuser_isa::generated::{Conv, ConvChannel, ConvHead, End, Prep, PrepHead};
use diffuser_isa::{Op, Space};

use crate::run::{compare, job, load, step, store};

const NONE: [Option<i32>; 5] = [None; 5];

fn after(unit: usize, count: i32) -> [Option<i32>; 5] {
    let mut waits = NONE;
    waits[unit] = Some(count);
    waits
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = diffuser_cosim::bench::Random::new(11);
    (0..bytes).map(|_| random.bits() as u8).collect()
}

#[test]
fn what_is_loaded_is_stored() {
    // 100 words of streams, 50 of the state; the stores end inside of a line
    let program = [
        step(NONE, load(Space::Stream, 37, 100, 0)),
        step(NONE, load(Space::State, 5, 50, 25 * 64)),
        step(after(0, 1), store(Space::Stream, 37, 99, 64 * 64)),
        step(after(0, 2), store(Space::State, 6, 49, 96 * 64)),
        step(after(0, 2), store(Space::Pixel, 5, 50, 112 * 64)),
        step(NONE, Op::End(End::default())),
    ];
    compare(
        &job(&program, noise(128 * 64), vec![], 1),
        &program,
        DdrConfig::default(),
    );
}

#[test]
fn whole_memories_are_loaded_and_stored() {
    let state_at = 8192 * 64;
    let stream_at = state_at + 1024 * 16;
    let program = [
        step(NONE, load(Space::State, 0, 1024, 0)),
        step(NONE, load(Space::Param, 0, 2048, 0)),
        step(NONE, load(Space::Stream, 0, 32_768, 0)),
        step(NONE, load(Space::Weight, 0, 4096, 0)),
        step(after(0, 1), store(Space::State, 0, 1024, state_at)),
        step(after(0, 3), store(Space::Stream, 0, 32_768, stream_at)),
        step(NONE, Op::End(End::default())),
    ];
    compare(
        &job(&program, noise(stream_at + 32_768 * 16), vec![], 1),
        &program,
        DdrConfig::default(),
    );
}

#[test]
fn a_convolution() {
    convolutions(&[Conv {
        kernel: 1,
        pad_top: 1,
        pad_left: 1,
        sums: true,
        sums_base: 3,
        ..Conv::default()
    }]);
}

/// The four phases of an upsampling one: every word of the result is another pixel's of one of them.
#[test]
fn phases_of_a_convolution() {
    let phase = |py: u32, px: u32| Conv {
        kernel: 2,
        pad_top: 1 - py,
        pad_left: 1 - px,
        interleave: true,
        sums: true,
        add_sums: py + px > 0,
        sums_base: 3,
        dest: py * 10 + px,
        ..Conv::default()
    };
    convolutions(&[phase(0, 0), phase(0, 1), phase(1, 0), phase(1, 1)]);
}

/// 6x5 pixels of 13 channels -> 9 channels, from a stream through an operand to one stream, by convolutions of one kernel size;
/// `dest` of each counts from the stream's first word, and each has weights of its own.
fn convolutions(convs: &[Conv]) {
    let (width, height, channels, outputs) = (5u32, 6u32, 13u32, 9u32);
    let pixels = width * height;
    let (in_blocks, tiles, blocks) = (2u32, 2u32, 2u32);
    let stream_bytes = (in_blocks * pixels * 16) as usize;
    let taps = [1, 9, 4][convs[0].kernel as usize];
    let words_each = tiles * taps * blocks;
    let weight_words = words_each * convs.len() as u32;
    let plane = if convs[0].interleave {
        4 * pixels
    } else {
        pixels
    };
    let mut data = noise(16 * 1024);
    // padded channels of the stream hold 0
    for n in 0..pixels as usize {
        for c in channels as usize..16 {
            let at = ((c / 8) * pixels as usize + n) * 16 + c % 8 * 2;
            data[at..at + 2].fill(0);
        }
    }
    let weights_at = stream_bytes.next_multiple_of(64);
    for (at, byte) in data[weights_at..][..weight_words as usize * 64]
        .iter_mut()
        .enumerate()
    {
        let (word, o, i) = (at as u32 / 64, at as u32 % 64 / 8, at as u32 % 8);
        let (tile, block) = (word / (taps * blocks) % tiles, word % blocks);
        let real = tile * 8 + o < outputs && block * 8 + i < channels;
        *byte = if real { *byte } else { 0 };
        *byte = if *byte == 0x80 { 0x81 } else { *byte };
    }
    let param_at = (weights_at + weight_words as usize * 64).next_multiple_of(64);
    let mut entries = vec![];
    let prep_head = PrepHead {
        gain: 120,
        zero_point: -3,
        ..PrepHead::default()
    };
    entries.extend(prep_head.encode().expect("in range"));
    let conv_head = ConvHead {
        zero_point: -3,
        ..ConvHead::default()
    };
    entries.extend(conv_head.encode().expect("in range"));
    for c in 0..tiles * 8 {
        let real = c < outputs;
        let channel = ConvChannel {
            bias: if real { 1000 * c as i32 - 4000 } else { 0 },
            mantissa: if real { 40_000 + 100 * c } else { 0 },
            shift: if real { 20 } else { 0 },
        };
        entries.extend(channel.encode().expect("in range"));
    }
    for (entry, bytes) in entries.iter().zip(data[param_at..].chunks_mut(8)) {
        bytes.copy_from_slice(&u64::to_le_bytes(*entry));
    }
    let out_at = (param_at + entries.len() * 8).next_multiple_of(64);
    let mut program = vec![
        step(NONE, load(Space::Stream, 0, in_blocks * pixels, 0)),
        step(NONE, load(Space::Param, 10, entries.len() as u32, param_at)),
        step(NONE, load(Space::Weight, 7, weight_words, weights_at)),
        step(
            after(0, 2),
            Op::Prep(Prep {
                kind: 1,
                channels_a: channels,
                width,
                height,
                dest: 20,
                param: 10,
                plane_a: pixels,
                ..Prep::default()
            }),
        ),
    ];
    program.extend((0..).zip(convs).map(|(k, conv)| {
        step(
            [Some(3), None, Some(1), None, None],
            Op::Conv(Conv {
                blocks,
                operand: 20,
                tiles,
                weights: 7 + k * words_each,
                in_width: width,
                in_height: height,
                out_width: width,
                out_height: height,
                dest: 200 + conv.dest,
                dest_plane: plane,
                param: 11,
                ..*conv
            }),
        )
    }));
    program.extend([
        step(
            after(3, convs.len() as i32),
            store(Space::Stream, 200, tiles * plane, out_at),
        ),
        step(NONE, Op::End(End::default())),
    ]);
    let job = job(&program, data, vec![], 1);
    let (rtl, simulated) = compare(&job, &program, DdrConfig::default());
    assert_eq!(
        rtl.counters.array_busy, simulated.counters.array_busy,
        "products are the same on both"
    );
    assert_eq!(rtl.counters.read_bytes, simulated.counters.read_bytes);
}

/// Each transfer waits for the one before: what is counted is latency. The RTL starts such a transfer up to 5 cycles sooner than the model, whose
/// figures are those of programs in which other units are waited for.
#[test]
fn transfers_take_as_long_as_the_model_says() {
    const COUNT: i32 = 64;
    const SOONER: f64 = 5.0;
    for words in [4, 100] {
        let load = load(Space::Stream, 0, words, 0);
        let store = store(Space::Stream, 0, words, 0);
        for (name, ops) in [
            ("loads", [&load, &load]),
            ("stores", [&store, &store]),
            ("both", [&load, &store]),
        ] {
            // what is stored has been loaded
            let mut program = vec![step(NONE, load)];
            program.extend((1..COUNT).map(|i| step(after(0, i), *ops[i as usize % 2])));
            program.push(step(NONE, Op::End(End::default())));
            let (rtl, model) = compare(
                &job(&program, noise(64 * 64), vec![], 1),
                &program,
                DdrConfig::default(),
            );
            let [rtl, model] = [rtl, model].map(|o| o.counters.cycles as f64);
            println!("{name} of {words} words: {rtl} cycles, modelled {model}");
            let most = (0.02 * rtl).max(SOONER * f64::from(COUNT));
            assert!(
                rtl - 0.02 * rtl < model && model < rtl + most,
                "{name} of {words} words"
            );
        }
    }
}
