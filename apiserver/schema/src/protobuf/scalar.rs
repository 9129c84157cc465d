//! Single values: what JSON writes for them, shape by shape.
//!
//! In: a type and the occurrences of a field, none for the value of a map that has only a key. Out: the node that JSON
//! has in that place; the zero value where nothing was written.
//!
//! Sources: the `Unmarshal` and `MarshalJSON` of `meta/v1`, `resource`, `intstr`, `runtime` and `apiextensions/v1`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;

use super::malformed;
use super::message::{Reading, pieces};
use super::wire::Payload;
use crate::decode::error::DecodeError;
use crate::go_text;
use crate::model::{Shape, TypeId};
use crate::tree::{Node, json};

impl<'n> Reading<'n> {
    /// One value, from all that was written of it.
    pub(super) fn single(
        &mut self,
        ty: TypeId,
        occurrences: &[Payload<'n>],
        name: &str,
    ) -> Result<Node<'n>, DecodeError> {
        let schema = self.schema;
        let last = occurrences.last().copied();
        let varint = || last.map_or(Ok(0), |payload| payload.varint(name));
        let bytes = || last.map_or(Ok::<&[u8], DecodeError>(&[]), |payload| payload.bytes(name));
        Ok(match &schema.get(ty).shape {
            Shape::Bool => Node::Bool(varint()? != 0),
            Shape::Int32 => integer(int32(varint()?)),
            Shape::Int64 => integer(varint()?.cast_signed()),
            Shape::Float64 => double(last.map_or(Ok(0), |payload| payload.fixed64(name))?)?,
            Shape::String => text(bytes()?),
            Shape::Bytes => Node::String(Cow::Owned(STANDARD.encode(bytes()?))),
            // Upstream reads these two anew at each occurrence: they do not merge.
            Shape::Time => moment(self.members(ty, &[bytes()?])?, bytes()?.is_empty(), false)?,
            Shape::MicroTime => moment(self.members(ty, &[bytes()?])?, bytes()?.is_empty(), true)?,
            shape => {
                let pieces = pieces(occurrences, name)?;
                self.message(ty, shape, &pieces)?
            }
        })
    }

    /// A value that is a message.
    fn message(
        &mut self,
        ty: TypeId,
        shape: &'n Shape,
        pieces: &[&'n [u8]],
    ) -> Result<Node<'n>, DecodeError> {
        match shape {
            Shape::Struct(fields) => self.structure(ty, fields, pieces),
            Shape::Any => self.any(self.members(ty, pieces)?),
            Shape::Duration => {
                let [nanos, _, _] = self.members(ty, pieces)?;
                let nanos = nanos.map_or(Ok(0), |payload| payload.varint("Duration"))?.cast_signed();
                Ok(Node::String(Cow::Owned(format!("{nanos}ns"))))
            }
            Shape::IntOrString => int_or_string(self.members(ty, pieces)?),
            Shape::Quantity => match self.members(ty, pieces)? {
                [Some(written), _, _] => Ok(text(written.bytes("String")?)),
                [None, _, _] => Ok(Node::String(Cow::Borrowed("0"))),
            },
            Shape::BoolOr(other) => self.bool_or(ty, *other, pieces),
            Shape::ListOr(other) => self.list_or(ty, *other, *other, pieces),
            Shape::StringsOr(other) => {
                let string = self.schema.lookup("string").unwrap_or(*other);
                self.list_or(ty, string, *other, pieces)
            }
            // A list type with a message of its own: nil where it has no items.
            Shape::List { item, .. } => match self.occurrences(ty, pieces, 1)?.as_slice() {
                [] => Ok(Node::Null),
                items => self.list(*item, items, "Items"),
            },
            // A map inside of a list or a map, which protobuf cannot express.
            Shape::Map { .. } => {
                Err(malformed(format!("protobuf: {} has no message", self.schema.get(ty).name)))
            }
            Shape::Bool
            | Shape::Bytes
            | Shape::Float64
            | Shape::Int32
            | Shape::Int64
            | Shape::MicroTime
            | Shape::String
            | Shape::Time => unreachable!("{shape:?} is read before"),
        }
    }

