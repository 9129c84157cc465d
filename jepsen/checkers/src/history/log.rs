//! What really was committed.
//!
//! In: every change of every revision, taken from the store itself (simulation) or from a watch of everything and a
//! last read (harness). Out: the order that unknown outcomes are resolved from. Deliberately absent: state; it is
//! built where it is needed.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{Key, KeyVersion, Revision};

/// Every commit from the first to the last, complete: taken when all operations had come to an end and the cluster was
/// healed, so that a write which is not in it never happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitLog {
    /// The revision before the first commit; the store held no key then.
    pub base: Revision,
    /// In the order in which the store has them.
    pub commits: Vec<Commit>,
}

impl CommitLog {
    /// The last revision.
    pub fn last(&self) -> Revision {
        self.commits.last().map_or(self.base, |commit| commit.revision)
    }

    /// Every change in order, each beside what it changed.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let mut now: FxHashMap<&Key, &KeyVersion> = FxHashMap::default();
        self.commits
            .iter()
            .flat_map(|commit| commit.changes.iter().map(|change| (commit.revision, change)))
            .map(move |(revision, change)| {
                let before = match &change.became {
                    Some(became) => now.insert(&change.key, became),
                    None => now.remove(&change.key),
                };
                Step { revision, change, before }
            })
    }
}

/// A change of the log beside what it changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) revision: Revision,
    pub(crate) change: &'a Change,
    /// `None`: the key was not there.
    pub(crate) before: Option<&'a KeyVersion>,
}

/// All changes of one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The revision.
    pub revision: Revision,
    /// In the order in which they were made; no key twice.
    pub changes: Vec<Change>,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What it became; `None`: it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<KeyVersion>,
}
