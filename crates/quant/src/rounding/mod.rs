//! Which integer stands for a weight: the nearest, or one that keeps the layer's output.
//!
//! Error feedback rounds the weights of an output channel one after another and lets those not yet
//! rounded make up for what has been lost so far, as the second moments of the layer's inputs say
//! (GPTQ, Frantar et al. 2022, arXiv:2210.17323; in the form of Chee et al. 2023, arXiv:2307.13304,
//! which needs no inverse). AdaRound ([`adaround`]) learns for every weight whether it goes up or down, by
//! the same second moments. The format of the weights is the same whatever the rounding.

mod adaround;
mod factor;
mod feedback;
mod inputs;
mod moments;
mod sequential;

pub use adaround::adaround;
pub use factor::{Factor, damp};
pub use feedback::{LANES, Rounded, round};
pub use inputs::{Inputs, Part, Patches};
pub use moments::Moments;
pub use sequential::{Sequential, State, Target, TargetPart, evaluations};

/// How weights become integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// Each weight to the nearest integer.
    Nearest,
    /// With the error fed back to the weights that are still to be rounded.
    #[default]
    ErrorFeedback,
    /// With error feedback, layers one after another: each makes up for what those before it have lost.
    Sequential,
    /// Up or down as learnt from the layer's inputs.
    AdaRound,
}

impl Rounding {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [
        Self::ErrorFeedback,
        Self::Sequential,
        Self::AdaRound,
        Self::Nearest,
    ];

    /// Name on the command line and in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::ErrorFeedback => "error-feedback",
            Self::Sequential => "sequential",
            Self::AdaRound => "adaround",
        }
    }
}

impl std::fmt::Display for Rounding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
