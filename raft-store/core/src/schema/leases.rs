//! Records of [`Family::Leases`] and [`Family::LeaseKeys`]: which leases exist, and what hangs on them.

use bytes::Bytes;

use super::Fields;
use crate::{
    engine::{EngineError, Family},
    id::LeaseId,
};

const LAYOUT: u8 = 1;

/// The value of every record in [`Family::LeaseKeys`]: the key says it all.
pub const LEASE_KEY_MARK: &[u8] = &[LAYOUT];

/// The key of a lease's record.
pub fn lease_id_key(id: LeaseId) -> [u8; 8] {
    id.get().to_be_bytes()
}

/// Which lease a record's key names.
pub fn decode_lease_id(bytes: &[u8]) -> Result<LeaseId, EngineError> {
    let mut fields = Fields::new(Family::Leases, bytes);
    let id = LeaseId::new(fields.i64()?);
    fields.end()?;
    Ok(id)
}

/// The value of a lease's record: its time to live in seconds.
pub fn encode_lease(ttl_seconds: u32) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    bytes.extend(ttl_seconds.to_be_bytes());
    bytes
}

/// A lease's time to live in seconds.
pub fn decode_lease(bytes: &[u8]) -> Result<u32, EngineError> {
    let mut fields = Fields::new(Family::Leases, bytes);
    fields.layout(LAYOUT)?;
    let ttl_seconds = fields.u32()?;
    fields.end()?;
    Ok(ttl_seconds)
}

/// The key of the record that hangs `key` on a lease.
pub fn lease_key(id: LeaseId, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + key.len());
    bytes.extend(lease_keys_prefix(id));
    bytes.extend_from_slice(key);
    bytes
}

/// What the records of all keys on a lease begin with.
pub fn lease_keys_prefix(id: LeaseId) -> [u8; 8] {
    lease_id_key(id)
}

/// Takes a record's key apart: the lease and the key that hangs on it.
pub fn decode_lease_key(bytes: &[u8]) -> Result<(LeaseId, Bytes), EngineError> {
    let mut fields = Fields::new(Family::LeaseKeys, bytes);
    let id = LeaseId::new(fields.i64()?);
    Ok((id, Bytes::copy_from_slice(fields.rest)))
}
