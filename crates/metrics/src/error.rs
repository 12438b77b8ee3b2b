//! What can be wrong with the sets to be compared.

/// Why a measure is not defined for what it was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// Two sizes that must agree do not.
    #[error("{what}: got {got}, expected {want}")]
    Size {
        /// What was counted.
        what: &'static str,
        /// The size found.
        got: usize,
        /// The size expected.
        want: usize,
    },
    /// There is less than the measure needs.
    #[error("{what}: got {got}, at least {least} are needed")]
    TooFew {
        /// What was counted.
        what: &'static str,
        /// The number found.
        got: usize,
        /// The smallest number for which the measure is defined.
        least: usize,
    },
    /// A value is infinite or not a number.
    #[error("{what}: value {index} is {value}, expected a finite number")]
    NotFinite {
        /// What holds the value.
        what: &'static str,
        /// Its place.
        index: usize,
        /// The value.
        value: f64,
    },
    /// An argument lies outside its range.
    #[error("{what}: got {got}, expected {want}")]
    Range {
        /// Name of the argument.
        what: &'static str,
        /// Its value.
        got: f64,
        /// The range.
        want: &'static str,
    },
    /// The iteration for the eigenvalues of a covariance did not converge.
    #[error("the eigenvalues of a {dim} x {dim} covariance did not converge")]
    Eigenvalues {
        /// Number of features.
        dim: usize,
    },
}

/// Refuses two sizes that differ.
pub(crate) fn same(what: &'static str, got: usize, want: usize) -> Result<(), MetricsError> {
    if got == want {
        Ok(())
    } else {
        Err(MetricsError::Size { what, got, want })
    }
}

/// Refuses less than `least` of something.
pub(crate) fn enough(what: &'static str, got: usize, least: usize) -> Result<(), MetricsError> {
    if got >= least {
        Ok(())
    } else {
        Err(MetricsError::TooFew { what, got, least })
    }
}

/// Refuses infinities and NaN.
pub(crate) fn finite(
    what: &'static str,
    values: impl IntoIterator<Item = f64>,
) -> Result<(), MetricsError> {
    match values.into_iter().enumerate().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some((index, value)) => Err(MetricsError::NotFinite { what, index, value }),
    }
}
