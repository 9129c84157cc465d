//! The pattern that lies over everything that is written, so that no sector of it reads as never written.
//!
//! In: bytes and their offset in the file. Out: the same bytes, combined with the pattern; twice is not at all.

/// What a disk writes whole or not at all, bytes.
pub const SECTOR: usize = 512;

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

/// Whether a part of these bytes that lies in one sector was never written. The pattern is taken off already.
pub fn has_hole(offset: u64, bytes: &[u8]) -> bool {
    pieces(offset, bytes).any(|(piece, pattern)| piece == pattern)
}

/// Whether none of these bytes was ever written. The pattern is taken off already.
pub fn is_untouched(offset: u64, bytes: &[u8]) -> bool {
    pieces(offset, bytes).all(|(piece, pattern)| piece == pattern)
}

/// How many of these bytes read as if they were never written. The pattern is taken off already.
pub fn untouched(offset: u64, bytes: &[u8]) -> usize {
    pieces(offset, bytes)
        .map(|(piece, pattern)| piece.iter().zip(pattern).filter(|(byte, pattern)| byte == pattern).count())
        .sum()
}

/// The bytes, sector by sector, each piece with its piece of the pattern.
fn pieces(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (&[u8], &'static [u8])> {
    // A sector's length is a power of two.
    let mut start = (offset % SECTOR as u64) as usize;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(rest.len().min(SECTOR - start));
        let pattern = &PATTERN[start..][..piece.len()];
        (start, rest) = (0, behind);
        (!piece.is_empty()).then_some((piece, pattern))
    })
}
