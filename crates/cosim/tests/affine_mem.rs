//! The memory of affine maps: I entries from any first one, also over the end, and accesses past it.
#![cfg(top_affine_mem)]

use diffuser_cosim::bench::{Random, get_bits, set_bits};
use diffuser_cosim::tops::AffineMem;
use std::collections::VecDeque;

const I: usize = 8;
const DEPTH: usize = 64;

#[test]
fn reads_from_any_entry() {
    let mut top = AffineMem::new();
    let mut random = Random::new(3);
    top.set_rst_ni(false);
    top.tick();
    top.set_rst_ni(true);
    let mut entries = vec![0u64; DEPTH];
    let mut expected = VecDeque::from([None; 4]);
    let mut range = false;
    for cycle in 0..3000u64 {
        // first every entry once, in any order of reads
        let mut write = cycle < DEPTH as u64 || random.chance(60);
        let past_w = cycle >= DEPTH as u64 && random.chance(20);
        let at = if cycle < DEPTH as u64 {
            cycle
        } else {
            random.below(64)
        } + u64::from(past_w) * 64;
        let data = random.bits() >> 8;
        let mut word = [0; 2];
        set_bits(&mut word, 0, 56, data);
        top.set_waddr_i(at as u16);
        top.set_wdata_i(u64::from(word[0]) | u64::from(word[1]) << 32);
        let read = cycle > DEPTH as u64 && random.chance(200);
        let past_r = read && random.chance(10);
        let first = random.below(64) + u64::from(past_r) * 1024;
        // a read in the very cycle of a write to its entry may give either value
        write &= !read || (at + 64 - first % 64) % 64 >= I as u64;
        top.set_we_i(write);
        top.set_req_i(read);
        top.set_addr_i(first as u16);
        top.eval();
        assert!(top.gnt_o() && top.wgnt_o());
        assert_eq!(top.range_o(), range);
        range = (write && past_w) || past_r;
        let want: [u64; I] = std::array::from_fn(|i| entries[(first as usize + i) % DEPTH]);
        expected.push_back(read.then_some(want));
        if write && !past_w {
            entries[at as usize] = data;
        }
        top.tick();
        let want = expected.pop_front().unwrap();
        assert_eq!(top.rvalid_o(), want.is_some());
        if let Some(want) = want {
            let got: [u64; I] = std::array::from_fn(|i| get_bits(&top.rdata_o(), i * 56, 56));
            assert_eq!(got, want, "cycle {cycle}");
        }
    }
}
