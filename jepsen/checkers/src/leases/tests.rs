//! Known lives of leases; times in seconds.

use std::ops::Range;

use super::*;
use crate::history::{Bounds, FaultEvent, FaultPhase, Operation};
use crate::testing::{at, classes, op, unknown};

const SECOND: u64 = 1_000_000_000;
const HEADER: Revision = Revision(0);
const LEASE: LeaseId = LeaseId(7);

fn timed(process: u32, time: Range<u64>, call: Call, returned: Returned) -> Operation {
    op(process, time.start * SECOND..time.end * SECOND, call, returned)
}

fn grant(time: Range<u64>, ttl_seconds: u32) -> Operation {
    grant_of(LEASE, time, ttl_seconds)
}

fn grant_of(id: LeaseId, time: Range<u64>, ttl_seconds: u32) -> Operation {
    timed(
        id.0 as u32,
        time,
        Call::LeaseGrant { id, ttl_seconds },
        Returned::LeaseGrant { revision: HEADER, ttl_seconds },
    )
}

fn renew(time: Range<u64>, ttl_seconds: u32) -> Operation {
    timed(
        1,
        time,
        Call::LeaseKeepAlive { id: LEASE },
        Returned::LeaseKeepAlive { revision: HEADER, ttl_seconds },
    )
}

fn attach(id: LeaseId, time: Range<u64>, revision: u64) -> Operation {
    let call = Call::LeaseAttach { id, key: "l".into(), value: revision };
    timed(
        20 + id.0 as u32,
        time,
        call,
        Returned::LeaseAttach { revision: Revision(revision), attached: true },
    )
}

fn key(time: Range<u64>, holder: Option<LeaseId>) -> Operation {
    timed(
        3,
        time,
        Call::LeaseKeyRead { key: "l".into() },
        Returned::LeaseKeyRead { revision: HEADER, holder },
    )
}

fn remaining(time: Range<u64>, remaining_seconds: Option<u32>) -> Operation {
    let returned = Returned::LeaseTimeToLive { revision: HEADER, remaining_seconds };
    timed(4, time, Call::LeaseTimeToLive { id: LEASE }, returned)
}

fn revoke(time: Range<u64>) -> Operation {
    timed(5, time, Call::LeaseRevoke { id: LEASE }, Returned::LeaseRevoke { revision: HEADER, revoked: true })
}

fn history(operations: Vec<Operation>) -> History {
    let mut history = crate::testing::of(operations);
    history.meta.bounds = Bounds { lease_expiry: Some(at(2 * SECOND)), ..Bounds::default() };
    history
}

fn found(operations: Vec<Operation>) -> Vec<&'static str> {
    classes(&PROMISE, &history(operations))
}

#[test]
fn a_lease_that_ends_in_time_passes() {
    let operations = vec![
        grant(0..1, 5),
        attach(LEASE, 1..2, 2),
        key(3..4, Some(LEASE)),
        renew(4..5, 5),
        remaining(5..6, Some(4)),
        // It may end from 9 on, and is gone by 12.
        key(7..8, Some(LEASE)),
        key(8..10, None),
        key(13..14, None),
    ];
    assert_eq!(found(operations), [""; 0]);
}

#[test]
fn a_lease_that_ends_before_its_time_is_found() {
    assert_eq!(found(vec![grant(0..1, 5), remaining(2..4, None)]), ["lease ended early"]);
    assert_eq!(found(vec![grant(0..1, 5), renew(2..4, 0)]), ["lease ended early"]);
    let renewed = vec![grant(0..1, 5), renew(4..5, 5), remaining(6..8, None)];
    assert_eq!(found(renewed), ["lease ended early"]);
    let key_alone = vec![grant(0..1, 5), attach(LEASE, 1..2, 2), key(3..4, None)];
    assert_eq!(found(key_alone), ["key is gone early"]);
}

#[test]
fn clocks_that_drift_shorten_what_is_certain() {
    let mut history = history(vec![grant(0..1, 10), remaining(8..9, None)]);
    assert_eq!(classes(&PROMISE, &history), ["lease ended early"]);
    history.meta.bounds.clock_drift_ppm = 200_000;
    assert_eq!(classes(&PROMISE, &history), [""; 0]);
}

#[test]
fn a_key_with_two_holders_is_found() {
    let other = LeaseId(8);
    let operations =
        vec![grant(0..1, 9), grant_of(other, 0..1, 9), attach(LEASE, 1..2, 2), attach(other, 3..4, 3)];
    assert_eq!(found(operations), ["two holders"]);
}

