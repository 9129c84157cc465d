//! Promise: durability.
//!
//! > A write that was acknowledged is in the commit log, at the revision that it was told. One that was refused is not.
//! > What is in the log, somebody asked for.
//!
//! Source: etcd's API guarantees (durability); etcd issue 14370 (an acknowledged write is lost), Jepsen's analyses of
//! stores that acknowledge before they sync.
//!
//! In: acknowledged and refused writes, and the commit log. Deliberately absent: histories without a log; there, a lost
//! write shows as a stale read. What nobody asked for is looked for only in whole histories ([`origin`]).

mod origin;

use rustc_hash::FxHashMap;

use crate::edn;
use crate::fate;
use crate::history::{
    Call, Commit, End, Freshness, History, Key, LeaseId, MicroOp, Operation, Returned, Revision, Value,
};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "durability",
    words: "What was acknowledged is kept, what was refused did not happen, and nothing comes from nowhere.",
    source: "etcd: API guarantees, issue 14370",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    if let Some(log) = &history.log {
        let commits: FxHashMap<Revision, &Commit> =
            log.commits.iter().map(|commit| (commit.revision, commit)).collect();
        let written = fate::written(log);
        for (number, operation) in (0..).zip(&history.operations) {
            let problem = match &operation.end {
                End::Ok { returned, .. } => {
                    acknowledged(operation, returned, &commits, &mut findings.checked)
                }
                End::Failed { .. } => refused(operation, &written, &mut findings.checked),
                End::Unknown { .. } => None,
            };
            if let Some((class, problem)) = problem {
                let text = format!("{}: {problem}", edn::words(number, operation));
                findings.add(Violation::of_operations(class, text, [number]));
            }
        }
        if history.meta.whole {
            origin::check(history, log, &mut findings);
        }
    }
    findings.verdict()
}

