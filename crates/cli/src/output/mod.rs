//! Files for people and programs: pictures, animations, plots and tensors.
//!
//! Everything is put together in memory and written by [`AtomicFile`]: a reader sees the old file or
//! the whole new one, never a part.

mod animation;
mod atomic;
mod grid;
mod plot;
mod tensors;

pub use animation::{AnimationFormat, encode_animation};
pub use atomic::{AtomicFile, remove_unfinished};
pub use grid::{arrange, arranged_size, default_columns, default_zoom, difference, encode_png};
pub use plot::{Line, Plot};
pub(crate) use tensors::read_bounded;
pub use tensors::{Tensor, read_tensor, write_tensor};
