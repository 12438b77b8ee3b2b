//! Pass `waits`: what each descriptor waits for, derived from what all of them read and write.
//!
//! Before: descriptors in program order without waits. After: each names, for every other unit, how many
//! of that unit's descriptors must have retired, as docs/isa.md counts them. Nothing is placed by hand:
//! two descriptors that touch the same words, one of them writing, are ordered. The analysis looks at
//! the preamble and two passes of the body, which shows every pair over the end of a pass too.
//!
//! A wait that others imply is dropped; what is implied follows from vector clocks (Fidge 1988, Mattern
//! 1989) over the preamble and three passes. The first convolution that reads an operand follows its
//! `prep` by `chain` where nothing else orders the two.

use diffuser_isa::{Common, Descriptor, Op, Unit};

use crate::access::{Access, accesses};
use crate::schedule::{Item, Schedule};
use crate::target::{Memory, Target};

/// Number of units.
const UNITS: usize = Unit::ALL.len();

/// Descriptors of each unit.
type Counts = [i64; UNITS];

/// Nothing is known, or nothing is waited for.
const NEVER: i64 = i64::MIN;

/// What a descriptor waits for, counted from the start of its pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    counts: Counts,
    chain: bool,
}

const NOTHING: Waits = Waits {
    counts: [NEVER; UNITS],
    chain: false,
};

/// A descriptor with what the analysis knows of it.
struct Node {
    item: Item,
    unit: usize,
    accesses: Vec<Access>,
}

/// The three parts of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Preamble,
    Body,
    Epilogue,
}

/// One execution of a descriptor.
#[derive(Clone, Copy)]
struct Event {
    part: Part,
    /// Place in its part.
    index: usize,
    /// How many of its unit's descriptors are dispatched up to this, itself included.
    count: i64,
    /// Descriptors of each unit that stood before the present pass.
    base: Counts,
}

/// Descriptors with waits, without `loop` and `end`.
#[derive(Clone, Debug, PartialEq)]
pub struct Waited {
    /// In front of the loop.
    pub preamble: Vec<Descriptor>,
    /// One pass.
    pub body: Vec<Descriptor>,
    /// Behind the loop.
    pub epilogue: Vec<Descriptor>,
}

/// Run the pass.
#[must_use]
pub fn waits(schedule: &Schedule, target: &Target) -> Waited {
    let nodes = |items: &[Item]| -> Vec<Node> {
        let node = |&item: &Item| Node {
            item,
            unit: item.op.unit().map_or(0, |u| u as usize),
            accesses: accesses(&item.op, target),
        };
        items.iter().map(node).collect()
    };
    let program = Program {
        parts: [
            nodes(&schedule.preamble),
            nodes(&schedule.body),
            nodes(&schedule.epilogue),
        ],
    };
    let mut waits = program.needed();
    program.chain(&mut waits);
    let waits = program.without_implied(&waits);
    let descriptors = |part: Part| -> Vec<Descriptor> {
        let nodes = program.part(part).iter();
        let all = nodes.zip(&waits[part as usize]).enumerate();
        all.map(|(i, (node, waits))| Descriptor {
            common: common(waits, node.item.tag, part == Part::Body && i == 0),
            op: node.item.op,
        })
        .collect()
    };
    Waited {
        preamble: descriptors(Part::Preamble),
        body: descriptors(Part::Body),
        epilogue: descriptors(Part::Epilogue),
    }
}

fn common(waits: &Waits, tag: u32, first: bool) -> Common {
    let mut common = Common {
        tag,
        first,
        chain: waits.chain,
        ..Common::default()
    };
    for (&unit, &count) in Unit::ALL.iter().zip(&waits.counts) {
        if count != NEVER {
            // out of range only where the count is, which encoding refuses
            let count = count.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            common = common.after(unit, count);
        }
    }
    common
}

struct Program {
    /// Preamble, body, epilogue.
    parts: [Vec<Node>; 3],
}

impl Program {
    fn part(&self, part: Part) -> &[Node] {
        &self.parts[part as usize]
    }

    fn node(&self, event: &Event) -> &Node {
        &self.part(event.part)[event.index]
    }

    /// Preamble, so many passes, epilogue.
    fn unrolled(&self, passes: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let mut dispatched = [0; UNITS];
        let mut base = [0; UNITS];
        let sequence = [Part::Preamble]
            .into_iter()
            .chain(std::iter::repeat_n(Part::Body, passes))
            .chain([Part::Epilogue]);
        for part in sequence {
            if part == Part::Body {
                base = dispatched;
            }
            for (index, node) in self.part(part).iter().enumerate() {
                dispatched[node.unit] += 1;
                events.push(Event {
                    part,
                    index,
                    count: dispatched[node.unit],
                    base,
                });
            }
        }
        events
    }

