//! A canonical value written in Kubernetes' binary encoding, byte for byte as upstream's generated code writes it.
//!
//! In: a type and a canonical value of it. Out: the body of an answer, the frame around it included. Fields stand in
//! the order of their numbers; what Go holds by value is written always, a zero too; pointers, lists and maps where
//! they hold something; maps by key.
//!
//! Deliberately absent: fields that the type does not name, which have no number; and checks, since canonical values
//! have passed them. What is no value of its type (nothing canonical is) is written as that type's zero.
//!
//! Sources: the `MarshalToSizedBuffer` that gogo-protobuf generates, `runtime.Unknown`, and those written by hand in
//! `meta/v1`, `resource`, `intstr`, `runtime` and `apiextensions/v1`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::message::{Slot, names_itself};
use super::{MAGIC, is_repeated};
use crate::encode::{sorted, untyped};
use crate::go_text;
use crate::model::{Field, Schema, Shape, Struct, TypeId};

/// The wire type of integers, of doubles, and of everything that has a length.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// The body of an answer: an object in the frame that names its kind.
#[must_use]
pub fn encode_protobuf(schema: &Schema, ty: TypeId, value: &Value) -> Vec<u8> {
    let named = |field: &str| value.get(field).and_then(Value::as_str).filter(|_| names_itself(schema, ty));
    let (api_version, kind) = (named("apiVersion").unwrap_or_default(), named("kind").unwrap_or_default());
    protobuf_frame(api_version, kind, &protobuf_message(schema, ty, value))
}

/// The frame around an object's message.
#[must_use]
pub fn protobuf_frame(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let (before, behind) = protobuf_frame_around(api_version, kind, raw.len());
    [&before, raw, &behind].concat()
}

/// What stands before and behind an object's message of this length in the frame that names its kind.
#[must_use]
pub fn protobuf_frame_around(api_version: &str, kind: &str, length: usize) -> (Vec<u8>, Vec<u8>) {
    let mut type_meta = Vec::with_capacity(api_version.len() + kind.len() + 8);
    delimited(1, api_version.as_bytes(), &mut type_meta);
    delimited(2, kind.as_bytes(), &mut type_meta);
    let (mut before, mut behind) = (MAGIC.to_vec(), Vec::new());
    delimited(1, &type_meta, &mut before);
    protobuf_field_head(2, length, &mut before);
    // The content's encoding and type are those of the whole.
    delimited(3, b"", &mut behind);
    delimited(4, b"", &mut behind);
    (before, behind)
}

/// The message of an object or of a part of one, without a frame.
#[must_use]
pub fn protobuf_message(schema: &Schema, ty: TypeId, value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    message_to(schema, ty, value, &mut out);
    out
}

fn message_to(schema: &Schema, ty: TypeId, value: &Value, out: &mut Vec<u8>) {
    match &schema.get(ty).shape {
        Shape::Struct(fields) => {
            let nothing = Map::new();
            structure(schema, fields, value.as_object().unwrap_or(&nothing), out);
        }
        Shape::Any => {
            let mut text = Vec::new();
            untyped(value, &mut text);
            delimited(1, &text, out);
        }
        Shape::Duration => {
            let nanos = value.as_str().and_then(|text| go_text::duration::parse(text).ok());
            varint_field(1, nanos.unwrap_or_default().cast_unsigned(), out);
        }
        Shape::Quantity => delimited(1, text(value).as_bytes(), out),
        Shape::IntOrString => int_or_string(value, out),
        Shape::Time => moment(value, false, out),
        Shape::MicroTime => moment(value, true, out),
        Shape::BoolOr(other) => {
            let allows = !value.is_null() && value != &Value::Bool(false);
            varint_field(1, allows.into(), out);
            if value.is_object() {
                delimited(2, &protobuf_message(schema, *other, value), out);
            }
        }
        Shape::ListOr(other) => one_or_many(schema, *other, *other, value, out),
        Shape::StringsOr(other) => {
            one_or_many(schema, *other, schema.lookup("string").unwrap_or(*other), value, out);
        }
        Shape::List { item, .. } => list(schema, *item, 1, value, out),
        // Not messages: their fields write them.
        Shape::Map { .. }
        | Shape::Bool
        | Shape::Bytes
        | Shape::Float64
        | Shape::Int32
        | Shape::Int64
        | Shape::String => {}
    }
}

/// `{schema = 1, items = 2}`
fn one_or_many(schema: &Schema, one: TypeId, item: TypeId, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(_) => list(schema, item, 2, value, out),
        Value::Null => {}
        _ => delimited(1, &protobuf_message(schema, one, value), out),
    }
}

/// The fields of a struct by number, each embedded struct as one.
fn structure(schema: &Schema, fields: &Struct, object: &Map<String, Value>, out: &mut Vec<u8>) {
    for (number, slot) in numbered(fields) {
        match slot {
            Slot::Field(at) => {
                let field = &fields.fields[at];
                field_to(schema, field, number, object.get(field.name.as_ref()), out);
            }
            Slot::Embedded(at) => {
                let mut inner = Vec::new();
                if let Some(embedded) = schema.get(fields.embedded[at].ty).as_struct() {
                    structure(schema, embedded, object, &mut inner);
                }
                delimited(number, &inner, out);
            }
        }
    }
}

