//! A snapshot file, byte by byte.
//!
//! ```text
//! "KEELSNAP" | format u32 | record … | zeros up to a multiple of 512 | SHA-256 of all before
//! record: kind u8 | length u32 | body
//! ```
//!
//! | kind | body |
//! |---|---|
//! | 1, the first | cluster u64, replica u64, revision u64, taken at u64 (milliseconds since 1970) |
//! | 2, a key | revision u64, sub u32, create revision u64, version u64, lease i64, key's length u32, key, value |
//! | 3, a lease | id i64, time to live u32 (seconds) |
//! | 4, the last | keys u64, leases u64, contents u64 (XXH3 over all records but the first and the last) |
//! | 7, the second, in format 2 | 0 u64, users and roles as the core keeps them, without the key of tokens |
//!
//! A file of format 1 has no users and roles. It is written where there are none, so that older programs read it.
//!
//! A journal (`journal`) has the same records in frames, and two more kinds:
//!
//! | kind | body |
//! |---|---|
//! | 5, a deletion | revision u64, key |
//! | 6, the end of a frame | revision u64, written at u64 (milliseconds since 1970) |
//! | 7 | the revision u64 at which they became so, users and roles |
//!
//! Numbers are big-endian. The length is etcd's trick: a file of N · 512 + 32 bytes is one that ends in a
//! checksum, and newer `etcdctl` refuse any other.

use bytes::Bytes;
use keelson_store_core::{
    command::KeyValue,
    id::{ChangeId, ClusterId, LeaseId, ReplicaId, Revision},
    lease::Lease,
};

/// What a file begins with.
pub(super) const MAGIC: &[u8; 8] = b"KEELSNAP";
/// The format that has no users and roles.
pub(super) const FIRST_FORMAT: u32 = 1;
/// The newest format.
pub(super) const FORMAT: u32 = 2;
/// The part without the checksum is a multiple of this.
pub(super) const BLOCK: u64 = 512;
/// Bytes of the checksum.
pub(super) const DIGEST_LEN: u64 = 32;
/// Kind and length of a record.
pub(super) const RECORD_HEAD: usize = 5;
/// The longest record that is believed. Far beyond what a request can put.
pub(super) const MAX_RECORD: u32 = 64 << 20;

const HEAD: u8 = 1;
const KEY: u8 = 2;
const LEASE: u8 = 3;
const END: u8 = 4;
const DELETION: u8 = 5;
const MOMENT: u8 = 6;
const AUTH: u8 = 7;

/// Whose state a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The cluster that it is from.
    pub cluster: ClusterId,
    /// The replica that it was taken at.
    pub replica: ReplicaId,
    /// The store's revision.
    pub revision: Revision,
    /// When it was taken, in milliseconds since 1970 by the clock of that replica's machine.
    pub taken_ms: u64,
}

/// What a file holds, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Keys.
    pub keys: u64,
    /// Leases.
    pub leases: u64,
    /// A hash over them all, in order: the same after a restore.
    pub contents: u64,
}

/// A record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Head(Head),
    /// A key's version; the second number counts within its revision.
    Key(KeyValue, u32),
    Lease(Lease),
    End(Totals),
    Deletion {
        revision: Revision,
        key: Bytes,
    },
    /// All changes up to the revision come before it, and it was written then.
    Moment {
        revision: Revision,
        written_ms: u64,
    },
    /// Users and roles, and the revision at which they became so.
    Auth {
        revision: Revision,
        record: Bytes,
    },
}

/// Bytes that are no record of a snapshot file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It ends in the middle of something.
    #[error("a record is cut short")]
    Short,
    /// It goes on where it should end.
    #[error("a record is longer than what it says")]
    Long,
    /// Kinds are numbered from 1 to 7.
    #[error("a record is of the unknown kind {0}")]
    Kind(u8),
}

