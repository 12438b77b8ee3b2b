//! The accelerator as a device: registers, memory and interrupt, and a simulator that gives its bits.
//!
//! `docs/isa.md` says what registers and descriptors mean, `docs/numerics.md` the arithmetic. From the
//! bottom up:
//!
//! - [`Memories`]: the on-chip memories, plainly laid out; [`Ddr`] behind the bus.
//! - [`ops`]: each operation as a function on them, one a file; every rounding is `diffuser_spec`'s.
//! - [`Device`]: registers, DDR and interrupt, as a host sees them.
//! - [`Simulator`]: a device in software. Its units run side by side in modelled time ([`Timing`]), and it
//!   finds descriptors that no wait orders ([`Hazard`]).
//! - [`host`]: runs a program on any device.
//! - [`display`]: the display unit, a device of its own: model and driver.
//!
//! ```
//! use diffuser_device::{Context, Ddr, Memories, Shape, Sizes, ops};
//! use diffuser_isa::{Op, Space, generated::Load};
//!
//! let mut memories = Memories::new(Shape::SMALL, Sizes::SMALL);
//! let mut ddr = Ddr::new(1 << 20);
//! ddr.write(0x40, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
//! let load = Load { space: Space::Param as u32, address: 3, words: 1, ddr: 1, ..Load::default() };
//! ops::execute(&Op::Load(load), &mut memories, &mut ddr, &Context::default()).unwrap();
//! assert_eq!(memories.param[3], 0x0807_0605_0403_0201);
//! ```

#![forbid(unsafe_code)]

mod cycles;
mod ddr;
mod device;
pub mod display;
mod fault;
pub mod host;
mod memories;
pub mod ops;
mod simulator;

pub use cycles::Timing;
pub use cycles::prep::prep_cycles;
pub use cycles::sample::sample_cycles;
pub use ddr::{Bus, BusError, Ddr};
pub use device::{Device, DeviceError};
pub use fault::Fault;
pub use memories::{Memories, Memory, Shape, Sizes};
pub use ops::{Access, Context};
pub use simulator::{Counters, Hazard, Layer, Options, Party, Simulator, Span, layers, table};
