//! Which set of kernels runs.

use std::fmt;
use std::str::FromStr;

/// A set of kernels; all give the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KernelChoice {
    /// The fastest that this machine can run.
    #[default]
    Auto,
    /// The specification in plain loops: slow, the oracle of all others.
    Scalar,
    /// Fast Rust without machine-specific code.
    Portable,
    /// AVX-512 with VNNI (Cascade Lake, Zen 4 and later).
    Avx512Vnni,
}

impl KernelChoice {
    /// Every set of kernels, `Auto` left out.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Portable, Self::Avx512Vnni];

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Avx512Vnni => "avx512vnni",
        }
    }

    /// Whether this machine can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Auto | Self::Scalar | Self::Portable => true,
            Self::Avx512Vnni => crate::kernels::has_avx512vnni(),
        }
    }

    /// What `Auto` stands for on this machine; any other choice is itself.
    #[must_use]
    pub fn resolved(self) -> Self {
        match self {
            Self::Auto if Self::Avx512Vnni.is_available() => Self::Avx512Vnni,
            Self::Auto => Self::Portable,
            other => other,
        }
    }
}

impl fmt::Display for KernelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of a [`KernelChoice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kernel `{0}`: expected auto, scalar, portable or avx512vnni")]
pub struct UnknownKernel(pub String);

impl FromStr for KernelChoice {
    type Err = UnknownKernel;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .chain([Self::Auto])
            .find(|k| k.name() == s)
            .ok_or_else(|| UnknownKernel(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for k in KernelChoice::ALL.into_iter().chain([KernelChoice::Auto]) {
            assert_eq!(k.to_string().parse(), Ok(k));
        }
        assert_eq!(
            "AVX".parse::<KernelChoice>(),
            Err(UnknownKernel("AVX".into()))
        );
    }

    #[test]
    fn auto_is_resolved_to_something_available() {
        let k = KernelChoice::Auto.resolved();
        assert!(k != KernelChoice::Auto && k.is_available());
    }
}
