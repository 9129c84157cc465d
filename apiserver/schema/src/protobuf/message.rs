//! A message of a known type as a tree.
//!
//! In: a type and the message's bytes. Out: a [`Node`] as the JSON of the same object has it, bounded in depth and in
//! the number of its values.
//!
//! A message may come in several pieces: protobuf lets a writer repeat a field that is not a list, and defines that
//! as the merged message, which is what the pieces say one after the other. Hence the slices of occurrences.

use std::borrow::Cow;

use super::wire::{Payload, Record, packed, records};
use super::{is_repeated, malformed};
use crate::decode::MAX_DOCUMENT_BYTES;
use crate::decode::error::DecodeError;
use crate::model::{Embedded, Field, Proto, Schema, Shape, Struct, TypeId};
use crate::tree::{MAX_DEPTH, Node};

/// How many records and packed numbers are read: as many as the values of the densest JSON of the largest size,
/// `{},{},…`. Protobuf would fit more of them, and each becomes a value many times its size.
const MAX_VALUES: usize = MAX_DOCUMENT_BYTES / 3;

/// The names and nodes of an object.
pub(super) type Entries<'n> = Vec<(Cow<'n, str>, Node<'n>)>;

/// Whether the type has `apiVersion` and `kind`, which travel outside of the message.
pub(super) fn names_itself(schema: &Schema, ty: TypeId) -> bool {
    let fields = schema.get(ty).as_struct();
    fields.is_some_and(|fields| fields.embedded.iter().any(|inner| inner.proto.is_none()))
}

/// Where a record belongs in its struct. Ordered, so that the records of one field can be brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// A position in [`Struct::fields`].
    Field(usize),
    /// A position in [`Struct::embedded`].
    Embedded(usize),
}

/// One object being read.
pub(super) struct Reading<'n> {
    pub(super) schema: &'n Schema,
    /// How many lists and objects enclose this place.
    depth: usize,
    /// How many more values may be read.
    left: usize,
}

impl<'n> Reading<'n> {
    pub(super) fn new(schema: &'n Schema) -> Reading<'n> {
        Reading { schema, depth: 0, left: MAX_VALUES }
    }

    /// The object itself.
    pub(super) fn whole(&mut self, ty: TypeId, message: &'n [u8]) -> Result<Node<'n>, DecodeError> {
        self.single(ty, &[Payload::Bytes(message)], "Raw")
    }

    /// A struct's message, piece by piece; empty where there is none.
    pub(super) fn structure(
        &mut self,
        ty: TypeId,
        fields: &'n Struct,
        pieces: &[&'n [u8]],
    ) -> Result<Node<'n>, DecodeError> {
        self.nested(|reading| {
            let mut entries = Vec::new();
            reading.entries(ty, fields, pieces, &mut entries)?;
            Ok(Node::Object(entries))
        })
    }

    /// The fields of a struct, those of embedded structs beside its own as JSON has them.
    fn entries(
        &mut self,
        ty: TypeId,
        fields: &'n Struct,
        pieces: &[&'n [u8]],
        entries: &mut Entries<'n>,
    ) -> Result<(), DecodeError> {
        let mut found: Vec<(Slot, Payload<'n>)> = Vec::new();
        for record in self.records(ty, pieces) {
            let record = record?;
            if let Some(slot) = slot(fields, record.number) {
                self.count()?;
                found.push((slot, record.payload));
            }
        }
        // Stable: the records of one field stay in their order.
        found.sort_by_key(|(slot, _)| *slot);
        for group in found.chunk_by(|left, right| left.0 == right.0) {
            let occurrences: Vec<Payload<'n>> = group.iter().map(|(_, payload)| *payload).collect();
            match group[0].0 {
                Slot::Field(at) => {
                    let field = &fields.fields[at];
                    entries.push((Cow::Borrowed(&field.name), self.field(field, &occurrences)?));
                }
                Slot::Embedded(at) => self.embedded(fields.embedded[at].ty, &occurrences, entries)?,
            }
        }
        Ok(())
    }

    fn embedded(
        &mut self,
        ty: TypeId,
        occurrences: &[Payload<'n>],
        entries: &mut Entries<'n>,
    ) -> Result<(), DecodeError> {
        let inner = self.schema.get(ty);
        let pieces = pieces(occurrences, short_name(&inner.name))?;
        // What is embedded is a struct: the builder refuses everything else.
        inner.as_struct().map_or(Ok(()), |fields| self.entries(ty, fields, &pieces, entries))
    }

    fn field(&mut self, field: &'n Field, occurrences: &[Payload<'n>]) -> Result<Node<'n>, DecodeError> {
        let schema = self.schema;
        let ty = schema.get(field.ty);
        let name = &go_name(&field.name);
        match &ty.shape {
            Shape::List { item, .. } if is_repeated(schema, field) => self.list(*item, occurrences, name),
            Shape::Map { value, .. } => self.map(*value, occurrences, name),
            _ => self.single(field.ty, occurrences, name),
        }
    }

    /// A list, of which every occurrence is an item, or several packed ones.
    pub(super) fn list(
        &mut self,
        item: TypeId,
        occurrences: &[Payload<'n>],
        name: &str,
    ) -> Result<Node<'n>, DecodeError> {
        let packable = matches!(self.schema.get(item).shape, Shape::Bool | Shape::Int32 | Shape::Int64);
        self.nested(|reading| {
            let mut items = Vec::with_capacity(occurrences.len());
            for occurrence in occurrences {
                match occurrence {
                    Payload::Bytes(numbers) if packable => {
                        for number in packed(numbers) {
                            reading.count()?;
                            items.push(reading.single(item, &[Payload::Varint(number?)], name)?);
                        }
                    }
                    other => items.push(reading.single(item, &[*other], name)?),
                }
            }
            Ok(Node::List(items))
        })
    }

    /// A map: a list of messages with a key and a value, where the last of equal keys counts.
    fn map(
        &mut self,
        value: TypeId,
        occurrences: &[Payload<'n>],
        name: &str,
    ) -> Result<Node<'n>, DecodeError> {
        self.nested(|reading| {
            let mut entries = Vec::with_capacity(occurrences.len());
            for occurrence in occurrences {
                let mut key = Cow::Borrowed("");
                let mut found = None;
                for record in records(name, occurrence.bytes(name)?) {
                    let record = record?;
                    match record.number {
                        1 => key = String::from_utf8_lossy(record.payload.bytes(name)?),
                        2 => found = Some(record.payload),
                        _ => {}
                    }
                }
                entries.push((key, reading.single(value, found.as_slice(), name)?));
            }
            Ok(Node::Object(entries))
        })
    }

    /// The records of a message that comes in pieces.
    pub(super) fn records<'p>(
        &self,
        ty: TypeId,
        pieces: &'p [&'n [u8]],
    ) -> impl Iterator<Item = Result<Record<'n>, DecodeError>> + use<'n, 'p> {
        let name = short_name(&self.schema.get(ty).name);
        pieces.iter().flat_map(move |piece| records(name, piece))
    }

