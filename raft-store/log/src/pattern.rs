//! The pattern that lies over everything that is written, so that nothing of it reads as never written.
//!
//! In: bytes and their offset in the file. Out: the same bytes, combined with the pattern; twice is not at all.

/// What a disk writes whole or not at all, bytes.
pub const SECTOR: usize = 512;

/// How much of what was not written can be told from what was, bytes. A record begins at a multiple of this. It is smaller
/// than a sector: a page may be written out while a part of a record is still being copied into it.
pub const UNIT: usize = 16;

/// Random enough that nobody's data equals it.
const PATTERN: [u8; SECTOR] = pattern();

/// Marsaglia's xorshift.
const fn pattern() -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut at = 0;
    while at < SECTOR {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[at] = state.to_le_bytes()[7];
        at += 1;
    }
    bytes
}

/// Lays the pattern over bytes that lie at `offset`, or takes it away.
pub fn cover(offset: u64, bytes: &mut [u8]) {
    // A sector's length is a power of two.
    let mut start = (offset % SECTOR as u64) as usize;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at_mut(rest.len().min(SECTOR - start));
        piece.iter_mut().zip(&PATTERN[start..]).for_each(|(byte, pattern)| *byte ^= pattern);
        (start, rest) = (0, behind);
    }
}

/// Whether a unit of these bytes was never written. The pattern is taken off already.
pub fn has_hole(offset: u64, bytes: &[u8]) -> bool {
    units(offset, bytes).any(|(unit, pattern)| unit == pattern)
}

/// How many of these bytes read as if they were never written. The pattern is taken off already.
pub fn untouched(offset: u64, bytes: &[u8]) -> usize {
    let same = |(unit, pattern): (&[u8], &[u8])| unit.iter().zip(pattern).filter(|(a, b)| a == b).count();
    units(offset, bytes).map(same).sum()
}

/// Where what was ever written ends, from `offset` on, to a unit. The pattern is taken off already.
pub fn used_until(offset: u64, bytes: &[u8]) -> u64 {
    let mut at = offset;
    let mut used = offset;
    for (unit, pattern) in units(offset, bytes) {
        at += unit.len() as u64;
        if unit != pattern {
            used = at;
        }
    }
    used
}

/// The bytes, unit by unit, each with its piece of the pattern.
fn units(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (&[u8], &'static [u8])> {
    // Both lengths are powers of two.
    let mut start = (offset % SECTOR as u64) as usize;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (unit, behind) = rest.split_at(rest.len().min(UNIT - start % UNIT));
        let pattern = &PATTERN[start..][..unit.len()];
        (start, rest) = ((start + unit.len()) % SECTOR, behind);
        (!unit.is_empty()).then_some((unit, pattern))
    })
}
