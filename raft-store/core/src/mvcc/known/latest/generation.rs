//! Many keys with their newest versions, packed: a key costs its bytes and some thirty more, and no allocation of its own.
//!
//! A record is the key's length, the key, the length of the room for a version, and the version, whose numbers take as many
//! bytes as they need. An index of places finds it by the key's hash. A newer version is written over the one before, or,
//! where that has not enough room, which is rare, in a record behind all others; the former is lost with the generation.

use hashbrown::{HashTable, hash_table::Entry};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Head;
use crate::id::{ChangeId, LeaseId, Revision};

/// The longest version: a mark and five numbers.
const LONGEST: usize = 1 + 5 * 10;

/// The length of a key.
const LENGTH_BYTES: usize = 4;

/// About what the index takes for a key, bytes: a place, a byte of its hash, and room.
const PLACE_BYTES: usize = 8;

/// How keys are hashed, unlike in any other process: whoever chooses keys does not choose their places.
#[derive(Clone, Copy)]
pub(super) struct Salt(pub(super) u64);

impl Salt {
    pub(super) fn hash(self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.0)
    }
}

/// Keys with their newest versions.
#[derive(Default)]
pub(super) struct Generation {
    records: Vec<u8>,
    places: HashTable<u32>,
}

impl Generation {
    /// What a key of this length takes at most, bytes.
    pub(super) const fn bytes_of(key: usize) -> usize {
        LENGTH_BYTES + key + 1 + LONGEST + PLACE_BYTES
    }

    /// About what it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.records.len() + self.places.len() * PLACE_BYTES
    }

    /// The version of a key with this hash; inside, `None` where it was deleted.
    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<Option<Head>> {
        let place = self.places.find(hash, |place| key_at(&self.records, *place) == key)?;
        Some(decode(&self.records[room_at(&self.records, *place)]))
    }

    /// Sets a key's version.
    pub(super) fn set(&mut self, salt: Salt, key: &[u8], head: Option<Head>) {
        let Self { records, places } = self;
        // A generation is changed for another long before it is so large, and no key is so long.
        let (Ok(next), Ok(length)) = (u32::try_from(records.len()), u32::try_from(key.len())) else { return };
        let (version, used) = encode(head);
        let version = &version[..used];
        let is_it = |place: &u32| key_at(records, *place) == key;
        let hash_of = |place: &u32| salt.hash(key_at(records, *place));
        match places.entry(salt.hash(key), is_it, hash_of) {
            Entry::Occupied(mut known) => {
                let room = room_at(records, *known.get());
                if let Some(room) = records[room].get_mut(..used) {
                    room.copy_from_slice(version);
                    return;
                }
                *known.get_mut() = next;
            }
            Entry::Vacant(free) => drop(free.insert(next)),
        }
        records.extend_from_slice(&length.to_ne_bytes());
        records.extend_from_slice(key);
        records.push(used as u8);
        records.extend_from_slice(version);
    }
}

fn key_at(records: &[u8], place: u32) -> &[u8] {
    let (length, rest) = records[place as usize..].split_at(LENGTH_BYTES);
    let length = length.first_chunk().map_or(0, |length| u32::from_ne_bytes(*length));
    &rest[..length as usize]
}

/// Where the version of a record has room.
fn room_at(records: &[u8], place: u32) -> std::ops::Range<usize> {
    let length = place as usize + LENGTH_BYTES + key_at(records, place).len();
    let begin = length + 1;
    begin..begin + usize::from(records[length])
}

/// A version, and how many bytes of it are used.
fn encode(head: Option<Head>) -> ([u8; LONGEST], usize) {
    let mut bytes = [0; LONGEST];
    let Some(head) = head else { return (bytes, 1) };
    bytes[0] = 1;
    let numbers = [
        head.id.revision.get(),
        u64::from(head.id.sub),
        head.create_revision.get(),
        head.version,
        head.lease.get().cast_unsigned(),
    ];
    let used = numbers.into_iter().fold(1, |at, number| at + write(number, &mut bytes[at..]));
    (bytes, used)
}

fn decode(mut bytes: &[u8]) -> Option<Head> {
    let exists = bytes.split_off_first()? == &1;
    let mut number = || read(&mut bytes);
    exists.then(|| Head {
        id: ChangeId { revision: Revision::new(number()), sub: number() as u32 },
        create_revision: Revision::new(number()),
        version: number(),
        lease: LeaseId::new(number().cast_signed()),
    })
}

/// Seven bits a byte, the lowest first, a mark on all but the last; answers how many bytes.
fn write(mut number: u64, to: &mut [u8]) -> usize {
    let mut at = 0;
    while number >= 0x80 {
        to[at] = number as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    to[at] = number as u8;
    at + 1
}

fn read(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    let mut shift = 0;
    while let Some(byte) = bytes.split_off_first() {
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
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
        let (mut generation, salt) = (Generation::default(), Salt(7));
        let key = |number: u64| "k".repeat(number as usize % 50).into_bytes();
        for number in 0..50 {
            generation.set(salt, &key(number), Some(head(number)));
        }
        for number in 0..50 {
            assert_eq!(
                generation.get(salt.hash(&key(number)), &key(number)),
                Some(Some(head(number))),
                "{number}"
            );
        }
        let before = generation.bytes();
        generation.set(salt, b"kkk", None);
        generation.set(salt, b"kk", Some(head(2)));
        assert_eq!(generation.bytes(), before, "a newer version takes the place of the former");
        assert_eq!(generation.get(salt.hash(b"kk"), b"kk"), Some(Some(head(2))));
        generation.set(salt, b"kk", Some(head(99)));
        assert_eq!(generation.get(salt.hash(b"kkk"), b"kkk"), Some(None));
        assert_eq!(generation.get(salt.hash(b"kk"), b"kk"), Some(Some(head(99))));
        assert_eq!(generation.get(salt.hash(b"j"), b"j"), None);
        generation.set(salt, b"kkk", Some(head(7)));
        assert_eq!(
            generation.get(salt.hash(b"kkk"), b"kkk"),
            Some(Some(head(7))),
            "also where it needs more room"
        );
    }
}
