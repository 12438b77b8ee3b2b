//! The RTL of the accelerator as a device, through Verilator. Without the feature `verilator` this crate is empty.
