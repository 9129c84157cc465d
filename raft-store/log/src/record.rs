//! How a batch lies in a segment.
//!
//! In: a [`Batch`]. Out: bytes, and where each value lies in them; and the same of bytes that are read.
//!
//! ```text
//! record   header (32 bytes), heads, values, zeros up to a multiple of 16
//! header   magic 4, sequence u64, pending u32, length of heads u32, of values u32, checksum of heads u32, of this u32
//! head     kind u8, family u8, two lengths u32, checksum u32, key, for a range its end
//! ```
//!
//! Numbers are little-endian, checksums CRC-32C. A head has the checksum of its value, so that a damaged value damages
//! nothing else (L4). The checksum of a header begins with the segment's [`Salt`]: nobody can make a value that is taken for
//! a record.
//! Deliberately absent: the pattern that lies over it in the file.

use std::ops::Range;

use bytes::Bytes;
use keelson_store_core::engine::{Batch, Family, Write};

use crate::pattern::UNIT;

/// Length of a header.
pub const HEADER_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"KLR1";
const HEAD_BYTES: usize = 14;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;
const OPENING: u8 = 4;
const OLDEST: u8 = 5;

const META: u8 = 0;
const ENTRIES: u8 = 1;

/// Counts the records of a log, across segments, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The record after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The record before this one, which is not the first.
    pub const fn before(self) -> Self {
        Self(self.0 - 1)
    }
}

/// Drawn for each segment, and known to nobody who can choose values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub u32);

impl Salt {
    /// That of a segment's opening record, which tells the other one.
    pub const NONE: Self = Self(0);
}

/// What stands before a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which record it is.
    pub sequence: Sequence,
    /// How many records right before it were not known to be durable when it was made.
    pub pending: u32,
    heads_len: u32,
    values_len: u32,
    heads_crc: u32,
}

impl Header {
    /// The last record that was durable when this one was made.
    pub const fn durable(&self) -> Sequence {
        Sequence(self.sequence.0.saturating_sub(1 + self.pending as u64))
    }

    /// Length of the heads.
    pub const fn heads_len(&self) -> usize {
        self.heads_len as usize
    }

    /// Length of the record, padding included.
    pub const fn record_len(&self) -> usize {
        (HEADER_BYTES + self.heads_len as usize + self.values_len as usize).next_multiple_of(UNIT)
    }

    /// Reads a header; `None` when its checksum does not fit.
    pub fn decode(salt: Salt, bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (facts, crc) = bytes.split_last_chunk::<4>()?;
        if !facts.starts_with(&MAGIC) || crc32c::crc32c_append(salt.0, facts) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut fields = Fields(&facts[MAGIC.len()..]);
        Some(Self {
            sequence: Sequence(fields.u64()?),
            pending: fields.u32()?,
            heads_len: fields.u32()?,
            values_len: fields.u32()?,
            heads_crc: fields.u32()?,
        })
    }

    fn encode(&self, salt: Salt) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(self.sequence.0.to_le_bytes());
        for number in [self.pending, self.heads_len, self.values_len, self.heads_crc] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c_append(salt.0, &bytes).to_le_bytes());
        bytes.try_into().expect("the fields are of fixed lengths, which add up to the header's")
    }
}

/// What one write of a batch does, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<'b> {
    /// Sets a key.
    Put {
        /// Where.
        family: Family,
        /// The key.
        key: &'b [u8],
        /// Where its value lies in the record.
        value: Range<usize>,
        /// The value's checksum.
        crc: u32,
    },
    /// Removes a key.
    Delete {
        /// Where.
        family: Family,
        /// The key.
        key: &'b [u8],
    },
    /// Removes the keys in `start..end`.
    DeleteRange {
        /// Where.
        family: Family,
        /// First key to go.
        start: &'b [u8],
        /// First key to stay.
        end: &'b [u8],
    },
    /// The first of a segment.
    Opening(Opening),
    /// Segments before this one do not count any more.
    Oldest(u64),
}

