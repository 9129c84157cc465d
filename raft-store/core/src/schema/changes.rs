//! Records of [`Family::Changes`]: what each revision changed, in order.
//!
//! A change names its key and the version that it replaced; the value that it set lies in [`Family::Keys`]
//! under the same key and [`ChangeId`], so that nothing is stored twice.

use bytes::BufMut;

use super::{Fields, corrupt};
use crate::{
    engine::{EngineError, Family},
    id::{ChangeId, Revision},
};

const PUT: u8 = 1;
const DELETE: u8 = 2;
/// Bytes of a change's record before the key.
pub const CHANGE_HEAD: usize = 13;

/// What a change did to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Gave it a value.
    Put,
    /// Removed it.
    Delete,
}

/// The value of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRecord<'a> {
    /// What was done.
    pub kind: ChangeKind,
    /// The version that existed before, where one did.
    pub previous: Option<ChangeId>,
    /// To which key.
    pub key: &'a [u8],
}

/// The key of a change's record.
pub fn change_key(id: ChangeId) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&id.revision.get().to_be_bytes());
    key[8..].copy_from_slice(&id.sub.to_be_bytes());
    key
}

/// Which change a record's key names.
pub fn decode_change_key(bytes: &[u8]) -> Result<ChangeId, EngineError> {
    let mut fields = Fields::new(Family::Changes, bytes);
    let id = ChangeId { revision: Revision::new(fields.u64()?), sub: fields.u32()? };
    fields.end()?;
    Ok(id)
}

/// The value of a change's record.
pub fn encode_change(change: ChangeRecord<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHANGE_HEAD + change.key.len());
    put_change(&mut bytes, change);
    bytes
}

/// Writes the value of a change's record.
pub fn put_change(out: &mut impl BufMut, change: ChangeRecord<'_>) {
    out.put_u8(match change.kind {
        ChangeKind::Put => PUT,
        ChangeKind::Delete => DELETE,
    });
    out.put_slice(&change_key(change.previous.unwrap_or_default()));
    out.put_slice(change.key);
}

/// What a record says.
pub fn decode_change(bytes: &[u8]) -> Result<ChangeRecord<'_>, EngineError> {
    let mut fields = Fields::new(Family::Changes, bytes);
    let kind = match fields.layout(DELETE)? {
        PUT => ChangeKind::Put,
        _ => ChangeKind::Delete,
    };
    let previous = ChangeId { revision: Revision::new(fields.u64()?), sub: fields.u32()? };
    let previous = match (previous.revision.is_zero(), previous.sub) {
        (true, 0) => None,
        (true, _) => return Err(corrupt(Family::Changes, "a previous change without a revision")),
        (false, _) => Some(previous),
    };
    Ok(ChangeRecord { kind, previous, key: fields.rest })
}
