//! Why the harness itself could not do its work.
//!
//! A failure of the harness says nothing about the store: it is never a pass, and never a violation either.

use std::fmt::Display;

/// What failed, and why. The text names the cure where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

/// What most of the harness answers.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Says what was being done when an error came from below.
pub(crate) trait Doing<T> {
    /// `what` is a phrase such as "writing the history".
    fn doing(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
