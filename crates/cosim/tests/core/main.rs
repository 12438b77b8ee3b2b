//! The whole accelerator as RTL against the simulator: the same programs, the same bytes, compared descriptor by descriptor.
#![cfg(top_core_small)]

mod errors;
mod hand;
mod networks;
mod run;

// random networks are the compiler's
#[allow(dead_code)]
#[path = "../../../compiler/tests/common/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "../../../compiler/tests/common/random.rs"]
mod random;
