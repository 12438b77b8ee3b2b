//! Pass `encode`: the program and the memory image as bytes.
//!
//! Before: descriptors with waits in three parts. After: one row of descriptors with `loop` and `end`, and
//! its bytes: words lowest byte first.

use diffuser_isa::generated::{End, Loop};
use diffuser_isa::{Common, Descriptor, Op};

use crate::error::CompileError;
use crate::schedule::NO_NODE;
use crate::waits::Waited;

/// The whole program.
#[must_use]
pub fn assemble(waited: &Waited) -> Vec<Descriptor> {
    let control = |op| Descriptor {
        common: Common {
            tag: NO_NODE,
            ..Common::default()
        },
        op,
    };
    let target = waited.preamble.len() as u32;
    let mut program = waited.preamble.clone();
    program.extend(&waited.body);
    program.push(control(Op::Loop(Loop { target })));
    program.extend(&waited.epilogue);
    program.push(control(Op::End(End {})));
    program
}

/// Its bytes, 64 a descriptor.
///
/// # Errors
/// [`CompileError::Field`] where a field is too small for its value; `names` are those of the
/// graph's nodes.
pub fn encode(program: &[Descriptor], names: &[String]) -> Result<Vec<u8>, CompileError> {
    let mut bytes = Vec::with_capacity(program.len() * 64);
    for descriptor in program {
        let words = descriptor.encode().map_err(|source| CompileError::Field {
            layer: names
                .get(descriptor.common.tag as usize)
                .map_or("program", String::as_str)
                .into(),
            source: Box::new(source),
        })?;
        bytes.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    }
    Ok(bytes)
}
