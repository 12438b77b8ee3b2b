//! Finds descriptors that touch the same words and that no wait orders.
//!
//! Each descriptor has a clock: for each unit, how many of its descriptors have retired for sure
//! when this one starts. It is the maximum of what its waits say and of what the descriptors that
//! it waits for know themselves, so it depends on the program alone and not on how long anything
//! takes: a race is found even where the modelled times happen to hide it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use diffuser_isa::{Descriptor, Op, Unit};

use crate::memories::{Memory, Shape};
use crate::ops::{self, Access, Context};

const UNITS: usize = Unit::ALL.len();

/// Descriptors of each unit, counted from the start of the program, that have retired.
type Clock = [u64; UNITS];

/// One of the two descriptors of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Index in the program.
    pub index: u32,
    /// Time step when it was dispatched.
    pub step: u32,
    /// Name of the operation.
    pub operation: &'static str,
    /// It writes the words, else it reads them.
    pub writes: bool,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = if self.writes { "writes" } else { "reads" };
        let (operation, index, step) = (self.operation, self.index, self.step);
        write!(f, "{operation} (descriptor {index}, step {step}) {does}")
    }
}

/// A rule of waits that a program breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// Two descriptors touch the same words, one writes, and nothing orders them.
    Race {
        /// The earlier in program order.
        first: Party,
        /// The later.
        second: Party,
        /// The memory; none for DDR.
        memory: Option<Memory>,
        /// Words that both touch; bytes of DDR.
        words: Range<u64>,
    },
    /// A descriptor waits for one that does not stand before it.
    Future {
        /// Index in the program.
        index: u32,
        /// The unit that it waits for.
        unit: Unit,
        /// How many descriptors of it, counted from the start of the program.
        count: u64,
    },
    /// A chained `conv` reads another operand than the `prep` that it names makes.
    Chain {
        /// Index in the program.
        index: u32,
    },
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Race {
                first,
                second,
                memory,
                words,
            } => {
                let (start, last) = (words.start, words.end - 1);
                write!(f, "nothing orders them: {first}, {second} ")?;
                match memory {
                    Some(memory) => write!(f, "words {start} to {last} of {memory} memory"),
                    None => write!(f, "bytes {start:#x} to {last:#x} of DDR"),
                }
            }
            Self::Future { index, unit, count } => {
                let unit = unit.name();
                write!(
                    f,
                    "descriptor {index} waits for {unit} number {count}, which does not stand before it"
                )
            }
            Self::Chain { index } => write!(
                f,
                "descriptor {index} is chained to a prep whose result is not its operand"
            ),
        }
    }
}

/// Words that one descriptor touched.
#[derive(Clone, Debug)]
struct Entry {
    /// Number of the descriptor in its unit, from 1.
    number: u64,
    party: Party,
    words: Range<u64>,
}

/// What is known of one descriptor.
#[derive(Clone, Debug)]
struct Known {
    /// Clock at its start.
    start: Clock,
    /// Clock at its retirement.
    end: Clock,
    /// Operand that a `prep` writes.
    operand: Option<Operand>,
}

/// Descriptors of a unit that are kept; no count reaches back further than half of that.
const KEPT: usize = 1 << 16;

/// What is known of one unit.
#[derive(Clone, Debug, Default)]
struct History {
    /// Clock at the start of the last descriptor.
    start: Clock,
    /// Descriptors so far.
    count: u64,
    /// The last of them, in order.
    last: VecDeque<Known>,
}

impl History {
    /// Descriptor `number`, counted from 1, where that is kept.
    fn get(&self, number: u64) -> Option<&Known> {
        let back = usize::try_from(self.count.checked_sub(number)?).ok()?;
        self.last.get(self.last.len().checked_sub(back + 1)?)
    }

    fn push(&mut self, known: Known) {
        self.count += 1;
        self.start = known.start;
        self.last.push_back(known);
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
    }
}

/// The checker of one run of a program.
#[derive(Clone, Debug)]
pub(super) struct Hazards {
    shape: Shape,
    units: [History; UNITS],
    /// By memory (DDR last) and unit, in order.
    entries: Vec<[VecDeque<Entry>; UNITS]>,
}

const fn place(memory: Option<Memory>) -> usize {
    match memory {
        Some(memory) => memory as usize,
        None => Memory::ALL.len(),
    }
}

fn join(a: &mut Clock, b: &Clock) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = (*a).max(*b);
    }
}

