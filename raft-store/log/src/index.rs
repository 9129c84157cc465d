//! What a log holds, and where.
//!
//! In: the ops of records, in order. Out: by key, the records beside the entries themselves, and of the entries the places
//! of their values; and of each segment, how many entries it still has.

use std::{borrow::Borrow, cmp::Ordering, collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use keelson_store_core::engine::{EngineError, Family};

use crate::{
    error::refused,
    record::{Op, Refusal},
    segment::Segment,
};

/// Where the value of an entry lies in its file.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    segment: Arc<Segment>,
    offset: u64,
    len: usize,
    crc: u32,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// In memory.
    Here(Bytes),
    /// In a file.
    There(Extent),
}

/// A family.
pub(crate) type Slots = BTreeMap<Key, Slot>;

/// Length of the keys of entries.
const SHORT: usize = 8;

/// A key. Those of entries, of which there are many, take no room of their own.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// One of an entry's length.
    Short([u8; SHORT]),
    /// Any other.
    Other(Box<[u8]>),
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(key) => key,
            Self::Other(key) => key,
        }
    }
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        key.try_into().map_or_else(|_| Self::Other(key.into()), Self::Short)
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // The order of numbers that are written from the highest byte on is that of their bytes.
            (Self::Short(one), Self::Short(two)) => u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*two)),
            _ => (**self).cmp(other),
        }
    }
}

/// All contents at one moment. A clone costs nothing, but the next change while it lives copies the family that it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    meta: Arc<Slots>,
    entries: Arc<Slots>,
}

impl Slot {
    /// The value.
    pub(crate) fn load(&self) -> Result<Bytes, EngineError> {
        match self {
            Self::Here(value) => Ok(value.clone()),
            Self::There(Extent { segment, offset, len, crc }) => segment.read(*offset, *len, *crc),
        }
    }
}

impl Index {
    /// What a family holds.
    pub(crate) fn slots(&self, family: Family) -> Result<&Slots, EngineError> {
        match family {
            Family::LogMeta => Ok(&self.meta),
            Family::LogEntries => Ok(&self.entries),
            Family::Meta | Family::Keys | Family::Changes | Family::Leases | Family::LeaseKeys => {
                Err(refused(Refusal::Family(family)))
            }
        }
    }

    /// The value under a key.
    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.slots(family)?.get(key).map(Slot::load).transpose()
    }

    /// Takes in one op of a record that lies at `at` in a segment; `record` is the record.
    pub(crate) fn take_in(&mut self, segment: &Arc<Segment>, at: u64, record: &[u8], op: &Op<'_>) {
        match op {
            Op::Opening(_) | Op::Oldest(_) => {}
            Op::Put { family, key, value, crc } => {
                let slot = if *family == Family::LogMeta {
                    Slot::Here(Bytes::copy_from_slice(&record[value.clone()]))
                } else {
                    segment.gains();
                    let offset = at + value.start as u64;
                    Slot::There(Extent { segment: segment.clone(), offset, len: value.len(), crc: *crc })
                };
                let replaced = self.change(*family).insert((*key).into(), slot);
                replaced.iter().for_each(goes);
            }
            Op::Delete { family, key } => self.change(*family).remove(*key).iter().for_each(goes),
            Op::DeleteRange { family, start, end } => self.remove(*family, start, end),
        }
    }

    fn remove(&mut self, family: Family, start: &[u8], end: &[u8]) {
        if start >= end {
            return;
        }
        let slots = self.change(family);
        let range = (Bound::Included(start), Bound::Excluded(end));
        let keys: Vec<_> = slots.range::<[u8], _>(range).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| slots.remove(key)).for_each(|slot| goes(&slot));
    }

    /// The contents of a family, to be changed; whoever has a clone keeps what it has.
    fn change(&mut self, family: Family) -> &mut Slots {
        Arc::make_mut(if family == Family::LogMeta { &mut self.meta } else { &mut self.entries })
    }
}

/// A value is not the log's any more.
fn goes(slot: &Slot) {
    if let Slot::There(extent) = slot {
        extent.segment.loses();
    }
}
