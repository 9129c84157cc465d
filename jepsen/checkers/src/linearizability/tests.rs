//! Known histories of one key, good and bad, and the search against all orders that there are.

use proptest::prelude::*;

use super::search::{Searched, search};
use super::step::{OPEN, Order, Sees, State, Step, Then};
use super::*;
use crate::history::{
    Call, CommitLog, Consistency, End, KeyRange, LeaseId, Operation, Returned, Revision, Value,
};
use crate::promise::Outcome;
use crate::testing::{
    classes, delete, failed, log, of, op, read, serializable, swap, txn, unknown, version, write,
};

fn found(operations: Vec<Operation>) -> Vec<&'static str> {
    classes(&PROMISE, &of(operations))
}

fn found_with(log: CommitLog, operations: Vec<Operation>) -> Vec<&'static str> {
    classes(&PROMISE, &History { log: Some(log), ..of(operations) })
}

#[test]
fn operations_that_overlap_may_take_effect_in_any_order() {
    let operations = vec![
        write(0, 0..10, "k", 1, 0),
        write(1, 0..10, "k", 2, 0),
        read(2, 3..4, "k", Some((2, 0)), 0),
        read(2, 5..6, "k", Some((1, 0)), 0),
        read(2, 11..12, "k", Some((1, 0)), 0),
    ];
    assert_eq!(found(operations), [""; 0]);
}

#[test]
fn a_value_that_went_away_does_not_come_back() {
    let operations = vec![
        write(0, 0..10, "k", 1, 0),
        write(1, 0..10, "k", 2, 0),
        read(2, 11..12, "k", Some((2, 0)), 0),
        read(2, 13..14, "k", Some((1, 0)), 0),
    ];
    assert_eq!(found(operations), ["stale read"]);
}

#[test]
fn a_read_that_misses_an_acknowledged_write_is_stale() {
    let operations =
        vec![write(0, 0..1, "k", 1, 2), write(0, 2..3, "k", 2, 3), read(1, 4..5, "k", Some((1, 2)), 3)];
    assert_eq!(found(operations), ["stale read"]);
}

#[test]
fn a_read_that_misses_an_acknowledged_write_is_stale_also_by_its_own_revision() {
    let operations =
        vec![write(0, 0..1, "k", 1, 2), write(0, 2..3, "k", 2, 3), read(1, 4..5, "k", Some((1, 2)), 2)];
    assert_eq!(found(operations).len(), 1);
}

#[test]
fn two_swaps_from_one_version_are_a_lost_update() {
    let operations =
        vec![write(0, 0..1, "k", 1, 2), swap(1, 2..5, "k", (2, 7), 3), swap(2, 2..5, "k", (2, 8), 4)];
    assert_eq!(found(operations), ["lost update"]);
}

#[test]
fn a_value_that_nobody_wrote_is_a_phantom() {
    assert_eq!(found(vec![read(0, 0..1, "k", Some((9, 4)), 4)]), ["phantom read"]);
}

#[test]
fn a_value_of_a_refused_write_is_dirty() {
    let operations = vec![failed(write(0, 0..1, "k", 1, 0)), read(1, 2..3, "k", Some((1, 2)), 2)];
    assert_eq!(found(operations), ["dirty read"]);
}

#[test]
fn a_value_cannot_be_read_before_it_is_written() {
    let operations = vec![read(1, 0..1, "k", Some((1, 2)), 2), write(0, 2..3, "k", 1, 2)];
    assert_eq!(found(operations), ["read from the future"]);
}

#[test]
fn an_unknown_write_may_happen_late_or_never() {
    let late = vec![
        unknown(write(0, 0..1, "k", 1, 0)),
        read(1, 2..3, "k", None, 0),
        read(1, 4..5, "k", Some((1, 0)), 0),
    ];
    assert_eq!(found(late), [""; 0]);
    let never = vec![unknown(write(0, 0..1, "k", 1, 0)), read(1, 9..10, "k", None, 0)];
    assert_eq!(found(never), [""; 0]);
}

#[test]
fn an_unknown_write_happens_once() {
    let operations = vec![
        unknown(write(0, 0..1, "k", 1, 0)),
        write(1, 0..1, "k", 2, 0),
        read(1, 2..3, "k", Some((1, 0)), 0),
        write(1, 4..5, "k", 3, 0),
        read(1, 6..7, "k", Some((1, 0)), 0),
    ];
    assert_eq!(found(operations), ["stale read"]);
}

