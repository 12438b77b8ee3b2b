//! The normal distribution's RTL against `spec`: every entry of the table, at the ends of its segment and inside, on both sides.
#![cfg(top_sample_normal)]

use std::collections::VecDeque;

use diffuser_cosim::bench::Random;
use diffuser_cosim::tops::SampleNormal;
use diffuser_spec::normal::{OCTAVES, SEGMENTS, normal};

/// Uniform numbers in the lower half whose tail probability lies in segment `s` of octave `o`: its ends, and some between.
fn inputs(o: u32, s: u32, random: &mut Random) -> Vec<u32> {
    // 2 u + 1 is in [2^o (1 + s/64), 2^o (1 + (s + 1)/64))
    let low = (1u64 << o) * (64 + u64::from(s)) / 64;
    let high = (1u64 << o) * (65 + u64::from(s)) / 64;
    let (first, last) = (low / 2, high.saturating_sub(2) / 2);
    if last < first {
        return vec![first as u32];
    }
    let mut list = vec![first as u32, last as u32];
    list.extend((0..4).map(|_| random.range(first as i64, last as i64) as u32));
    list
}

#[test]
fn every_segment() {
    let mut top = SampleNormal::new();
    let mut random = Random::new(1);
    top.set_clear_i(false);
    top.set_valid_i(false);
    top.set_rst_ni(false);
    top.tick();
    top.set_rst_ni(true);
    let mut uniforms = Vec::new();
    for o in 0..OCTAVES as u32 {
        for s in 0..SEGMENTS as u32 {
            for u in inputs(o, s, &mut random) {
                uniforms.extend([u, !u]);
            }
        }
    }
    let mut waiting = VecDeque::<&u32>::new();
    let mut list = uniforms.iter();
    let mut compared = 0;
    while compared < uniforms.len() {
        let next = if random.chance(200) {
            list.next()
        } else {
            None
        };
        top.set_valid_i(next.is_some());
        top.set_uniform_i(next.map_or(u32::MAX, |&u| u));
        top.eval();
        waiting.extend(next);
        if top.valid_o() {
            let u = waiting
                .pop_front()
                .expect("a number that was not asked for");
            assert_eq!(top.normal_o() as i32, normal(*u), "{u:#010x}");
            compared += 1;
        }
        top.tick();
    }
    assert!(compared > 20_000, "{compared}");
}
