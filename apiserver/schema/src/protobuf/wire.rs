//! Protobuf's wire format: a message as a sequence of numbered records.
//!
//! In: a message's bytes and its name for errors. Out: its records, or gogo-protobuf's description of the first fault.
//! Knows nothing of types: whether a record is what its field wants is asked of the [`Payload`].

use super::malformed;
use crate::decode::error::DecodeError;

/// One field as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record<'a> {
    /// Greater than 0.
    pub(super) number: u32,
    pub(super) payload: Payload<'a>,
}

/// A field's content by wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// A group, which upstream never writes: skipped.
    Group,
    /// Four bytes, of which upstream has no field: skipped.
    Fixed32,
}

impl<'a> Payload<'a> {
    /// Of a string, a message, a list of packed numbers.
    pub(super) fn bytes(self, field: &str) -> Result<&'a [u8], DecodeError> {
        match self {
            Payload::Bytes(bytes) => Ok(bytes),
            other => Err(other.unfit(field)),
        }
    }

    /// Of an integer or a boolean.
    pub(super) fn varint(self, field: &str) -> Result<u64, DecodeError> {
        match self {
            Payload::Varint(value) => Ok(value),
            other => Err(other.unfit(field)),
        }
    }

    /// The bits of a double.
    pub(super) fn fixed64(self, field: &str) -> Result<u64, DecodeError> {
        match self {
            Payload::Fixed64(bits) => Ok(bits),
            other => Err(other.unfit(field)),
        }
    }

    fn unfit(self, field: &str) -> DecodeError {
        let wire = match self {
            Payload::Varint(_) => 0,
            Payload::Fixed64(_) => 1,
            Payload::Bytes(_) => 2,
            Payload::Group => 3,
            Payload::Fixed32 => 5,
        };
        malformed(format!("proto: wrong wireType = {wire} for field {field}"))
    }
}

/// The records of a message called `name`, up to the first fault.
pub(super) fn records<'a>(
    name: &str,
    message: &'a [u8],
) -> impl Iterator<Item = Result<Record<'a>, DecodeError>> {
    Reader { rest: message }.each(move |reader| reader.record(name))
}

/// The integers that are written one after the other in a packed list.
pub(super) fn packed(bytes: &[u8]) -> impl Iterator<Item = Result<u64, DecodeError>> {
    Reader { rest: bytes }.each(Reader::varint)
}

/// What is still to be read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Whatever `read` reads until nothing is left, or up to the first fault.
    fn each<T>(
        mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> impl Iterator<Item = Result<T, DecodeError>> {
        std::iter::from_fn(move || {
            if self.rest.is_empty() {
                return None;
            }
            let item = read(&mut self);
            if item.is_err() {
                self.rest = &[];
            }
            Some(item)
        })
    }

    fn record(&mut self, name: &str) -> Result<Record<'a>, DecodeError> {
        let tag = self.varint()?;
        let (number, wire) = (field_number(tag), tag & 7);
        if wire == 4 {
            return Err(malformed(format!("proto: {name}: wiretype end group for non-group")));
        }
        if number <= 0 {
            return Err(malformed(format!("proto: {name}: illegal tag {number} (wire type {tag})")));
        }
        Ok(Record { number: number.unsigned_abs(), payload: self.payload(wire)? })
    }

    fn payload(&mut self, wire: u64) -> Result<Payload<'a>, DecodeError> {
        match wire {
            0 => self.varint().map(Payload::Varint),
            1 => self.array().map(u64::from_le_bytes).map(Payload::Fixed64),
            2 => self.delimited().map(Payload::Bytes),
            3 => self.skip_group().map(|()| Payload::Group),
            5 => self.array::<4>().map(|_| Payload::Fixed32),
            other => Err(malformed(format!("proto: illegal wireType {other}"))),
        }
    }

    /// At most ten bytes, of which the last one's surplus bits are dropped as gogo-protobuf drops them.
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("proto: integer overflow"))
    }

    fn delimited(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        if i64::try_from(length).is_err() {
            return Err(malformed("proto: negative length found during unmarshaling"));
        }
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (bytes, rest) = split.ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Everything up to the end of a group whose start has been read. Groups inside are counted, not recursed into.
    fn skip_group(&mut self) -> Result<(), DecodeError> {
        let mut open = 1usize;
        while open > 0 {
            match self.varint()? & 7 {
                3 => open += 1,
                4 => open -= 1,
                wire => drop(self.payload(wire)?),
            }
        }
        Ok(())
    }
}

/// As gogo-protobuf computes it: the low 32 bits of what is above the wire type.
fn field_number(tag: u64) -> i32 {
    let [a, b, c, d, ..] = (tag >> 3).to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// Go's `io.ErrUnexpectedEOF`.
fn cut_off() -> DecodeError {
    malformed("unexpected EOF")
}
