//! The RTL of the accelerator as a device, through Verilator.
//!
//! With the feature `verilator` the build script makes a Rust type in `tops` of every file in `tops/`. Without it
//! this crate holds only what needs no RTL: the models of `bench` and `memory`, and what is made of them: [`rtl`] puts a core,
//! DDR and a host at its registers together to a device, [`lockstep`] holds one against the simulator; [`panel`] does the same for the display.
//!
//! See `README.md` of this crate for how a top is added.

pub mod activity;
#[macro_use]
pub mod bench;
#[cfg(any(top_core_small, top_core_zu9eg))]
pub mod cores;
#[cfg(feature = "verilator")]
mod ffi;
pub mod lockstep;
pub mod memory;
pub mod panel;
pub mod rtl;

/// The tops that were built, one type each: ports are functions, `set_…` for inputs.
#[cfg(feature = "verilator")]
pub mod tops {
    include!(concat!(env!("OUT_DIR"), "/tops.rs"));
}
