//! What an evaluation reads and keeps: real images, a network that makes features of images, saved statistics of
//! features, and a journal of finished records.
//!
//! Nothing here knows a model or how an image is made.

mod error;
mod extractor;
mod images;
pub mod journal;
mod onnx;
mod picture;
mod preprocessing;
mod resize;
mod statistics;

pub use error::{Error, Result};
pub use extractor::Extractor;
pub use images::{Filter, Images};
pub use journal::{Journal, Opened};
pub use picture::Picture;
pub use preprocessing::Preprocessing;
pub use resize::Resize;
pub use statistics::Statistics;

use sha2::{Digest, Sha256};

/// SHA-256 of `bytes` in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
