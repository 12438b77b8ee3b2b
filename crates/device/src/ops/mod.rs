//! Operations, one a file: which words each reads and writes, and what it does to them.
//!
//! `accesses` lists the words of memories that an operation reads and writes, from the
//! descriptor alone; `execute` checks them against the memories' sizes before it touches anything.

pub mod attention;
pub mod conv;
pub mod load;
pub mod norm;
pub mod prep;
pub mod sample;
pub mod store;

mod dot;

use std::ops::Range;

use diffuser_isa::{DecodeError, Op};

use crate::ddr::Bus;
use crate::fault::Fault;
use crate::memories::{Memories, Memory, Shape};

/// What a descriptor takes from registers and from the sequencer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The time step when the descriptor was dispatched, from 0.
    pub step: u32,
    /// Register `STEPS`.
    pub steps: u32,
    /// Register `SEED`.
    pub seed: u64,
    /// Register `IMAGE`.
    pub image: u64,
    /// Register `DATA`: base address of the data.
    pub data: u64,
    /// Registers `STEP_LOW` and `STEP_HIGH`: address of the first step's record.
    pub record: u64,
    /// Register `STEP_STRIDE`: bytes from one record to the next.
    pub stride: u32,
}

/// Words of one memory that an operation reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The memory.
    pub memory: Memory,
    /// Words.
    pub words: Range<u64>,
    /// Written, else read.
    pub write: bool,
    /// What lies there, for messages.
    pub what: &'static str,
}

impl Access {
    pub(crate) fn read(memory: Memory, first: u64, words: u64, what: &'static str) -> Self {
        Self {
            memory,
            words: first..first + words,
            write: false,
            what,
        }
    }

    pub(crate) fn write(memory: Memory, first: u64, words: u64, what: &'static str) -> Self {
        Self {
            write: true,
            ..Self::read(memory, first, words, what)
        }
    }
}

/// All words of on-chip memories that `op` reads and writes; `end` and `loop` none.
#[must_use]
pub fn accesses(op: &Op, shape: Shape) -> Vec<Access> {
    match op {
        Op::End(_) | Op::Loop(_) => Vec::new(),
        Op::Load(op) => load::accesses(op),
        Op::Store(op) => store::accesses(op),
        Op::Norm(op) => norm::accesses(op),
        Op::Prep(op) => prep::accesses(op, shape),
        Op::Conv(op) => conv::accesses(op, shape),
        Op::Attention(op) => attention::accesses(op, shape),
        Op::Sample(op) => sample::accesses(op),
    }
}

/// Execute one descriptor as a whole; `end` and `loop` do nothing.
///
/// # Errors
/// Code `field` where the operation breaks a rule of `docs/isa.md` or names words that a memory
/// does not have; `read` and `write` for bus errors. Memories then hold anything.
pub fn execute(
    op: &Op,
    memories: &mut Memories,
    ddr: &mut impl Bus,
    context: &Context,
) -> Result<(), Fault> {
    match op {
        Op::End(_) | Op::Loop(_) => Ok(()),
        Op::Load(op) => load::execute(op, memories, ddr, context),
        Op::Store(op) => store::execute(op, memories, ddr, context),
        Op::Norm(op) => norm::execute(op, memories),
        Op::Prep(op) => prep::execute(op, memories),
        Op::Conv(op) => conv::execute(op, memories),
        Op::Attention(op) => attention::execute(op, memories),
        Op::Sample(op) => sample::execute(op, memories, context),
    }
}

/// The rules of `docs/isa.md` that a descriptor keeps beyond the ranges of its fields.
///
/// # Errors
/// Code `field`, with a sentence that names the rule.
pub fn rules(op: &Op, shape: Shape) -> Result<(), Fault> {
    match op {
        Op::End(_) | Op::Loop(_) | Op::Attention(_) => Ok(()),
        Op::Load(op) => load::rules(op),
        Op::Store(_) => Ok(()),
        Op::Norm(op) => norm::rules(op),
        Op::Prep(op) => prep::rules(op),
        Op::Conv(op) => conv::rules(op),
        Op::Sample(op) => sample::rules(op, shape),
    }
}

/// What `execute` checks before it touches a memory: rules, and the memories' sizes.
///
/// # Errors
/// Code `field`.
pub fn validate(op: &Op, memories: &Memories) -> Result<(), Fault> {
    rules(op, memories.shape)?;
    if let Op::Attention(op) = op {
        attention::room(op, memories)?;
    }
    check(memories, &accesses(op, memories.shape))
}

/// An error unless `rule` holds.
fn require(rule: bool, message: &str) -> Result<(), Fault> {
    if rule {
        Ok(())
    } else {
        Err(Fault::field(message))
    }
}

/// Every access is inside of its memory.
fn check(memories: &Memories, accesses: &[Access]) -> Result<(), Fault> {
    accesses
        .iter()
        .try_for_each(|a| memories.check(a.memory, &a.words, a.what))
}

/// A head or entry of the parameter memory at `at`.
fn parameters<const N: usize, T>(
    memories: &Memories,
    at: usize,
    decode: impl Fn(&[u64; N]) -> Result<T, DecodeError>,
) -> Result<T, Fault> {
    let words = memories.param[at..at + N].try_into();
    let words = words.expect("a slice of N entries");
    decode(words).map_err(|e| Fault::field(format!("param entry {at}: {e}")))
}
