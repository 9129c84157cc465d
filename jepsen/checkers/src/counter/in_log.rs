//! The counter against the commit log.
//!
//! In: additions and reads whose revisions were told, and the log. Out: changes of the counter that are not the addition
//! that was acknowledged there, or that no unknown one explains; reads that are not of their revision. Deliberately
//! absent: histories in which no addition was acknowledged at a known revision, for nobody knows the counter's key then.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::edn;
use crate::history::{Call, CommitLog, End, History, Key, Returned, Revision, Value};
use crate::past::Past;
use crate::promise::{Findings, Violation};

pub(super) fn check(history: &History, log: &CommitLog, findings: &mut Findings) {
    let additions = Additions::of(history);
    let Some(key) = counter(log, &additions) else { return };
    let past = Past::of(log);
    changes(history, &past, key, additions, findings);
    for (op, operation) in (0..).zip(&history.operations) {
        let Some((_, Returned::CounterRead { revision, total })) = operation.answer() else { continue };
        let Some(revision) = revision.told().filter(|revision| past.covers(*revision)) else { continue };
        let is = past.at(key, revision).map_or(Some(0), |version| number(&version.value));
        if is != Some(*total) {
            let is = is.map_or_else(|| "no number".to_owned(), |is| is.to_string());
            let text = format!("{}: revision {revision} has {is}", edn::words(op, operation));
            findings.add(Violation::of_operations("wrong count", text, [op]));
        }
    }
}

#[derive(Default)]
struct Additions {
    /// By the revision that was told: how much, and the operation.
    acknowledged: BTreeMap<Revision, (i64, u32)>,
    /// How often each number may have been added by somebody who was not told.
    maybe: FxHashMap<i64, u32>,
}

impl Additions {
    fn of(history: &History) -> Self {
        let mut additions = Self::default();
        for (op, operation) in (0..).zip(&history.operations) {
            let Call::CounterAdd(delta) = operation.call else { continue };
            let revision = match &operation.end {
                End::Ok { returned, .. } => returned.revision().told(),
                End::Unknown { .. } => None,
                End::Failed { .. } => continue,
            };
            match revision {
                Some(revision) => drop(additions.acknowledged.insert(revision, (delta, op))),
                None => *additions.maybe.entry(delta).or_default() += 1,
            }
        }
        additions
    }
}

/// The key that every acknowledged addition changed.
fn counter<'a>(log: &'a CommitLog, additions: &Additions) -> Option<&'a Key> {
    let own = log.commits.iter().filter(|commit| additions.acknowledged.contains_key(&commit.revision));
    let keys: BTreeSet<&Key> = own.flat_map(|commit| &commit.changes).map(|change| &change.key).collect();
    keys.iter().next().filter(|_| keys.len() == 1).copied()
}

/// Each change of the counter is one addition.
fn changes(history: &History, past: &Past<'_>, key: &Key, mut additions: Additions, findings: &mut Findings) {
    let mut before = 0_i64;
    for (revision, became) in past.changes(key) {
        let is = became.map_or(Some(0), |version| number(&version.value));
        let delta = is.map(|is| is.wrapping_sub(before));
        before = is.unwrap_or(before);
        let by = delta.map_or_else(|| "something else".to_owned(), |delta| delta.to_string());
        match additions.acknowledged.remove(revision) {
            Some((added, op)) if delta != Some(added) => {
                let words = edn::words(op, &history.operations[op as usize]);
                let text = format!("{words}: revision {revision} changes the counter by {by}");
                findings.add(Violation::of_operations("lost addition", text, [op]));
            }
            None if history.meta.whole && !delta.is_some_and(|delta| take(&mut additions.maybe, delta)) => {
                let text = format!("revision {revision} changes the counter by {by}, which nobody added");
                findings.add(Violation::of_operations("addition from nowhere", text, []));
            }
            Some(_) | None => {}
        }
    }
    let last = past.last();
    for (revision, (_, op)) in additions.acknowledged.into_iter().filter(|(revision, _)| *revision <= last) {
        let words = edn::words(op, &history.operations[op as usize]);
        let text = format!("{words}: revision {revision} does not change the counter");
        findings.add(Violation::of_operations("lost addition", text, [op]));
    }
}

/// Takes one of the additions of this number; false: there is none.
fn take(maybe: &mut FxHashMap<i64, u32>, delta: i64) -> bool {
    let Some(left) = maybe.get_mut(&delta).filter(|left| **left > 0) else { return false };
    *left -= 1;
    true
}

/// A total below zero is stored as its two's complement.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => Some(number.cast_signed()),
        Value::List(_) => None,
    }
}
