//! Calibration and the quantisation methods.
//!
//! [`calibrate()`] runs the float network along the sampler's own trajectory and keeps statistics of
//! every tensor at every time step; a [`methods::Method`] turns them into tables; [`quantise()`] adds
//! the weights. Knows the reference; nothing here runs when images are generated.

pub mod accumulator;
pub mod calibrate;
pub mod methods;
pub mod quantise;
pub mod ranges;
pub mod resume;
pub mod rounding;
pub mod statistics;
pub mod weights;
pub mod widths;

pub use calibrate::{Calibration, CalibrationSettings, Calibrator, calibrate};
pub use quantise::{QuantiseError, quantise, quantise_with};
pub use resume::ResumeError;
pub use rounding::Rounding;
pub use widths::{Budget, Weights, quantise_weights, weight_bytes};