/// What stands in a struct's message, in order.
fn numbered(fields: &Struct) -> Vec<(u32, Slot)> {
    let embedded = fields.embedded.iter().enumerate();
    let embedded = embedded.filter_map(|(at, run)| Some((run.proto?.number, Slot::Embedded(at))));
    let inside = |at: usize| {
        fields.embedded.iter().any(|run| {
            let start = usize::from(run.start);
            (start..start + usize::from(run.len)).contains(&at)
        })
    };
    let own = fields.fields.iter().enumerate().filter(|(at, _)| !inside(*at));
    let own = own.filter_map(|(at, field)| Some((field.proto?.number, Slot::Field(at))));
    let mut all: Vec<(u32, Slot)> = own.chain(embedded).collect();
    all.sort_unstable();
    all
}

fn field_to(schema: &Schema, field: &Field, number: u32, value: Option<&Value>, out: &mut Vec<u8>) {
    let value = value.filter(|value| !value.is_null());
    match (&schema.get(field.ty).shape, value) {
        (Shape::List { item, .. }, value) if is_repeated(schema, field) => {
            list(schema, *item, number, value.unwrap_or(&Value::Null), out);
        }
        (Shape::Map { value: inner, .. }, value) => {
            for (key, value) in value.and_then(Value::as_object).map(sorted).unwrap_or_default() {
                let mut entry = Vec::new();
                delimited(1, key.as_bytes(), &mut entry);
                if !(value.is_null() && matches!(schema.get(*inner).shape, Shape::Bytes)) {
                    single(schema, *inner, 2, value, &mut entry);
                }
                delimited(number, &entry, out);
            }
        }
        (_, Some(value)) => single(schema, field.ty, number, value, out),
        (Shape::Bytes | Shape::List { .. }, None) => {}
        (_, None) if field.pointer => {}
        (Shape::Any, None) => delimited(number, b"", out),
        (Shape::Quantity, None) => single(schema, field.ty, number, &"0".into(), out),
        (_, None) => single(schema, field.ty, number, &Value::Null, out),
    }
}

fn list(schema: &Schema, item: TypeId, number: u32, value: &Value, out: &mut Vec<u8>) {
    for value in value.as_array().into_iter().flatten() {
        single(schema, item, number, value, out);
    }
}

/// One value with its number in front.
fn single(schema: &Schema, ty: TypeId, number: u32, value: &Value, out: &mut Vec<u8>) {
    match &schema.get(ty).shape {
        Shape::Bool => varint_field(number, u64::from(value == &Value::Bool(true)), out),
        Shape::Int32 | Shape::Int64 => {
            varint_field(number, value.as_i64().unwrap_or_default().cast_unsigned(), out);
        }
        Shape::Float64 => {
            tag(number, FIXED64, out);
            out.extend_from_slice(&value.as_f64().unwrap_or_default().to_le_bytes());
        }
        Shape::String => delimited(number, text(value).as_bytes(), out),
        Shape::Bytes => delimited(number, &STANDARD.decode(text(value)).unwrap_or_default(), out),
        Shape::Any if value.is_null() => delimited(number, b"", out),
        _ => delimited(number, &protobuf_message(schema, ty, value), out),
    }
}

/// `{type = 1, intVal = 2, strVal = 3}`, all of them always.
fn int_or_string(value: &Value, out: &mut Vec<u8>) {
    varint_field(1, value.is_string().into(), out);
    varint_field(2, value.as_i64().unwrap_or_default().cast_unsigned(), out);
    delimited(3, text(value).as_bytes(), out);
}

/// `{seconds = 1, nanos = 2}` since 1970; nothing for the zero time.
fn moment(value: &Value, micro: bool, out: &mut Vec<u8>) {
    let parsed = value.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let Some(moment) = parsed else { return };
    varint_field(1, moment.unix_timestamp().cast_unsigned(), out);
    varint_field(2, if micro { moment.nanosecond().into() } else { 0 }, out);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Appends a field with a length in front: text, bytes, or another message.
pub fn protobuf_field(number: u32, content: &[u8], out: &mut Vec<u8>) {
    delimited(number, content, out);
}

/// Appends what stands before the content of such a field, which is this long.
pub fn protobuf_field_head(number: u32, length: usize, out: &mut Vec<u8>) {
    tag(number, BYTES, out);
    varint(length as u64, out);
}

fn varint_field(number: u32, value: u64, out: &mut Vec<u8>) {
    tag(number, VARINT, out);
    varint(value, out);
}

fn delimited(number: u32, content: &[u8], out: &mut Vec<u8>) {
    protobuf_field_head(number, content.len(), out);
    out.extend_from_slice(content);
}

fn tag(number: u32, wire: u32, out: &mut Vec<u8>) {
    varint((u64::from(number) << 3) | u64::from(wire), out);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}
