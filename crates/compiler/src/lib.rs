//! From a quantised model to a program for the accelerator.
//!
//! [`compile`] takes a network with its parameters, steps and sampler to descriptors
//! ([`diffuser_isa`]) and a memory image. The passes, one a file:
//!
//! ```text
//! lower     graph -> layers of the accelerator's units
//! fuse      upsampling into convolutions, channel sums into what makes a stream
//! order     shortcuts early
//! fill      convolutions of skips -> into the time in which the array would wait for weights
//! batch     several images, which share weights
//! band      what is larger than its memory -> bands of rows
//! resum     channel sums that do not fit -> made again
//! spill     streams that do not fit -> DDR and back
//! allocate  lives -> addresses of streams, operands, K and V, affine maps, sums
//! homes     streams in DDR -> where they lie there
//! tile      convolutions -> descriptors of some tiles of output channels
//! weights   weights -> words of the weight memory
//! records   what changes with the step -> parameter blocks
//! schedule  program order; loads as early as there is room, into the next pass too
//! waits     reads and writes -> waits and chains
//! encode    descriptors -> bytes
//! ```
//!
//! What the operations do and what the compiler must see to is in `docs/isa.md`. This crate does not
//! know who runs the program.

#![forbid(unsafe_code)]

mod access;
mod allocate;
mod band;
mod batch;
mod compile;
mod compiled;
mod display;
mod encode;
mod error;
mod fill;
mod fit;
mod fuse;
mod homes;
mod layer;
mod listing;
mod lower;
mod operations;
mod order;
mod prefetch;
mod records;
mod resum;
mod ring;
mod runs;
mod schedule;
mod spill;
mod target;
mod tile;

mod waits;
mod weights;

pub use compile::{Options, Source, Stage, compile, compile_with, stage};
pub use compiled::Compiled;
pub use error::CompileError;
pub use schedule::DataLayout;
pub use target::{Memory, Shape, Target};