#[test]
fn a_lease_that_was_revoked_is_gone() {
    let operations = vec![grant(0..1, 9), revoke(2..3), remaining(4..5, None)];
    assert_eq!(found(operations), [""; 0]);
    let renewed = vec![grant(0..1, 9), revoke(2..3), renew(4..5, 9)];
    assert_eq!(found(renewed), ["lease outlives its revocation"]);
    let maybe = vec![grant(0..1, 9), unknown(revoke(2..3)), remaining(4..5, None), remaining(6..7, None)];
    assert_eq!(found(maybe), [""; 0]);
}

fn refused_revoke(time: Range<u64>) -> Operation {
    let returned = Returned::LeaseRevoke { revision: HEADER, revoked: false };
    timed(6, time, Call::LeaseRevoke { id: LEASE }, returned)
}

#[test]
fn what_is_gone_stays_gone() {
    let came_back = "lease came back";
    assert_eq!(found(vec![grant(0..1, 2), remaining(5..6, None), renew(7..8, 0)]), [""; 0]);
    // Asked for before the grant was through, it may not have been there yet.
    assert_eq!(found(vec![grant(0..3, 9), remaining(1..2, None), renew(4..5, 9)]), [""; 0]);
    let seen = vec![grant(0..1, 3), remaining(4..5, None), renew(6..7, 3)];
    assert_eq!(found(seen), [came_back]);
    assert_eq!(found(vec![grant(0..1, 3), refused_revoke(4..5), renew(6..7, 3)]), [came_back]);
    let attached = vec![grant(0..1, 9), revoke(2..3), attach(LEASE, 4..5, 2)];
    assert_eq!(found(attached), ["lease outlives its revocation"]);
}

#[test]
fn a_lease_is_revoked_once() {
    let mut second = revoke(2..5);
    second.process = crate::history::ProcessId(6);
    assert_eq!(found(vec![grant(0..1, 9), revoke(2..5), second]), ["lease revoked twice"]);
    assert_eq!(found(vec![grant(0..1, 9), revoke(2..5), refused_revoke(3..5)]), [""; 0]);
}

#[test]
fn what_lives_by_a_lease_that_nobody_granted_is_found() {
    assert_eq!(found(vec![attach(LEASE, 1..2, 2)]), ["lease that nobody granted"]);
    let later = vec![key(1..2, Some(LEASE)), grant(3..4, 9)];
    assert_eq!(found(later), ["lease that nobody granted"]);
    assert_eq!(found(vec![unknown(grant(0..1, 9)), attach(LEASE, 2..3, 2)]), [""; 0]);
}

#[test]
fn a_lease_that_lives_on_for_minutes_is_found() {
    let operations = vec![grant(0..1, 2), remaining(602..603, Some(1)), renew(604..605, 2)];
    assert_eq!(found(operations), ["lease ended late", "more time than is left", "lease ended late"]);
}

#[test]
fn lateness_counts_from_the_last_disturbance() {
    let event = |second, phase| FaultEvent {
        at: at(second * SECOND),
        fault: "partition".to_owned(),
        targets: Vec::new(),
        phase,
    };
    let with = |seen: Range<u64>| {
        let mut history = history(vec![grant(0..1, 5), remaining(seen, Some(0))]);
        history.faults = vec![event(2, FaultPhase::Began), event(20, FaultPhase::Healed)];
        classes(&PROMISE, &history)
    };
    assert_eq!(with(18..19), [""; 0]);
    assert_eq!(with(27..28), [""; 0]);
    assert_eq!(with(28..29), ["lease ended late"]);
}

#[test]
fn a_lease_that_does_not_end_is_found_in_a_healthy_cluster_only() {
    let operations = || vec![grant(0..1, 5), attach(LEASE, 1..2, 2), key(9..10, Some(LEASE))];
    assert_eq!(found(operations()), ["lease ended late"]);
    let mut struck = history(operations());
    struck.faults = vec![FaultEvent {
        at: at(4 * SECOND),
        fault: "kill".to_owned(),
        targets: Vec::new(),
        phase: FaultPhase::Struck,
    }];
    assert_eq!(classes(&PROMISE, &struck), [""; 0]);
    let maybe_renewed = vec![grant(0..1, 5), unknown(renew(4..5, 5)), remaining(9..10, Some(1))];
    assert_eq!(found(maybe_renewed), [""; 0]);
}

#[test]
fn more_time_than_was_granted_is_found() {
    assert_eq!(found(vec![grant(0..1, 5), remaining(2..3, Some(6))]), ["more time than was granted"]);
    assert_eq!(found(vec![grant(0..1, 10), renew(2..3, 1000)]), ["other time than was granted"]);
    assert_eq!(found(vec![grant(0..1, 10), remaining(8..9, Some(10))]), ["more time than is left"]);
    assert_eq!(found(vec![grant(0..1, 10), remaining(2..3, Some(9))]), [""; 0]);
}
