//! The simulator as a device: order of descriptors, loops, races, errors, registers, the driver.

mod driver;
mod errors;
mod hazards;
mod network;
mod order;
mod program;
mod registers;
mod robust;
mod timing;
