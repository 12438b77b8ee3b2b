//! Calibration and the quantisation methods.
//!
//! [`calibrate()`] runs the float network along the sampler's own trajectory and keeps statistics of
//! every tensor at every time step; a [`methods::Method`] turns them into tables; [`quantise()`] adds
//! the weights. Knows the reference; nothing here runs when images are generated.

mod accumulator;
pub mod calibrate;
pub mod methods;
pub mod quantise;
pub mod ranges;
pub mod rounding;
pub mod statistics;
pub mod weights;

pub use calibrate::{Calibration, CalibrationSettings, calibrate};
pub use quantise::{QuantiseError, quantise};
pub use rounding::Rounding;
