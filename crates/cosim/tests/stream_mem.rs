//! The stream memory, and in its banks the memory that several units share: order, latency, strobes, ranges, fairness.
#![cfg(top_stream_mem)]

use std::collections::VecDeque;

use diffuser_cosim::bench::{Random, get_bits, set_bits};
use diffuser_cosim::tops::StreamMem;

const READERS: usize = 4;
const WRITERS: usize = 3;
const LANES: usize = 4;
const DEPTH: u64 = 96;
const LATENCY: u64 = 4;

#[derive(Clone, Copy)]
struct Write {
    addr: u64,
    data: u64,
    strobe: u64,
}

/// Clients ask at random, in `busy` of 256 cycles, near each other so that they meet.
fn run(seed: u64, busy: u32, past_end: bool) {
    let mut top = StreamMem::new();
    let mut random = Random::new(seed);
    let mut memory: Vec<Option<u64>> = vec![None; DEPTH as usize];
    let mut reads: [Option<u64>; READERS] = [None; READERS];
    let mut writes: [Option<Write>; WRITERS] = [None; WRITERS];
    let mut expected: [VecDeque<(u64, Option<u64>)>; READERS] = Default::default();
    let mut range = (0u8, 0u8);
    let (mut granted, mut compared) = (0, 0);
    top.set_rst_ni(false);
    top.tick();
    top.set_rst_ni(true);
    for cycle in 0..4000u64 {
        let limit = if past_end { DEPTH + 8 } else { DEPTH };
        let all = cycle < 200 && !past_end;
        for read in &mut reads {
            let (at, new) = (random.below(limit), random.chance(busy));
            *read = read.or((new && !all).then_some(at));
        }
        for (w, write) in writes.iter_mut().enumerate() {
            let at = if all {
                cycle * 2 % DEPTH + w as u64 % 2
            } else {
                random.below(limit)
            };
            let (data, strobe) = (random.bits(), if all { 15 } else { random.below(16) });
            let new = all || random.chance(busy);
            *write = write.or(new.then_some(Write {
                addr: at,
                data,
                strobe,
            }));
        }
        let mut addrs = [0u32; 2];
        let mut req = 0u8;
        for (r, read) in reads.iter().enumerate() {
            req |= u8::from(read.is_some()) << r;
            set_bits(&mut addrs, 10 * r, 10, read.unwrap_or(0));
        }
        top.set_req_i(req);
        top.set_addr_i(get_bits(&addrs, 0, 40));
        let (mut waddrs, mut wdata, mut strobes, mut we) = ([0u32; 1], [0u32; 6], [0u32; 1], 0u8);
        for (w, write) in writes.iter().enumerate() {
            let Some(write) = write else { continue };
            we |= 1 << w;
            set_bits(&mut waddrs, 10 * w, 10, write.addr);
            set_bits(&mut wdata, 64 * w, 64, write.data);
            set_bits(&mut strobes, 4 * w, 4, write.strobe);
        }
        top.set_we_i(we);
        top.set_waddr_i(waddrs[0]);
        top.set_wdata_i(wdata);
        top.set_wstrb_i(strobes[0] as u16);
        top.eval();

        // what comes now was granted LATENCY cycles ago
        for (r, expected) in expected.iter_mut().enumerate() {
            let due = expected.front().is_some_and(|e| e.0 == cycle);
            assert_eq!(
                top.rvalid_o() >> r & 1 == 1,
                due,
                "reader {r}, cycle {cycle}"
            );
            if !due {
                continue;
            }
            if let Some((_, Some(word))) = expected.pop_front() {
                assert_eq!(
                    get_bits(&top.rdata_o(), 64 * r, 64),
                    word,
                    "reader {r}, cycle {cycle}"
                );
                compared += 1;
            }
        }
        assert_eq!(
            (top.read_range_o(), top.write_range_o()),
            range,
            "cycle {cycle}"
        );
        range = (0, 0);
        let (gnt, wgnt) = (top.gnt_o(), top.wgnt_o());
        assert_eq!((gnt & !req, wgnt & !we), (0, 0));
        let mut banks = [0; 4];
        for (r, read) in reads
            .iter_mut()
            .enumerate()
            .filter(|(r, _)| gnt >> r & 1 == 1)
        {
            let at = read.take().expect("granted what was asked");
            banks[at as usize % 4] += 1;
            range.0 |= u8::from(at >= DEPTH) << r;
            expected[r].push_back((cycle + LATENCY, memory.get(at as usize).copied().flatten()));
            granted += 1;
        }
        assert!(banks.iter().all(|n| *n <= 1), "two reads of a bank");
        for (w, write) in writes
            .iter_mut()
            .enumerate()
            .filter(|(w, _)| wgnt >> w & 1 == 1)
        {
            let write = write.take().expect("granted what was asked");
            range.1 |= u8::from(write.addr >= DEPTH) << w;
            if let Some(word) = memory.get_mut(write.addr as usize) {
                let mask = (0..LANES)
                    .filter(|l| write.strobe >> l & 1 == 1)
                    .map(|l| 0xffffu64 << (16 * l))
                    .sum::<u64>();
                // a word of which nothing was written holds noise
                *word = if mask == u64::MAX {
                    Some(write.data)
                } else {
                    word.map(|old| old & !mask | write.data & mask)
                };
            }
        }
        top.tick();
    }
    assert!(past_end || compared > 500, "{compared} of {granted}");
}

#[test]
fn reads_see_all_earlier_writes_and_no_later_ones() {
    for (seed, busy) in [(1, 256), (2, 128), (3, 20)] {
        run(seed, busy, false);
    }
}

#[test]
fn accesses_past_the_end_are_reported_and_write_nothing() {
    run(4, 200, true);
}

#[test]
fn a_test_can_look_into_memories() {
    let mut top = StreamMem::new();
    top.set_rst_ni(false);
    top.tick();
    top.set_rst_ni(true);
    top.set_we_i(1);
    top.set_waddr_i(4 * 7 + 2);
    top.set_wdata_i([0x1234_5678, 0x9abc_def0, 0, 0, 0, 0]);
    top.set_wstrb_i(15);
    top.tick();
    top.set_we_i(0);
    top.tick();
    let bank = StreamMem::MEMORIES
        .iter()
        .position(|m| m.0.contains("gen_bank[2]"));
    let bank = bank.expect("banks are visible");
    assert_eq!(
        (StreamMem::MEMORIES[bank].1, StreamMem::MEMORIES[bank].2),
        (64, 24)
    );
    assert_eq!(top.peek(bank, 7), [0x1234_5678, 0x9abc_def0]);
}
