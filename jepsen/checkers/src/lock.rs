//! Promise: a lock has one holder, and is fenced.
//!
//! > Who acquires a lock finds it free, and gets a token that is greater than all before. A write is accepted, and the
//! > lock is released, only under the token of its holder: not once a greater token exists, nor after the release, nor
//! > under a token that was never given.
//!
//! Source: Kleppmann, *How to do distributed locking* (2016); Jepsen's analysis of etcd 3.4.3, which shows that locks
//! without a fence are not safe.
//!
//! In: acquisitions, whose token is the revision that made the lock's key, and fenced writes, which compare that key in
//! their own transaction; with a commit log also whether the lock's key was there ([`in_log`]). Deliberately absent: who
//! believes to hold a lock when; with leases, two may.

mod in_log;

use std::collections::{BTreeMap, BTreeSet};

use crate::edn;
use crate::history::{Call, History, Key, Nanos, Returned, Revision};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "lock",
    words: "A lock has one holder at a time; tokens grow, and nothing is done under one that is not the holder's.",
    source: "Kleppmann 2016 (fencing tokens); Jepsen: etcd 3.4.3",
    check,
};

#[derive(Default)]
struct Lock {
    acquired: Vec<Use>,
    written: Vec<Use>,
    released: Vec<Use>,
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
        findings.checked += (lock.acquired.len() + lock.written.len() + lock.released.len()) as u64;
        tokens(history, &lock.acquired, &mut findings);
        fenced(history, lock, &mut findings);
        released(history, lock, &mut findings);
        if history.meta.whole {
            never_given(history, lock, &mut findings);
        }
    }
    if let Some(log) = &history.log {
        in_log::check(history, log, &mut findings);
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
            (Call::LockRelease { lock, token }, Returned::LockRelease { released: true, .. }) => {
                let released = Use { op, token: *token, invoked, ended, revision };
                locks.entry(lock).or_default().released.push(released);
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

/// A token is good for one release, and for nothing after it.
fn released(history: &History, lock: &Lock, findings: &mut Findings) {
    let mut first: BTreeMap<Revision, &Use> = BTreeMap::new();
    for release in &lock.released {
        match first.get(&release.token) {
            Some(other) => findings.add(violation(history, "released twice", other, release)),
            None => drop(first.insert(release.token, release)),
        }
        let given = lock.acquired.iter().filter(|given| given.token.told().is_some());
        let mut given = given.filter(|given| release.token < given.token);
        let greater = given.find(|given| is_before(given, release));
        if let Some(greater) = greater {
            findings.add(violation(history, "release under an old token", greater, release));
        }
    }
    for written in &lock.written {
        if let Some(release) = first.get(&written.token).filter(|release| is_before(release, written)) {
            findings.add(violation(history, "write after its release", release, written));
        }
    }
}

/// By revisions where both are told, else by real time.
fn is_before(one: &Use, other: &Use) -> bool {
    match (one.revision.told(), other.revision.told()) {
        (Some(one), Some(other)) => one < other,
        _ => one.ended < other.invoked,
    }
}

fn never_given(history: &History, lock: &Lock, findings: &mut Findings) {
    let given: BTreeSet<Revision> = lock.acquired.iter().map(|acquired| acquired.token).collect();
    if given.contains(&Revision::ZERO) {
        // Not every token was told.
        return;
    }
    for used in lock.written.iter().chain(&lock.released).filter(|used| !given.contains(&used.token)) {
        let words = edn::words(used.op, &history.operations[used.op as usize]);
        let text = format!("{words}, and nobody was given the token {}", used.token);
        findings.add(Violation::of_operations("token never given", text, [used.op]));
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
    use crate::history::{End, Operation};
    use crate::testing::{classes, log, of, op};

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

    fn release(process: u32, time: Range<u64>, token: u64, revision: u64) -> Operation {
        let call = Call::LockRelease { lock: "l".into(), token: Revision(token) };
        op(process, time, call, Returned::LockRelease { revision: Revision(revision), released: true })
    }

    fn refused(mut operation: Operation) -> Operation {
        let End::Ok { returned, .. } = &mut operation.end else { panic!("it was answered") };
        match returned {
            Returned::LockAcquire { acquired: done, .. }
            | Returned::LockRelease { released: done, .. }
            | Returned::FencedWrite { accepted: done, .. } => *done = false,
            other => panic!("{other:?}"),
        }
        operation
    }

    /// With a log of the lock's key: put or deleted at these revisions.
    fn found_with(log_of_key: &[(u64, Option<u64>)], operations: Vec<Operation>) -> Vec<&'static str> {
        let changes: Vec<_> = log_of_key.iter().map(|(revision, value)| (*revision, "l", *value)).collect();
        classes(&PROMISE, &History { log: Some(log(&changes)), ..of(operations) })
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
        let mut among_writes = of(vec![fenced(1, 0..9, 5, 6), fenced(0, 0..9, 2, 7)]);
        among_writes.meta.whole = false;
        assert_eq!(classes(&PROMISE, &among_writes), ["write under an old token"]);
    }

    #[test]
    fn tokens_that_go_back_or_come_twice_are_found() {
        assert_eq!(found(vec![acquire(0, 0..1, 5), acquire(1, 2..3, 4)]), ["token went back"]);
        assert_eq!(found(vec![acquire(0, 0..9, 5), acquire(1, 0..9, 5)]), ["token given twice"]);
    }

    #[test]
    fn what_is_done_under_a_token_after_its_release_is_found() {
        let good =
            vec![acquire(0, 0..1, 2), fenced(0, 2..3, 2, 3), release(0, 4..5, 2, 4), acquire(1, 6..7, 5)];
        assert_eq!(found(good), [""; 0]);
        let late = vec![acquire(0, 0..1, 2), release(0, 2..3, 2, 4), fenced(0, 4..5, 2, 5)];
        assert_eq!(found(late), ["write after its release"]);
        let twice = vec![acquire(0, 0..1, 2), release(0, 2..3, 2, 4), release(0, 4..5, 2, 5)];
        assert_eq!(found(twice), ["released twice"]);
        let of_another = vec![acquire(0, 0..1, 2), acquire(1, 2..3, 4), release(0, 4..5, 2, 5)];
        assert_eq!(found(of_another), ["release under an old token"]);
    }

    #[test]
    fn a_token_that_was_never_given_is_found() {
        assert_eq!(found(vec![acquire(0, 0..1, 2), fenced(0, 4..5, 3, 5)]), ["token never given"]);
        assert_eq!(found(vec![release(0, 4..5, 3, 5)]), ["token never given"]);
    }

    #[test]
    fn a_lock_that_is_acquired_while_it_is_held_is_found() {
        let operations = || vec![acquire(0, 0..1, 2), acquire(1, 2..3, 4)];
        assert_eq!(found_with(&[(2, Some(1)), (3, None), (4, Some(2))], operations()), [""; 0]);
        let held = || vec![acquire(0, 0..1, 2), acquire(1, 2..3, 3)];
        assert_eq!(found_with(&[(2, Some(1)), (3, Some(2))], held()), ["two holders"]);
    }

    #[test]
    fn what_is_done_while_the_lock_is_another_ones_or_free_is_found() {
        let log = [(2, Some(1)), (3, None), (4, Some(2)), (5, None), (6, None)];
        let after = |operation| found_with(&log, vec![acquire(0, 0..1, 2), acquire(1, 2..3, 4), operation]);
        assert_eq!(after(release(1, 4..5, 4, 5)), [""; 0]);
        assert_eq!(after(fenced(1, 4..5, 4, 5)), [""; 0]);
        assert_eq!(after(release(0, 4..9, 2, 5)), ["release under an old token", "release by another"]);
        assert_eq!(after(fenced(1, 4..9, 4, 6)), ["write by another"]);
        assert_eq!(after(refused(fenced(0, 4..5, 2, 5))), [""; 0]);
        assert_eq!(after(refused(fenced(1, 4..5, 4, 4))), ["refused though held"]);
        assert_eq!(after(refused(acquire(5, 4..5, 4))), [""; 0]);
        assert_eq!(after(refused(acquire(5, 4..5, 6))), ["refused though free"]);
    }
}
