//! Promises, verdicts, and THE table of promises.
//!
//! In: a history. Out: for each promise whether it was kept. Deliberately absent: which promises a workload is
//! judged by; the table of workloads says that.

use crate::history::{History, OpId, WatchId};

/// Something that the store promises.
#[derive(Debug)]
pub struct Promise {
    /// Short, unique, as the file is called.
    pub name: &'static str,
    /// The promise in plain words.
    pub words: &'static str,
    /// Where it is written down.
    pub source: &'static str,
    /// Decides. Expects a history that [`History::validate`](crate::history::History::validate) finds sound.
    pub check: fn(&History) -> Verdict,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Kept or not.
    pub outcome: Outcome,
    /// How many operations or events were looked at.
    pub checked: u64,
}

/// Whether a promise was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The history does not contradict the promise.
    Kept,
    /// It does; never empty.
    Broken(Vec<Violation>),
    /// The check gave up. Never a pass.
    Undecided(String),
    /// The history has nothing that the promise speaks of.
    NotApplicable,
}

/// How a history contradicts a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The class, as the field calls it (`stale read`, `G-single-realtime`).
    pub class: &'static str,
    /// What contradicts what, for a person.
    pub text: String,
    /// The operations that the text speaks of.
    pub operations: Vec<OpId>,
    /// The watches that the text speaks of.
    pub watches: Vec<WatchId>,
}
