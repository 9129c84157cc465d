//! A filter over keys: a Bloom filter in blocks, which never denies a key that it was given.
//!
//! In: keys. Out: of a key that was given, yes; of any other, no, but for one in fifty. A key costs 12 to 24 bits. It grows by
//! parts, each twice as large as the one before, so that nothing has to be made anew; a question looks into each of them at one
//! place.
//!
//! The blocks are those of Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007): a key has all
//! its bits within 32 bytes, one in each of eight words.
//!
//! Hashes have no random part: whether the filter denies a key must not differ from run to run, for a seed of the simulation
//! decides everything. Who chooses keys to be alike makes it deny less, and puts slower, by a search each.

use xxhash_rust::xxh3::xxh3_64;

/// Bits for each key of a part.
const BITS_PER_KEY: usize = 12;

/// Keys of the first part: 192 KiB.
const FIRST_KEYS: usize = 1 << 17;

/// Eight words with a bit each for every key.
type Block = [u32; 8];

/// By what a hash is multiplied for the bit in each word: odd numbers, those of the split-block filter of Apache Parquet.
const SALTS: Block =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Knows which keys it was given.
#[derive(Default)]
pub(super) struct KeyFilter {
    parts: Vec<Part>,
}

struct Part {
    blocks: Vec<Block>,
    keys: usize,
}

impl KeyFilter {
    /// Takes a key in.
    pub(super) fn insert(&mut self, key: &[u8]) {
        let hash = xxh3_64(key);
        let is_full = self.parts.last().is_none_or(|part| part.keys >= FIRST_KEYS << (self.parts.len() - 1));
        if is_full {
            self.parts.push(Part::for_keys(FIRST_KEYS << self.parts.len()));
        }
        if let Some(part) = self.parts.last_mut() {
            part.insert(hash);
        }
    }

    /// False only if the key was not given.
    pub(super) fn may_contain(&self, key: &[u8]) -> bool {
        let hash = xxh3_64(key);
        self.parts.iter().any(|part| part.may_contain(hash))
    }

    /// How many keys it was given; twice the same counts twice.
    pub(super) fn keys(&self) -> usize {
        self.parts.iter().map(|part| part.keys).sum()
    }
}

impl Part {
    fn for_keys(keys: usize) -> Self {
        Self { blocks: vec![Block::default(); keys * BITS_PER_KEY / 8 / size_of::<Block>()], keys: 0 }
    }

    fn insert(&mut self, hash: u64) {
        let place = self.place(hash);
        for (word, bit) in self.blocks[place].iter_mut().zip(bits(hash)) {
            *word |= bit;
        }
        self.keys += 1;
    }

    fn may_contain(&self, hash: u64) -> bool {
        self.blocks[self.place(hash)].iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
    }

    /// The upper half of the hash chooses the block, the lower half the bits.
    fn place(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

fn bits(hash: u64) -> Block {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_that_was_given_is_denied_and_few_others_are_not() {
        let mut filter = KeyFilter::default();
        let key = |number: usize| format!("/registry/pods/default/web-{number:08}").into_bytes();
        assert!(!filter.may_contain(&key(0)), "an empty filter denies all");
        let given = 3 * FIRST_KEYS + 5;
        for number in 0..given {
            filter.insert(&key(number));
            assert!(filter.may_contain(&key(number)), "{number}");
        }
        assert_eq!(filter.parts.len(), 3, "it has grown twice");
        assert_eq!(filter.keys(), given);
        assert!((0..given).all(|number| filter.may_contain(&key(number))));
        let wrong = (given..2 * given).filter(|number| filter.may_contain(&key(*number))).count();
        assert!(wrong * 50 < given, "{wrong} of {given} others are not denied");
    }
}