#[test]
fn the_log_says_that_an_unknown_write_never_happened() {
    let operations = vec![
        write(1, 0..1, "k", 2, 2),
        unknown(write(0, 0..1, "k", 1, 0)),
        read(1, 4..5, "k", Some((1, 3)), 3),
    ];
    assert!(found_with(log(&[(2, "k", Some(2))]), operations).contains(&"dirty read"));
}

#[test]
fn a_delete_of_unknown_outcome_comes_from_the_log() {
    let operations = vec![
        write(0, 0..1, "k", 1, 2),
        unknown(delete(1, 2..3, "k", true, 0)),
        read(0, 4..5, "k", Some((1, 2)), 2),
        read(0, 6..7, "k", None, 3),
    ];
    let log = log(&[(2, "k", Some(1)), (3, "k", None)]);
    assert_eq!(found_with(log.clone(), operations), [""; 0]);
    let early =
        vec![write(0, 0..1, "k", 1, 2), read(0, 2..3, "k", None, 3), unknown(delete(1, 5..6, "k", true, 0))];
    assert_eq!(found_with(log, early), ["revision against real time"]);
}

#[test]
fn a_delete_in_a_transaction_of_unknown_outcome_comes_from_the_log_too() {
    let operations = vec![
        write(0, 0..1, "k", 1, 2),
        unknown(txn(1, 2..3, 0, "dk gz_")),
        read(0, 4..5, "k", None, 3),
        unknown(delete(2, 9..10, "k", true, 0)),
    ];
    assert_eq!(found_with(log(&[(2, "k", Some(1)), (3, "k", None)]), operations), [""; 0]);
}

#[test]
fn of_two_transactions_that_delete_at_one_revision_one_found_nothing() {
    let log = || log(&[(2, "k", Some(1)), (3, "k", None)]);
    let both = |second: Operation| {
        vec![write(0, 0..1, "k", 1, 2), txn(1, 2..9, 3, "dk"), second, read(0, 12..13, "k", None, 3)]
    };
    assert_eq!(found_with(log(), both(txn(2, 10..11, 3, "dk"))), [""; 0]);
    assert_eq!(found_with(log(), both(delete(2, 4..5, "k", true, 3))), [""; 0]);
    assert_eq!(found_with(log(), both(unknown(delete(2, 1..2, "k", true, 0)))), [""; 0]);
    assert_eq!(found_with(log(), both(txn(2, 4..5, 3, "gk1 dk"))), [""; 0]);
    let nobody_asked_yet = vec![
        write(0, 0..1, "k", 1, 2),
        read(1, 2..3, "k", None, 3),
        txn(1, 4..5, 3, "dk"),
        txn(2, 6..7, 3, "dk"),
    ];
    assert_eq!(found_with(log(), nobody_asked_yet), ["revision against real time"]);
    let still_there = both(read(2, 10..11, "k", Some((1, 2)), 3));
    assert_eq!(found_with(log(), still_there)[0], "stale read");
}

#[test]
fn unknown_steps_that_changed_nothing_do_not_make_the_search_long() {
    let maybe = (0..60).map(|n| unknown(write(100 + n as u32, 0..1, "k", 1000 + n, 0)));
    let deletes = (0..40).map(|n| unknown(delete(200 + n, 0..1, "k", true, 0)));
    let sure = (0..40).flat_map(|n| {
        let time = 10 * n;
        [write(0, time..time + 1, "k", n, 0), delete(0, time + 2..time + 3, "k", true, 0)]
    });
    let stale = [read(0, 900..901, "k", None, 0), read(0, 902..903, "k", Some((3, 0)), 0)];
    let operations = maybe.chain(deletes).chain(sure).chain(stale).collect();
    assert_eq!(found(operations), ["stale read"]);
}

#[test]
fn revisions_must_follow_real_time() {
    let operations = vec![write(0, 0..1, "k", 1, 3), write(0, 2..3, "k", 2, 2)];
    assert_eq!(found(operations), ["revision against real time"]);
}

#[test]
fn a_delete_answers_whether_there_was_a_key() {
    let good = vec![write(0, 0..1, "k", 1, 2), delete(0, 2..3, "k", true, 3), delete(0, 4..5, "k", false, 3)];
    assert_eq!(found(good), [""; 0]);
    let bad = vec![write(0, 0..1, "k", 1, 2), delete(0, 2..3, "k", false, 2)];
    assert_eq!(found(bad), ["stale read"]);
    assert_eq!(found(vec![delete(0, 2..3, "k", true, 2)]), ["wrong delete"]);
}

