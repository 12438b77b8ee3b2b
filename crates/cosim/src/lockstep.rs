//! The RTL held against the simulator, descriptor by descriptor: whenever a unit retires one, the same
//! descriptor is executed on the simulator's memories, and every word that it writes is compared.

use std::collections::VecDeque;

use diffuser_device::ops::{self, Access};
use diffuser_device::{Context, Ddr, Memories, Memory, Shape, Sizes};
use diffuser_isa::{Descriptor, Op};

/// Cycles from a retirement to the last of its writes in the arrays themselves: the arbiters' registers.
const SETTLE: u64 = 3;

/// Number of units.
const UNITS: usize = 5;

/// A model that shows the contents of its on-chip memories.
pub trait Look {
    /// Word `word` of `memory`, lowest lane and byte first: a row of the operand memory is bank 0, bank 1, …; an affine map is
    /// `a`, `b`, `shift`; sums are the sum, then that of the squares.
    fn look(&self, memory: Memory, word: usize) -> Vec<u8>;
}

/// The first difference.
#[derive(Debug, thiserror::Error)]
#[error(
    "cycle {cycle}, step {step}: descriptor {index} (tag {tag}) {descriptor}\n  {memory} word {word}, byte {byte} ({count} of {compared} \
     bytes differ)\n  simulator {expected:02x?}\n  RTL       {found:02x?}"
)]
pub struct Mismatch {
    cycle: u64,
    step: u32,
    index: usize,
    tag: u32,
    descriptor: String,
    memory: Memory,
    word: usize,
    byte: usize,
    count: usize,
    compared: usize,
    expected: Vec<u8>,
    found: Vec<u8>,
}

/// A retired descriptor whose words are to be compared.
struct Due {
    cycle: u64,
    index: usize,
    step: u32,
}

/// The simulator's side.
pub struct Lockstep {
    program: Vec<Descriptor>,
    memories: Memories,
    /// The simulator's DDR.
    pub ddr: Ddr,
    context: Context,
    /// For each unit what it still has to retire: index and time step.
    order: [VecDeque<(usize, u32)>; UNITS],
    due: VecDeque<Due>,
    cycle: u64,
    /// Descriptors compared so far.
    pub compared: u64,
    /// Everything that retired, in this order.
    pub retirements: Vec<Retirement>,
}

/// When the RTL retired a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// Index in the program.
    pub index: usize,
    /// Time step when it was dispatched.
    pub step: u32,
    /// Cycles since the comparison began.
    pub cycle: u64,
}

impl Lockstep {
    /// `context` gives all but the step. The simulator's memories begin with what `rtl` holds, so that bytes that nothing
    /// defines are equal as long as nobody writes them.
    #[must_use]
    pub fn new(
        program: &[Descriptor],
        (shape, sizes): (Shape, Sizes),
        ddr: Ddr,
        context: Context,
        rtl: &impl Look,
    ) -> Self {
        let mut memories = Memories::new(shape, sizes);
        for memory in Memory::ALL {
            for word in 0..sizes.of(memory) {
                put(&mut memories, memory, word, &rtl.look(memory, word));
            }
        }
        let mut order: [VecDeque<(usize, u32)>; UNITS] = Default::default();
        for (index, step) in executions(program, context.steps) {
            if let Some(unit) = program[index].op.unit() {
                order[unit as usize].push_back((index, step));
            }
        }
        let program = program.to_vec();
        Self {
            program,
            memories,
            ddr,
            context,
            order,
            due: VecDeque::new(),
            cycle: 0,
            compared: 0,
            retirements: Vec::new(),
        }
    }

