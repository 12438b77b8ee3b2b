//! Float U-Net: the truth that quantisation is measured against.
//!
//! [`FloatUnet`] executes the [`diffuser_model::graph::Graph`] in `f32`, one image at a time, and shows every
//! tensor on the way to an [`Observer`]. It matches `diffusers` to rounding.

mod attention;
mod buffers;
pub mod conv;
mod embedding;
pub mod layout;
pub mod matrix;
mod norm;
mod unet;

pub use embedding::Embedding;
pub use unet::{Evaluation, FloatUnet, Observer};
