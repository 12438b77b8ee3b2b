//! Pass `allocate`: where every stream, operand, K and V, affine map and channel sum lies.
//!
//! Before: values are names. After: each has the address of its first word, and values that live at the
//! same time do not overlap. Lives are counted in layers, from the one that writes a value to the last
//! that reads it. A convolution writes over its residual where nothing reads that later, a copy over
//! its source, an attention over its Q. Layers whose images take turns live as one.
//!
//! What is free is taken again only some layers later where there is room for that, so that a unit that works ahead of another seldom waits for memory.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::CompileError;
use crate::layer::{Layer, Layers, Value, Work};
use crate::runs::runs;
use crate::target::{Memory, Target};

/// Layers that a value is kept longer than needed, where there is room.
const SLACK: usize = 4;

/// Percent of a memory that may be wanted at once by values kept longer, tried one after the other:
/// the less is wanted, the surer first fit finds room.
const LIMITS: [usize; 5] = [100, 95, 90, 80, 70];

/// Words that are wanted from layer `first` to layer `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number of words, at least 1.
    pub size: usize,
    /// First layer.
    pub first: usize,
    /// Last layer.
    pub last: usize,
}

impl Request {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Layers of one bucket: requests are looked for by the buckets in which they live.
const BUCKET: usize = 16;

/// Addresses for requests, in their order: each the lowest that is free throughout its life, given
/// first to those that come first in `order`.
fn first_fit(requests: &[Request], order: &[usize]) -> Vec<usize> {
    let mut addresses = vec![0; requests.len()];
    let last = requests.iter().map(|r| r.last).max().unwrap_or(0);
    let mut placed: Vec<Vec<usize>> = vec![vec![]; last / BUCKET + 1];
    for &i in order {
        let request = requests[i];
        let buckets = request.first / BUCKET..=request.last / BUCKET;
        let mut taken: Vec<(usize, usize)> = placed[buckets.clone()]
            .iter()
            .flatten()
            .filter(|&&j| requests[j].meets(&request))
            .map(|&j| (addresses[j], addresses[j] + requests[j].size))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (start, end) in taken {
            if start >= at + request.size {
                break;
            }
            at = at.max(end);
        }
        addresses[i] = at;
        for bucket in &mut placed[buckets] {
            bucket.push(i);
        }
    }
    addresses
}

fn peak(requests: &[Request], addresses: &[usize]) -> usize {
    let ends = requests.iter().zip(addresses).map(|(r, a)| a + r.size);
    ends.max().unwrap_or(0)
}

/// Addresses for requests: the better of first fit in order of time and in order of size.
/// Returns them with the words that are taken in all.
#[must_use]
pub fn fit(requests: &[Request]) -> (Vec<usize>, usize) {
    let mut by_time: Vec<usize> = (0..requests.len()).collect();
    by_time.sort_by_key(|&i| requests[i].first);
    let mut by_size = by_time.clone();
    by_size.sort_by_key(|&i| std::cmp::Reverse(requests[i].size));
    let mut by_area = by_time.clone();
    by_area.sort_by_key(|&i| {
        let r = requests[i];
        std::cmp::Reverse(r.size * (r.last - r.first + 1))
    });
    let tries = [by_time, by_size, by_area].map(|order| {
        let addresses = first_fit(requests, &order);
        let peak = peak(requests, &addresses);
        (addresses, peak)
    });
    let best = tries.into_iter().min_by_key(|(_, peak)| *peak);
    best.unwrap_or_default()
}

/// Where values lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    addresses: BTreeMap<Value, usize>,
    /// Words of each memory that are taken at most (K and V alone of the weight memory).
    pub taken: BTreeMap<Memory, usize>,
}

impl Places {
    /// First word (row, entry) of a value.
    ///
    /// # Panics
    /// When no layer writes it.
    #[must_use]
    pub fn of(&self, value: Value) -> usize {
        self.addresses[&value]
    }

    /// The same; none where no layer writes it.
    #[must_use]
    pub fn get(&self, value: Value) -> Option<usize> {
        self.addresses.get(&value).copied()
    }
}

/// A value with those that take its place one after the other.
struct Group {
    values: Vec<Value>,
    request: Request,
}