    /// Whether `later` must be ordered behind `earlier` by a wait.
    fn ordered(&self, earlier: &Node, later: &Node) -> bool {
        // only `dma` works on more than one descriptor at a time
        if earlier.unit == later.unit && later.unit != Unit::Dma as usize {
            return false;
        }
        let pairs = earlier.accesses.iter();
        let mut pairs = pairs.flat_map(|a| later.accesses.iter().map(move |b| (a, b)));
        pairs.any(|(a, b)| a.conflicts(b))
    }

    fn nothing(&self) -> [Vec<Waits>; 3] {
        [0, 1, 2].map(|p| vec![NOTHING; self.parts[p].len()])
    }

    /// For each descriptor and unit the last that it conflicts with, in any pass.
    fn needed(&self) -> [Vec<Waits>; 3] {
        let mut waits = self.nothing();
        let events = self.unrolled(2);
        let mut of_unit: [Vec<usize>; UNITS] = Default::default();
        for (at, event) in events.iter().enumerate() {
            let later = self.node(event);
            for (unit, earlier) in of_unit.iter().enumerate() {
                let last = earlier
                    .iter()
                    .rev()
                    .find(|&&e| self.ordered(self.node(&events[e]), later));
                if let Some(&e) = last {
                    let count = events[e].count - event.base[unit];
                    let needed = &mut waits[event.part as usize][event.index].counts[unit];
                    *needed = (*needed).max(count);
                }
            }
            of_unit[later.unit].push(at);
        }
        waits
    }

    /// The first convolution behind a `prep` that reads its operand follows it by `chain`, unless
    /// the two touch more in common.
    fn chain(&self, waits: &mut [Vec<Waits>; 3]) {
        let body = self.part(Part::Body);
        let preps: Vec<&Node> = body
            .iter()
            .filter(|n| n.unit == Unit::Prep as usize)
            .collect();
        let mut reached = 0;
        for (i, node) in body.iter().enumerate() {
            let own = &mut waits[Part::Body as usize][i];
            let count = own.counts[Unit::Prep as usize];
            if node.unit != Unit::Array as usize || count <= reached {
                continue;
            }
            reached = count;
            let prep = preps[count as usize - 1];
            let mut common = prep
                .accesses
                .iter()
                .flat_map(|a| node.accesses.iter().map(move |b| (a, b)))
                .filter(|(a, b)| a.conflicts(b));
            let operand =
                |(a, b): (&Access, &Access)| a.memory == Memory::Operand && a.write && !b.write;
            own.chain = matches!(node.item.op, Op::Conv(_)) && common.all(operand);
        }
    }

    /// The same order with fewer waits.
    fn without_implied(&self, waits: &[Vec<Waits>; 3]) -> [Vec<Waits>; 3] {
        let mut kept = self.nothing();
        let events = self.unrolled(3);
        let mut clocks = Clocks::default();
        for event in &events {
            let node = self.node(event);
            let own = &waits[event.part as usize][event.index];
            let keep = &mut kept[event.part as usize][event.index];
            let absolute = |unit: usize| match own.counts[unit] {
                NEVER => NEVER,
                count => event.base[unit] + count,
            };
            let known = clocks.before(node.unit);
            for (unit, &already) in known.iter().enumerate() {
                let count = absolute(unit);
                if count <= 0 {
                    continue;
                }
                let others = (0..UNITS).filter(|&other| other != unit);
                let implied = others
                    .map(|other| clocks.waited(other, absolute(other), false)[unit])
                    .fold(already, i64::max);
                let chained = own.chain && unit == Unit::Prep as usize;
                if chained || implied < count {
                    keep.counts[unit] = own.counts[unit];
                    keep.chain |= chained;
                }
            }
            let mut start = known;
            for unit in 0..UNITS {
                let chained = own.chain && unit == Unit::Prep as usize;
                let learnt = clocks.waited(unit, absolute(unit), chained);
                start = maximum(start, learnt);
            }
            clocks.push(node.unit, start);
        }
        kept
    }
}

fn maximum(a: Counts, b: Counts) -> Counts {
    std::array::from_fn(|i| a[i].max(b[i]))
}

/// For each unit, what is known to have retired when each of its descriptors starts.
#[derive(Default)]
struct Clocks {
    starts: [Vec<Counts>; UNITS],
}

impl Clocks {
    /// What is known when the next descriptor of a unit starts, without any wait.
    fn before(&self, unit: usize) -> Counts {
        let starts = &self.starts[unit];
        let mut known = starts.last().copied().unwrap_or([0; UNITS]);
        if unit != Unit::Dma as usize {
            known[unit] = starts.len() as i64;
        }
        known
    }

    /// What is known once a unit has retired `count` descriptors; with `chained`, once it has
    /// retired all but the last of them and started that.
    fn waited(&self, unit: usize, count: i64, chained: bool) -> Counts {
        let starts = &self.starts[unit];
        let Some(start) = usize::try_from(count.saturating_sub(1))
            .ok()
            .and_then(|i| starts.get(i))
        else {
            return [0; UNITS];
        };
        let mut known = *start;
        known[unit] = known[unit].max(count - i64::from(chained));
        known
    }

    fn push(&mut self, unit: usize, start: Counts) {
        self.starts[unit].push(start);
    }
}
