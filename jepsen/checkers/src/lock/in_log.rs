//! Locks against the commit log: whether the lock's key was there, and whose it was.
//!
//! In: answers with their revisions, and the log. Out: acquisitions of a lock that was held, uses of one that was free or
//! another's, refusals without a reason. Deliberately absent: answers whose revision the log does not cover.

use crate::edn;
use crate::history::{Call, CommitLog, History, Returned, Revision};
use crate::past::Past;
use crate::promise::{Findings, Violation};

pub(super) fn check(history: &History, log: &CommitLog, findings: &mut Findings) {
    let past = Past::of(log);
    for (op, operation) in (0..).zip(&history.operations) {
        let Some((_, returned)) = operation.answer() else { continue };
        if let Some((class, problem)) = odd(&past, &operation.call, returned) {
            let text = format!("{}: {problem}", edn::words(op, operation));
            findings.add(Violation::of_operations(class, text, [op]));
        }
    }
}

/// What the log says against an answer.
fn odd(past: &Past<'_>, call: &Call, returned: &Returned) -> Option<(&'static str, String)> {
    let (lock, token, done) = match (call, returned) {
        (Call::LockAcquire { lock }, Returned::LockAcquire { acquired, .. }) => (lock, None, *acquired),
        (Call::LockRelease { lock, token }, Returned::LockRelease { released, .. }) => {
            (lock, Some(*token), *released)
        }
        (Call::FencedWrite { lock, token, .. }, Returned::FencedWrite { accepted, .. }) => {
            (lock, Some(*token), *accepted)
        }
        _ => return None,
    };
    let header = returned.revision().told()?;
    // What was done saw the state before its own revision; what was refused, that of the answer.
    let revision = if done { Revision(header.0 - 1) } else { header };
    if !past.covers(revision) {
        return None;
    }
    let holder = past.made_at(lock, revision);
    let held = match holder {
        Some(holder) => format!("at revision {revision} the lock is held under token {holder}"),
        None => format!("at revision {revision} the lock is free"),
    };
    let class = match (token, done) {
        (None, true) => holder.is_some().then_some("two holders"),
        (None, false) => holder.is_none().then_some("refused though free"),
        (Some(token), true) if holder != Some(token) => Some(match call {
            Call::LockRelease { .. } => "release by another",
            _ => "write by another",
        }),
        (Some(token), false) if holder == Some(token) => Some("refused though held"),
        (Some(_), true | false) => None,
    };
    class.map(|class| (class, held))
}
