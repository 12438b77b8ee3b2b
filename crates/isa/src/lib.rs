//! Registers and descriptors of the accelerator.
//!
//! `hw/isa.toml` is the one source; [`generated`] holds what
//! `cargo run -p diffuser-isa --example generate` makes of it, with one struct for each operation,
//! each head of a parameter block and each entry of a channel. `docs/isa.md` says what they mean. A peripheral's registers are
//! a module of their own: [`generated::display`] (`docs/display.md`).
//! This crate only knows bits: that a descriptor decodes does not make it sensible.
//!
//! ```
//! use diffuser_isa::{Common, Descriptor, Op, Unit, generated::Load};
//!
//! let op = Op::Load(Load { words: 4, ddr: 16, ..Load::default() });
//! let common = Common::default().after(Unit::Array, -2);
//! let descriptor = Descriptor { common, op };
//! let words = descriptor.encode().unwrap();
//! assert_eq!(Descriptor::decode(&words), Ok(descriptor));
//! assert_eq!(descriptor.to_string(), "load words=4 ddr=16 wait array>=-2");
//! ```

#![no_std]
#![forbid(unsafe_code)]

mod bits;
pub mod generated;
mod listing;

pub use bits::{DecodeError, Field, FieldError, Record};
pub use generated::{Common, Descriptor, ErrorCode, Op, Space, Unit};

impl Common {
    /// The same, waiting also until `unit` has retired `count` descriptors, counted from the start of
    /// the present pass. A count outside 16 bits is refused when the descriptor is encoded.
    #[must_use]
    pub const fn after(mut self, unit: Unit, count: i32) -> Self {
        self.waits |= 1 << unit as u32;
        match unit {
            Unit::Dma => self.wait_dma = count,
            Unit::Norm => self.wait_norm = count,
            Unit::Prep => self.wait_prep = count,
            Unit::Array => self.wait_array = count,
            Unit::Sample => self.wait_sample = count,
        }
        self
    }

    /// How many descriptors `unit` must have retired, where this waits for it.
    #[must_use]
    pub const fn wait(&self, unit: Unit) -> Option<i32> {
        if self.waits >> unit as u32 & 1 == 0 {
            return None;
        }
        Some(match unit {
            Unit::Dma => self.wait_dma,
            Unit::Norm => self.wait_norm,
            Unit::Prep => self.wait_prep,
            Unit::Array => self.wait_array,
            Unit::Sample => self.wait_sample,
        })
    }
}
