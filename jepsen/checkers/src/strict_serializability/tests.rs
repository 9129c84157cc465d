//! Known histories of transactions, each with the name of what must not happen.

use super::*;
use crate::history::{CommitLog, Operation, Value};
use crate::promise::Outcome;
use crate::testing::{classes, delete, failed, log, of, read, txn, unknown, write};

fn found(operations: Vec<Operation>) -> Vec<&'static str> {
    classes(&PROMISE, &of(operations))
}

fn found_with(log: CommitLog, operations: Vec<Operation>) -> Vec<&'static str> {
    classes(&PROMISE, &History { log: Some(log), ..of(operations) })
}

/// Transactions that all run at once, so that real time says nothing.
fn at_once(notations: &[&str]) -> Vec<Operation> {
    (0..).zip(notations).map(|(process, notation)| txn(process, 0..9, 0, notation)).collect()
}

#[test]
fn transactions_in_an_order_pass() {
    assert_eq!(found(at_once(&["ax1 ay2", "rx1 ay3", "rx1 ry2,3", "ax4 rx1,4"])), [""; 0]);
    assert_eq!(
        found(vec![txn(0, 0..1, 2, "wx1 gx1"), txn(0, 2..3, 3, "gx1 wx2"), txn(0, 4..5, 3, "gx2")]),
        [""; 0]
    );
}

#[test]
fn g0_is_a_cycle_of_writes() {
    assert_eq!(found(at_once(&["ax1 ay1001", "ax2 ay1002", "rx1,2 ry1002,1001"]))[0], "G0");
}

#[test]
fn g1a_is_a_read_of_a_refused_transaction() {
    assert!(found(vec![failed(txn(0, 0..1, 0, "ax1")), txn(1, 2..3, 0, "rx1")]).contains(&"G1a"));
    assert_eq!(found(vec![failed(txn(0, 0..1, 0, "wx1")), txn(1, 2..3, 0, "gx1")]), ["G1a"]);
}

#[test]
fn g1b_is_a_read_of_an_intermediate_state() {
    assert!(found(at_once(&["ax1 ax2", "rx1"])).contains(&"G1b"));
    assert!(found(at_once(&["wx1 wx2", "gx1"])).contains(&"G1b"));
}

#[test]
fn g1c_is_a_cycle_of_writes_and_reads() {
    assert_eq!(found(at_once(&["ax1 ry2", "ay2 rx1"])), ["G1c"]);
    assert_eq!(found(at_once(&["wx1 gy2", "wy2 gx1"])), ["G1c"]);
}

#[test]
fn g_single_is_one_that_did_not_see_what_another_saw() {
    // Read skew: the second saw the append to y and not the one to x of the same transaction.
    assert_eq!(found(at_once(&["ax1 ay2", "rx ry2", "rx1"])), ["G-single"]);
    assert_eq!(found(at_once(&["wx1 wy2", "gx_ gy2"])), ["G-single"]);
}

#[test]
fn g2_is_write_skew() {
    assert_eq!(found(at_once(&["rx ay1", "ry ax2", "rx2 ry1"])), ["G2"]);
    assert_eq!(found(at_once(&["gx_ wy1", "gy_ wx2"])), ["G2"]);
}

#[test]
fn a_write_that_later_readers_do_not_see_breaks_real_time() {
    let operations = vec![txn(0, 0..1, 0, "ax1"), txn(1, 2..3, 0, "rx"), txn(1, 4..5, 0, "rx1")];
    assert_eq!(found(operations), ["G-single-realtime"]);
    let registers = vec![txn(0, 0..1, 2, "wx1"), txn(0, 2..3, 3, "wx2"), txn(1, 4..5, 3, "gx1")];
    assert_eq!(found(registers), ["G-single-realtime"]);
}

#[test]
fn an_acknowledged_append_that_nobody_ever_sees_is_lost() {
    let operations = vec![txn(0, 0..1, 0, "ax1"), txn(0, 2..3, 0, "ax2"), txn(1, 4..5, 0, "rx1")];
    assert_eq!(found(operations), ["G-single-realtime"]);
}

#[test]
fn one_process_must_see_its_own_writes() {
    let mut operations = vec![txn(0, 0..5, 0, "ax1"), txn(0, 5..9, 0, "rx"), txn(1, 0..9, 0, "rx1")];
    assert_eq!(found(operations.clone()), ["G-single-process"]);
    // Beginnings at the moment of another's end are concurrent with it.
    operations[1].process = crate::history::ProcessId(7);
    assert_eq!(found(operations), [""; 0]);
}

#[test]
fn lists_that_contradict_each_other_are_found() {
    assert!(found(at_once(&["ax1", "ax2", "rx1,2", "rx2,1"])).contains(&"incompatible order"));
    assert!(found(at_once(&["ax1", "ax2", "rx1,2,1"])).contains(&"duplicate element"));
    assert_eq!(found(at_once(&["rx7"])), ["phantom read"]);
}

