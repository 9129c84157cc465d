//! Known lives of leases; times in seconds.

use std::ops::Range;

use super::*;
use crate::history::{Bounds, FaultEvent, Operation};
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
}
