//! The whole accelerator as RTL against the simulator: the same programs, the same bytes, compared descriptor by descriptor.
//!
//! `DIFFUSER_TOPS=core_zu9eg` runs them on the large build instead.
#![cfg(any(top_core_small, top_core_zu9eg))]

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

// random networks are the compiler's
#[allow(dead_code)]
#[path = "../../../compiler/tests/common/model.rs"]
mod model;