    /// The last of each of the fields 1, 2 and 3: no type that upstream wrote a reader for by hand has more.
    fn members(&self, ty: TypeId, pieces: &[&'n [u8]]) -> Result<[Option<Payload<'n>>; 3], DecodeError> {
        let mut members = [None; 3];
        for record in self.records(ty, pieces) {
            let record = record?;
            let at = usize::try_from(record.number).ok().and_then(|number| number.checked_sub(1));
            if let Some(member) = at.and_then(|at| members.get_mut(at)) {
                *member = Some(record.payload);
            }
        }
        Ok(members)
    }

    /// All of one field of a message.
    fn occurrences(
        &mut self,
        ty: TypeId,
        pieces: &[&'n [u8]],
        number: u32,
    ) -> Result<Vec<Payload<'n>>, DecodeError> {
        let mut found = Vec::new();
        for record in self.records(ty, pieces) {
            let record = record?;
            if record.number == number {
                self.count()?;
                found.push(record.payload);
            }
        }
        Ok(found)
    }

    /// JSON inside of a message (`RawExtension`, `JSON`, `FieldsV1`). Upstream would store anything here, and fail
    /// later, when it writes the object as JSON.
    fn any(&self, [raw, _, _]: [Option<Payload<'n>>; 3]) -> Result<Node<'n>, DecodeError> {
        match raw.map_or(Ok::<&[u8], DecodeError>(&[]), |raw| raw.bytes("Raw"))? {
            [] => Ok(Node::Null),
            text => {
                let node = json::parse(text).map_err(|message| malformed(format!("json: {message}")))?;
                if fits(&node, self.depth_left()) { Ok(node) } else { Err(DecodeError::TooDeep) }
            }
        }
    }

    /// `{allows = 1, schema = 2}`
    fn bool_or(&mut self, ty: TypeId, other: TypeId, pieces: &[&'n [u8]]) -> Result<Node<'n>, DecodeError> {
        let schema = self.occurrences(ty, pieces, 2)?;
        if !schema.is_empty() {
            return self.single(other, &schema, "Schema");
        }
        let [allows, _, _] = self.members(ty, pieces)?;
        Ok(Node::Bool(allows.map_or(Ok(0), |payload| payload.varint("Allows"))? != 0))
    }

    /// `{schema = 1, items = 2}`: the items if there are any, as upstream writes it.
    fn list_or(
        &mut self,
        ty: TypeId,
        item: TypeId,
        other: TypeId,
        pieces: &[&'n [u8]],
    ) -> Result<Node<'n>, DecodeError> {
        let items = self.occurrences(ty, pieces, 2)?;
        if !items.is_empty() {
            return self.list(item, &items, "Items");
        }
        match self.occurrences(ty, pieces, 1)?.as_slice() {
            [] => Ok(Node::Null),
            schema => self.single(other, schema, "Schema"),
        }
    }
}

fn integer<'n>(value: impl Into<i64>) -> Node<'n> {
    Node::Number(Cow::Owned(value.into().to_string()))
}

/// Go keeps the low 32 bits.
fn int32(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// What is not UTF-8 becomes U+FFFD, as Go's JSON writer has it.
fn text(bytes: &[u8]) -> Node<'_> {
    Node::String(String::from_utf8_lossy(bytes))
}

fn double<'n>(bits: u64) -> Result<Node<'n>, DecodeError> {
    let value = f64::from_bits(bits);
    if !value.is_finite() {
        return Err(malformed(format!("json: unsupported value: {value}")));
    }
    Ok(Node::Number(Cow::Owned(go_text::float(value))))
}

/// `{type = 1, intVal = 2, strVal = 3}`
fn int_or_string<'n>([kind, int, string]: [Option<Payload<'n>>; 3]) -> Result<Node<'n>, DecodeError> {
    match kind.map_or(Ok(0), |payload| payload.varint("Type"))? {
        0 => Ok(integer(int32(int.map_or(Ok(0), |payload| payload.varint("IntVal"))?))),
        1 => Ok(text(string.map_or(Ok::<&[u8], DecodeError>(&[]), |payload| payload.bytes("StrVal"))?)),
        _ => Err(malformed("impossible IntOrString.Type")),
    }
}

/// `{seconds = 1, nanos = 2}` since 1970, empty for the zero time. Nanoseconds count for a `MicroTime` only, which
/// cuts them to microseconds.
fn moment<'n>(
    [seconds, nanos, _]: [Option<Payload<'n>>; 3],
    empty: bool,
    micro: bool,
) -> Result<Node<'n>, DecodeError> {
    let seconds = seconds.map_or(Ok(0), |payload| payload.varint("Seconds"))?.cast_signed();
    let nanos = int32(nanos.map_or(Ok(0), |payload| payload.varint("Nanos"))?);
    if empty {
        return Ok(Node::Null);
    }
    let micros = if micro { i64::from(nanos / 1000) } else { 0 };
    let (seconds, micros) = (seconds.checked_add(micros.div_euclid(1_000_000)), micros.rem_euclid(1_000_000));
    let moment = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let moment = moment.filter(|moment| (1..=9999).contains(&moment.year()));
    let moment = moment.ok_or_else(|| malformed("protobuf: time: year out of range"))?;
    let fraction = if micro { format!(".{micros:06}") } else { String::new() };
    let (date, time) = (moment.date(), moment.time());
    let (month, (hour, minute, second)) = (u8::from(date.month()), time.as_hms());
    let text = format!(
        "{:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z",
        date.year(),
        date.day()
    );
    Ok(Node::String(Cow::Owned(text)))
}

/// Whether a tree nests at most so many lists and objects. It is no deeper than its parser allows.
fn fits(node: &Node<'_>, levels: usize) -> bool {
    match node {
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => true,
        Node::List(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
        Node::Object(fields) => levels > 0 && fields.iter().all(|(_, value)| fits(value, levels - 1)),
    }
}
