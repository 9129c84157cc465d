//! Short words for histories, so that a test shows what matters.
//!
//! In: numbers and a little notation. Out: operations, watches and logs. Deliberately absent: randomness; generated
//! histories are in the crate's integration tests.

use std::ops::Range;

use crate::history::{
    Bounds, Call, Change, Commit, CommitLog, Consistency, End, Event, FaultEvent, FaultPhase, Filters,
    History, Key, KeyRange, KeyVersion, LeaseId, MicroOp, MicroResult, Nanos, Operation, ProcessId, Returned,
    Revision, Value, Watch, WatchEvent, WatchId, WatchResponse,
};
use crate::promise::{Outcome, Promise};

pub(crate) fn at(nanos: u64) -> Nanos {
    Nanos(nanos)
}

/// An operation that was answered.
pub(crate) fn op(process: u32, time: Range<u64>, call: Call, returned: Returned) -> Operation {
    let end = End::Ok { at: at(time.end), returned };
    Operation { process: ProcessId(process), replica: None, call, invoked: at(time.start), end }
}

/// The same, with an outcome that nobody knows.
pub(crate) fn unknown(mut operation: Operation) -> Operation {
    operation.end = End::Unknown { at: operation.end.at(), why: "no answer".to_owned() };
    operation
}

/// The same, refused.
pub(crate) fn failed(mut operation: Operation) -> Operation {
    operation.end = End::Failed { at: operation.end.at().expect("it ended"), why: "refused".to_owned() };
    operation
}

/// A version of a key: its value and its mod revision.
pub(crate) fn version((value, revision): (u64, u64)) -> KeyVersion {
    KeyVersion {
        value: Value::Number(value),
        create_revision: Revision(0),
        mod_revision: Revision(revision),
        version: 0,
        lease: LeaseId(0),
    }
}

pub(crate) fn write(process: u32, time: Range<u64>, key: &str, value: u64, revision: u64) -> Operation {
    let returned = Returned::Write { revision: Revision(revision) };
    op(process, time, Call::Write { key: key.into(), value }, returned)
}

pub(crate) fn delete(process: u32, time: Range<u64>, key: &str, deleted: bool, revision: u64) -> Operation {
    let returned = Returned::Delete { revision: Revision(revision), deleted };
    op(process, time, Call::Delete { key: key.into() }, returned)
}

pub(crate) fn read(
    process: u32,
    time: Range<u64>,
    key: &str,
    found: Option<(u64, u64)>,
    revision: u64,
) -> Operation {
    let call = Call::Read { key: key.into(), revision: None, consistency: Consistency::Linearizable };
    op(process, time, call, Returned::Read { revision: Revision(revision), found: found.map(version) })
}

/// The same read, which may see any revision of the past.
pub(crate) fn serializable(mut operation: Operation) -> Operation {
    if let Call::Read { consistency, .. } | Call::List { consistency, .. } = &mut operation.call {
        *consistency = Consistency::Serializable;
    }
    operation
}

/// A compare-and-set that was done.
pub(crate) fn swap(
    process: u32,
    time: Range<u64>,
    key: &str,
    (expected, value): (u64, u64),
    revision: u64,
) -> Operation {
    let call = Call::CompareAndSet { key: key.into(), expected: Revision(expected), value };
    op(
        process,
        time,
        call,
        Returned::CompareAndSet { revision: Revision(revision), swapped: true, current: None },
    )
}

/// A transaction: `ax1` appends 1 to x, `rx1,2` reads [1, 2] from x, `wx1` writes, `gx1` gets 1, `gx_` gets nothing,
/// `dx` deletes.
pub(crate) fn txn(process: u32, time: Range<u64>, revision: u64, notation: &str) -> Operation {
    let (parts, results) = notation.split(' ').map(part).unzip();
    let returned = Returned::Txn { revision: Revision(revision), results };
    op(process, time, Call::Txn(parts), returned)
}

fn part(text: &str) -> (MicroOp, MicroResult) {
    let (key, rest) = (Key::from(&text[1..2]), &text[2..]);
    let number = || rest.parse().expect("a number");
    match &text[..1] {
        "a" => (MicroOp::Append { key, element: number() }, MicroResult::Written),
        "w" => (MicroOp::Put { key, value: number() }, MicroResult::Written),
        "d" => (MicroOp::Delete { key }, MicroResult::Written),
        "g" => (MicroOp::Get { key }, MicroResult::Value((rest != "_").then(number))),
        "r" => {
            let elements = rest.split(',').filter(|element| !element.is_empty());
            let elements = elements.map(|element| element.parse().expect("a number")).collect();
            (MicroOp::ReadList { key }, MicroResult::List(elements))
        }
        other => panic!("no part is written {other:?}"),
    }
}

/// A commit log from its changes: revision, key, value. Creation and version are counted.
pub(crate) fn log(changes: &[(u64, &str, Option<u64>)]) -> CommitLog {
    let base = changes.first().map_or(1, |(revision, ..)| revision - 1);
    let mut log = CommitLog { base: Revision(base), commits: Vec::new() };
    let mut known: Vec<(Key, KeyVersion)> = Vec::new();
    for (revision, key, value) in changes {
        let (revision, key) = (Revision(*revision), Key::from(*key));
        let before = known.iter().position(|(other, _)| *other == key).map(|place| known.remove(place).1);
        let became = value.map(|value| KeyVersion {
            value: Value::Number(value),
            create_revision: before.as_ref().map_or(revision, |before| before.create_revision),
            mod_revision: revision,
            version: before.as_ref().map_or(1, |before| before.version + 1),
            lease: LeaseId(0),
        });
        known.extend(became.clone().map(|became| (key.clone(), became)));
        let change = Change { key, became };
        match log.commits.last_mut() {
            Some(commit) if commit.revision == revision => commit.changes.push(change),
            _ => log.commits.push(Commit { revision, changes: vec![change] }),
        }
    }
    log
}