#[test]
fn a_failed_swap_saw_what_the_key_was() {
    let refused = |current, revision| {
        let call = Call::CompareAndSet { key: "k".into(), expected: Revision(9), value: 5 };
        let current = Some(version(current));
        op(1, 4..5, call, Returned::CompareAndSet { revision: Revision(revision), swapped: false, current })
    };
    let writes = || vec![write(0, 0..1, "k", 1, 2), write(0, 2..3, "k", 2, 3)];
    let with = |last| writes().into_iter().chain([last]).collect();
    assert_eq!(found(with(refused((2, 3), 3))), [""; 0]);
    assert_eq!(found(with(refused((1, 2), 3))), ["stale read"]);
}

#[test]
fn registers_of_transactions_are_keys_too() {
    let operations =
        vec![txn(0, 0..1, 2, "wx1 wy2"), txn(0, 2..3, 3, "gx1 wx3 gx3"), txn(1, 4..5, 3, "gx1 gy2")];
    assert_eq!(found(operations), ["stale read"]);
}

#[test]
fn a_serializable_read_may_be_old_but_not_wrong() {
    let operations = |seen, at| {
        vec![
            write(0, 0..1, "k", 1, 2),
            write(0, 2..3, "k", 2, 3),
            serializable(read(1, 4..5, "k", Some(seen), at)),
        ]
    };
    assert_eq!(found(operations((1, 2), 2)), [""; 0]);
    assert_eq!(found(operations((1, 2), 3)), ["read is not of its revision"]);
    let log = log(&[(2, "k", Some(1)), (3, "k", Some(2))]);
    assert_eq!(found_with(log.clone(), operations((1, 2), 2)), [""; 0]);
    assert_eq!(found_with(log, operations((1, 2), 3)), ["read is not of its revision"]);
}

#[test]
fn a_list_is_the_state_of_its_revision() {
    let log = log(&[(2, "a", Some(1)), (3, "b", Some(2)), (4, "a", None)]);
    let list = |items: &[(&str, (u64, u64))], revision| {
        let items = items.iter().map(|(key, found)| ((*key).into(), version(*found))).collect();
        let call = Call::List { range: KeyRange::all(), revision: None, consistency: Consistency::default() };
        vec![op(0, 0..1, call, Returned::List { revision: Revision(revision), items })]
    };
    assert_eq!(found_with(log.clone(), list(&[("a", (1, 2)), ("b", (2, 3))], 3)), [""; 0]);
    assert_eq!(found_with(log.clone(), list(&[("b", (2, 3))], 4)), [""; 0]);
    for torn in
        [list(&[("a", (1, 2))], 3), list(&[("a", (1, 2)), ("b", (2, 3))], 4), list(&[("b", (2, 9))], 4)]
    {
        assert_eq!(found_with(log.clone(), torn), ["read is not of its revision"]);
    }
}

#[test]
fn a_history_without_keys_is_not_judged() {
    assert_eq!((PROMISE.check)(&History::default()).outcome, Outcome::NotApplicable);
}

fn step() -> impl Strategy<Value = Step> {
    let sees = prop_oneof![
        Just(Sees::Anything),
        Just(Sees::Absent),
        Just(Sees::Present),
        (1..4_u64).prop_map(|value| Sees::Version { value, revision: 0 }),
    ];
    let then = prop_oneof![
        2 => Just(Then::Same),
        2 => (1..4_u64).prop_map(|value| Then::Put { value, revision: 0 }),
        1 => Just(Then::Delete),
    ];
    let order = prop_oneof![3 => Just(0), 1 => 1..5_u64];
    (0..8_u64, 0..5_u64, 0..5_u8, order, sees, then).prop_map(
        |(invoked, takes, kind, revision, sees, then)| {
            let must = kind != 0 || then == Then::Same;
            let order = if then == Then::Same { Order::read(revision) } else { Order::wrote(revision) };
            Step {
                op: 0,
                invoked,
                returned: if must && kind != 1 { invoked + takes } else { OPEN },
                must,
                order: order.filter(|_| must),
                sees,
                then,
            }
        },
    )
}

