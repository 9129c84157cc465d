//! The bytes of gnostic's messages, by tables.
//!
//! In: a document as JSON, and the tables of its version. Out: its bytes. Whatever begins with `x-` is an extension, written
//! as YAML (JSON is YAML).
//!
//! Deliberately absent: reading them. Keys that a table does not have are left out: a test reads every document back.
//!
//! Source: the protobuf encoding; `openapiv2/OpenAPIv2.go` and `openapiv3/OpenAPIv3.go` of
//! `github.com/google/gnostic-models`, which decide what JSON becomes which message.

use serde_json::{Map, Value};

/// A kind of object of the document.
pub(super) struct Message {
    /// Key, number, and what stands there.
    pub(super) fields: &'static [(&'static str, u32, Form)],
    /// The number of its extensions; 0 where it has none.
    pub(super) extensions: u32,
    /// Whether a reference may stand in its place, so that a message around it says which of the two there is.
    pub(super) or_reference: bool,
}

/// How a value is written.
pub(super) enum Form {
    Text,
    Texts,
    Flag,
    /// A number, a flag or a text. Other values have no words there, and only say that they are.
    Scalar,
    /// Anything at all.
    Any,
    /// Several of those.
    Anys,
    /// An object, inside as many messages as there are numbers.
    One(&'static [u32], &'static Message),
    /// Several objects, each inside such messages.
    Many(&'static [u32], &'static Message),
    /// Several objects that are not of one kind, each inside such messages.
    Chosen(fn(&Value) -> (&'static [u32], &'static Message)),
    /// An object with free keys. The first number is that of an entry; each value stands inside the messages after.
    Named(u32, &'static [u32], &'static Message),
    /// Objects of lists of texts by free keys.
    NamedTexts,
    /// A list of texts, where JSON may have just one.
    Type,
}

/// What stands where an object is elsewhere.
static REFERENCE: Message = Message {
    fields: &[("$ref", 1, Form::Text), ("summary", 2, Form::Text), ("description", 3, Form::Text)],
    extensions: 0,
    or_reference: false,
};

/// An object.
pub(super) fn message(kind: &Message, value: &Value) -> Vec<u8> {
    match (kind.or_reference, value.get("$ref")) {
        (false, _) => fields(kind, value),
        (true, None) => wrapped(&[1], fields(kind, value)),
        (true, Some(_)) => wrapped(&[2], fields(&REFERENCE, value)),
    }
}

fn fields(kind: &Message, value: &Value) -> Vec<u8> {
    let nothing = Map::new();
    let object = value.as_object().unwrap_or(&nothing);
    let mut out = Vec::new();
    for (key, number, form) in kind.fields {
        if let Some(value) = object.get(*key) {
            field(&mut out, *number, form, value);
        }
    }
    let extensions = object.iter().filter(|(key, _)| kind.extensions != 0 && key.starts_with("x-"));
    for (key, value) in extensions {
        bytes(&mut out, kind.extensions, &named(key, &any(value)));
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, form: &Form, value: &Value) {
    let items = || value.as_array().into_iter().flatten();
    match form {
        Form::Text => text(out, number, value),
        Form::Texts => items().for_each(|item| text(out, number, item)),
        Form::Flag => {
            if value == &Value::Bool(true) {
                flag(out, number, true);
            }
        }
        Form::Scalar => bytes(out, number, &scalar(value)),
        Form::Any => bytes(out, number, &any(value)),
        Form::Anys => items().for_each(|item| bytes(out, number, &any(item))),
        Form::One(inside, kind) => bytes(out, number, &wrapped(inside, message(kind, value))),
        Form::Many(inside, kind) => {
            items().for_each(|item| bytes(out, number, &wrapped(inside, message(kind, item))));
        }
        Form::Chosen(choose) => items().for_each(|item| {
            let (inside, kind) = choose(item);
            bytes(out, number, &wrapped(inside, message(kind, item)));
        }),
        Form::Named(entry, inside, kind) => {
            bytes(out, number, &map(*entry, value, |value| wrapped(inside, message(kind, value))));
        }
        Form::NamedTexts => items().for_each(|item| bytes(out, number, &map(1, item, texts))),
        Form::Type => {
            let mut types = Vec::new();
            text(&mut types, 1, value);
            bytes(out, number, &types);
        }
    }
}

/// An object with free keys, as its entries.
fn map(entry: u32, object: &Value, write: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        bytes(&mut out, entry, &named(key, &write(value)));
    }
    out
}

/// A message inside others, whose field numbers stand from the outside in.
fn wrapped(inside: &[u32], content: Vec<u8>) -> Vec<u8> {
    inside.iter().rev().fold(content, |content, number| {
        let mut out = Vec::with_capacity(content.len() + 6);
        bytes(&mut out, *number, &content);
        out
    })
}

/// An entry of a map.
fn named(key: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 1, key.as_bytes());
    bytes(&mut out, 2, value);
    out
}

fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 2, value.to_string().as_bytes());
    out
}

fn scalar(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Number(number) => double(&mut out, 1, number.as_f64().unwrap_or_default()),
        Value::Bool(value) => flag(&mut out, 2, *value),
        Value::String(_) => text(&mut out, 3, value),
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    }
    out
}

fn texts(list: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    list.as_array().into_iter().flatten().for_each(|item| text(&mut out, 1, item));
    out
}

fn text(out: &mut Vec<u8>, number: u32, value: &Value) {
    if let Some(text) = value.as_str() {
        bytes(out, number, text.as_bytes());
    }
}

fn flag(out: &mut Vec<u8>, number: u32, value: bool) {
    varint(out, u64::from(number) << 3);
    out.push(u8::from(value));
}

fn double(out: &mut Vec<u8>, number: u32, value: f64) {
    varint(out, (u64::from(number) << 3) | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field of bytes, with its length in front.
fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    varint(out, (u64::from(number) << 3) | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}
