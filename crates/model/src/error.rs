//! Errors of reading a model: one line that says what, where and what was expected.

use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration, a weight file or a model folder was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was read and its content refused.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// A field of a configuration has a value that is impossible or not supported.
    #[error("`{field}` is {value}; expected {expected}")]
    Field {
        /// Name as in the JSON file.
        field: String,
        /// The value as JSON, clipped.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A tensor of a weight file or of a [`crate::weights::Weights`] is missing or wrong.
    #[error("tensor {name}: {problem}")]
    Tensor {
        /// Name of the tensor, quoted.
        name: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// Anything else that is wrong with the content of a file or an argument.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// A refused configuration field; `value` is printed as it stands, clipped to one short line.
    #[must_use]
    pub fn field(field: &str, value: impl ToString, expected: impl Into<String>) -> Self {
        Error::Field {
            field: clip(field),
            value: clip(&value.to_string()),
            expected: expected.into(),
        }
    }

    /// A refused tensor.
    #[must_use]
    pub fn tensor(name: &str, problem: impl Into<String>) -> Self {
        Error::Tensor {
            name: format!("`{}`", clip(name)),
            problem: problem.into(),
        }
    }

    /// The same error, saying which file it is about.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            read @ Error::Read { .. } => read,
            other => Error::InFile {
                path: path.to_owned(),
                source: Box::new(other),
            },
        }
    }
}

/// Text from a file made safe for a message: one line, at most 80 characters.
#[must_use]
pub fn clip(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == 80 {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_on_one_short_line() {
        let e = Error::field("a\nb", "x\r\n".repeat(100), "less");
        let text = e.in_file(Path::new("config.json")).to_string();
        assert!(!text.contains('\n') && !text.contains('\r'), "{text}");
        assert!(text.len() < 400, "{text}");
        assert!(
            text.starts_with("config.json: `a\\nb` is x\\r\\n"),
            "{text}"
        );
    }
}
