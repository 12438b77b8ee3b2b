//! The array's cycles, split by its descriptors: which counter of the RTL counted when.

use std::ops::{Add, Sub};

use diffuser_isa::Unit;

/// The counters of the registers, as they stand at some time, and what they leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// `CYCLES`.
    pub cycles: u64,
    /// `ARRAY_BUSY`.
    pub busy: u64,
    /// `STALL_WEIGHT`.
    pub weight: u64,
    /// `STALL_OPERAND`.
    pub operand: u64,
    /// `STALL_BANK`.
    pub bank: u64,
    /// `STALL_STORE`.
    pub drain: u64,
}

impl Counts {
    /// Cycles in which no counter of the array counted: set-up, pipelines that fill. Negative where two counted in one cycle.
    #[must_use]
    pub const fn bubble(&self) -> i64 {
        let counted = self.busy + self.weight + self.operand + self.bank + self.drain;
        self.cycles as i64 - counted as i64
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            cycles: self.cycles + more.cycles,
            busy: self.busy + more.busy,
            weight: self.weight + more.weight,
            operand: self.operand + more.operand,
            bank: self.bank + more.bank,
            drain: self.drain + more.drain,
        }
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cycles: self.cycles - before.cycles,
            busy: self.busy - before.busy,
            weight: self.weight - before.weight,
            operand: self.operand - before.operand,
            bank: self.bank - before.bank,
            drain: self.drain - before.drain,
        }
    }
}

/// What tells the end of a descriptor of the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Cycles of products that it has.
    pub busy: u64,
    /// It ends with its last product, since the next one multiplies while it drains; else with its retirement.
    pub overlaps: bool,
}

/// Counters at the end of each descriptor of the array.
#[derive(Debug)]
pub struct Activity {
    quotas: Vec<Quota>,
    /// Products up to the end of the descriptor that is next.
    due: u64,
    retired: usize,
    now: Counts,
    ends: Vec<Counts>,
}

impl Activity {
    /// `quotas` of all descriptors that the array will execute, in their order.
    #[must_use]
    pub fn new(quotas: Vec<Quota>) -> Self {
        let due = quotas.first().map_or(0, |q| q.busy);
        Self {
            quotas,
            due,
            retired: 0,
            now: Counts::default(),
            ends: Vec::new(),
        }
    }

    /// Counters at the end of each descriptor, so far.
    #[must_use]
    pub fn ends(&self) -> &[Counts] {
        &self.ends
    }

    /// Counters now.
    #[must_use]
    pub const fn now(&self) -> Counts {
        self.now
    }

    /// A cycle: `counted_o` and `retired_o` of the core.
    pub fn cycle(&mut self, counted: u8, retired: u8) {
        let bit = |b: u32| u64::from(counted >> b & 1);
        let now = &mut self.now;
        // nothing is counted outside of a program
        now.cycles += bit(0);
        now.busy += bit(1);
        now.weight += bit(2);
        now.operand += bit(3);
        now.bank += bit(4);
        now.drain += bit(5);
        self.retired += usize::from(retired >> Unit::Array as u32 & 1);
        while let Some(quota) = self.quotas.get(self.ends.len()) {
            let over =
                self.now.busy >= self.due && quota.overlaps || self.retired > self.ends.len();
            if !over {
                break;
            }
            self.ends.push(self.now);
            self.due += self.quotas.get(self.ends.len()).map_or(0, |q| q.busy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_ends_with_its_products_or_with_its_retirement() {
        let quota = |busy, overlaps| Quota { busy, overlaps };
        let mut activity = Activity::new(vec![quota(2, true), quota(1, false), quota(1, true)]);
        let array = 1 << Unit::Array as u32;
        // running; two products, a bubble, a wait for weights, the second's product while the first retires
        for (counted, retired) in [
            (1, 0),
            (3, 0),
            (3, 0),
            (1, 0),
            (5, 0),
            (3, array),
            (33, 0),
            (1, array),
            (3, 0),
        ] {
            activity.cycle(counted, retired);
        }
        let ends = activity.ends();
        let at: Vec<_> = ends.iter().map(|e| (e.cycles, e.busy)).collect();
        assert_eq!(at, [(3, 2), (8, 3), (9, 4)]);
        let second = ends[1] - ends[0];
        assert_eq!((second.weight, second.drain, second.bubble()), (1, 1, 2));
    }
}