/// A memory that is too small, and the layer at which most of it is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Overflow {
    /// Place of the layer in the list.
    pub layer: usize,
    /// The error that names it.
    pub error: CompileError,
}

/// Run the pass. K and V lie at the end of the weight memory.
///
/// # Errors
/// [`Overflow`] where a memory is too small.
pub fn allocate(layers: &Layers, target: &Target) -> Result<Places, Overflow> {
    let groups = groups(layers, target);
    let overflow = |memory, layer: usize, needed: usize| Overflow {
        layer,
        error: CompileError::Memory {
            layer: layers.list[layer].name.clone(),
            memory,
            target: target.name.into(),
            needed: needed as u64,
            available: target.words(memory) as u64,
        },
    };
    let memories = [
        // what can be mended comes first
        Memory::Sums,
        Memory::Stream,
        Memory::Operand,
        Memory::Weight,
        Memory::Affine,
        Memory::State,
    ];
    let requests = memories.map(|memory| {
        let own = groups.iter().filter(|g| g.values[0].memory() == memory);
        own.map(|g| g.request).collect::<Vec<_>>()
    });
    let fullest = requests.each_ref().map(|requests| fullest(requests));
    // where more is wanted at once than there is, no addresses help
    for (&memory, full) in memories.iter().zip(&fullest) {
        if full.words > target.words(memory) {
            return Err(overflow(memory, full.layer, full.words));
        }
    }
    let mut places = Places::default();
    for ((memory, exact), full) in memories.into_iter().zip(&requests).zip(fullest) {
        let own = groups.iter().filter(|g| g.values[0].memory() == memory);
        let capacity = target.words(memory);
        // K and V leave as much as they can to weights
        let limits = if memory == Memory::Weight {
            &[][..]
        } else {
            &LIMITS[..]
        };
        let stretched = limits
            .iter()
            .map(|percent| fit(&stretch(exact, capacity * percent / 100)))
            .find(|(_, taken)| *taken <= capacity);
        let (addresses, taken) = stretched.unwrap_or_else(|| fit(exact));
        if taken > capacity {
            return Err(overflow(memory, full.layer, taken));
        }
        let base = if memory == Memory::Weight {
            capacity - taken
        } else {
            0
        };
        for (group, address) in own.zip(addresses) {
            for &value in &group.values {
                places.addresses.insert(value, base + address);
            }
        }
        places.taken.insert(memory, taken);
    }
    if !layers.state_in_ddr {
        let whole = layers.images * layers.state_pixels;
        places.taken.insert(Memory::State, whole);
    }
    Ok(places)
}

/// The same requests, each kept up to [`SLACK`] layers longer while no more than `limit` words are
/// wanted at once.
fn stretch(requests: &[Request], limit: usize) -> Vec<Request> {
    let mut stretched = requests.to_vec();
    let end = requests.iter().map(|r| r.last + 1).max().unwrap_or(0);
    let mut wanted = vec![0; end];
    for r in requests {
        wanted[r.first..=r.last]
            .iter_mut()
            .for_each(|w| *w += r.size);
    }
    for _ in 0..SLACK {
        for r in &mut stretched {
            if let Some(next) = wanted.get_mut(r.last + 1)
                && *next + r.size <= limit
            {
                *next += r.size;
                r.last += 1;
            }
        }
    }
    stretched
}

/// Where most words are wanted at once.
#[derive(Clone, Copy, Debug, Default)]
struct Fullest {
    /// The layer; the last of several.
    layer: usize,
    /// Words that live at it: no addresses need less.
    words: usize,
}

fn fullest(requests: &[Request]) -> Fullest {
    let end = requests.iter().map(|r| r.last + 2).max().unwrap_or(0);
    let (mut more, mut less) = (vec![0; end], vec![0; end]);
    for r in requests {
        more[r.first] += r.size;
        less[r.last + 1] += r.size;
    }
    let mut taken = 0;
    let mut most = Fullest::default();
    for layer in 0..end {
        taken = taken + more[layer] - less[layer];
        if more[layer] > 0 && taken >= most.words {
            most = Fullest {
                layer,
                words: taken,
            };
        }
    }
    most
}

