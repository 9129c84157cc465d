//! The OpenAPI v2 document in protobuf, in gnostic's messages: the only form that client-go asks for.
//!
//! In: the document as JSON. Out: its bytes. What is a message, and which number a field has, stands in the tables
//! below; whatever begins with `x-` is an extension, written as YAML (JSON is YAML).
//!
//! Deliberately absent: reading it, and the fields that our documents do not have.
//!
//! Source: `openapiv2/OpenAPIv2.proto` of `github.com/google/gnostic-models`.

use serde_json::{Map, Value};

/// The media type that the answer has.
pub(in crate::openapi) const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The name under which most clients ask for it, which is no media type by the rules.
const OLD_MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Whether an `Accept` header puts this form before JSON.
pub(in crate::openapi) fn is_accepted(accept: Option<&str>) -> bool {
    let ranges = accept.unwrap_or_default().split(',');
    let mut ranges = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    let known = |range: &&str| {
        matches!(*range, MEDIA_TYPE | OLD_MEDIA_TYPE | "application/json" | "application/*" | "*/*")
    };
    ranges.find(known).is_some_and(|range| matches!(range, MEDIA_TYPE | OLD_MEDIA_TYPE))
}

/// A kind of object of the document.
struct Message {
    /// Key, number, and what stands there.
    fields: &'static [(&'static str, u32, Form)],
    /// The number of its extensions; 0 where it has none.
    extensions: u32,
}

/// How a value is written.
enum Form {
    Text,
    Texts,
    Flag,
    /// Anything at all.
    Any,
    /// Several of those.
    Anys,
    /// An object, inside as many messages as there are numbers.
    One(&'static [u32], &'static Message),
    /// Several objects, each inside such messages.
    Many(&'static [u32], &'static Message),
    /// An object with free keys. The first number is that of an entry; each value stands inside the messages after.
    Named(u32, &'static [u32], &'static Message),
    /// Lists of texts by free keys, each list of them in an element of its own.
    NamedTexts,
    /// A list of texts, where JSON may have just one.
    Type,
    /// Whose message depends on where they stand in a request.
    Parameters,
}

use Form::{Any, Anys, Flag, Many, Named, NamedTexts, One, Parameters, Text, Texts, Type};

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, One(&[], &INFO)),
        ("paths", 8, Named(2, &[], &PATH_ITEM)),
        ("definitions", 9, Named(1, &[], &SCHEMA)),
        ("security", 12, NamedTexts),
        ("securityDefinitions", 13, Named(1, &[2], &API_KEY)),
    ],
    extensions: 16,
};

static INFO: Message = Message { fields: &[("title", 1, Text), ("version", 2, Text)], extensions: 7 };

static API_KEY: Message = Message {
    fields: &[("type", 1, Text), ("name", 2, Text), ("in", 3, Text), ("description", 4, Text)],
    extensions: 5,
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, One(&[], &OPERATION)),
        ("put", 3, One(&[], &OPERATION)),
        ("post", 4, One(&[], &OPERATION)),
        ("delete", 5, One(&[], &OPERATION)),
        ("options", 6, One(&[], &OPERATION)),
        ("head", 7, One(&[], &OPERATION)),
        ("patch", 8, One(&[], &OPERATION)),
        ("parameters", 9, Parameters),
    ],
    extensions: 10,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Parameters),
        ("responses", 9, Named(1, &[1], &RESPONSE)),
    ],
    extensions: 13,
};

static RESPONSE: Message =
    Message { fields: &[("description", 1, Text), ("schema", 2, One(&[1], &SCHEMA))], extensions: 5 };

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, One(&[], &SCHEMA)),
    ],
    extensions: 6,
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: 23,
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: 22,
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("required", 19, Texts),
        ("enum", 20, Anys),
        ("additionalProperties", 21, One(&[1], &SCHEMA)),
        ("type", 22, Type),
        ("items", 23, One(&[1], &SCHEMA)),
        ("allOf", 24, Many(&[], &SCHEMA)),
        ("properties", 25, Named(1, &[], &SCHEMA)),
    ],
    extensions: 31,
};

/// The whole document.
pub(in crate::openapi) fn encode(document: &Value) -> Vec<u8> {
    message(&DOCUMENT, document)
}

fn message(kind: &Message, value: &Value) -> Vec<u8> {
    let nothing = Map::new();
    let object = value.as_object().unwrap_or(&nothing);
    let mut out = Vec::new();
    for (key, number, form) in kind.fields {
        if let Some(value) = object.get(*key) {
            field(&mut out, *number, form, value);
        }
    }
    for (key, value) in object.iter().filter(|(key, _)| key.starts_with("x-")) {
        bytes(&mut out, kind.extensions, &named(key, &any(value)));
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, form: &Form, value: &Value) {
    let items = || value.as_array().into_iter().flatten();
    let entries = || value.as_object().into_iter().flatten();
    match form {
        Text => text(out, number, value),
        Texts => items().for_each(|item| text(out, number, item)),
        Flag => {
            if value == &Value::Bool(true) {
                varint(out, u64::from(number) << 3);
                out.push(1);
            }
        }
        Any => bytes(out, number, &any(value)),
        Anys => items().for_each(|item| bytes(out, number, &any(item))),
        One(inside, kind) => bytes(out, number, &wrapped(inside, message(kind, value))),
        Many(inside, kind) => {
            items().for_each(|item| bytes(out, number, &wrapped(inside, message(kind, item))));
        }
        Named(entry, inside, kind) => {
            let mut map = Vec::new();
            for (key, value) in entries() {
                bytes(&mut map, *entry, &named(key, &wrapped(inside, message(kind, value))));
            }
            bytes(out, number, &map);
        }
        NamedTexts => {
            for (key, list) in items().filter_map(Value::as_object).flatten() {
                let mut texts = Vec::new();
                field(&mut texts, 1, &Texts, list);
                bytes(out, number, &wrapped(&[1], named(key, &texts)));
            }
        }
        Type => {
            let mut types = Vec::new();
            text(&mut types, 1, value);
            bytes(out, number, &types);
        }
        Parameters => items().for_each(|item| bytes(out, number, &parameter(item))),
    }
}

/// An item of a list of parameters: there is a message for each place, inside two or three others.
fn parameter(value: &Value) -> Vec<u8> {
    match value["in"].as_str() {
        Some("body") => wrapped(&[1, 1], message(&BODY_PARAMETER, value)),
        Some("path") => wrapped(&[1, 2, 4], message(&PATH_PARAMETER, value)),
        _ => wrapped(&[1, 2, 3], message(&QUERY_PARAMETER, value)),
    }
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

fn text(out: &mut Vec<u8>, number: u32, value: &Value) {
    if let Some(text) = value.as_str() {
        bytes(out, number, text.as_bytes());
    }
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
