//! Records of [`Family::Keys`]: every version of every key, by key and then newest first.
//!
//! A key is escaped (`00` becomes `00 FF`) and ends with `00 01`. That keeps the order of the keys, and no
//! escaped key is the beginning of another, so the versions of one key are neighbours. The revision is
//! inverted, so that the first record at or after `(key, r)` is the version that a read at `r` sees.

use bytes::{BufMut, Bytes};
use memchr::memchr_iter;

use super::{Fields, corrupt};
use crate::{
    command::KeyRange,
    engine::{EngineError, Family},
    id::{ChangeId, LeaseId, Revision},
};

const ESCAPED: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 0x01;
/// Follows every record of a key, and comes before every other key.
const PAST_END: u8 = 0x02;
const ID_LEN: usize = 12;
/// Bytes of a record's key behind the key, of which some are escaped.
pub const RECORD_KEY_TAIL: usize = 2 + ID_LEN;

const VERSION: u8 = 1;
const DELETED: u8 = 2;
/// Bytes of a [`Record::Version`] before the value.
pub const VERSION_HEAD: usize = 25;

/// The value of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The key has this value from here on.
    Version {
        /// The revision that created the key, after its last deletion.
        create_revision: Revision,
        /// How often it was written since then, counting from 1.
        version: u64,
        /// The lease it hangs on, or [`LeaseId::NONE`].
        lease: LeaseId,
        /// The value.
        value: &'a [u8],
    },
    /// The key does not exist from here on.
    Deleted,
}

/// Where the records of a range of keys lie: from `start`, up to and without `end`, or to the last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBounds {
    /// At or before the first record.
    pub start: Vec<u8>,
    /// After the last record; `None` when the range has no end.
    pub end: Option<Vec<u8>>,
}

impl KeyBounds {
    /// The bounds of a range.
    pub fn of(range: &KeyRange) -> Self {
        match range {
            KeyRange::Single(key) => {
                let start = record_prefix(key);
                let end = first_past(&start);
                Self { start, end: Some(end) }
            }
            KeyRange::Span { start, end } => {
                Self { start: record_prefix(start), end: Some(record_prefix(end)) }
            }
            KeyRange::From(start) => Self { start: record_prefix(start), end: None },
        }
    }

    /// True when a record at or after `start` lies past the range.
    pub fn ends_before(&self, record_key: &[u8]) -> bool {
        self.end.as_deref().is_some_and(|end| record_key >= end)
    }
}

/// What all records of a key begin with, and no record of another key.
pub fn record_prefix(key: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(key.len() + RECORD_KEY_TAIL);
    put_prefix(&mut prefix, key);
    prefix
}

fn put_prefix(out: &mut impl BufMut, key: &[u8]) {
    let mut copied = 0;
    for zero in memchr_iter(ESCAPED, key) {
        out.put_slice(&key[copied..=zero]);
        out.put_u8(ESCAPED_ZERO);
        copied = zero + 1;
    }
    out.put_slice(&key[copied..]);
    out.put_slice(&[ESCAPED, END]);
}

/// What the records of one key have in common, of anything that begins with it; `None` where there is no end of a key.
pub fn shared_prefix(bytes: &[u8]) -> Option<&[u8]> {
    // A zero within a key is escaped, so the first one that is not ends it.
    let mark = memchr_iter(ESCAPED, bytes).find(|zero| bytes.get(zero + 1) == Some(&END))?;
    Some(&bytes[..mark + 2])
}

/// The place right after the last record with this prefix.
pub fn first_past(prefix: &[u8]) -> Vec<u8> {
    let mut past = prefix.to_vec();
    past.pop();
    past.push(PAST_END);
    past
}

/// The record's key: `prefix` from [`record_prefix`], then the change.
pub fn record_key(mut prefix: Vec<u8>, id: ChangeId) -> Vec<u8> {
    put_id(&mut prefix, id);
    prefix
}

fn put_id(out: &mut impl BufMut, id: ChangeId) {
    out.put_u64(!id.revision.get());
    out.put_u32(!id.sub);
}

/// Writes the key of the record that a change of `key` makes.
pub fn put_record_key(out: &mut impl BufMut, key: &[u8], id: ChangeId) {
    put_prefix(out, key);
    put_id(out, id);
}

/// Takes a record's key apart: its prefix and the change.
pub fn split_record_key(bytes: &[u8]) -> Result<(&[u8], ChangeId), EngineError> {
    let (prefix, tail) =
        bytes.split_last_chunk::<ID_LEN>().ok_or_else(|| corrupt(Family::Keys, "key cut short"))?;
    if !prefix.ends_with(&[ESCAPED, END]) {
        return Err(corrupt(Family::Keys, "key without an end mark"));
    }
    let mut fields = Fields::new(Family::Keys, tail);
    let revision = Revision::new(!fields.u64()?);
    Ok((prefix, ChangeId { revision, sub: !fields.u32()? }))
}

/// The key that a prefix was made from.
pub fn unescape(prefix: &[u8]) -> Result<Bytes, EngineError> {
    let body = prefix
        .strip_suffix(&[ESCAPED, END])
        .ok_or_else(|| corrupt(Family::Keys, "key without an end mark"))?;
    let mut key = Vec::with_capacity(body.len());
    let mut bytes = body.iter();
    while let Some(&byte) = bytes.next() {
        key.push(byte);
        if byte == ESCAPED && bytes.next() != Some(&ESCAPED_ZERO) {
            return Err(corrupt(Family::Keys, "key with a bad escape"));
        }
    }
    Ok(key.into())
}

/// The value of a [`Record::Version`].
pub fn encode_version(create_revision: Revision, version: u64, lease: LeaseId, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VERSION_HEAD + value.len());
    put_version(&mut bytes, create_revision, version, lease, value);
    bytes
}

/// Writes the value of a [`Record::Version`].
pub fn put_version(
    out: &mut impl BufMut,
    create_revision: Revision,
    version: u64,
    lease: LeaseId,
    value: &[u8],
) {
    out.put_u8(VERSION);
    out.put_u64(create_revision.get());
    out.put_u64(version);
    out.put_i64(lease.get());
    out.put_slice(value);
}

/// The value of a [`Record::Deleted`].
pub const fn encode_deleted() -> &'static [u8] {
    &[DELETED]
}

/// The value of a record.
pub fn decode_record(bytes: &[u8]) -> Result<Record<'_>, EngineError> {
    let mut fields = Fields::new(Family::Keys, bytes);
    match fields.layout(DELETED)? {
        VERSION => Ok(Record::Version {
            create_revision: Revision::new(fields.u64()?),
            version: fields.u64()?,
            lease: LeaseId::new(fields.i64()?),
            value: fields.rest,
        }),
        _ => fields.end().map(|()| Record::Deleted),
    }
}