/// Whether a layer reads a stream only to add each row of it to the row of its result that lies there.
fn adds_where_it_writes(layer: &Layer, stream: Value, result: Value) -> bool {
    matches!(&layer.work, Work::Conv(c) if c.residual.map(Value::Stream) == Some(stream)
        && Value::Stream(c.output) == result
        && c.residual_row == c.to_row
        && c.scale() == 1)
}

fn groups(layers: &Layers, target: &Target) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of: BTreeMap<Value, usize> = BTreeMap::new();
    // the layer, and the end of those that it takes turns with
    let mut last_read: BTreeMap<Value, (usize, usize)> = BTreeMap::new();
    let run_of: Vec<Range<usize>> = runs(&layers.list)
        .flat_map(|run| run.clone().map(move |_| run.clone()))
        .collect();
    for (i, layer) in layers.list.iter().enumerate() {
        for value in layer.reads() {
            last_read.insert(value, (i, run_of[i].end - 1));
        }
    }
    for (i, layer) in layers.list.iter().enumerate() {
        for value in layer.writes() {
            let last = run_of[i].end - 1;
            let last = last_read
                .get(&value)
                .map_or(last, |&(_, end)| last.max(end));
            // a further band of it
            if let Some(&group) = group_of.get(&value) {
                let request = &mut groups[group].request;
                request.last = request.last.max(last);
                continue;
            }
            let size = layers.size(value, target.shape).max(1);
            let over = match (&layer.work, value) {
                (Work::Attention(a), Value::Operand(_)) => Some(Value::Operand(a.inputs[0])),
                (Work::Conv(c), Value::Stream(_)) => c.residual.map(Value::Stream),
                (Work::Prep(p), Value::Stream(_)) if p.resample.is_none() => {
                    Some(Value::Stream(p.inputs[0]))
                }
                _ => None,
            };
            let over = over.filter(|v| {
                // further bands of the same result may still read rows of their own
                last_read.get(v).is_some_and(|&(last, _)| {
                    let mut readers = layers.list[i..=last].iter();
                    last == i
                        || readers
                            .all(|l| !l.reads().contains(v) || adds_where_it_writes(l, *v, value))
                })
            });
            match over.and_then(|v| group_of.get(&v).copied()) {
                Some(index) => {
                    group_of.insert(value, index);
                    let group = &mut groups[index];
                    group.values.push(value);
                    group.request.last = last;
                    group.request.size = group.request.size.max(size);
                }
                None => {
                    group_of.insert(value, groups.len());
                    groups.push(Group {
                        values: vec![value],
                        request: Request {
                            size,
                            first: run_of[i].start,
                            last,
                        },
                    });
                }
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    fn random(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    #[test]
    fn what_lives_together_lies_apart() {
        let mut state = 5;
        for _ in 0..100 {
            let requests: Vec<Request> = (0..1 + random(&mut state, 30))
                .map(|_| {
                    let first = random(&mut state, 20);
                    Request {
                        size: 1 + random(&mut state, 50),
                        first,
                        last: first + random(&mut state, 6),
                    }
                })
                .collect();
            let (addresses, taken) = fit(&requests);
            for (i, a) in requests.iter().enumerate() {
                assert!(addresses[i] + a.size <= taken);
                for (j, b) in requests.iter().enumerate().take(i) {
                    let apart = addresses[i] + a.size <= addresses[j]
                        || addresses[j] + b.size <= addresses[i];
                    assert!(!a.meets(b) || apart, "{a:?} {b:?}");
                }
            }
            let full = fullest(&requests);
            let living = |layer| -> usize {
                let living = requests
                    .iter()
                    .filter(|r| r.first <= layer && layer <= r.last);
                living.map(|r| r.size).sum()
            };
            assert_eq!(living(full.layer), full.words);
            assert!((0..26).all(|layer| living(layer) <= full.words));
            assert!(taken >= full.words);
        }
    }

    #[test]
    fn a_hole_is_used_before_the_end() {
        let request = |size, first, last| Request { size, first, last };
        let requests = [
            request(4, 0, 9),
            request(2, 0, 3),
            request(4, 0, 9),
            request(2, 4, 9),
        ];
        assert_eq!(first_fit(&requests, &[0, 1, 2, 3]), [0, 4, 6, 4]);
    }
}
