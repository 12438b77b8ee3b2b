//! The display unit against its model, every pixel and every edge of sync, at clocks that do not know each other.
#![cfg(top_display_small)]

mod bench;
#[cfg(top_display_cells)]
mod cells;
mod faults;
mod frames;
#[cfg(top_display_unit)]
mod panel_800x480;
mod registers;
