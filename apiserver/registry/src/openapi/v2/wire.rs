//! The OpenAPI v2 document in protobuf, in gnostic's messages: the only form that client-go asks for.
//!
//! In: the document as JSON. Out: its bytes. What is a message, and which number a field has, stands in the tables
//! below.
//!
//! Deliberately absent: the fields that our documents do not have.
//!
//! Source: `openapiv2/OpenAPIv2.proto` of `github.com/google/gnostic-models`.

use serde_json::Value;

use crate::openapi::wire::{
    self,
    Form::{Any, Anys, Chosen, Flag, Many, Named, NamedTexts, One, Text, Texts, Type},
    Message,
};

/// The media types: the one that the answer has, and the one by which most clients ask for it, which is none by the rules.
pub(in crate::openapi) const MEDIA_TYPES: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

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
    or_reference: false,
};

static INFO: Message =
    Message { fields: &[("title", 1, Text), ("version", 2, Text)], extensions: 7, or_reference: false };

static API_KEY: Message = Message {
    fields: &[("type", 1, Text), ("name", 2, Text), ("in", 3, Text), ("description", 4, Text)],
    extensions: 5,
    or_reference: false,
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
        ("parameters", 9, Chosen(parameter)),
    ],
    extensions: 10,
    or_reference: false,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Chosen(parameter)),
        ("responses", 9, Named(1, &[1], &RESPONSE)),
    ],
    extensions: 13,
    or_reference: false,
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Text), ("schema", 2, One(&[1], &SCHEMA))],
    extensions: 5,
    or_reference: false,
};

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, One(&[], &SCHEMA)),
    ],
    extensions: 6,
    or_reference: false,
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
    or_reference: false,
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
    or_reference: false,
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
    or_reference: false,
};

/// The whole document.
pub(in crate::openapi) fn encode(document: &Value) -> Vec<u8> {
    wire::message(&DOCUMENT, document)
}

/// A parameter: there is a message for each place, inside two or three others.
fn parameter(value: &Value) -> (&'static [u32], &'static Message) {
    match value["in"].as_str() {
        Some("body") => (&[1, 1], &BODY_PARAMETER),
        Some("path") => (&[1, 2, 4], &PATH_PARAMETER),
        _ => (&[1, 2, 3], &QUERY_PARAMETER),
    }
}