    /// Everything has retired and was compared.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.due.is_empty() && self.order.iter().all(VecDeque::is_empty)
    }

    /// A cycle of the RTL, in which the units of `retired` (a bit each) retired a descriptor.
    ///
    /// # Errors
    ///
    /// The first difference.
    ///
    /// # Panics
    ///
    /// Where a unit retires more than the program has, or the simulator refuses a descriptor.
    pub fn cycle(&mut self, retired: u8, rtl: &impl Look) -> Result<(), Box<Mismatch>> {
        self.cycle += 1;
        for unit in (0..UNITS).filter(|u| retired >> u & 1 == 1) {
            let (index, step) = self.order[unit]
                .pop_front()
                .expect("no more descriptors than the program has");
            let context = Context {
                step,
                ..self.context
            };
            let op = &self.program[index].op;
            if let Err(fault) = ops::execute(op, &mut self.memories, &mut self.ddr, &context) {
                panic!(
                    "the simulator refuses descriptor {index}, {}: {fault}",
                    self.program[index]
                );
            }
            self.retirements.push(Retirement {
                index,
                step,
                cycle: self.cycle,
            });
            self.due.push_back(Due {
                cycle: self.cycle + SETTLE,
                index,
                step,
            });
        }
        while self.due.front().is_some_and(|due| due.cycle <= self.cycle) {
            let due = self.due.pop_front().expect("just seen");
            self.compare(&due, rtl)?;
            self.compared += 1;
        }
        Ok(())
    }

    fn compare(&self, due: &Due, rtl: &impl Look) -> Result<(), Box<Mismatch>> {
        let descriptor = &self.program[due.index];
        let (mut count, mut compared, mut first) = (0, 0, None);
        let accesses = ops::accesses(&descriptor.op, self.memories.shape);
        for Access { memory, words, .. } in accesses.into_iter().filter(|a| a.write) {
            for word in words.start as usize..words.end as usize {
                let (expected, found) = (get(&self.memories, memory, word), rtl.look(memory, word));
                compared += expected.len();
                for byte in (0..expected.len()).filter(|&b| expected[b] != found[b]) {
                    count += 1;
                    first.get_or_insert_with(|| {
                        (memory, word, byte, expected.clone(), found.clone())
                    });
                }
            }
        }
        let Some((memory, word, byte, expected, found)) = first else {
            return Ok(());
        };
        Err(Box::new(Mismatch {
            cycle: due.cycle,
            step: due.step,
            index: due.index,
            tag: descriptor.common.tag,
            descriptor: descriptor.to_string(),
            memory,
            word,
            byte,
            count,
            compared,
            expected,
            found,
        }))
    }
}

/// What a program executes, in program order: index and time step.
#[must_use]
pub fn executions(program: &[Descriptor], steps: u32) -> Vec<(usize, u32)> {
    let (mut at, mut step) = (0, 0);
    let mut all = Vec::new();
    while let Some(descriptor) = program.get(at) {
        match &descriptor.op {
            Op::End(_) => break,
            Op::Loop(l) if step + 1 < steps => {
                step += 1;
                at = l.target as usize;
            }
            Op::Loop(_) => at += 1,
            _ => {
                all.push((at, step));
                at += 1;
            }
        }
    }
    all
}

/// A word of the simulator's memories as [`Look`] has it.
fn get(memories: &Memories, memory: Memory, word: usize) -> Vec<u8> {
    let shape = memories.shape;
    let row = shape.pixels * shape.inputs;
    match memory {
        Memory::Stream => {
            let at = memories.stream_at(word);
            memories.stream[at..at + shape.outputs]
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect()
        }
        Memory::Operand => memories.operand[word * row..][..row]
            .iter()
            .map(|v| *v as u8)
            .collect(),
        Memory::Weight => {
            let at = memories.weight_at(word);
            memories.weight[at..at + shape.weight_bytes()]
                .iter()
                .map(|v| *v as u8)
                .collect()
        }
        Memory::Param => memories.param[word].to_le_bytes().into(),
        Memory::Affine => {
            let affine = &memories.affine[word];
            [
                &affine.a.to_le_bytes()[..],
                &affine.b.to_le_bytes(),
                &[affine.shift],
            ]
            .concat()
        }
        Memory::Sums => {
            let sums = &memories.sums[word];
            [sums.sum.to_le_bytes(), sums.sum_sq.to_le_bytes()].concat()
        }
        Memory::State => memories.state[word]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect(),
    }
}

/// The inverse.
fn put(memories: &mut Memories, memory: Memory, word: usize, bytes: &[u8]) {
    let shape = memories.shape;
    let row = shape.pixels * shape.inputs;
    let half = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let word32 = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let word64 = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    match memory {
        Memory::Stream => {
            let at = memories.stream_at(word);
            for (lane, value) in memories.stream[at..at + shape.outputs]
                .iter_mut()
                .enumerate()
            {
                *value = half(2 * lane);
            }
        }
        Memory::Operand => {
            for (value, byte) in memories.operand[word * row..][..row].iter_mut().zip(bytes) {
                *value = *byte as i8;
            }
        }
        Memory::Weight => {
            let at = memories.weight_at(word);
            for (value, byte) in memories.weight[at..at + shape.weight_bytes()]
                .iter_mut()
                .zip(bytes)
            {
                *value = *byte as i8;
            }
        }
        Memory::Param => memories.param[word] = word64(0),
        Memory::Affine => {
            let affine = &mut memories.affine[word];
            (affine.a, affine.b, affine.shift) = (half(0), word32(2), bytes[6]);
        }
        Memory::Sums => {
            let sums = &mut memories.sums[word];
            (sums.sum, sums.sum_sq) = (word64(0) as i64, word64(8));
        }
        Memory::State => {
            for (lane, value) in memories.state[word].iter_mut().enumerate() {
                *value = word32(4 * lane);
            }
        }
    }
}
