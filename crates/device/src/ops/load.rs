//! `load`: DDR to an on-chip memory.

use diffuser_isa::generated::Load;
use diffuser_isa::{ErrorCode, Space};
use diffuser_spec::weight4;

use super::{Access, Context, check, require};
use crate::ddr::Bus;
use crate::fault::Fault;
use crate::memories::{Memories, Memory, Shape};

/// Memory that a space lies in.
#[must_use]
pub const fn memory_of(space: Space) -> Memory {
    match space {
        Space::Weight | Space::Weight4 => Memory::Weight,
        Space::Param => Memory::Param,
        Space::Stream => Memory::Stream,
        Space::State | Space::Pixel => Memory::State,
    }
}

/// Bytes in DDR of one word of a space.
#[must_use]
pub const fn word_bytes(space: Space, shape: Shape) -> usize {
    match space {
        Space::Weight => shape.weight_bytes(),
        Space::Weight4 => shape.weight_bytes() / 2,
        Space::Param => 8,
        Space::Stream => 2 * shape.outputs,
        Space::State => 16,
        Space::Pixel => 4,
    }
}

/// Space that a descriptor's number names.
pub(crate) fn space_of(value: u32) -> Space {
    Space::from_value(value).expect("the decoder checks the range")
}

/// Address in DDR of the first byte.
#[must_use]
pub fn address(op: &Load, context: &Context) -> u64 {
    let record = |step: u32| {
        let offset = u64::from(context.stride) * u64::from(step);
        context.record.wrapping_add(offset)
    };
    let base = match op.per_step {
        0 => context.data,
        1 => record(context.step),
        _ => {
            let next = context.step.saturating_add(1);
            record(next.min(context.steps.saturating_sub(1)))
        }
    };
    base.wrapping_add(64 * u64::from(op.ddr))
}

/// Bytes that are read.
#[must_use]
pub fn bytes(op: &Load, shape: Shape) -> usize {
    op.words as usize * word_bytes(space_of(op.space), shape)
}

/// See [`rules`](super::rules).
pub(super) fn rules(op: &Load) -> Result<(), Fault> {
    require(
        space_of(op.space) != Space::Pixel,
        "load: space pixel can only be stored",
    )
}

/// See [`accesses`](super::accesses).
pub(super) fn accesses(op: &Load) -> Vec<Access> {
    let memory = memory_of(space_of(op.space));
    vec![Access::write(
        memory,
        op.address.into(),
        op.words.into(),
        "load: destination",
    )]
}

/// Copy `words` words, 4-bit weights sign-extended.
///
/// # Errors
/// See [`execute`](super::execute).
pub fn execute(
    op: &Load,
    memories: &mut Memories,
    ddr: &impl Bus,
    context: &Context,
) -> Result<(), Fault> {
    rules(op)?;
    check(memories, &accesses(op))?;
    let shape = memories.shape;
    let mut buffer = vec![0; bytes(op, shape)];
    ddr.read(address(op, context), &mut buffer)
        .map_err(|e| Fault::bus(ErrorCode::Read, "load", e))?;
    let (first, words) = (op.address as usize, op.words as usize);
    match space_of(op.space) {
        Space::Weight => {
            let to = &mut memories.weight[first * shape.weight_bytes()..];
            for (to, from) in to.iter_mut().zip(&buffer) {
                *to = *from as i8;
            }
        }
        Space::Weight4 => {
            let to = &mut memories.weight[first * shape.weight_bytes()..];
            for (to, &from) in to.chunks_exact_mut(2).zip(&buffer) {
                to.copy_from_slice(&weight4::unpack(from));
            }
        }
        Space::Param => {
            let to = &mut memories.param[first..first + words];
            for (to, from) in to.iter_mut().zip(buffer.as_chunks().0) {
                *to = u64::from_le_bytes(*from);
            }
        }
        Space::Stream => {
            let to = &mut memories.stream[first * shape.outputs..];
            for (to, from) in to.iter_mut().zip(buffer.as_chunks().0) {
                *to = i16::from_le_bytes(*from);
            }
        }
        Space::State | Space::Pixel => {
            let to = memories.state[first..first + words].as_flattened_mut();
            for (to, from) in to.iter_mut().zip(buffer.as_chunks().0) {
                *to = i32::from_le_bytes(*from);
            }
        }
    }
    Ok(())
}
