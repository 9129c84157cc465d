//! Leases: which exist (replicated state) and when they end (the leader's own clockwork).
//!
//! In: the state's [`Family::Leases`] and [`Family::LeaseKeys`]. Out: what leases there are and what hangs on
//! them; [`Lessor`] says which are due, so that the leader proposes to revoke them.
//!
//! Deliberately absent: a clock. A lease ends only when a [`LeaseRevoke`](crate::command::Command::LeaseRevoke)
//! is applied, on all replicas alike; time decides only when the leader proposes that.

mod lessor;

pub use lessor::{Lessor, Millis, Remaining, RenewError};

use bytes::Bytes;

use crate::{
    engine::{EngineError, Family, Read},
    id::LeaseId,
    mvcc::Overlay,
    schema,
};

/// A lease that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// How long it lives without being renewed, in seconds.
    pub ttl_seconds: u32,
}

/// The time to live of a lease in seconds, if the lease exists.
pub fn find(read: &dyn Read, id: LeaseId) -> Result<Option<u32>, EngineError> {
    let record = read.get(Family::Leases, &schema::lease_id_key(id))?;
    record.map(|bytes| schema::decode_lease(&bytes)).transpose()
}

/// All leases.
pub fn all(read: &dyn Read) -> Result<Vec<Lease>, EngineError> {
    let mut leases = Vec::new();
    let mut cursor = read.cursor(Family::Leases);
    cursor.seek(&[])?;
    while let Some((key, value)) = cursor.entry() {
        leases.push(Lease { id: schema::decode_lease_id(key)?, ttl_seconds: schema::decode_lease(value)? });
        cursor.next()?;
    }
    Ok(leases)
}

/// The keys that hang on a lease, sorted.
pub fn keys(read: &dyn Read, id: LeaseId) -> Result<Vec<Bytes>, EngineError> {
    first_keys(read, id, usize::MAX)
}

/// The same, but not more than so many.
pub fn first_keys(read: &dyn Read, id: LeaseId, limit: usize) -> Result<Vec<Bytes>, EngineError> {
    let mut keys = Vec::new();
    let mut cursor = read.cursor(Family::LeaseKeys);
    cursor.seek(&schema::lease_keys_prefix(id))?;
    while let Some((record_key, _)) = cursor.entry().filter(|_| keys.len() < limit) {
        let (lease, key) = schema::decode_lease_key(record_key)?;
        if lease != id {
            break;
        }
        keys.push(key);
        cursor.next()?;
    }
    Ok(keys)
}

/// Makes a lease. The caller knows that there is none of this id.
pub(crate) fn grant(state: &mut Overlay<'_>, lease: Lease) {
    let key = schema::lease_id_key(lease.id).to_vec();
    state.put(Family::Leases, key, schema::encode_lease(lease.ttl_seconds));
}

/// Removes a lease. What hung on it is the caller's to delete.
pub(crate) fn remove(state: &mut Overlay<'_>, id: LeaseId) {
    state.delete(Family::Leases, schema::lease_id_key(id).to_vec());
}

/// Moves a key from one lease to another; either may be [`LeaseId::NONE`].
pub(crate) fn move_key(state: &mut Overlay<'_>, key: &[u8], from: LeaseId, to: LeaseId) {
    if from == to {
        return;
    }
    if !from.is_none() {
        state.delete(Family::LeaseKeys, schema::lease_key(from, key));
    }
    if !to.is_none() {
        state.put(Family::LeaseKeys, schema::lease_key(to, key), schema::LEASE_KEY_MARK);
    }
}
