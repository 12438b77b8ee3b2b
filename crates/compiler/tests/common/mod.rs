//! Random models, and programs run against the engine.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod model;
pub mod runner;
pub mod simulate;
