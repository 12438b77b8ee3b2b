//! What can be wrong with a schedule or a sampler's settings.

use thiserror::Error;

/// Why a scheduler or a sampler cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SamplingError {
    /// The configuration is no JSON object.
    #[error("scheduler config: {0}")]
    Json(String),
    /// A field of the configuration is not supported or impossible.
    #[error("scheduler config: `{field}` is {value}, expected {expected}")]
    Field {
        /// The field's name.
        field: String,
        /// Its value, as JSON.
        value: String,
        /// What is accepted.
        expected: String,
    },
    /// A setting of the sampler does not fit itself or the schedule.
    #[error("sampler: {what} is {value}, expected {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is accepted.
        expected: String,
    },
    /// A step has a coefficient that is not finite, or too large for integers.
    #[error("sampler: coefficient {coefficient} at time step {timestep} is {value}, {reason}")]
    Coefficient {
        /// Which one, as in the forms of [`crate::sampling`].
        coefficient: &'static str,
        /// Training time step.
        timestep: u32,
        /// Its value.
        value: String,
        /// What is wrong with that.
        reason: &'static str,
    },
    /// A buffer has another number of elements than the state.
    #[error("sampler: {what} has {length} elements, expected {expected} as the state has")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Its elements.
        length: usize,
        /// The state's elements.
        expected: usize,
    },
    /// A step adds noise and none was given.
    #[error(
        "sampler: no noise given at time step {timestep}, expected as many elements as the state has"
    )]
    NoNoise {
        /// Training time step.
        timestep: u32,
    },
    /// The exponent of the network's output is out of range.
    #[error("sampler: exponent of the network's output is {0}, expected -16..=24")]
    Exponent(i32),
}
