//! Leases that are gone while they certainly live.

use keelson_checkers::history::{Call, End, History, Key, LeaseId, Nanos, Operation, Returned};

use super::answers::{returned, shuffled};
use crate::model::Random;

/// The model's leases live for two seconds.
const TTL: u64 = 2_000_000_000;

/// Whether the lease lives from one moment to another: it was renewed shortly before, and nobody can have revoked it.
fn is_alive(history: &History, id: LeaseId, from: Nanos, to: Nanos) -> bool {
    let renewed = history.operations.iter().any(|operation| {
        let renewal = match (&operation.call, operation.answer()) {
            (
                Call::LeaseKeepAlive { id: other },
                Some((at, Returned::LeaseKeepAlive { ttl_seconds, .. })),
            ) => *other == id && *ttl_seconds > 0 && at < from,
            (Call::LeaseGrant { id: other, .. }, Some((at, _))) => *other == id && at < from,
            _ => false,
        };
        renewal && to.0 < operation.invoked.0 + TTL
    });
    let maybe_revoked = history.operations.iter().any(|operation| {
        operation.call == Call::LeaseRevoke { id }
            && operation.invoked <= to
            && !matches!(operation.end, End::Failed { .. })
    });
    renewed && !maybe_revoked
}

fn was_attached(history: &History, id: LeaseId, key: &Key, before: Nanos) -> bool {
    history.operations.iter().any(|operation| match (&operation.call, operation.answer()) {
        (
            Call::LeaseAttach { id: other, key: at, .. },
            Some((ended, Returned::LeaseAttach { attached: true, .. })),
        ) => *other == id && at == key && ended < before,
        _ => false,
    })
}

/// Somebody asks for the lease and does not find it.
pub(crate) fn lease_gone(history: &mut History, random: &mut Random) -> Option<()> {
    let mut asked =
        shuffled(history, random, |number, operation| match (&operation.call, operation.answer()?) {
            (
                Call::LeaseTimeToLive { id },
                (ended, Returned::LeaseTimeToLive { remaining_seconds: Some(_), .. }),
            ) => Some((number, *id, operation.invoked, ended)),
            _ => None,
        });
    let (number, ..) = asked.find(|(_, id, from, to)| is_alive(history, *id, *from, *to))?;
    if let Returned::LeaseTimeToLive { remaining_seconds, .. } = returned(history, number) {
        *remaining_seconds = None;
    }
    Some(())
}

/// Somebody reads a key of the lease and does not find it.
pub(crate) fn key_gone(history: &mut History, random: &mut Random) -> Option<()> {
    let mut reads =
        shuffled(history, random, |number, operation| match (&operation.call, operation.answer()?) {
            (Call::LeaseKeyRead { key }, (ended, Returned::LeaseKeyRead { holder: Some(id), .. })) => {
                Some((number, key.clone(), *id, operation.invoked, ended))
            }
            _ => None,
        });
    let (number, ..) = reads.find(|(_, key, id, from, to)| {
        was_attached(history, *id, key, *from) && is_alive(history, *id, *from, *to)
    })?;
    if let Returned::LeaseKeyRead { holder, .. } = returned(history, number) {
        *holder = None;
    }
    Some(())
}

/// Somebody was told that the lease is gone, and later somebody renews it.
pub(crate) fn lease_back(history: &mut History, random: &mut Random) -> Option<()> {
    let gone = |number: usize, operation: &Operation| match (&operation.call, operation.answer()?) {
        (Call::LeaseKeepAlive { id }, (ended, Returned::LeaseKeepAlive { ttl_seconds: 0, .. })) => {
            Some((number, *id, operation.invoked, ended))
        }
        _ => None,
    };
    let all: Vec<_> = shuffled(history, random, gone).collect();
    let granted = |id: LeaseId, before: Nanos| {
        history.operations.iter().any(|operation| {
            matches!(operation.call, Call::LeaseGrant { id: other, .. } if other == id)
                && operation.answer().is_some_and(|(ended, _)| ended < before)
        })
    };
    let (number, ..) = all.iter().find(|(_, id, invoked, _)| {
        let before = |(_, other, asked, ended): &(usize, LeaseId, Nanos, Nanos)| {
            other == id && ended < invoked && granted(*id, *asked)
        };
        all.iter().any(before)
    })?;
    if let Returned::LeaseKeepAlive { ttl_seconds, .. } = returned(history, *number) {
        *ttl_seconds = 2;
    }
    Some(())
}
