//! Part of the pass `schedule`: prefetching through a ring.
//!
//! Weights and parameters are used in program order, most of them once a pass or by neighbours. Each chunk of them has
//! a place that is fixed for all passes: chunks lie one behind the other, from the beginning again where the
//! memory ends, past those that are read later again, and past what else lies in the memory while they do. A chunk may be loaded as soon as the last user of what lay there is done, so the load
//! stands right behind that user, often in the pass before: then the program's preamble loads the
//! chunk for the first pass, and each pass loads it for the next.

use std::ops::Range;

/// Words that are loaded together, used from command `first_use` to command `last_use`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Number of words.
    pub words: usize,
    /// First command of a pass that reads them.
    pub first_use: usize,
    /// Last command of a pass that reads them.
    pub last_use: usize,
}

/// What lies at a place of its own and is written and read by commands: K and V of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// First word, counted from the ring's.
    pub address: usize,
    /// Number of words.
    pub words: usize,
    /// The command that writes it first.
    pub first_use: usize,
    /// The last command that reads it.
    pub last_use: usize,
}

impl Fixed {
    /// The words in which it lies.
    const fn words(&self) -> Range<usize> {
        self.address..self.address + self.words
    }
}

/// Where a chunk lies and when it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First word, counted from the ring's.
    pub address: usize,
    /// The command that the load stands behind; negative: of the pass before, `-1` being its last.
    pub behind: i64,
}

/// Slots for chunks in the order of their first use, `commands` being those of a pass. Where a chunk finds no
/// room beside those that are still to be read and what is `fixed`, the two: the chunk, and one that is in its way, itself
/// where no other is.
///
/// # Errors
/// As said.
pub fn place(
    chunks: &[Chunk],
    fixed: &[Fixed],
    words: usize,
    commands: usize,
) -> Result<Vec<Slot>, [usize; 2]> {
    let mut next = 0;
    let mut slots: Vec<Slot> = Vec::with_capacity(chunks.len());
    // those that may still be read
    let mut living: Vec<usize> = Vec::new();
    for (i, chunk) in chunks.iter().enumerate() {
        if chunk.words > words {
            return Err([i, i]);
        }
        living.retain(|&j| chunks[j].last_use >= chunk.first_use);
        // where what is in the way ends, and which chunk it is
        let in_way = |at: usize| {
            let own = at..at + chunk.words;
            let others = living.iter().map(|&j| (words_of(chunks, &slots, j), j));
            let beside =
                |f: &&Fixed| f.first_use <= chunk.last_use && chunk.first_use <= f.last_use;
            let beside = fixed.iter().filter(beside).map(|f| (f.words(), i));
            let mut all = others.chain(beside);
            let found = all.find(|(words, _)| meets(words, &own));
            found.map(|(words, j)| (words.end, j))
        };
        let mut wrapped = false;
        let mut obstacle = i;
        let address = loop {
            if next + chunk.words > words {
                if wrapped {
                    return Err([i, obstacle]);
                }
                (next, wrapped) = (0, true);
            }
            match in_way(next) {
                Some((end, j)) => (next, obstacle) = (end, j),
                None => break next,
            }
        };
        slots.push(Slot { address, behind: 0 });
        living.push(i);
        next = address + chunk.words;
    }
    for i in 0..chunks.len() {
        slots[i].behind = behind(chunks, fixed, &slots, i, commands);
    }
    Ok(slots)
}

/// The words in which a chunk lies.
fn words_of(chunks: &[Chunk], slots: &[Slot], i: usize) -> Range<usize> {
    slots[i].address..slots[i].address + chunks[i].words
}

