//! What came of a fault, and what shows that it was felt.
//!
//! A fault that nobody feels is not survived: it is reported as skipped, with the reason. What shows that it is felt may
//! be there when it begins (a process that is gone, a file that was changed), or only when it ends (packets that were
//! dropped, errors that a node tells of, a snapshot that it was sent).

use crate::cluster::Nobody;
use crate::failure::Failure;

/// A fault that was injected.
#[derive(Debug)]
pub(crate) enum Injected {
    /// It lasts until it is healed.
    Until(Hit),
    /// It came and went.
    Struck(Hit),
}

/// Whom it hit.
#[derive(Debug)]
pub(crate) struct Hit {
    /// The nodes.
    pub(crate) nodes: Vec<usize>,
    /// What has shown already that it is felt. `None`: that shows when it ends.
    pub(crate) seen: Option<String>,
}

impl Hit {
    /// It is felt, as this shows.
    pub(crate) fn seen(nodes: Vec<usize>, seen: impl Into<String>) -> Self {
        Self { nodes, seen: Some(seen.into()) }
    }

    /// Whether it is felt shows when it ends.
    pub(crate) fn of(nodes: Vec<usize>) -> Self {
        Self { nodes, seen: None }
    }
}

/// Why a fault was not injected.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// It could not be done now, for this reason.
    NotNow(String),
    /// The harness could not do its work.
    Failed(Failure),
}

impl Obstacle {
    pub(crate) fn not_now(why: impl Into<String>) -> Self {
        Self::NotNow(why.into())
    }
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Nobody> for Obstacle {
    fn from(nobody: Nobody) -> Self {
        Self::not_now(nobody.0)
    }
}

/// Whether a fault that has ended was felt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Felt {
    /// That has shown when it began.
    AtOnce,
    /// This shows it.
    Since(String),
    /// Nothing shows it, for this reason: it does not count.
    Nothing(String),
}

impl Felt {
    /// It was felt if anything was counted.
    pub(crate) fn counted(count: u64, what: &str) -> Self {
        if count > 0 { Self::Since(format!("{count} {what}")) } else { Self::Nothing(format!("no {what}")) }
    }
}

/// How things were when a fault began.
#[derive(Clone, Debug)]
pub(crate) struct Since {
    /// Whom it hit.
    pub(crate) nodes: Vec<usize>,
    /// How long each node's log was.
    pub(crate) logs: Vec<u64>,
}
