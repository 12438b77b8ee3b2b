//! `store`: an on-chip memory to DDR.

use diffuser_isa::generated::Store;
use diffuser_isa::{ErrorCode, Space};
use diffuser_spec::sampler::pixel;

use super::load::{memory_of, space_of, word_bytes};
use super::{Access, Context, check};
use crate::ddr::Bus;
use crate::fault::Fault;
use crate::memories::{Memories, Shape};

/// Address in DDR of the first byte.
#[must_use]
pub const fn address(op: &Store, context: &Context) -> u64 {
    context.data.wrapping_add(64 * op.ddr as u64)
}

/// Bytes that are written.
#[must_use]
pub fn bytes(op: &Store, shape: Shape) -> usize {
    op.words as usize * word_bytes(space_of(op.space), shape)
}

/// See [`accesses`](super::accesses).
pub(super) fn accesses(op: &Store) -> Vec<Access> {
    let memory = memory_of(space_of(op.space));
    vec![Access::read(
        memory,
        op.address.into(),
        op.words.into(),
        "store: source",
    )]
}

/// Copy `words` words, or the pixels of state words.
///
/// # Errors
/// See [`execute`](super::execute).
pub fn execute(
    op: &Store,
    memories: &Memories,
    ddr: &mut impl Bus,
    context: &Context,
) -> Result<(), Fault> {
    check(memories, &accesses(op))?;
    let (first, words) = (op.address as usize, op.words as usize);
    let outputs = memories.shape.outputs;
    let state = |from: usize| memories.state[from..from + words].as_flattened().iter();
    let buffer: Vec<u8> = match space_of(op.space) {
        Space::Stream => memories.stream[first * outputs..(first + words) * outputs]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect(),
        Space::State => state(first).flat_map(|x| x.to_le_bytes()).collect(),
        Space::Pixel => state(first).map(|&x| pixel(x)).collect(),
        space => {
            let name = space.name();
            return Err(Fault::field(format!("store: space {name} is only loaded")));
        }
    };
    ddr.write(address(op, context), &buffer)
        .map_err(|e| Fault::bus(ErrorCode::Write, "store", e))
}