/// Whether two have words in common.
fn meets(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The last user of what lies in a chunk's place before it.
fn behind(chunks: &[Chunk], fixed: &[Fixed], slots: &[Slot], i: usize, commands: usize) -> i64 {
    let own = words_of(chunks, slots, i);
    let overlapped = |j: &usize| meets(&words_of(chunks, slots, *j), &own);
    let others = fixed.iter().filter(|f| meets(&f.words(), &own));
    // back through this pass, then through the pass before down to the chunk itself
    let first = chunks[i].first_use;
    let here = (0..i).filter(overlapped).map(|j| chunks[j].last_use);
    let here = here.chain(
        others
            .clone()
            .map(|f| f.last_use)
            .filter(|&last| last < first),
    );
    if let Some(last) = here.max() {
        return last as i64;
    }
    let before = (i..chunks.len()).filter(overlapped);
    let before = before
        .map(|j| chunks[j].last_use)
        .chain(others.map(|f| f.last_use));
    before
        .max()
        .map_or(-1, |last| last as i64 - commands as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(words: usize, first_use: usize, last_use: usize) -> Chunk {
        Chunk {
            words,
            first_use,
            last_use,
        }
    }

    #[test]
    fn what_fits_whole_is_loaded_behind_its_own_use_for_the_next_pass() {
        let chunks = [chunk(2, 0, 1), chunk(3, 2, 4)];
        let slots = place(&chunks, &[], 5, 6).unwrap();
        assert_eq!(
            slots,
            [
                Slot {
                    address: 0,
                    behind: -5
                },
                Slot {
                    address: 2,
                    behind: -2
                }
            ]
        );
    }

    #[test]
    fn a_chunk_waits_for_the_last_that_it_overwrites() {
        let chunks = [
            chunk(2, 0, 0),
            chunk(2, 1, 1),
            chunk(3, 2, 2),
            chunk(1, 3, 3),
        ];
        let slots = place(&chunks, &[], 4, 4).unwrap();
        let of = |f: fn(&Slot) -> i64| slots.iter().map(f).collect::<Vec<_>>();
        assert_eq!(of(|s| s.address as i64), [0, 2, 0, 3]);
        // the third takes the place of both; the fourth that of the second; in the pass before, the
        // first follows the third, and the second the fourth
        assert_eq!(of(|s| s.behind), [-2, -1, 1, 1]);
    }

    #[test]
    fn a_load_stands_before_its_use() {
        for words in 3..20 {
            let chunks: Vec<Chunk> = (0..9).map(|i| chunk(1 + i % 3, 2 * i, 2 * i + 1)).collect();
            for (slot, chunk) in place(&chunks, &[], words, 18).unwrap().iter().zip(&chunks) {
                assert!(slot.behind < chunk.first_use as i64);
                assert!(slot.behind >= -18);
            }
        }
        assert_eq!(place(&[chunk(4, 0, 0)], &[], 3, 1), Err([0, 0]));
    }

    #[test]
    fn what_is_read_again_stays() {
        // the first is read to the end: the others take turns beside it, or find no room
        let chunks = [
            chunk(2, 0, 9),
            chunk(2, 1, 1),
            chunk(3, 2, 2),
            chunk(2, 3, 3),
        ];
        let slots = place(&chunks, &[], 5, 10).unwrap();
        let addresses: Vec<usize> = slots.iter().map(|s| s.address).collect();
        assert_eq!(addresses, [0, 2, 2, 2]);
        let behind: Vec<i64> = slots.iter().map(|s| s.behind).collect();
        assert_eq!(behind, [-1, -7, 1, 2]);
        assert_eq!(place(&chunks, &[], 4, 10), Err([2, 0]));
    }

    #[test]
    fn what_lies_at_a_fixed_place_is_gone_round_while_it_lives() {
        // words 3 and 4 are taken from command 1 to command 3
        let fixed = [Fixed {
            address: 3,
            words: 2,
            first_use: 1,
            last_use: 3,
        }];
        let chunks = [
            chunk(5, 0, 0),
            chunk(3, 2, 2),
            chunk(2, 4, 4),
            chunk(3, 5, 5),
        ];
        let slots = place(&chunks, &fixed, 5, 6).unwrap();
        let addresses: Vec<usize> = slots.iter().map(|s| s.address).collect();
        assert_eq!(addresses, [0, 0, 3, 0]);
        // the third follows the last reader of what was there
        let behind: Vec<i64> = slots.iter().map(|s| s.behind).collect();
        assert_eq!(behind, [-1, 0, 3, 2]);
        // no room beside it
        assert_eq!(place(&[chunk(4, 1, 1)], &fixed, 5, 6), Err([0, 0]));
    }
}
