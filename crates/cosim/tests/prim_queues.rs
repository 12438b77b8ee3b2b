//! FIFOs and the register slice against a queue, under random traffic on both sides.
#![cfg(top_prim_queues)]

use std::collections::VecDeque;

use diffuser_cosim::bench::{Random, get_bits, set_bits};
use diffuser_cosim::tops::PrimQueues;

const N: usize = 7;
const WIDTH: usize = 12;
/// Words that each holds; the last is the register slice.
const DEPTHS: [usize; N] = [1, 2, 3, 4, 7, 16, 2];

#[test]
fn words_leave_in_order_and_none_is_lost() {
    let mut random = Random::new(31);
    let mut top = PrimQueues::new();
    top.set_rst_ni(false);
    top.set_clear_i(false);
    top.set_in_valid_i(0);
    top.set_out_ready_i(0);
    top.tick();
    top.set_rst_ni(true);
    let mut queues: [VecDeque<u64>; N] = Default::default();
    let mut moved = [0u32; N];
    let mut full = [0u32; N];
    let (mut push, mut pop) = (128, 128);
    let mut in_valid = 0;
    let mut in_data = [0; 3];
    for cycle in 0..30_000 {
        if cycle % 100 == 0 {
            // phases that fill, that empty, and that flow
            (push, pop) = (20 + random.below(237) as u32, 20 + random.below(237) as u32);
        }
        let clear = random.chance(1);
        let mut ready = 0;
        for i in 0..N {
            // an offer stays until it is taken
            if in_valid >> i & 1 == 0 && random.chance(push) {
                in_valid |= 1 << i;
                set_bits(&mut in_data, i * WIDTH, WIDTH, random.bits());
            }
            ready |= u8::from(random.chance(pop)) << i;
        }
        top.set_clear_i(clear);
        top.set_in_valid_i(in_valid);
        top.set_in_data_i(in_data);
        top.set_out_ready_i(ready);
        top.eval();
        for (i, queue) in queues.iter_mut().enumerate() {
            let slice = i == N - 1;
            let out_valid = top.out_valid_o() >> i & 1 == 1;
            let in_ready = top.in_ready_o() >> i & 1 == 1;
            assert_eq!(out_valid, !queue.is_empty(), "{i}, cycle {cycle}");
            assert_eq!(in_ready, queue.len() < DEPTHS[i], "{i}, cycle {cycle}");
            if !slice {
                let count = get_bits(
                    &[top.count_o() as u32, (top.count_o() >> 32) as u32],
                    8 * i,
                    8,
                );
                assert_eq!(count, queue.len() as u64, "{i}, cycle {cycle}");
            }
            full[i] += u32::from(!in_ready);
            if out_valid {
                let data = get_bits(&top.out_data_o(), i * WIDTH, WIDTH);
                assert_eq!(data, queue[0], "{i}, cycle {cycle}");
                if ready >> i & 1 == 1 {
                    queue.pop_front();
                    moved[i] += 1;
                }
            }
            if in_valid >> i & 1 == 1 && in_ready {
                queue.push_back(get_bits(&in_data, i * WIDTH, WIDTH));
                in_valid &= !(1 << i);
            }
            if clear && !slice {
                queue.clear();
            }
        }
        top.tick();
    }
    assert!(moved.iter().all(|&n| n > 5_000), "{moved:?}");
    assert!(full.iter().all(|&n| n > 500), "{full:?}");
}

/// A word a cycle through all but the FIFO of one word, which takes two cycles.
#[test]
fn throughput() {
    let mut top = PrimQueues::new();
    top.set_rst_ni(false);
    top.set_clear_i(false);
    top.tick();
    top.set_rst_ni(true);
    top.set_in_valid_i(0x7f);
    top.set_out_ready_i(0x7f);
    let mut words = [0; N];
    for _ in 0..100 {
        top.eval();
        for (i, words) in words.iter_mut().enumerate() {
            *words += u32::from(top.out_valid_o() >> i & 1);
        }
        top.tick();
    }
    assert_eq!(words, [50, 99, 99, 99, 99, 99, 99]);
}
