//! What lies in the state store, byte by byte.
//!
//! In: revisions, keys, leases, the header. Out: the bytes of their records, and back again.
//!
//! | family | key | value |
//! |---|---|---|
//! | `Keys` | escaped key, `!revision` u64, `!sub` u32 | `1`, create revision u64, version u64, lease i64, value; or `2` (deleted) |
//! | `Changes` | revision u64, sub u32 | `1` (put) or `2` (deleted), previous revision u64, previous sub u32, key |
//! | `Leases` | id i64 | `1`, time to live u32 (seconds) |
//! | `LeaseKeys` | id i64, key | `1` |
//! | `Meta` | `header` | see [`Header`] |
//! | `Meta` | `membership` | `1`, bytes that only the Raft adapter understands |
//! | `Meta` | `auth` | `1`, users and roles ([`crate::auth`]); absent while there were none |
//!
//! Numbers are big-endian. Every value starts with a byte that says which layout follows. A byte from the
//! future is [`EngineError::TooNew`], anything else that does not fit is [`EngineError::Corrupt`]: what comes
//! from a disk is never trusted, and never a panic.
//!
//! Deliberately absent: checksums (the engine's promise E6) and what the records mean ([`crate::mvcc`]).

mod auth;
mod changes;
mod header;
mod keys;
mod leases;

pub use auth::{AUTH_KEY, decode_auth, encode_auth};
pub use changes::{
    CHANGE_HEAD, ChangeKind, ChangeRecord, change_key, decode_change, decode_change_key, encode_change,
    put_change,
};
pub use header::{Header, MEMBERSHIP_KEY, REMOVED_MARK, decode_membership, encode_membership, removed_key};
pub use keys::{
    KeyBounds, RECORD_KEY_TAIL, Record, VERSION_HEAD, decode_record, encode_deleted, encode_version,
    first_past, put_record_key, put_version, record_key, record_prefix, shared_prefix, split_record_key,
    unescape,
};
pub use leases::{
    LEASE_KEY_MARK, decode_lease, decode_lease_id, decode_lease_key, encode_lease, lease_id_key, lease_key,
    lease_keys_prefix,
};

use crate::engine::{EngineError, Family};

/// Takes fixed-size numbers off the front of a record.
struct Fields<'a> {
    family: Family,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(family: Family, bytes: &'a [u8]) -> Self {
        Self { family, rest: bytes }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| corrupt(self.family, "cut short"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, EngineError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, EngineError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, EngineError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, EngineError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Takes the layout byte, of which this program knows `1..=known`.
    fn layout(&mut self, known: u8) -> Result<u8, EngineError> {
        match self.u8()? {
            0 => Err(corrupt(self.family, "layout 0")),
            found if found > known => Err(EngineError::TooNew {
                what: self.family.name().to_owned(),
                found: found.into(),
                known: known.into(),
            }),
            layout => Ok(layout),
        }
    }

    fn end(self) -> Result<(), EngineError> {
        if self.rest.is_empty() { Ok(()) } else { Err(corrupt(self.family, "too long")) }
    }
}

/// The error for a record that is not what this program would have written.
pub(crate) fn corrupt(family: Family, detail: impl Into<String>) -> EngineError {
    EngineError::Corrupt { what: family.name().to_owned(), detail: detail.into() }
}

#[cfg(test)]
mod tests;
