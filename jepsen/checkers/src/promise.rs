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

/// THE table of promises.
pub static PROMISES: &[&Promise] = &[
    &crate::linearizability::PROMISE,
    &crate::strict_serializability::PROMISE,
    &crate::durability::PROMISE,
    &crate::monotonic_revisions::PROMISE,
    &crate::versions::PROMISE,
    &crate::set::PROMISE,
    &crate::counter::PROMISE,
    &crate::lock::PROMISE,
    &crate::leases::PROMISE,
    &crate::watch::ordered::PROMISE,
    &crate::watch::unique::PROMISE,
    &crate::watch::atomic::PROMISE,
    &crate::watch::reliable::PROMISE,
    &crate::watch::resumable::PROMISE,
    &crate::watch::bookmarkable::PROMISE,
    &crate::watch::filter::PROMISE,
    &crate::watch::prev_value::PROMISE,
    &crate::watch::progress_never_ahead::PROMISE,
    &crate::watch::progress_never_behind::PROMISE,
    &crate::liveness::PROMISE,
];

/// The promise of this name.
pub fn named(name: &str) -> Option<&'static Promise> {
    PROMISES.iter().find(|promise| promise.name == name).copied()
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

impl Violation {
    pub(crate) fn of_operations(
        class: &'static str,
        text: String,
        operations: impl IntoIterator<Item = u32>,
    ) -> Self {
        let operations = operations.into_iter().map(OpId).collect();
        Self { class, text, operations, watches: Vec::new() }
    }

    pub(crate) fn of_watch(class: &'static str, text: String, watch: u32) -> Self {
        Self { class, text, operations: Vec::new(), watches: vec![WatchId(watch)] }
    }
}

impl Verdict {
    /// The violations; empty where the promise was not broken.
    pub fn violations(&self) -> &[Violation] {
        match &self.outcome {
            Outcome::Broken(violations) => violations,
            Outcome::Kept | Outcome::Undecided(_) | Outcome::NotApplicable => &[],
        }
    }
}

/// How many violations a check lists; the first ones are the telling ones.
const MAX_VIOLATIONS: usize = 20;

/// What a check has found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) checked: u64,
    violations: Vec<Violation>,
    undecided: Option<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, violation: Violation) {
        if !self.is_full() {
            self.violations.push(violation);
        }
    }

    /// Whether more violations would be told to nobody.
    pub(crate) fn is_full(&self) -> bool {
        self.violations.len() >= MAX_VIOLATIONS
    }

    pub(crate) fn give_up(&mut self, why: String) {
        self.undecided.get_or_insert(why);
    }

    /// A contradiction counts more than what could not be decided, and that more than what was kept.
    pub(crate) fn verdict(self) -> Verdict {
        let outcome = match (self.violations.is_empty(), self.undecided) {
            (false, _) => Outcome::Broken(self.violations),
            (true, Some(why)) => Outcome::Undecided(why),
            (true, None) if self.checked == 0 => Outcome::NotApplicable,
            (true, None) => Outcome::Kept,
        };
        Verdict { outcome, checked: self.checked }
    }
}