impl Record {
    /// Appends the record.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend([0; RECORD_HEAD]);
        let kind = match self {
            Self::Head(head) => {
                let numbers = [head.cluster.get(), head.replica.get(), head.revision.get(), head.taken_ms];
                put_numbers(bytes, &numbers);
                HEAD
            }
            Self::Key(kv, sub) => {
                put_key(bytes, kv, *sub);
                KEY
            }
            Self::Lease(lease) => {
                bytes.extend(lease.id.get().to_be_bytes());
                bytes.extend(lease.ttl_seconds.to_be_bytes());
                LEASE
            }
            Self::End(totals) => {
                put_numbers(bytes, &[totals.keys, totals.leases, totals.contents]);
                END
            }
            Self::Deletion { revision, key } => {
                bytes.extend(revision.get().to_be_bytes());
                bytes.extend_from_slice(key);
                DELETION
            }
            Self::Moment { revision, written_ms } => {
                put_numbers(bytes, &[revision.get(), *written_ms]);
                MOMENT
            }
            Self::Auth { revision, record } => {
                bytes.extend(revision.get().to_be_bytes());
                bytes.extend_from_slice(record);
                AUTH
            }
        };
        let length = bytes.len() - start - RECORD_HEAD;
        bytes[start] = kind;
        let length = u32::try_from(length).expect("keys and values have the length of a request");
        bytes[start + 1..][..4].copy_from_slice(&length.to_be_bytes());
    }

    /// The record of a kind and a body.
    pub(super) fn decode(kind: u8, body: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields(body);
        let record = match kind {
            HEAD => Self::Head(Head {
                cluster: ClusterId::new(fields.u64()?),
                replica: ReplicaId::new(fields.u64()?),
                revision: Revision::new(fields.u64()?),
                taken_ms: fields.u64()?,
            }),
            KEY => fields.key()?,
            LEASE => Self::Lease(Lease { id: LeaseId::new(fields.i64()?), ttl_seconds: fields.u32()? }),
            END => Self::End(Totals { keys: fields.u64()?, leases: fields.u64()?, contents: fields.u64()? }),
            DELETION => {
                let revision = Revision::new(fields.u64()?);
                Self::Deletion { revision, key: std::mem::take(&mut fields.0).to_vec().into() }
            }
            MOMENT => Self::Moment { revision: Revision::new(fields.u64()?), written_ms: fields.u64()? },
            AUTH => {
                let revision = Revision::new(fields.u64()?);
                Self::Auth { revision, record: std::mem::take(&mut fields.0).to_vec().into() }
            }
            unknown => return Err(FormatError::Kind(unknown)),
        };
        if fields.0.is_empty() { Ok(record) } else { Err(FormatError::Long) }
    }
}

/// Where the checksum stands in a file whose records end at `len`.
pub(super) const fn sealed_len(len: u64) -> u64 {
    len.next_multiple_of(BLOCK)
}

fn put_numbers(bytes: &mut Vec<u8>, numbers: &[u64]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

fn put_key(bytes: &mut Vec<u8>, kv: &KeyValue, sub: u32) {
    bytes.extend(kv.mod_revision.get().to_be_bytes());
    bytes.extend(sub.to_be_bytes());
    put_numbers(bytes, &[kv.create_revision.get(), kv.version]);
    bytes.extend(kv.lease.get().to_be_bytes());
    let key_len = u32::try_from(kv.key.len()).expect("a key has the length of a request");
    bytes.extend(key_len.to_be_bytes());
    bytes.extend_from_slice(&kv.key);
    bytes.extend_from_slice(&kv.value);
}

/// Takes fields off the front of a body.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(FormatError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_be_bytes)
    }

    fn key(&mut self) -> Result<Record, FormatError> {
        let id = ChangeId { revision: Revision::new(self.u64()?), sub: self.u32()? };
        let (create_revision, version) = (Revision::new(self.u64()?), self.u64()?);
        let lease = LeaseId::new(self.i64()?);
        let key_len = self.u32()? as usize;
        let (key, value) = self.0.split_at_checked(key_len).ok_or(FormatError::Short)?;
        let (key, value) = (key.to_vec().into(), value.to_vec().into());
        self.0 = &[];
        let kv = KeyValue { key, value, create_revision, mod_revision: id.revision, version, lease };
        Ok(Record::Key(kv, id.sub))
    }
}
