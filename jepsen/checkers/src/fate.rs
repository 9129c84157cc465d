//! What became of operations whose outcome is unknown.
//!
//! In: the commit log, and that values are unique. Out: happened at a revision, never, or open. Deliberately absent:
//! guesses; without a log everything stays open.

use rustc_hash::FxHashMap;

use crate::history::{Call, CommitLog, History, Key, Revision, Value};

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Happened(Revision),
    Never,
    /// The log cannot tell, or there is none.
    Open,
}

pub(crate) struct Fates {
    /// Where each number was first written; `None`: there is no log.
    written: Option<FxHashMap<u64, Revision>>,
}

impl Fates {
    pub(crate) fn of(history: &History) -> Self {
        Self { written: history.log.as_ref().map(written) }
    }

    /// What became of a call that was never answered.
    pub(crate) fn of_call(&self, call: &Call) -> Fate {
        let Some(written) = &self.written else { return Fate::Open };
        let mut values = call.values().peekable();
        if values.peek().is_none() {
            return Fate::Open;
        }
        values.find_map(|value| written.get(&value)).map_or(Fate::Never, |revision| Fate::Happened(*revision))
    }
}

/// Where each number was first written. Of lists only what is new is looked at.
pub(crate) fn written(log: &CommitLog) -> FxHashMap<u64, Revision> {
    let mut written = FxHashMap::default();
    let mut lengths: FxHashMap<&Key, usize> = FxHashMap::default();
    for commit in &log.commits {
        for change in &commit.changes {
            match change.became.as_ref().map(|version| &version.value) {
                Some(Value::Number(number)) => {
                    written.entry(*number).or_insert(commit.revision);
                }
                Some(Value::List(list)) => {
                    let known = lengths.insert(&change.key, list.len()).unwrap_or_default();
                    for element in list.get(known..).unwrap_or(list) {
                        written.entry(*element).or_insert(commit.revision);
                    }
                }
                None => {
                    lengths.remove(&change.key);
                }
            }
        }
    }
    written
}
