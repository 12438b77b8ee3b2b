//! A memory behind its arbiters against an array: every read gives what was granted before it, to the reader that asked.
#![cfg(all(top_prim_memory, top_prim_memory_fixed))]

use std::collections::VecDeque;

use diffuser_cosim::bench::{Random, get_bits, set_bits};
use diffuser_cosim::tops::{PrimMemory, PrimMemoryFixed};

const READERS: usize = 3;
const WRITERS: usize = 2;
const WIDTH: usize = 40;
const LANES: usize = 5;
const DEPTH: u64 = 20;
const ADDRESS: usize = 5;

/// What the test drives and sees; the two tops are types of their own with the same ports.
macro_rules! traffic {
    ($name:ident, $top:ty, latency $latency:expr, round_robin $round_robin:expr) => {
        #[test]
        fn $name() {
            let mut random = Random::new(5);
            let mut top = <$top>::new();
            top.set_rst_ni(false);
            top.set_req_i(0);
            top.set_we_i(0);
            top.set_free_i(true);
            top.tick();
            top.set_rst_ni(true);
            // what a register holds before its reset may have been written: begin with words that are known
            for at in 0..DEPTH {
                let (mut waddr, mut wstrb) = ([0; 1], [0; 1]);
                set_bits(&mut waddr, 0, ADDRESS, at);
                set_bits(&mut wstrb, 0, LANES, u64::MAX);
                top.set_we_i(1);
                top.set_waddr_i(waddr[0] as u16);
                top.set_wdata_i([0; 3]);
                top.set_wstrb_i(wstrb[0] as u16);
                top.eval();
                top.tick();
            }
            let mut memory = [0u64; DEPTH as usize];
            let (mut req, mut we) = (0u8, 0u8);
            let (mut addr, mut waddr) = ([0; 1], [0; 1]);
            let (mut wdata, mut wstrb) = ([0; 3], [0; 1]);
            // reads under way: in how many cycles, whose, and what it should give
            let mut expected = VecDeque::<(u32, usize, u64)>::new();
            let (mut reads, mut writes) = ([0u32; READERS], [0u32; WRITERS]);
            let mut waited = [0u32; READERS];
            let mut longest = [0u32; READERS];
            let (mut busy, mut write_busy, mut free_parts) = (128, 128, 256);
            for cycle in 0..30_000 {
                if cycle % 200 == 0 {
                    busy = 20 + random.below(237) as u32;
                    write_busy = 20 + random.below(237) as u32;
                    free_parts = 100 + random.below(157) as u32;
                }
                for i in 0..READERS {
                    if req >> i & 1 == 0 && random.chance(busy) {
                        req |= 1 << i;
                        set_bits(&mut addr, i * ADDRESS, ADDRESS, random.below(DEPTH));
                    }
                }
                for i in 0..WRITERS {
                    if we >> i & 1 == 0 && random.chance(write_busy) {
                        we |= 1 << i;
                        set_bits(&mut waddr, i * ADDRESS, ADDRESS, random.below(DEPTH));
                        set_bits(&mut wdata, i * WIDTH, WIDTH, random.bits());
                        set_bits(&mut wstrb, i * LANES, LANES, random.bits());
                    }
                }
                top.set_req_i(req);
                top.set_addr_i(addr[0] as u16);
                top.set_we_i(we);
                top.set_waddr_i(waddr[0] as u16);
                top.set_wdata_i(wdata);
                top.set_wstrb_i(wstrb[0] as u16);
                top.set_free_i(random.chance(free_parts));
                top.eval();
                for entry in &mut expected {
                    entry.0 -= 1;
                }
                let due = expected.front().copied().filter(|entry| entry.0 == 0);
                assert_eq!(
                    top.rvalid_o(),
                    due.map_or(0, |(_, reader, _)| 1 << reader),
                    "cycle {cycle}"
                );
                if let Some((_, reader, data)) = due {
                    assert_eq!(top.rdata_o(), data, "cycle {cycle}, reader {reader}");
                    expected.pop_front();
                }
                let (gnt, wgnt) = (top.gnt_o(), top.wgnt_o());
                assert!(gnt & !req == 0 && gnt.count_ones() <= 1);
                assert!(wgnt & !we == 0 && wgnt.count_ones() <= 1);
                for i in 0..READERS {
                    if gnt >> i & 1 == 1 {
                        let at = get_bits(&addr, i * ADDRESS, ADDRESS);
                        // a write of this very cycle is not seen
                        expected.push_back(($latency, i, memory[at as usize]));
                        reads[i] += 1;
                        waited[i] = 0;
                    } else if req >> i & 1 == 1 && gnt != 0 {
                        waited[i] += 1;
                        longest[i] = longest[i].max(waited[i]);
                    }
                }
                for i in 0..WRITERS {
                    if wgnt >> i & 1 == 1 {
                        let at = get_bits(&waddr, i * ADDRESS, ADDRESS) as usize;
                        for lane in 0..LANES {
                            if get_bits(&wstrb, i * LANES + lane, 1) == 1 {
                                let low = lane * 8;
                                let byte = get_bits(&wdata, i * WIDTH + low, 8);
                                memory[at] = memory[at] & !(0xff << low) | byte << low;
                            }
                        }
                        writes[i] += 1;
                    }
                }
                (req, we) = (req & !gnt, we & !wgnt);
                top.tick();
            }
            assert!(reads.iter().all(|&n| n > 1000), "{reads:?}");
            assert!(writes.iter().all(|&n| n > 1000), "{writes:?}");
            if $round_robin {
                assert!(longest.iter().all(|&n| n < READERS as u32), "{longest:?}");
            } else {
                assert_eq!(longest[0], 0, "reader 0 comes first");
                assert!(longest[READERS - 1] > 10, "{longest:?}");
            }
        }
    };
}

traffic!(round_robin_direct, PrimMemory, latency 2, round_robin true);
traffic!(fixed_priority_with_a_register, PrimMemoryFixed, latency 3, round_robin false);