    /// Steps into a list or an object.
    pub(super) fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Node<'n>, DecodeError>,
    ) -> Result<Node<'n>, DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        self.depth += 1;
        let node = read(self)?;
        self.depth -= 1;
        Ok(node)
    }

    /// How many more lists and objects may nest here.
    pub(super) fn depth_left(&self) -> usize {
        MAX_DEPTH - self.depth
    }

    /// Counts one value.
    pub(super) fn count(&mut self) -> Result<(), DecodeError> {
        let too_many = || malformed(format!("protobuf: more than {MAX_VALUES} values"));
        self.left = self.left.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }
}

/// Where the record of a number belongs. Numbers of embedded fields are those of the embedded message.
pub(super) fn slot(fields: &Struct, number: u32) -> Option<Slot> {
    let numbered = |proto: Option<Proto>| proto.is_some_and(|proto| proto.number == number);
    let inside = |at: usize| {
        let covers =
            |run: &Embedded| (run.start.into()..usize::from(run.start) + usize::from(run.len)).contains(&at);
        fields.embedded.iter().any(covers)
    };
    let mut own = fields.fields.iter().enumerate();
    match own.find(|(at, field)| numbered(field.proto) && !inside(*at)) {
        Some((at, _)) => Some(Slot::Field(at)),
        None => fields.embedded.iter().position(|run| numbered(run.proto)).map(Slot::Embedded),
    }
}

/// The bytes of every occurrence.
pub(super) fn pieces<'n>(occurrences: &[Payload<'n>], name: &str) -> Result<Vec<&'n [u8]>, DecodeError> {
    occurrences.iter().map(|payload| payload.bytes(name)).collect()
}

/// A type's name without its package.
fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Go's name of a field, which upstream's messages have: nearly always JSON's with a capital.
fn go_name(name: &str) -> String {
    match name {
        "metadata" => "ObjectMeta".to_owned(),
        _ => {
            let mut rest = name.chars();
            rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect()
        }
    }
}
