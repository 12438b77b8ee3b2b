//! What stops a program.

use diffuser_isa::ErrorCode;

use crate::ddr::BusError;

/// Why a descriptor cannot be executed: what the register `ERROR` says, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Code of the register `ERROR`.
    pub code: ErrorCode,
    /// What is wrong, with the value.
    pub message: String,
}

impl Fault {
    /// A broken rule, code `field`.
    pub fn field(message: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::Field,
            message: message.into(),
        }
    }

    /// A bus error of a read (code `read`) or a write (code `write`).
    pub(crate) fn bus(code: ErrorCode, what: &str, error: BusError) -> Self {
        Self {
            code,
            message: format!("{what}: {error}"),
        }
    }
}
