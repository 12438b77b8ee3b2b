//! The whole accelerator as RTL against the simulator: the same programs, the same bytes, compared descriptor by descriptor.
//!
//! `DIFFUSER_TOPS=core_zu9eg` runs them on the large build instead.
#![cfg(any(top_core_small, top_core_zu9eg))]

#[cfg(not(top_core_zu9eg))]
mod bands;
mod errors;
#[cfg(not(top_core_zu9eg))]
mod hand;
mod job;
mod networks;
mod noise;
mod run;
mod shapes;
#[cfg(not(top_core_zu9eg))]
mod together;

// random networks, and what the engine makes of them, are the compiler's
#[path = "../../../compiler/tests/common/mod.rs"]
mod common;