#[test]
fn a_transaction_must_agree_with_itself() {
    assert!(found(at_once(&["ax1 rx"])).contains(&"internal"));
    assert!(found(at_once(&["ax1", "rx1 rx"])).contains(&"internal"));
    assert!(found(at_once(&["wx1 gx_"])).contains(&"internal"));
    assert_eq!(found(at_once(&["ax1", "rx1 ax2 rx1,2"])), [""; 0]);
}

#[test]
fn two_updates_of_one_version_are_a_lost_update() {
    assert!(found(at_once(&["rx ax1", "rx ax2", "rx1,2"])).contains(&"lost update"));
    assert!(found(at_once(&["gx_ wx1", "gx_ wx2"])).contains(&"lost update"));
}

#[test]
fn what_is_built_on_a_refused_append_is_a_dirty_update() {
    let operations = vec![failed(txn(0, 0..1, 0, "ax1")), txn(1, 2..3, 0, "ax2"), txn(1, 4..5, 0, "rx1,2")];
    assert!(found(operations).contains(&"dirty update"));
}

#[test]
fn an_unknown_transaction_counts_only_when_it_was_seen() {
    let unseen = vec![unknown(txn(0, 0..1, 0, "ax1 ay2")), txn(1, 2..3, 0, "rx ry")];
    assert_eq!(found(unseen), [""; 0]);
    let half = vec![unknown(txn(0, 0..1, 0, "ax1 ay2")), txn(1, 2..3, 0, "rx1 ry"), txn(1, 4..5, 0, "ry2")];
    assert_eq!(found(half), ["G-single"]);
}

#[test]
fn the_log_orders_registers_whose_revisions_were_not_told() {
    let operations = || {
        let writes = vec![txn(0, 0..9, 0, "wx1"), txn(1, 0..9, 0, "wx2"), txn(2, 0..9, 0, "gx2 wy3")];
        writes.into_iter().chain([txn(3, 0..9, 0, "gy3 gx1")]).collect::<Vec<_>>()
    };
    assert_eq!(found(operations()), [""; 0]);
    let log = log(&[(2, "x", Some(1)), (3, "x", Some(2)), (4, "y", Some(3))]);
    assert_eq!(found_with(log, operations()), ["G-single"]);
}

#[test]
fn the_log_orders_appends_that_nobody_read() {
    let mut log = log(&[(2, "x", Some(0)), (3, "x", Some(0))]);
    for (commit, list) in log.commits.iter_mut().zip([vec![1], vec![1, 2]]) {
        commit.changes[0].became.as_mut().expect("a put").value = Value::List(list.into());
    }
    let operations = vec![txn(0, 0..1, 0, "ax2"), txn(1, 2..3, 0, "ax1")];
    assert_eq!(found(operations.clone()), [""; 0]);
    assert_eq!(found_with(log, operations), ["G0-realtime"]);
}

#[test]
fn single_operations_count_as_transactions() {
    let operations = vec![
        write(0, 0..1, "x", 1, 2),
        write(0, 2..3, "y", 2, 3),
        txn(1, 0..9, 3, "gy2 gx_"),
        delete(2, 20..21, "z", false, 3),
        read(2, 22..23, "z", None, 3),
    ];
    assert_eq!(found(operations), ["G-single-process"]);
}

#[test]
fn a_history_without_transactions_is_not_judged() {
    assert_eq!((PROMISE.check)(&History::default()).outcome, Outcome::NotApplicable);
}

#[test]
fn a_cycle_that_is_too_large_for_a_name_is_still_found() {
    // Each list is appended to and then read by another process, and the last read misses the first append.
    let appends = (0..40).map(|n| txn(n as u32, 10 * n..10 * n + 1, 0, &format!("ax{n}")));
    let mut operations: Vec<_> = appends.collect();
    operations.push(txn(100, 500..501, 0, "rx"));
    operations.push(txn(101, 502..503, 0, "rx0,1,2"));
    let history = of(operations);
    let mut transactions = Transactions::of(&history);
    let (mut edges, mut findings) = (Edges::new(&transactions), Findings::default());
    lists::check(&history, &mut transactions, &mut edges, &mut findings);
    let graph = Graph::new(&transactions, edges);
    let named = cycles::find(&graph, cycles::MAX_LOOKED_AT);
    assert_eq!(named.iter().map(|cycle| cycle.class).collect::<Vec<_>>(), ["G-single-realtime"]);
    let unnamed = cycles::find(&graph, 0);
    assert_eq!(unnamed.len(), 1);
    assert!(unnamed[0].class.ends_with("-realtime"), "{unnamed:?}");
}

#[test]
fn an_append_that_the_log_overwrites_is_found_although_nobody_reads() {
    let lists: [&[u64]; 2] = [&[1], &[2]];
    let mut log = log(&[(2, "x", Some(0)), (3, "x", Some(0))]);
    for (commit, list) in log.commits.iter_mut().zip(lists) {
        commit.changes[0].became.as_mut().expect("a put").value = Value::List(list.into());
    }
    let operations = vec![txn(0, 0..9, 2, "ax1"), txn(1, 0..9, 3, "ax2")];
    assert_eq!(found_with(log, operations), ["overwritten append"]);
}
