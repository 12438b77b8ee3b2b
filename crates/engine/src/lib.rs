//! Executes a quantised U-Net on the CPU in integers only.
//!
//! An [`Engine`] is made once of a graph and its weights. It evaluates the network for any
//! [`StepParams`](diffuser_model::step::StepParams) of that graph, which hold all that changes with
//! the time step. It does no I/O and knows nothing of samplers, files or floats.
//!
//! The arithmetic is that of `diffuser_spec`. Several sets of kernels compute it
//! ([`KernelChoice`]): `scalar` is `diffuser_spec` in plain loops, the oracle; every other gives
//! the same bits, on any number of threads.
//!
//! How a layer runs: operands lie in buffers with a border, as wide as their readers' padding and
//! filled with the zero point, so that no kernel tests for the image's edge; buffers are shared by
//! tensors whose lives do not overlap ([`Workspace`]); output rows are divided among threads.

mod check;
mod choice;
mod engine;
mod error;
mod execute;
mod kernels;
mod layout;
mod plan;
mod resample;
mod view;

pub use choice::{KernelChoice, UnknownKernel};
pub use engine::{Engine, Observer};
pub use error::EngineError;
pub use plan::Workspace;
pub use view::TensorView;
