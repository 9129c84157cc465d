//! Where every change of the commit log comes from.
//!
//! In: calls that may have happened, and the log. Out: values that nobody wrote, or not there, or not twice; deletes that
//! nobody asked for. Deliberately absent: when a lease ends, which explains any delete of a key that lives by one; the
//! counter's totals, which are checked with the counter.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::edn;
use crate::fate::{Fate, Fates};
use crate::history::{
    Call, Change, CommitLog, End, History, Key, MicroOp, Operation, Returned, Revision, Step, Value,
};
use crate::promise::{Findings, Violation};
use crate::writers::Writers;

pub(super) fn check(history: &History, log: &CommitLog, findings: &mut Findings) {
    let mut origins = Origins::of(history);
    for step in log.steps() {
        if let Some((class, what)) = origins.odd(&step) {
            let text = format!("revision {}: {} {what}", step.revision, step.change.key);
            let by = origins.writer(step.change);
            let told = by.map(|op| format!(", of {}", edn::words(op, &history.operations[op as usize])));
            let text = text + &told.unwrap_or_default();
            findings.add(Violation::of_operations(class, text, by));
        }
        if findings.is_full() {
            return;
        }
    }
}

/// Changes of one key that calls ask for without a value.
#[derive(Default)]
struct Asked {
    /// At these revisions.
    told: FxHashSet<Revision>,
    /// At any revision, so often.
    untold: u32,
}

impl Asked {
    fn add(&mut self, revision: Option<Revision>) {
        match revision {
            Some(revision) => drop(self.told.insert(revision)),
            None => self.untold += 1,
        }
    }

    /// Whether a change at this revision was asked for; what is not told is used up.
    fn explains(&mut self, revision: Revision) -> bool {
        if self.told.contains(&revision) {
            return true;
        }
        let left = self.untold.checked_sub(1);
        self.untold = left.unwrap_or(0);
        left.is_some()
    }
}

struct Origins<'a> {
    writers: Writers<'a>,
    acquired: FxHashMap<&'a Key, Asked>,
    deleted: FxHashMap<&'a Key, Asked>,
    /// Totals of the counter are values that no call names.
    counts: bool,
    happened: FxHashSet<u64>,
}

impl<'a> Origins<'a> {
    fn of(history: &'a History) -> Self {
        let mut origins = Self {
            writers: Writers::of(history),
            acquired: FxHashMap::default(),
            deleted: FxHashMap::default(),
            counts: false,
            happened: FxHashSet::default(),
        };
        let fates = Fates::of(history);
        for operation in &history.operations {
            origins.counts |= matches!(operation.call, Call::CounterAdd(_));
            if let Some(revision) = done_at(operation, &fates) {
                origins.add(&operation.call, revision);
            }
        }
        origins
    }

    /// What a call that may have happened changes without a value.
    fn add(&mut self, call: &'a Call, revision: Option<Revision>) {
        match call {
            Call::Delete { key } | Call::LockRelease { lock: key, .. } => {
                self.deleted.entry(key).or_default().add(revision);
            }
            Call::LockAcquire { lock } => self.acquired.entry(lock).or_default().add(revision),
            Call::Txn(parts) => {
                let deletes = parts.iter().filter(|part| matches!(part, MicroOp::Delete { .. }));
                deletes.for_each(|part| self.deleted.entry(part.key()).or_default().add(revision));
            }
            _ => {}
        }
    }

    fn odd(&mut self, step: &Step<'_>) -> Option<(&'static str, String)> {
        let Step { revision, change: Change { key, became }, before } = *step;
        let Some(became) = became else {
            let goes_with_its_lease = before.is_some_and(|before| !before.lease.is_none());
            let is_asked = goes_with_its_lease
                || self.deleted.get_mut(key).is_some_and(|deleted| deleted.explains(revision));
            return (!is_asked)
                .then(|| ("delete from nowhere", "is deleted, and nobody asked for it".to_owned()));
        };
        match &became.value {
            Value::Number(number) => self.odd_number(revision, key, *number),
            Value::List(list) => {
                let known = match before.map(|before| &before.value) {
                    Some(Value::List(before)) => before.len(),
                    Some(Value::Number(_)) | None => 0,
                };
                list.get(known..).unwrap_or(list).iter().find_map(|element| self.misplaced(key, *element))
            }
        }
    }

    fn odd_number(&mut self, revision: Revision, key: &Key, number: u64) -> Option<(&'static str, String)> {
        if let Some(acquired) = self.acquired.get_mut(key) {
            let is_asked = acquired.explains(revision);
            return (!is_asked)
                .then(|| ("write from nowhere", "is locked, and nobody asked for it".to_owned()));
        }
        self.misplaced(key, number).or_else(|| {
            let is_new = self.counts || self.happened.insert(number);
            (!is_new).then(|| ("write happened twice", format!("becomes {number}, which was written before")))
        })
    }

    /// A number that nobody wrote under this key.
    fn misplaced(&self, key: &Key, number: u64) -> Option<(&'static str, String)> {
        match self.writers.get(number).map(|writer| writer.key) {
            None if self.counts => None,
            None => Some(("write from nowhere", format!("becomes {number}, which nobody wrote"))),
            Some(Some(other)) if other != key => {
                Some(("write to another key", format!("becomes {number}, which was written to {other}")))
            }
            Some(_) => None,
        }
    }

    /// The operation that names the number that a change is about.
    fn writer(&self, change: &Change) -> Option<u32> {
        match change.became.as_ref().map(|version| &version.value)? {
            Value::Number(number) => self.writers.get(*number).map(|writer| writer.op),
            Value::List(_) => None,
        }
    }
}

/// At which revision an operation changed something, `Some(None)`: at one that is not known; `None`: it changed nothing.
fn done_at(operation: &Operation, fates: &Fates) -> Option<Option<Revision>> {
    match &operation.end {
        End::Failed { .. } => None,
        End::Unknown { .. } => match fates.of_call(&operation.call) {
            Fate::Happened(revision) => Some(Some(revision)),
            Fate::Open => Some(None),
            Fate::Never => None,
        },
        End::Ok { returned, .. } => {
            let done = match returned {
                Returned::Delete { deleted: done, .. }
                | Returned::LockRelease { released: done, .. }
                | Returned::LockAcquire { acquired: done, .. } => *done,
                _ => true,
            };
            done.then(|| returned.revision().told())
        }
    }
}