/// Why a batch is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The log has no such family.
    Family(Family),
    /// Its keys or its values are longer than 4 GiB.
    TooLong,
}

/// What a segment's first record says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which segment.
    pub number: u64,
    /// Its length, bytes.
    pub bytes: u64,
    /// The oldest one that counts.
    pub oldest: u64,
    /// That of the records behind this one.
    pub salt: Salt,
}

/// Where a record stands in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the beginning of a segment.
    First(Opening),
    /// Behind others, in the segment with this salt.
    Behind(Salt),
}

/// A batch that a log has room for: its families are the log's, its bytes less than 4 GiB.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'b>(&'b Batch);

impl<'b> Checked<'b> {
    /// Checks a batch.
    ///
    /// # Errors
    /// It is about something else, or too long.
    pub fn new(batch: &'b Batch) -> Result<Self, Refusal> {
        let mut bytes = 0;
        for write in &batch.writes {
            let (family, first, second) = match write {
                Write::Put { family, key, value } => (*family, key.len(), value.len()),
                Write::Delete { family, key } => (*family, key.len(), 0),
                Write::DeleteRange { family, start, end } => (*family, start.len(), end.len()),
            };
            if code(family).is_none() {
                return Err(Refusal::Family(family));
            }
            bytes += HEAD_BYTES + first + second;
        }
        if bytes < u32::MAX as usize { Ok(Self(batch)) } else { Err(Refusal::TooLong) }
    }
}

/// Appends the record of a batch to `out`, whose end must be aligned; answers what it does.
pub fn encode<'b>(
    place: Place,
    sequence: Sequence,
    pending: u32,
    Checked(batch): Checked<'b>,
    out: &mut Vec<u8>,
) -> Vec<Op<'b>> {
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    let mut ops = Vec::with_capacity(batch.writes.len() + 1);
    let salt = match place {
        Place::First(opening) => {
            encode_opening(opening, out);
            ops.push(Op::Opening(opening));
            Salt::NONE
        }
        Place::Behind(salt) => salt,
    };
    let own = ops.len();
    ops.extend(batch.writes.iter().map(|write| encode_head(write, out)));
    let heads_len = out.len() - start - HEADER_BYTES;
    for (op, write) in ops[own..].iter_mut().zip(&batch.writes) {
        if let (Op::Put { value, .. }, Write::Put { value: bytes, .. }) = (op, write) {
            *value = out.len() - start..out.len() - start + bytes.len();
            out.extend_from_slice(bytes);
        }
    }
    finish(salt, sequence, pending, heads_len, start, out);
    ops
}

/// Appends a record that says which segment is the oldest that counts, to `out`, whose end must be aligned.
pub fn encode_oldest(salt: Salt, sequence: Sequence, pending: u32, oldest: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    head(out, OLDEST, META, [0, 0], 0);
    out.extend(oldest.to_le_bytes());
    let heads_len = out.len() - start - HEADER_BYTES;
    finish(salt, sequence, pending, heads_len, start, out);
}

/// Gives a record that begins at `start` its header and its padding.
fn finish(salt: Salt, sequence: Sequence, pending: u32, heads_len: usize, start: usize, out: &mut Vec<u8>) {
    let values_len = out.len() - start - HEADER_BYTES - heads_len;
    let heads_crc = crc32c::crc32c(&out[start + HEADER_BYTES..][..heads_len]);
    // A checked batch is shorter than 4 GiB, and what is added to it is a few bytes.
    let (heads_len, values_len) = (heads_len as u32, values_len as u32);
    let header = Header { sequence, pending, heads_len, values_len, heads_crc };
    out[start..start + HEADER_BYTES].copy_from_slice(&header.encode(salt));
    out.resize(start + header.record_len(), 0);
}