impl Hazards {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            units: Default::default(),
            entries: vec![Default::default(); Memory::ALL.len() + 1],
        }
    }

    /// The next descriptor in program order, and what its waits are from the start of the program
    /// (`base` of the pass and count together).
    pub(super) fn dispatch(
        &mut self,
        index: u32,
        descriptor: &Descriptor,
        waits: &[Option<i64>; UNITS],
        context: &Context,
    ) -> Vec<Hazard> {
        let Some(unit) = descriptor.op.unit() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let u = unit as usize;
        let number = self.units[u].count + 1;
        let mut chained = None;
        let mut clock = self.units[u].start;
        if unit != Unit::Dma
            && let Some(before) = self.units[u].last.back()
        {
            join(&mut clock, &before.end);
        }
        for &other in Unit::ALL {
            let history = &self.units[other as usize];
            let Some(count) = waits[other as usize].and_then(|c| u64::try_from(c).ok()) else {
                continue;
            };
            if count > history.count {
                let unit = other;
                found.push(Hazard::Future { index, unit, count });
                continue;
            }
            let Some(known) = history.get(count) else {
                continue;
            };
            if descriptor.common.chain && other == Unit::Prep {
                // it has started, and all before it have retired
                join(&mut clock, &known.start);
                chained = Some(count);
                if known.operand != operand(&descriptor.op, self.shape) {
                    found.push(Hazard::Chain { index });
                }
            } else {
                join(&mut clock, &known.end);
            }
        }

        for access in all_accesses(&descriptor.op, self.shape, context) {
            let party = Party {
                index,
                step: context.step,
                operation: descriptor.op.name(),
                writes: access.write,
            };
            let follows = |other: usize, entry: &Entry| {
                other == Unit::Prep as usize
                    && chained == Some(entry.number)
                    && access.memory == Some(Memory::Operand)
                    && !access.write
            };
            let lists = &mut self.entries[place(access.memory)];
            for (other, list) in lists.iter().enumerate() {
                if other == u && unit != Unit::Dma {
                    continue;
                }
                let unordered = list.iter().rev().take_while(|e| e.number > clock[other]);
                // the words of one descriptor do not race with each other
                let race = unordered
                    .filter(|e| other != u || e.number != number)
                    .filter(|e| access.write || e.party.writes)
                    .filter(|e| overlap(&e.words, &access.words).is_some())
                    .find(|e| !follows(other, e));
                if let Some(entry) = race {
                    found.push(Hazard::Race {
                        first: entry.party,
                        second: party,
                        memory: access.memory,
                        words: overlap(&entry.words, &access.words).expect("they overlap"),
                    });
                }
            }
            lists[u].push_back(Entry {
                number,
                party,
                words: access.words,
            });
        }

        let mut end = clock;
        if let Some(before) = self.units[u].last.back() {
            join(&mut end, &before.end);
        }
        end[u] = number;
        self.units[u].push(Known {
            start: clock,
            end,
            operand: operand(&descriptor.op, self.shape),
        });
        if number.is_multiple_of(64) {
            self.forget(u);
        }
        found
    }

    /// Drop entries of unit `u` that every other unit is behind already.
    fn forget(&mut self, u: usize) {
        let others = (0..UNITS).filter(|&other| other != u || other == Unit::Dma as usize);
        let known = others.map(|other| self.units[other].start[u]).min();
        for lists in &mut self.entries {
            while lists[u].front().is_some_and(|e| Some(e.number) <= known) {
                lists[u].pop_front();
            }
        }
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> Option<Range<u64>> {
    let both = a.start.max(b.start)..a.end.min(b.end);
    (!both.is_empty()).then_some(both)
}

/// Rows of a whole operand, its pixels, and whether they are spread.
type Operand = (Range<u64>, u64, bool);

/// What `prep` makes, or what `conv` reads.
fn operand(op: &Op, shape: Shape) -> Option<Operand> {
    let (write, pixels, spread) = match op {
        Op::Prep(op) => {
            let (width, height) = ops::prep::result_size(op);
            (true, width * height, op.spread)
        }
        Op::Conv(op) => (false, ops::conv::in_pixels(op), op.spread),
        _ => return None,
    };
    let accesses = ops::accesses(op, shape);
    let mut operands = accesses
        .into_iter()
        .filter(|a| a.memory == Memory::Operand && a.write == write);
    operands.next().map(|a| (a.words, pixels, spread))
}

/// Words of a memory, or bytes of DDR, that an operation touches.
struct Touched {
    memory: Option<Memory>,
    words: Range<u64>,
    write: bool,
}

fn all_accesses(op: &Op, shape: Shape, context: &Context) -> Vec<Touched> {
    let on_chip = |access: Access| Touched {
        memory: Some(access.memory),
        words: access.words,
        write: access.write,
    };
    let mut list: Vec<Touched> = ops::accesses(op, shape).into_iter().map(on_chip).collect();
    let ddr = match op {
        Op::Load(op) => Some((
            ops::load::address(op, context),
            ops::load::bytes(op, shape),
            false,
        )),
        Op::Store(op) => Some((
            ops::store::address(op, context),
            ops::store::bytes(op, shape),
            true,
        )),
        _ => None,
    };
    list.extend(ddr.map(|(address, bytes, write)| Touched {
        memory: None,
        words: address..address.saturating_add(bytes as u64),
        write,
    }));
    list
}
