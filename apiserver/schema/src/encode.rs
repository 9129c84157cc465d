//! The canonical JSON text of a value.
//!
//! In: a canonical value of a type. Out: the bytes that are stored and sent: no space, the fields of structs in the
//! type's order, the keys of maps and untyped objects in byte order, numbers as Go writes them.
//!
//! Fields that the type does not name are left out, unless the type preserves them: encoding prunes as decoding does.

use serde_json::{Map, Value};

use crate::model::{Schema, Shape, Struct, TypeId, UnknownFields};
use crate::tree::number_text;

/// The text of a value.
#[must_use]
pub fn encode(schema: &Schema, ty: TypeId, value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    encode_to(schema, ty, value, &mut out);
    out
}

/// Appends the text of a value.
pub fn encode_to(schema: &Schema, ty: TypeId, value: &Value, out: &mut Vec<u8>) {
    match (&schema.get(ty).shape, value) {
        (Shape::Struct(fields), Value::Object(object)) => structure(schema, fields, object, out),
        (Shape::Map { value: inner, .. }, Value::Object(object)) => {
            object_text(object, out, |value, out| encode_to(schema, *inner, value, out));
        }
        (Shape::List { item, .. }, Value::Array(items)) => {
            list(items, out, |value, out| encode_to(schema, *item, value, out));
        }
        (Shape::ListOr(other), Value::Array(items)) => {
            list(items, out, |value, out| encode_to(schema, *other, value, out));
        }
        (Shape::BoolOr(other) | Shape::ListOr(other) | Shape::StringsOr(other), Value::Object(_)) => {
            encode_to(schema, *other, value, out);
        }
        (_, value) => untyped(value, out),
    }
}

fn structure(schema: &Schema, fields: &Struct, object: &Map<String, Value>, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for field in &fields.fields {
        if let Some(value) = object.get(field.name.as_ref()) {
            key(&field.name, &mut first, out);
            encode_to(schema, field.ty, value, out);
        }
    }
    if fields.unknown == UnknownFields::Preserve {
        let others = sorted(object).into_iter().filter(|(name, _)| fields.position(name).is_none());
        for (name, value) in others {
            key(name, &mut first, out);
            untyped(value, out);
        }
    }
    out.push(b'}');
}

/// A value of no type.
pub(crate) fn untyped(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number_text(number).as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(items) => list(items, out, untyped),
        Value::Object(object) => object_text(object, out, untyped),
    }
}

fn list(items: &[Value], out: &mut Vec<u8>, item: impl Fn(&Value, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, value) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        item(value, out);
    }
    out.push(b']');
}

fn object_text(object: &Map<String, Value>, out: &mut Vec<u8>, item: impl Fn(&Value, &mut Vec<u8>)) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in sorted(object) {
        key(name, &mut first, out);
        item(value, out);
    }
    out.push(b'}');
}

/// In byte order, whichever order `serde_json` was built to keep.
pub(crate) fn sorted(object: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut entries: Vec<(&str, &Value)> =
        object.iter().map(|(name, value)| (name.as_str(), value)).collect();
    if !entries.is_sorted_by_key(|(name, _)| *name) {
        entries.sort_by_key(|(name, _)| *name);
    }
    entries
}

fn key(name: &str, first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
    string(name, out);
    out.push(b':');
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing a string to memory cannot fail");
}