/// A watch of all keys that begin with `prefix` (a letter), from a revision on, opened at 0.
pub(crate) fn watch(prefix: &str, start: u64) -> Watch {
    Watch {
        process: ProcessId(900),
        replica: None,
        range: KeyRange::Between(prefix.into(), format!("{prefix}~").as_str().into()),
        start: Revision(start),
        filters: Filters::default(),
        prev_kv: false,
        progress_asked: false,
        opened: at(0),
        responses: Vec::new(),
        resumed_from: None,
    }
}

impl Watch {
    /// Adds a response with these events, taken from a log (with what was before, if that is wanted).
    pub(crate) fn sent(mut self, time: u64, log: &CommitLog, revisions: &[u64]) -> Self {
        let mut events = Vec::new();
        for &revision in revisions {
            let commit = log.commits.iter().find(|commit| commit.revision.0 == revision).expect("a commit");
            for change in &commit.changes {
                if !self.range.contains(&change.key) || !self.filters.wants(change.became.as_ref()) {
                    continue;
                }
                let previous = if self.prev_kv { before(log, commit.revision, &change.key) } else { None };
                let (key, became) = (change.key.clone(), change.became.clone());
                events.push(Event { revision: commit.revision, key, became, previous });
            }
        }
        let header = revisions.last().copied().unwrap_or_default();
        self.responses.push(response(time, header, WatchEvent::Events(events)));
        self
    }

    /// Adds a response without events.
    pub(crate) fn told(mut self, time: u64, header: u64, what: WatchEvent) -> Self {
        self.responses.push(response(time, header, what));
        self
    }

    /// Goes on from another watch.
    pub(crate) fn after(mut self, watch: u32) -> Self {
        self.resumed_from = Some(WatchId(watch));
        self
    }

    /// Changes the events of one response.
    pub(crate) fn with(mut self, response: usize, change: impl FnOnce(&mut Vec<Event>)) -> Self {
        let WatchEvent::Events(events) = &mut self.responses[response].what else {
            panic!("no events there")
        };
        change(events);
        self
    }
}

fn before(log: &CommitLog, revision: Revision, key: &Key) -> Option<KeyVersion> {
    let earlier = log.commits.iter().rev().filter(|commit| commit.revision < revision);
    earlier.flat_map(|commit| &commit.changes).find(|change| change.key == *key)?.became.clone()
}

fn response(time: u64, header: u64, what: WatchEvent) -> WatchResponse {
    WatchResponse { at: at(time), header_revision: Revision(header), what }
}

pub(crate) fn fault(time: u64, phase: FaultPhase) -> FaultEvent {
    FaultEvent { at: at(time), fault: "partition".to_owned(), targets: vec!["n1".to_owned()], phase }
}

pub(crate) fn of(operations: Vec<Operation>) -> History {
    History { operations, ..History::default() }
}

pub(crate) fn watched(log: &CommitLog, watches: Vec<Watch>) -> History {
    History { watches, log: Some(log.clone()), ..History::default() }
}

/// The classes of violations that a promise's check finds; empty: kept.
pub(crate) fn classes(promise: &Promise, history: &History) -> Vec<&'static str> {
    assert_eq!(history.validate(), Ok(()), "the test's own history");
    match (promise.check)(history).outcome {
        Outcome::Kept => Vec::new(),
        Outcome::Broken(violations) => {
            assert!(!violations.is_empty(), "broken by nothing");
            violations.iter().map(|violation| violation.class).collect()
        }
        other @ (Outcome::Undecided(_) | Outcome::NotApplicable) => panic!("{other:?}"),
    }
}

/// A history with a record of every kind.
pub(crate) fn everything() -> History {
    let log = log(&[(2, "k", Some(1)), (3, "k", None)]);
    let mut history = watched(
        &log,
        vec![
            watch("k", 1).sent(5, &log, &[2]).told(6, 2, WatchEvent::Broken("reset".to_owned())),
            watch("k", 3).after(0).told(7, 2, WatchEvent::Created).sent(8, &log, &[3]).told(
                9,
                3,
                WatchEvent::Progress,
            ),
        ],
    );
    history.operations = vec![
        write(0, 1..4, "k", 1, 2),
        failed(write(1, 1..2, "k", 9, 0)),
        unknown(txn(2, 2..30, 0, "ax5 rx1,2")),
        delete(0, 4..6, "k", true, 3),
        read(0, 6..7, "k", None, 3),
        txn(0, 7..8, 4, "wx7 gy_ dy rz"),
        op(
            0,
            8..9,
            Call::LeaseGrant { id: LeaseId(4), ttl_seconds: 5 },
            Returned::LeaseGrant { revision: Revision(3), ttl_seconds: 5 },
        ),
    ];
    history.faults =
        vec![fault(2, FaultPhase::Began), fault(4, FaultPhase::Ended), fault(5, FaultPhase::Healed)];
    history.meta.bounds = Bounds { first_write: Some(at(1000)), ..Bounds::default() };
    history.meta.nodes = vec!["n1".to_owned()];
    history.remarks.crashes = vec!["n1 ended by itself".to_owned()];
    history.remarks.shortfalls = vec!["no last read".to_owned()];
    history
}
