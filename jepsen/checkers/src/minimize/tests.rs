//! What is left of histories that break a promise.

use super::*;
use crate::testing::{at, classes, delete, log, of, read, txn, watch, watched, write};

/// Sound operations of another process and other keys around the others.
fn amid_noise(operations: Vec<crate::history::Operation>) -> History {
    let noise = (0..200).map(|number| write(500, 10 * number..10 * number + 1, "noise", 10_000 + number, 0));
    let mut all: Vec<_> = operations.into_iter().chain(noise).collect();
    all.sort_by_key(|operation| operation.invoked);
    of(all)
}

fn smallest(promise: &Promise, history: &History) -> Minimal {
    let found = minimize(promise, history, 1000).expect("it is broken");
    assert!(classes(promise, &found.history).contains(&found.violation.class));
    found
}

#[test]
fn a_stale_read_comes_down_to_two_writes_and_the_read() {
    let mut operations: Vec<_> = (0..50).map(|n| write(0, 20 * n..20 * n + 2, "k", n, 0)).collect();
    operations.push(read(1, 1500..1501, "k", Some((3, 0)), 0));
    let found = smallest(&crate::linearizability::PROMISE, &amid_noise(operations));
    assert_eq!(found.history.operations.len(), 3, "{:#?}", found.history.operations);
    assert_eq!(found.violation.class, "stale read");
}

#[test]
fn who_deleted_what_was_found_absent_is_kept() {
    let operations = vec![
        write(0, 0..1, "k", 1, 0),
        delete(0, 2..3, "k", true, 0),
        read(1, 4..5, "k", None, 0),
        write(0, 6..7, "k", 2, 0),
        read(1, 8..9, "k", Some((1, 0)), 0),
    ];
    let found = smallest(&crate::linearizability::PROMISE, &amid_noise(operations));
    let kept: Vec<_> = found.history.operations.iter().map(|operation| operation.invoked).collect();
    assert!(kept == [at(0), at(6), at(8)] || kept == [at(0), at(2), at(8)], "{kept:?}");
}

#[test]
fn a_cycle_keeps_its_transactions_and_what_they_saw() {
    let operations = vec![
        txn(0, 0..9, 0, "ax1 ry2"),
        txn(1, 0..9, 0, "ay2 rx1"),
        txn(2, 0..9, 0, "az3"),
        txn(3, 0..9, 0, "rz3"),
    ];
    let found = smallest(&crate::strict_serializability::PROMISE, &amid_noise(operations));
    assert_eq!(found.history.operations.len(), 2);
    assert_eq!(found.violation.class, "G1c");
}

#[test]
fn a_watch_alone_is_kept_with_those_that_it_goes_on_from() {
    let log = log(&[(2, "a", Some(1)), (3, "a", Some(2))]);
    let good = || watch("a", 1).sent(1, &log, &[2, 3]);
    let first = watch("a", 1).sent(1, &log, &[2]);
    let second = watch("a", 3).after(2).sent(2, &log, &[2, 3]);
    let history = watched(&log, vec![good(), good(), first, second, good()]);
    let found = smallest(&crate::watch::unique::PROMISE, &history);
    assert_eq!(found.watches, [WatchId(2), WatchId(3)]);
    assert_eq!(found.history.watches[1].resumed_from, Some(WatchId(0)));
}

#[test]
fn an_intermediate_read_is_not_hidden_by_what_was_left_out() {
    let operations = vec![
        txn(0, 0..1, 0, "ax1"),
        txn(0, 2..3, 0, "ax2"),
        txn(0, 4..5, 0, "ax3 ax4"),
        txn(1, 6..7, 0, "rx1,2,3"),
        txn(1, 8..9, 0, "rx1,2,3,4"),
    ];
    let found = smallest(&crate::strict_serializability::PROMISE, &amid_noise(operations));
    assert_eq!((found.violation.class, found.operations.len()), ("G1b", 2));
}

#[test]
fn a_phantom_is_one_among_all_writers() {
    let operations = vec![txn(0, 0..1, 0, "ax1"), txn(0, 2..3, 0, "ax2"), txn(1, 6..7, 0, "rx1,7")];
    let found = smallest(&crate::strict_serializability::PROMISE, &amid_noise(operations));
    assert_eq!((found.violation.class, found.operations.len()), ("phantom read", 2));
    assert!(found.history.meta.whole);
}

#[test]
fn a_history_that_keeps_the_promise_is_not_reduced() {
    let history = amid_noise(vec![write(0, 0..1, "k", 1, 2)]);
    assert!(minimize(&crate::linearizability::PROMISE, &history, 10).is_none());
}

#[test]
fn the_number_of_checks_is_bounded() {
    let operations: Vec<_> = (0..60)
        .map(|n| write(n as u32, 0..900, "k", n, 0))
        .chain([read(99, 901..902, "k", Some((77, 0)), 0)])
        .collect();
    let mut history = amid_noise(operations);
    history.operations.retain(|operation| operation.process.0 != 500);
    let found = minimize(&crate::linearizability::PROMISE, &history, 3).expect("it is broken");
    assert!(found.checks <= 3);
}

#[test]
fn of_the_log_only_what_the_operations_touch_is_kept() {
    let noise =
        (2..500).map(|revision| (revision, if revision % 2 == 0 { "x" } else { "y" }, Some(revision)));
    let changes: Vec<_> = noise.chain([(500, "k", Some(9000)), (501, "x", Some(9001))]).collect();
    let mut history = of(vec![write(0, 0..1, "k", 9000, 500), read(0, 2..3, "k", None, 501)]);
    history.log = Some(log(&changes));
    let found = smallest(&crate::linearizability::PROMISE, &history);
    let kept = found.history.log.expect("there was one");
    let revisions: Vec<_> = kept.commits.iter().map(|commit| commit.revision.0).collect();
    assert_eq!(revisions, [500, 501]);
    assert_eq!(kept.last(), crate::history::Revision(501));
}