type Problem = Option<(&'static str, String)>;

fn acknowledged(
    operation: &Operation,
    returned: &Returned,
    commits: &FxHashMap<Revision, &Commit>,
    checked: &mut u64,
) -> Problem {
    if returned.freshness(&operation.call) != Freshness::Committed {
        return None;
    }
    let revision = returned.revision().told()?;
    *checked += 1;
    let Some(commit) = commits.get(&revision) else {
        return Some(("lost write", format!("the commit log has no revision {revision}")));
    };
    let lacking = effects(&operation.call, revision).into_iter().find(|effect| !effect.is_in(commit))?;
    Some(("lost write", format!("revision {revision} of the commit log does not have {lacking:?}")))
}

/// What a call leaves in its commit.
#[derive(Debug)]
enum Effect<'a> {
    /// A key that holds a number.
    Put(&'a Key, u64),
    /// A key whose list ends with a number, or holds it before others of the same transaction.
    Appended(&'a Key, u64),
    /// A key that is gone.
    Deleted(&'a Key),
    /// A key that lives by a lease.
    Attached(&'a Key, LeaseId),
    /// A key that was made by this commit.
    Made(&'a Key, Revision),
    /// A number under whatever key the workload chose.
    Somewhere(u64),
}

impl Effect<'_> {
    fn is_in(&self, commit: &Commit) -> bool {
        commit.changes.iter().any(|change| {
            let became = change.became.as_ref();
            match (self, became.map(|version| &version.value)) {
                (Self::Put(key, number), Some(Value::Number(is))) => **key == change.key && number == is,
                (Self::Appended(key, number), Some(Value::List(list))) => {
                    **key == change.key && list.contains(number)
                }
                (Self::Deleted(key), None) => **key == change.key,
                (Self::Attached(key, lease), Some(_)) => {
                    **key == change.key && became.is_some_and(|version| version.lease == *lease)
                }
                (Self::Made(key, revision), Some(_)) => {
                    let created = became.map(|version| version.create_revision);
                    **key == change.key
                        && created.is_some_and(|created| created.told().is_none_or(|at| at == *revision))
                }
                (Self::Somewhere(number), Some(Value::Number(is))) => number == is,
                (Self::Somewhere(number), Some(Value::List(list))) => list.contains(number),
                (
                    Self::Put(..)
                    | Self::Appended(..)
                    | Self::Deleted(_)
                    | Self::Attached(..)
                    | Self::Made(..)
                    | Self::Somewhere(_),
                    _,
                ) => false,
            }
        })
    }
}

fn effects(call: &Call, revision: Revision) -> Vec<Effect<'_>> {
    match call {
        Call::Write { key, value } | Call::CompareAndSet { key, value, .. } => vec![Effect::Put(key, *value)],
        Call::Delete { key } => vec![Effect::Deleted(key)],
        Call::Txn(parts) => {
            parts.iter().enumerate().filter_map(|(place, part)| left(parts, place, part)).collect()
        }
        Call::SetAdd(value) | Call::FencedWrite { value, .. } => vec![Effect::Somewhere(*value)],
        Call::LockAcquire { lock } => vec![Effect::Made(lock, revision)],
        Call::LockRelease { lock, .. } => vec![Effect::Deleted(lock)],
        Call::LeaseAttach { id, key, value } => vec![Effect::Put(key, *value), Effect::Attached(key, *id)],
        Call::CounterAdd(_)
        | Call::Read { .. }
        | Call::List { .. }
        | Call::SetRead
        | Call::CounterRead
        | Call::LeaseGrant { .. }
        | Call::LeaseKeepAlive { .. }
        | Call::LeaseRevoke { .. }
        | Call::LeaseTimeToLive { .. }
        | Call::LeaseKeyRead { .. }
        | Call::Compact { .. } => Vec::new(),
    }
}

/// What a part of a transaction leaves, unless a later part replaces it.
fn left<'a>(parts: &'a [MicroOp], place: usize, part: &'a MicroOp) -> Option<Effect<'a>> {
    let replaces = |later: &MicroOp| {
        later.key() == part.key() && matches!(later, MicroOp::Put { .. } | MicroOp::Delete { .. })
    };
    if parts[place + 1..].iter().any(replaces) {
        return None;
    }
    match part {
        MicroOp::Put { key, value } => Some(Effect::Put(key, *value)),
        MicroOp::Append { key, element } => Some(Effect::Appended(key, *element)),
        // Whether there was something to delete is not told.
        MicroOp::Delete { .. } | MicroOp::Get { .. } | MicroOp::ReadList { .. } => None,
    }
}

fn refused(operation: &Operation, written: &FxHashMap<u64, Revision>, checked: &mut u64) -> Problem {
    *checked += u64::from(operation.call.values().next().is_some());
    let (value, revision) =
        operation.call.values().find_map(|value| Some((value, written.get(&value).copied()?)))?;
    Some(("refused write happened", format!("the commit log has {value} at revision {revision}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, delete, failed, log, of, txn, unknown, write};

    fn found(changes: &[(u64, &str, Option<u64>)], operations: Vec<Operation>) -> Vec<&'static str> {
        classes(&PROMISE, &History { log: Some(log(changes)), ..of(operations) })
    }

    #[test]
    fn what_was_acknowledged_is_in_the_log() {
        let operations = || {
            vec![
                write(0, 0..1, "a", 1, 2),
                txn(0, 2..3, 3, "wx8 wx2 wy3"),
                delete(0, 4..5, "a", true, 4),
                unknown(write(0, 6..7, "a", 9, 0)),
            ]
        };
        let whole = [(2, "a", Some(1)), (3, "x", Some(2)), (3, "y", Some(3)), (4, "a", None)];
        assert_eq!(found(&whole, operations()), [""; 0]);
        assert_eq!(found(&whole[..3], operations()), ["lost write"]);
        let half = [whole[0], whole[1], whole[3]];
        assert_eq!(found(&half, operations()), ["lost write"]);
    }

    #[test]
    fn a_revision_that_holds_something_else_is_a_lost_write() {
        let operations = vec![write(0, 0..1, "a", 1, 2), write(1, 0..1, "a", 2, 3)];
        assert_eq!(
            found(&[(2, "a", Some(2)), (3, "a", Some(2))], operations),
            ["lost write", "write happened twice"]
        );
    }

    #[test]
    fn a_refused_write_must_not_happen() {
        let operations = vec![failed(write(0, 0..1, "a", 1, 0))];
        assert_eq!(found(&[(2, "a", Some(1))], operations), ["refused write happened"]);
    }

    #[test]
    fn a_value_that_nobody_wrote_is_found() {
        let operations = vec![write(0, 0..1, "a", 1, 2)];
        assert_eq!(found(&[(2, "a", Some(1)), (3, "a", Some(7))], operations), ["write from nowhere"]);
    }

    #[test]
    fn a_value_under_a_key_that_nobody_named_is_found() {
        let operations = || vec![write(0, 0..1, "a", 1, 2)];
        assert_eq!(found(&[(2, "a", Some(1)), (3, "b", Some(7))], operations()), ["write from nowhere"]);
        let elsewhere = vec![write(0, 0..1, "a", 1, 2), unknown(write(0, 2..3, "a", 5, 0))];
        assert_eq!(found(&[(2, "a", Some(1)), (3, "b", Some(5))], elsewhere), ["write to another key"]);
        assert_eq!(found(&[(2, "a", Some(1)), (3, "a", Some(1))], operations()), ["write happened twice"]);
    }

    #[test]
    fn a_delete_that_nobody_asked_for_is_found() {
        let changes = [(2, "a", Some(1)), (3, "a", None)];
        let with = |other| found(&changes, vec![write(0, 0..1, "a", 1, 2), other]);
        assert_eq!(with(delete(1, 2..3, "a", true, 3)), [""; 0]);
        assert_eq!(with(unknown(delete(1, 2..3, "a", true, 0))), [""; 0]);
        assert_eq!(with(txn(1, 2..3, 3, "da")), [""; 0]);
        let nowhere = ["delete from nowhere"];
        assert_eq!(with(failed(delete(1, 2..3, "a", true, 0))), nowhere);
        assert_eq!(with(unknown(delete(1, 2..3, "b", true, 0))), nowhere);
        assert_eq!(with(txn(1, 2..3, 9, "da")), nowhere);
        let twice = [(2, "a", Some(1)), (3, "a", None), (4, "a", Some(2)), (5, "a", None)];
        let once = vec![
            write(0, 0..1, "a", 1, 2),
            write(0, 2..3, "a", 2, 4),
            unknown(delete(1, 0..9, "a", true, 0)),
        ];
        assert_eq!(found(&twice, once), nowhere);
    }

    #[test]
    fn a_key_may_go_with_its_lease() {
        let mut log = log(&[(2, "a", Some(1)), (3, "a", None)]);
        log.commits[0].changes[0].became.as_mut().expect("a put").lease = LeaseId(7);
        let history = History { log: Some(log), ..of(vec![write(0, 0..1, "a", 1, 2)]) };
        assert_eq!(classes(&PROMISE, &history), [""; 0]);
    }
}
