//! Diffusion models in integers.

pub mod error;
pub mod image;
pub mod output;

pub use error::{Error, Result};
pub use image::Image;
