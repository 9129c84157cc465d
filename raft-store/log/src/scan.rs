//! Finds the records of a segment in its bytes.
//!
//! In: a segment's bytes without the pattern, and where it stands among the others. Out: its records and where they end, or
//! where it is damaged. Pure: it reads nothing itself.
//!
//! Deliberately absent: values that are damaged, if nothing else is (L4). Whoever reads one finds it.

use keelson_store_core::engine::Family;

use crate::{
    pattern::{self, UNIT},
    record::{self, HEADER_BYTES, Header, Op, Opening, Salt, Sequence},
};

/// At least so many bytes of a header that is none were never written: bits flipped in room that is still free.
const MOSTLY: usize = HEADER_BYTES * 3 / 4;

/// Where a segment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Others follow, so all of it was durable (L3).
    Sealed,
    /// It was being written to.
    Last,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'p> {
    /// Where it begins.
    pub offset: usize,
    /// Its header.
    pub header: Header,
    /// What it does.
    pub ops: Vec<Op<'p>>,
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan<'p> {
    /// What it says of itself.
    pub opening: Opening,
    /// Its records, the opening one included.
    pub records: Vec<Found<'p>>,
    /// Where the first record begins that nothing proves to be durable.
    pub settled: usize,
    /// Where the next record goes.
    pub end: usize,
    /// Where what was ever written ends: behind `end`, where a crash has left something.
    pub used: usize,
}

impl Scan<'_> {
    /// What has to be written from `settled` on to make all of it durable and what lies behind its end free: the same bytes
    /// once more, and zeros. The pattern lies over it. `plain` is what was scanned.
    pub fn rest(&self, plain: &[u8]) -> Vec<u8> {
        let mut covered = plain[self.settled..self.end].to_vec();
        pattern::cover(self.settled as u64, &mut covered);
        covered.resize(self.used - self.settled, 0);
        covered
    }
}

/// Where a segment is not as it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the file, bytes.
    pub offset: usize,
    /// What does not fit.
    pub detail: &'static str,
}

/// What lies at one place.
enum Step<'p> {
    Record(Found<'p>),
    /// A record that was not written out whole; what can still be read of it.
    Torn(Option<Found<'p>>),
    /// Room that is free.
    Free,
    Damaged(&'static str),
}

/// Reads a segment.
///
/// # Errors
/// It is damaged.
pub fn scan(plain: &[u8], position: Position) -> Result<Scan<'_>, Damage> {
    let (opening, found) = opening(plain)?;
    let mut end = found.offset + found.header.record_len();
    let mut next = found.header.sequence.next();
    let mut records = vec![found];
    loop {
        let damage = |detail| Damage { offset: end, detail };
        let found = match step(plain, end, opening.salt, Some(next)) {
            Step::Damaged(detail) => return Err(damage(detail)),
            Step::Record(found) => found,
            Step::Free if was_durable(plain, end, opening.salt, next) => {
                return Err(damage("a record is missing that was durable"));
            }
            Step::Free => break,
            Step::Torn(readable) => {
                let is_lost = position == Position::Last && !was_durable(plain, end, opening.salt, next);
                match readable {
                    _ if is_lost => break,
                    Some(found) if !has_damaged_meta(plain, &found) => found,
                    Some(_) | None => return Err(damage("a part of a record is missing that was durable")),
                }
            }
        };
        end += found.header.record_len();
        next = next.next();
        records.push(found);
    }
    let used = pattern::used_until(end as u64, &plain[end..]) as usize;
    let settled = settled(&records).unwrap_or(end);
    Ok(Scan { opening, records, settled, end, used })
}

/// Where the first record begins that no other one proves to be durable (L2).
fn settled(records: &[Found<'_>]) -> Option<usize> {
    let durable = records.iter().map(|found| found.header.durable()).max()?;
    records.iter().find(|found| found.header.sequence > durable).map(|found| found.offset)
}

/// The first record of a segment.
fn opening(plain: &[u8]) -> Result<(Opening, Found<'_>), Damage> {
    let damage = |detail| Damage { offset: 0, detail };
    let Step::Record(found) = step(plain, 0, Salt::NONE, None) else {
        return Err(damage("its first record is not the one that belongs there"));
    };
    let Some(Op::Opening(opening)) = found.ops.first() else {
        return Err(damage("its first record says nothing of it"));
    };
    if opening.bytes != plain.len() as u64 {
        return Err(damage("it does not have the length that it was made with"));
    }
    Ok((*opening, found))
}

fn step(plain: &[u8], at: usize, salt: Salt, expected: Option<Sequence>) -> Step<'_> {
    let Some(bytes) = plain.get(at..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>()) else {
        return Step::Free;
    };
    let Some(header) = Header::decode(salt, bytes) else {
        return no_header(at, bytes);
    };
    if expected.is_some_and(|expected| expected != header.sequence) {
        return Step::Damaged("the record there belongs somewhere else");
    }
    let Some(record) = plain[at..].get(..header.record_len()) else {
        return Step::Damaged("a record reaches past the end of the file");
    };
    let is_torn = pattern::has_hole(at as u64, record);
    match record::decode(&header, &record[HEADER_BYTES..]) {
        None if is_torn => Step::Torn(None),
        None => Step::Damaged("a record's checksum does not fit"),
        Some(ops) => {
            let found = Found { offset: at, header, ops };
            if is_torn && damaged(plain, &found).next().is_some() {
                Step::Torn(Some(found))
            } else if has_damaged_meta(plain, &found) {
                Step::Damaged("the checksum of a record beside the entries does not fit")
            } else {
                Step::Record(found)
            }
        }
    }
}

fn no_header(at: usize, bytes: &[u8]) -> Step<'static> {
    let at = at as u64;
    if pattern::untouched(at, bytes) >= MOSTLY {
        Step::Free
    } else if pattern::has_hole(at, bytes) {
        Step::Torn(None)
    } else {
        Step::Damaged("the checksum of a record's header does not fit")
    }
}

/// The families of the values of a record that are not as they were written.
fn damaged(plain: &[u8], found: &Found<'_>) -> impl Iterator<Item = Family> {
    found.ops.iter().filter_map(|op| match op {
        Op::Put { family, value, crc, .. } => {
            let value = &plain[found.offset + value.start..found.offset + value.end];
            (crc32c::crc32c(value) != *crc).then_some(*family)
        }
        Op::Delete { .. } | Op::DeleteRange { .. } | Op::Opening(_) | Op::Oldest(_) => None,
    })
}

fn has_damaged_meta(plain: &[u8], found: &Found<'_>) -> bool {
    damaged(plain, found).any(|family| family == Family::LogMeta)
}

/// Whether a record behind `from` proves that `sequence` was durable (L2).
fn was_durable(plain: &[u8], from: usize, salt: Salt, sequence: Sequence) -> bool {
    (from..plain.len()).step_by(UNIT).any(|at| {
        let header = plain[at..].first_chunk().and_then(|bytes| Header::decode(salt, bytes));
        header.is_some_and(|header| {
            let record = plain[at..].get(HEADER_BYTES..header.record_len());
            header.sequence > sequence
                && header.durable() >= sequence
                && record.is_some_and(|body| record::decode(&header, body).is_some())
        })
    })
}
