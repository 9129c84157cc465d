//! Many keys with their newest versions, packed: a key costs its bytes and some fifty more, and no allocation of its own.
//!
//! A record is the version, the key's length, and the key, one behind the other; an index of places finds it by the key's
//! hash. A newer version is written over the one before.

use std::hash::{BuildHasher, RandomState};

use hashbrown::{HashTable, hash_table::Entry};

use super::Head;
use crate::id::{ChangeId, LeaseId, Revision};

/// A version: whether the key exists, and if so its numbers.
const VERSION_BYTES: usize = 1 + 8 + 4 + 8 + 8 + 8;

/// A version, and how long the key is that follows.
const HEAD_BYTES: usize = VERSION_BYTES + 4;

/// About what the index takes for a key, bytes: a place, a byte of its hash, and room.
const PLACE_BYTES: usize = 8;

/// Keys with their newest versions.
#[derive(Default)]
pub(super) struct Generation {
    records: Vec<u8>,
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Generation {
    /// About what a key of this length takes, bytes.
    pub(super) const fn bytes_of(key: usize) -> usize {
        HEAD_BYTES + key + PLACE_BYTES
    }

    /// About what it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.records.len() + self.places.len() * PLACE_BYTES
    }

    /// A key's version; inside, `None` where it was deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Head>> {
        let hash = self.hasher.hash_one(key);
        let place = self.places.find(hash, |place| key_at(&self.records, *place) == key)?;
        let version = self.records[*place as usize..].first_chunk().expect("a record has a version");
        Some(decode(version))
    }

    /// Sets a key's version.
    pub(super) fn set(&mut self, key: &[u8], head: Option<Head>) {
        let Self { records, places, hasher } = self;
        // A generation is changed for another long before it is so large, and no key is so long.
        let (Ok(next), Ok(length)) = (u32::try_from(records.len()), u32::try_from(key.len())) else { return };
        let is_it = |place: &u32| key_at(records, *place) == key;
        let hash_of = |place: &u32| hasher.hash_one(key_at(records, *place));
        match places.entry(hasher.hash_one(key), is_it, hash_of) {
            Entry::Occupied(known) => {
                let place = *known.get() as usize;
                records[place..place + VERSION_BYTES].copy_from_slice(&encode(head));
            }
            Entry::Vacant(free) => {
                free.insert(next);
                records.extend_from_slice(&encode(head));
                records.extend_from_slice(&length.to_ne_bytes());
                records.extend_from_slice(key);
            }
        }
    }
}

fn key_at(records: &[u8], place: u32) -> &[u8] {
    let (head, rest) = records[place as usize..].split_at(HEAD_BYTES);
    let length = head.last_chunk().map_or(0, |length| u32::from_ne_bytes(*length));
    &rest[..length as usize]
}

fn encode(head: Option<Head>) -> [u8; VERSION_BYTES] {
    let mut bytes = [0; VERSION_BYTES];
    let Some(head) = head else { return bytes };
    bytes[0] = 1;
    bytes[1..9].copy_from_slice(&head.id.revision.get().to_ne_bytes());
    bytes[9..13].copy_from_slice(&head.id.sub.to_ne_bytes());
    bytes[13..21].copy_from_slice(&head.create_revision.get().to_ne_bytes());
    bytes[21..29].copy_from_slice(&head.version.to_ne_bytes());
    bytes[29..].copy_from_slice(&head.lease.get().to_ne_bytes());
    bytes
}

fn decode(bytes: &[u8; VERSION_BYTES]) -> Option<Head> {
    let (exists, rest) = bytes.split_first_chunk::<1>()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let (sub, rest) = rest.split_first_chunk()?;
    let (create_revision, rest) = rest.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let lease = rest.first_chunk()?;
    (*exists == [1]).then(|| Head {
        id: ChangeId {
            revision: Revision::new(u64::from_ne_bytes(*revision)),
            sub: u32::from_ne_bytes(*sub),
        },
        create_revision: Revision::new(u64::from_ne_bytes(*create_revision)),
        version: u64::from_ne_bytes(*version),
        lease: LeaseId::new(i64::from_ne_bytes(*lease)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_and_keys_are_not_taken_for_each_other() {
        let head = |number: u64| Head {
            id: ChangeId { revision: Revision::new(number << 40 | 1), sub: u32::MAX - number as u32 },
            create_revision: Revision::new(number + 7),
            version: u64::MAX - number,
            lease: LeaseId::new(-(number as i64)),
        };
        let mut generation = Generation::default();
        let key = |number: u64| "k".repeat(number as usize % 50).into_bytes();
        for number in 0..50 {
            generation.set(&key(number), Some(head(number)));
        }
        for number in 0..50 {
            assert_eq!(generation.get(&key(number)), Some(Some(head(number))), "{number}");
        }
        let before = generation.bytes();
        generation.set(b"kkk", None);
        generation.set(b"kk", Some(head(99)));
        assert_eq!(generation.get(b"kkk"), Some(None));
        assert_eq!(generation.get(b"kk"), Some(Some(head(99))));
        assert_eq!(generation.get(b"j"), None);
        assert_eq!(generation.bytes(), before, "a newer version takes the place of the former");
    }
}
