//! What an evaluation reads and keeps: a journal of finished records.
//!
//! Nothing here knows a model or how an image is made.

mod error;
pub mod journal;

pub use error::{Error, Result};
pub use journal::{Journal, Opened};

use sha2::{Digest, Sha256};

/// SHA-256 of `bytes` in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
