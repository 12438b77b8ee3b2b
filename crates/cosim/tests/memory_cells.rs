//! Memories of RAMB36E2 cells, and their model, against arrays: strobes, pieces of a depth, held reads, a read that meets a write.
#![cfg(any(top_memory_cells, top_memory_model))]

use std::collections::VecDeque;

use diffuser_cosim::bench::Random;

/// Bits, words and lanes of each memory of the top.
const KINDS: [(usize, u64, usize); 4] =
    [(96, 1536, 12), (80, 6656, 5), (128, 4096, 1), (216, 700, 4)];

type Word = [u32; 7];

/// A word with the lanes that a strobe names taken from another.
fn merged(old: Word, new: Word, strobe: u16, width: usize, lanes: usize) -> Word {
    let mut word = old;
    for bit in (0..width).filter(|bit| strobe >> (bit / (width / lanes)) & 1 == 1) {
        let mask = 1 << (bit % 32);
        word[bit / 32] = word[bit / 32] & !mask | new[bit / 32] & mask;
    }
    word
}

macro_rules! traffic {
    ($name:ident, $top:ident) => {
        #[test]
        fn $name() {
            let mut random = Random::new(17);
            let mut top = diffuser_cosim::tops::$top::with_seed(3);
            for (kind, (width, depth, lanes)) in KINDS.into_iter().enumerate() {
                let mut memory = vec![[0u32; 7]; depth as usize];
                // the word read last, of which nothing is known at first, and those of the two registers
                let mut read = None;
                let mut coming = VecDeque::from([None, None]);
                let (mut reads, mut met) = (0, 0);
                top.set_which_i(kind as u8);
                for _ in 0..12_000 {
                    // few places, at the ends of the pieces among them
                    let mut place = || {
                        match random.below(4) {
                            0 => random.below(depth),
                            1 => random.below(8),
                            2 => depth - 1 - random.below(4),
                            _ => (512 << random.below(4)).min(depth) - random.below(3),
                        }
                        .min(depth - 1)
                    };
                    let (waddr, raddr) = (place(), place());
                    let raddr = if random.chance(64) { waddr } else { raddr };
                    let (we, re) = (random.chance(160), random.chance(200));
                    let strobe = random.bits() as u16 & 0xfff;
                    let data: Word = std::array::from_fn(|_| random.bits() as u32);
                    top.set_we_i(we);
                    top.set_waddr_i(waddr as u16);
                    top.set_wdata_i(data);
                    top.set_wstrb_i(strobe);
                    top.set_re_i(re);
                    top.set_raddr_i(raddr as u16);
                    top.eval();
                    if let Some(Some(word)) = coming.pop_front() {
                        assert_eq!(top.rdata_o(), word, "memory {kind}");
                        reads += 1;
                    }
                    if re {
                        read = Some(memory[raddr as usize]);
                        met += usize::from(we && waddr == raddr);
                    }
                    coming.push_back(read);
                    if we {
                        let at = waddr as usize;
                        memory[at] = merged(memory[at], data, strobe, width, lanes);
                    }
                    top.tick();
                }
                assert!(
                    reads > 10_000 && met > 300,
                    "{reads} reads, {met} met a write"
                );
            }
        }
    };
}

#[cfg(top_memory_cells)]
traffic!(of_cells, MemoryCells);
#[cfg(top_memory_model)]
traffic!(of_the_model, MemoryModel);
