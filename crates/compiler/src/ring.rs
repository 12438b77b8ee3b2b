//! Part of the pass `schedule`: prefetching through a ring.
//!
//! Weights and parameters are used once a pass, in program order. Each chunk of them has a place that
//! is fixed for all passes: chunks lie one behind the other, from the beginning again where the
//! memory ends. A chunk may be loaded as soon as the last user of what lay there is done, so the load
//! stands right behind that user, often in the pass before: then the program's preamble loads the
//! chunk for the first pass, and each pass loads it for the next.

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

/// Where a chunk lies and when it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First word, counted from the ring's.
    pub address: usize,
    /// The command that the load stands behind; negative: of the pass before, `-1` being its last.
    pub behind: i64,
}

/// Slots for chunks that are used in this order, `commands` being those of a pass; none where a
/// chunk is larger than the ring.
#[must_use]
pub fn place(chunks: &[Chunk], words: usize, commands: usize) -> Option<Vec<Slot>> {
    let mut next = 0;
    let mut slots = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        if chunk.words > words {
            return None;
        }
        if next + chunk.words > words {
            next = 0;
        }
        slots.push(Slot {
            address: next,
            behind: 0,
        });
        next += chunk.words;
    }
    let n = chunks.len();
    for i in 0..n {
        let overlaps = |j: usize| {
            slots[j].address < slots[i].address + chunks[i].words
                && slots[i].address < slots[j].address + chunks[j].words
        };
        // back through this pass, then through the pass before down to the chunk itself
        let here = (0..i).map(|j| (j, 0));
        let before = (i..n).map(|j| (j, commands as i64));
        let users = here.chain(before).filter(|&(j, _)| overlaps(j));
        let behind = users
            .map(|(j, back)| chunks[j].last_use as i64 - back)
            .max();
        slots[i].behind = behind.unwrap_or(-1);
    }
    Some(slots)
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
        let slots = place(&chunks, 5, 6).unwrap();
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
        let slots = place(&chunks, 4, 4).unwrap();
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
            for (slot, chunk) in place(&chunks, words, 18).unwrap().iter().zip(&chunks) {
                assert!(slot.behind < chunk.first_use as i64);
                assert!(slot.behind >= -18);
            }
        }
        assert_eq!(place(&[chunk(4, 0, 0)], 3, 1), None);
    }
}
