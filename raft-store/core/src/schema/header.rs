//! Records of [`Family::Meta`]: the header, and what the Raft adapter keeps here: the membership, and who was removed.

use bytes::Bytes;

use super::{Fields, corrupt};
use crate::{
    engine::{EngineError, Family, Read},
    id::{ChangeId, LogIndex, LogPosition, ReplicaId, Revision, Term},
};

const LAYOUT: u8 = 1;
const HEADER_KEY: &[u8] = b"header";

/// Where the membership lies.
pub const MEMBERSHIP_KEY: &[u8] = b"membership";

/// What a record of a removed replica is; its key says which.
pub const REMOVED_MARK: &[u8] = &[LAYOUT];

/// Where it stands that a replica was removed.
pub fn removed_key(replica: ReplicaId) -> Vec<u8> {
    [b"removed/".as_slice(), &replica.get().to_be_bytes()].concat()
}

/// How far the state has come. Written in the same batch as whatever moved it.
///
/// `swept.revision <= compacted <= revision`, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last log entry in this state; `None` before the first.
    pub applied: Option<LogPosition>,
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision that may be read; 0 before the first compaction.
    pub compacted: Revision,
    /// The last change that the sweep has dealt with. Replicas may differ in this.
    pub swept: ChangeId,
    /// The rolling hash over everything applied. Equal on replicas that applied the same entries.
    pub hash: u64,
}

impl Header {
    /// The header of a store in which nothing has happened.
    pub const FRESH: Self = Self {
        applied: None,
        revision: Revision::FIRST,
        compacted: Revision::ZERO,
        swept: ChangeId::last_of(Revision::ZERO),
        hash: 0,
    };

    /// The header of a state, as it stands in `read`; [`Self::FRESH`] where nothing was ever written.
    ///
    /// Readers take it from the same view as what they read: a header from another moment may allow what the
    /// view no longer has.
    pub fn load(read: &dyn Read) -> Result<Self, EngineError> {
        read.get(Family::Meta, HEADER_KEY)?.map_or(Ok(Self::FRESH), |bytes| Self::decode(&bytes))
    }

    /// Where the header lies.
    pub const fn key() -> &'static [u8] {
        HEADER_KEY
    }

    /// The log index that must be applied next.
    pub fn next_index(&self) -> LogIndex {
        self.applied.map_or(LogIndex::new(0), |at| at.index.next())
    }

    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        let applied = self.applied.unwrap_or_default();
        let mut bytes = Vec::with_capacity(56);
        bytes.extend([LAYOUT, u8::from(self.applied.is_some())]);
        bytes.extend(applied.term.get().to_be_bytes());
        bytes.extend(applied.index.get().to_be_bytes());
        bytes.extend(self.revision.get().to_be_bytes());
        bytes.extend(self.compacted.get().to_be_bytes());
        bytes.extend(self.swept.revision.get().to_be_bytes());
        bytes.extend(self.swept.sub.to_be_bytes());
        bytes.extend(self.hash.to_be_bytes());
        bytes
    }

    /// The record of a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let mut fields = Fields::new(Family::Meta, bytes);
        fields.layout(LAYOUT)?;
        let applied_anything = fields.u8()?;
        let at = LogPosition { term: Term::new(fields.u64()?), index: LogIndex::new(fields.u64()?) };
        let applied = match applied_anything {
            0 => None,
            1 => Some(at),
            other => return Err(corrupt(Family::Meta, format!("header with flag {other}"))),
        };
        let header = Self {
            applied,
            revision: Revision::new(fields.u64()?),
            compacted: Revision::new(fields.u64()?),
            swept: ChangeId { revision: Revision::new(fields.u64()?), sub: fields.u32()? },
            hash: fields.u64()?,
        };
        fields.end()?;
        if header.revision.is_zero()
            || header.compacted > header.revision
            || header.swept.revision > header.compacted
        {
            return Err(corrupt(Family::Meta, format!("header contradicts itself: {header:?}")));
        }
        Ok(header)
    }
}

/// The value of the membership's record.
pub fn encode_membership(membership: &[u8]) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    bytes.extend_from_slice(membership);
    bytes
}

/// The membership in a record's value.
pub fn decode_membership(bytes: &Bytes) -> Result<Bytes, EngineError> {
    let mut fields = Fields::new(Family::Meta, bytes);
    fields.layout(LAYOUT)?;
    Ok(bytes.slice_ref(fields.rest))
}