/// Whether some order exists, by trying each.
fn brute_force(steps: &[Step], left: &[usize], state: State) -> bool {
    if left.iter().all(|&step| !steps[step].must) {
        return true;
    }
    (0..left.len()).any(|place| {
        let step = &steps[left[place]];
        let others = || left.iter().map(|&other| &steps[other]).filter(|other| other.must);
        let too_early = others().any(|other| other.returned < step.invoked)
            || step.order.is_some()
                && others().any(|other| other.order.is_some_and(|order| Some(order) < step.order));
        if too_early || !step.sees.allows(state) {
            return false;
        }
        let mut rest = left.to_vec();
        rest.remove(place);
        brute_force(steps, &rest, step.then.after(state))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn the_search_agrees_with_trying_every_order(steps in proptest::collection::vec(step(), 1..8)) {
        let all = brute_force(&steps, &(0..steps.len()).collect::<Vec<_>>(), State::Absent);
        prop_assert_eq!(matches!(search(&steps), Searched::Linearizable), all);
    }
}

fn list(time: std::ops::Range<u64>, revision: u64, items: &[(&str, (u64, u64))]) -> Operation {
    let call = Call::List { range: KeyRange::all(), revision: None, consistency: Consistency::Linearizable };
    let items = items.iter().map(|(key, seen)| ((*key).into(), version(*seen))).collect();
    op(50, time, call, Returned::List { revision: Revision(revision), items })
}

#[test]
fn without_a_log_a_list_that_lacks_a_write_is_found() {
    let writes = || vec![write(0, 0..1, "a", 1, 2), write(0, 2..3, "b", 2, 3), write(0, 4..5, "a", 3, 4)];
    let with = |read| found(writes().into_iter().chain([read]).collect());
    let not_of_it = ["read is not of its revision"];
    assert_eq!(with(list(6..7, 4, &[("a", (3, 4)), ("b", (2, 3))])), [""; 0]);
    assert_eq!(with(list(6..7, 4, &[("a", (1, 2)), ("b", (2, 3))])), not_of_it);
    assert_eq!(with(list(6..7, 4, &[("a", (3, 4))])), not_of_it);
    assert_eq!(with(list(6..7, 4, &[("a", (9, 0)), ("b", (2, 3))])), ["phantom read"]);
}

#[test]
fn without_a_log_a_serializable_read_of_what_nobody_wrote_is_found() {
    let with = |seen| found(vec![write(0, 0..1, "a", 1, 2), serializable(read(1, 2..3, "a", Some(seen), 2))]);
    assert_eq!(with((1, 2)), [""; 0]);
    assert_eq!(with((9, 2)), ["phantom read"]);
    let refused = vec![failed(write(0, 0..1, "a", 1, 0)), serializable(read(1, 2..3, "a", Some((1, 2)), 2))];
    assert_eq!(found(refused), ["dirty read"]);
}

#[test]
fn a_read_at_a_revision_that_the_store_has_not_got_to_is_found() {
    let at = |asked| {
        let mut read = read(1, 2..3, "a", Some((1, 2)), 2);
        read.call = Call::Read {
            key: "a".into(),
            revision: Some(Revision(asked)),
            consistency: Consistency::Linearizable,
        };
        found(vec![write(0, 0..1, "a", 1, 2), read])
    };
    assert_eq!(at(2), [""; 0]);
    assert_eq!(at(3), ["read of the future"]);
}

#[test]
fn a_read_of_a_list_alone_is_not_judged_as_one_of_a_register() {
    let mut read = read(1, 4..5, "x", Some((0, 2)), 2);
    if let End::Ok { returned: Returned::Read { found: Some(found), .. }, .. } = &mut read.end {
        found.value = Value::List([1].into());
    }
    let operations = vec![txn(0, 0..1, 2, "ax1"), write(0, 2..3, "k", 7, 3), read];
    assert_eq!(found(operations), [""; 0]);
}

#[test]
fn the_greatest_revisions_keep_their_order() {
    let last = u64::MAX - 1;
    let operations = vec![
        write(0, 0..9, "a", 1, last - 1),
        write(1, 0..9, "a", 2, last),
        read(2, 0..9, "a", Some((1, last - 1)), last - 1),
        read(3, 0..9, "a", Some((2, last)), last),
    ];
    assert_eq!(found(operations), [""; 0]);
}

#[test]
fn a_lease_that_the_key_does_not_live_by_is_found() {
    let mut seen = read(1, 2..3, "a", Some((1, 2)), 2);
    if let End::Ok { returned: Returned::Read { found: Some(found), .. }, .. } = &mut seen.end {
        found.lease = LeaseId(9);
    }
    let operations = vec![write(0, 0..1, "a", 1, 2), seen];
    assert_eq!(found_with(log(&[(2, "a", Some(1))]), operations), ["read is not of its revision"]);
}
