//! What can go wrong, each as one line for a person to read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong. `Display` gives one line: what, where, and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {}", path.display(), plain(source))]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds something other than what was expected.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// A setting does not fit the model or the other settings.
    #[error("{0}")]
    Setting(String),
    /// A model cannot be read, quantised or evaluated.
    #[error("{0}")]
    Model(String),
}

impl Error {
    /// Wraps an I/O error; for use in `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// A file whose content is wrong.
    pub fn file(path: &Path, reason: impl fmt::Display) -> Self {
        Self::File {
            path: path.to_path_buf(),
            reason: one_line(&reason.to_string()),
        }
    }

    /// A setting that makes no sense.
    pub fn setting(reason: impl fmt::Display) -> Self {
        Self::Setting(one_line(&reason.to_string()))
    }

    /// A model that does not work.
    pub fn model(reason: impl fmt::Display) -> Self {
        Self::Model(one_line(&reason.to_string()))
    }
}

/// The text of an I/O error without `(os error 28)`, which tells a person nothing.
fn plain(error: &io::Error) -> String {
    one_line(&error.to_string())
}

/// File content can end up in messages: no control characters, no line breaks, bounded length.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 600;
    let mut out = String::new();
    // An I/O error is always the last part of a message.
    let text = &text[..text.find(" (os error").unwrap_or(text.len())];
    for c in text.chars() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_name_action_path_and_cause_only() {
        let source = io::Error::from_raw_os_error(2);
        let line = Error::io("read", Path::new("a/b.png"))(source).to_string();
        assert!(line.starts_with("cannot read a/b.png: "), "{line}");
        assert!(!line.contains("os error"), "{line}");
    }

    #[test]
    fn hostile_text_stays_on_one_bounded_line() {
        let line = Error::model("a\nb\x1b[31m".to_string() + &"x".repeat(10_000)).to_string();
        assert!(line.starts_with("a b [31m"));
        assert!(!line.contains(char::is_control));
        assert!(line.len() < 700);
    }
}
