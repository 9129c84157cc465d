//! Promise: a lock is fenced.
//!
//! > Tokens grow: who acquires a lock after somebody else did has the greater token. Once a greater token exists, no
//! > write under a smaller one is accepted.
//!
//! Source: Kleppmann, *How to do distributed locking* (2016); Jepsen's analysis of etcd 3.4.3, which shows that locks
//! without a fence are not safe.
//!
//! In: acquisitions, whose token is the revision that made the lock's key, and fenced writes, which compare that key in
//! their own transaction. Deliberately absent: who believes to hold a lock when; with leases, two may.

use std::collections::BTreeMap;

use crate::edn;
use crate::history::{Call, History, Key, Nanos, Returned, Revision};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "lock",
    words: "A lock's tokens grow, and no write is accepted under a token once there is a greater one.",
    source: "Kleppmann 2016 (fencing tokens); Jepsen: etcd 3.4.3",
    check,
};

#[derive(Default)]
struct Lock {
    acquired: Vec<Use>,
    written: Vec<Use>,
}

/// An acquisition, or an accepted write.
#[derive(Clone, Copy)]
struct Use {
    op: u32,
    token: Revision,
    invoked: Nanos,
    ended: Nanos,
    /// Its own.
    revision: Revision,
}

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    for lock in collect(history).values() {
        findings.checked += (lock.acquired.len() + lock.written.len()) as u64;
        tokens(history, &lock.acquired, &mut findings);
        fenced(history, lock, &mut findings);
    }
    findings.verdict()
}

fn collect(history: &History) -> BTreeMap<&Key, Lock> {
    let mut locks: BTreeMap<&Key, Lock> = BTreeMap::new();
    for (op, operation) in (0..).zip(&history.operations) {
        let Some((ended, returned)) = operation.answer() else { continue };
        let (invoked, revision) = (operation.invoked, returned.revision());
        match (&operation.call, returned) {
            (Call::LockAcquire { lock }, Returned::LockAcquire { acquired: true, .. }) => {
                let acquired = Use { op, token: revision, invoked, ended, revision };
                locks.entry(lock).or_default().acquired.push(acquired);
            }
            (Call::FencedWrite { lock, token, .. }, Returned::FencedWrite { accepted: true, .. }) => {
                let written = Use { op, token: *token, invoked, ended, revision };
                locks.entry(lock).or_default().written.push(written);
            }
            _ => {}
        }
    }
    locks
}

/// No token twice, and in real time only greater ones.
fn tokens(history: &History, acquired: &[Use], findings: &mut Findings) {
    let mut by_token: Vec<&Use> = acquired.iter().collect();
    by_token.sort_by_key(|acquired| (acquired.token, acquired.op));
    for pair in by_token.windows(2).filter(|pair| pair[0].token == pair[1].token) {
        findings.add(violation(history, "token given twice", pair[0], pair[1]));
    }
    let mut begun = acquired.to_vec();
    begun.sort_by_key(|acquired| acquired.invoked);
    let older = newest_before(acquired, &begun);
    for (acquired, newest) in begun.iter().zip(older) {
        if let Some(newest) = newest.filter(|newest| acquired.token < newest.token) {
            findings.add(violation(history, "token went back", &newest, acquired));
        }
    }
}

