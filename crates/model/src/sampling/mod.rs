//! Noise schedules and samplers: from a scheduler's configuration to a list of steps, each three
//! linear forms, that the float reference and the integer engines execute alike.
//!
//! ```text
//! x0  = clip(a x + b out)                                  predicted image
//! eps = c x + d out                                        predicted noise
//! x'  = p x + q x0 + r eps + u x0_previous + w noise       next state
//! ```
//!
//! [`plan`] makes the steps in `f64`; [`SamplerStep::to_fixed`] rounds their coefficients for
//! [`diffuser_spec::sampler::advance`]. Time steps and coefficients follow diffusers 0.35, and
//! golden tests hold them to it.

mod advance;
mod config;
mod error;
mod fields;
mod schedule;
mod steps;
mod timesteps;

pub use advance::advance_fixed;
pub use config::{
    BetaSchedule, FinalSigma, MAX_TRAIN_TIMESTEPS, PredictionType, SchedulerClass, SchedulerConfig,
    Spacing, Variance,
};
pub use error::SamplingError;
pub use schedule::Schedule;
pub use steps::{Sampler, SamplerOptions, SamplerStep, plan};
