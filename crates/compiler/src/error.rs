//! Why a network cannot be compiled.

use diffuser_isa::FieldError;

use crate::target::Memory;

/// Why a network cannot be compiled for a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Something does not fit a memory.
    #[error("{layer}: the {memory} memory of {target} has {available} words, {needed} are needed")]
    Memory {
        /// Name of the layer.
        layer: String,
        /// Which memory.
        memory: Memory,
        /// Name of the target.
        target: String,
        /// Words (rows of all banks, entries) that must be there at once.
        needed: u64,
        /// Words that the target has.
        available: u64,
    },
    /// The accelerator has no operation for a layer.
    #[error("{layer}: {what}")]
    Unsupported {
        /// Name of the layer.
        layer: String,
        /// What it asks for, and what there is.
        what: String,
    },
    /// Parameters, steps or sampler do not belong to the graph.
    #[error("{what}")]
    Mismatch {
        /// What does not fit.
        what: String,
    },
    /// A field of a descriptor or of a parameter block is too small for its value.
    #[error("{layer}: {source}")]
    Field {
        /// Name of the layer.
        layer: String,
        /// The field and the value.
        source: Box<FieldError>,
    },
}

impl CompileError {
    pub(crate) fn unsupported(layer: &str, what: impl Into<String>) -> Self {
        Self::Unsupported {
            layer: layer.into(),
            what: what.into(),
        }
    }

    pub(crate) fn mismatch(what: impl Into<String>) -> Self {
        Self::Mismatch { what: what.into() }
    }
}