/// No write under a token once there is a greater one: by revisions where they are told, else by real time.
fn fenced(history: &History, lock: &Lock, findings: &mut Findings) {
    let mut tokens: Vec<&Use> =
        lock.acquired.iter().filter(|acquired| acquired.token.told().is_some()).collect();
    tokens.sort_by_key(|acquired| acquired.token);
    let mut begun = lock.written.clone();
    begun.sort_by_key(|written| written.invoked);
    let uses: Vec<Use> = lock.acquired.iter().chain(&lock.written).copied().collect();
    let newest = newest_before(&uses, &begun);
    let mut by_revision: Vec<Use> =
        begun.iter().filter(|written| written.revision.told().is_some()).copied().collect();
    by_revision.sort_by_key(|written| written.revision);
    let mut greatest: Option<Use> = None;
    for written in by_revision {
        // The greatest token that was given before this write, or used by one before it.
        let given = tokens[..tokens.partition_point(|given| given.token < written.revision)].last();
        let before = greatest.into_iter().chain(given.map(|given| **given)).max_by_key(|before| before.token);
        if let Some(before) = before.filter(|before| written.token < before.token) {
            findings.add(violation(history, "write under an old token", &before, &written));
        }
        if greatest.is_none_or(|greatest| greatest.token < written.token) {
            greatest = Some(written);
        }
    }
    for (written, newest) in begun.iter().zip(newest).filter(|(written, _)| written.revision.told().is_none())
    {
        if let Some(newest) = newest.filter(|newest| written.token < newest.token) {
            findings.add(violation(history, "write under an old token", &newest, written));
        }
    }
}

/// For each of these, which are in the order of their beginnings: the use with the greatest token that had ended.
fn newest_before(uses: &[Use], begun: &[Use]) -> Vec<Option<Use>> {
    let mut ended = uses.to_vec();
    ended.sort_by_key(|used| used.ended);
    let mut ended = ended.into_iter().peekable();
    let mut newest: Option<Use> = None;
    let before = begun.iter().map(|begun| {
        while let Some(used) = ended.next_if(|used| used.ended < begun.invoked) {
            if newest.is_none_or(|newest| newest.token < used.token) {
                newest = Some(used);
            }
        }
        newest
    });
    before.collect()
}

fn violation(history: &History, class: &'static str, before: &Use, after: &Use) -> Violation {
    let words = |op: u32| edn::words(op, &history.operations[op as usize]);
    let text = format!(
        "{} with token {}, after {} with token {}",
        words(after.op),
        after.token,
        words(before.op),
        before.token
    );
    Violation::of_operations(class, text, [before.op, after.op])
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::history::Operation;
    use crate::testing::{classes, of, op};

    fn acquire(process: u32, time: Range<u64>, token: u64) -> Operation {
        let returned = Returned::LockAcquire { revision: Revision(token), acquired: true };
        op(process, time, Call::LockAcquire { lock: "l".into() }, returned)
    }

    fn fenced(process: u32, time: Range<u64>, token: u64, revision: u64) -> Operation {
        let call =
            Call::FencedWrite { lock: "l".into(), token: Revision(token), value: 1000 * time.end + revision };
        op(process, time, call, Returned::FencedWrite { revision: Revision(revision), accepted: true })
    }

    fn found(operations: Vec<Operation>) -> Vec<&'static str> {
        classes(&PROMISE, &of(operations))
    }

    #[test]
    fn a_lock_that_goes_from_hand_to_hand_passes() {
        let operations = vec![
            acquire(0, 0..1, 2),
            fenced(0, 2..3, 2, 3),
            acquire(1, 2..9, 5),
            fenced(0, 4..8, 2, 4),
            fenced(1, 10..11, 5, 6),
        ];
        assert_eq!(found(operations), [""; 0]);
    }

    #[test]
    fn a_write_under_an_old_token_is_found() {
        let before_any_write = vec![acquire(0, 0..1, 2), acquire(1, 2..9, 5), fenced(0, 3..8, 2, 6)];
        assert_eq!(found(before_any_write), ["write under an old token"]);
        let without_revisions = vec![acquire(0, 0..1, 2), acquire(1, 2..3, 5), fenced(0, 4..5, 2, 0)];
        assert_eq!(found(without_revisions), ["write under an old token"]);
        let among_writes = vec![fenced(1, 0..9, 5, 6), fenced(0, 0..9, 2, 7)];
        assert_eq!(found(among_writes), ["write under an old token"]);
    }

    #[test]
    fn tokens_that_go_back_or_come_twice_are_found() {
        assert_eq!(found(vec![acquire(0, 0..1, 5), acquire(1, 2..3, 4)]), ["token went back"]);
        assert_eq!(found(vec![acquire(0, 0..9, 5), acquire(1, 0..9, 5)]), ["token given twice"]);
    }
}