fn encode_opening(opening: Opening, out: &mut Vec<u8>) {
    head(out, OPENING, META, [0, 0], 0);
    for number in [opening.number, opening.bytes, opening.oldest] {
        out.extend(number.to_le_bytes());
    }
    out.extend(opening.salt.0.to_le_bytes());
}

/// Appends the head of a write; answers what it does, without the place of its value.
fn encode_head<'b>(write: &'b Write, out: &mut Vec<u8>) -> Op<'b> {
    let code = |family| code(family).expect("a checked batch has families of a log only");
    // So much was checked, too.
    let length = |bytes: &Bytes| bytes.len() as u32;
    match write {
        Write::Put { family, key, value } => {
            let crc = crc32c::crc32c(value);
            head(out, PUT, code(*family), [length(key), length(value)], crc);
            out.extend_from_slice(key);
            Op::Put { family: *family, key, value: 0..0, crc }
        }
        Write::Delete { family, key } => {
            head(out, DELETE, code(*family), [length(key), 0], 0);
            out.extend_from_slice(key);
            Op::Delete { family: *family, key }
        }
        Write::DeleteRange { family, start, end } => {
            head(out, DELETE_RANGE, code(*family), [length(start), length(end)], 0);
            out.extend_from_slice(start);
            out.extend_from_slice(end);
            Op::DeleteRange { family: *family, start, end }
        }
    }
}

fn head(out: &mut Vec<u8>, kind: u8, family: u8, lengths: [u32; 2], crc: u32) {
    out.extend([kind, family]);
    for number in [lengths[0], lengths[1], crc] {
        out.extend(number.to_le_bytes());
    }
}

/// What a record does: `body` is what follows its header. `None` when its heads are not as they were written.
pub fn decode<'b>(header: &Header, body: &'b [u8]) -> Option<Vec<Op<'b>>> {
    let heads = body.get(..header.heads_len())?;
    if crc32c::crc32c(heads) != header.heads_crc {
        return None;
    }
    let mut fields = Fields(heads);
    let mut values = HEADER_BYTES + heads.len();
    let mut ops = Vec::with_capacity(heads.len() / HEAD_BYTES);
    while !fields.0.is_empty() {
        ops.push(decode_head(&mut fields, &mut values)?);
    }
    let all_values = HEADER_BYTES + heads.len() + header.values_len as usize;
    (values == all_values).then_some(ops)
}

fn decode_head<'b>(fields: &mut Fields<'b>, values: &mut usize) -> Option<Op<'b>> {
    let [kind, family] = fields.take::<2>()?;
    let (first, second, crc) = (fields.u32()? as usize, fields.u32()? as usize, fields.u32()?);
    let family = family_of(family)?;
    Some(match kind {
        PUT => {
            let key = fields.bytes(first)?;
            let value = *values..values.checked_add(second)?;
            *values = value.end;
            Op::Put { family, key, value, crc }
        }
        DELETE => Op::Delete { family, key: fields.bytes(first)? },
        DELETE_RANGE => Op::DeleteRange { family, start: fields.bytes(first)?, end: fields.bytes(second)? },
        OPENING => Op::Opening(Opening {
            number: fields.u64()?,
            bytes: fields.u64()?,
            oldest: fields.u64()?,
            salt: Salt(fields.u32()?),
        }),
        OLDEST => Op::Oldest(fields.u64()?),
        _ => return None,
    })
}

const fn code(family: Family) -> Option<u8> {
    match family {
        Family::LogMeta => Some(META),
        Family::LogEntries => Some(ENTRIES),
        Family::Meta | Family::Keys | Family::Changes | Family::Leases | Family::LeaseKeys => None,
    }
}

const fn family_of(code: u8) -> Option<Family> {
    match code {
        META => Some(Family::LogMeta),
        ENTRIES => Some(Family::LogEntries),
        _ => None,
    }
}

/// What is left to be read.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn bytes(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}
