//! OpenAPI v3 documents in protobuf, in gnostic's messages: the form that client-go asks for where it wants few bytes.
//!
//! In: a document as JSON. Out: its bytes. What is a message, and which number a field has, stands in the tables below.
//!
//! Deliberately absent: the fields that our documents do not have; and defaults that are no scalars, for which the messages
//! have no words: they only say that there is one, as upstream's do.
//!
//! Source: `openapiv3/OpenAPIv3.proto` of `github.com/google/gnostic-models`.

use serde_json::Value;

use super::wire::{
    self,
    Form::{Anys, Flag, Many, Named, NamedTexts, One, Scalar, Text, Texts},
    Message,
};

/// The media types: the one that the answer has, and the one by which client-go asks for it, which is none by the rules.
pub(super) const MEDIA_TYPES: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
];

static DOCUMENT: Message = Message {
    fields: &[
        ("openapi", 1, Text),
        ("info", 2, One(&[], &INFO)),
        ("paths", 4, Named(1, &[], &PATH_ITEM)),
        ("components", 5, One(&[], &COMPONENTS)),
        ("security", 6, NamedTexts),
    ],
    extensions: 9,
    or_reference: false,
};

static INFO: Message = Message {
    fields: &[("title", 1, Text), ("description", 2, Text), ("version", 6, Text)],
    extensions: 7,
    or_reference: false,
};

static COMPONENTS: Message = Message {
    fields: &[
        ("schemas", 1, Named(1, &[], &SCHEMA)),
        ("securitySchemes", 7, Named(1, &[], &SECURITY_SCHEME)),
    ],
    extensions: 10,
    or_reference: false,
};

static SECURITY_SCHEME: Message = Message {
    fields: &[("type", 1, Text), ("description", 2, Text), ("name", 3, Text), ("in", 4, Text)],
    extensions: 9,
    or_reference: true,
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 4, One(&[], &OPERATION)),
        ("put", 5, One(&[], &OPERATION)),
        ("post", 6, One(&[], &OPERATION)),
        ("delete", 7, One(&[], &OPERATION)),
        ("options", 8, One(&[], &OPERATION)),
        ("head", 9, One(&[], &OPERATION)),
        ("patch", 10, One(&[], &OPERATION)),
        ("parameters", 13, Many(&[], &PARAMETER)),
    ],
    extensions: 14,
    or_reference: false,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("parameters", 6, Many(&[], &PARAMETER)),
        ("requestBody", 7, One(&[], &REQUEST_BODY)),
        ("responses", 8, Named(2, &[], &RESPONSE)),
    ],
    extensions: 13,
    or_reference: false,
};

static PARAMETER: Message = Message {
    fields: &[
        ("name", 1, Text),
        ("in", 2, Text),
        ("description", 3, Text),
        ("required", 4, Flag),
        ("schema", 10, One(&[], &SCHEMA)),
    ],
    extensions: 14,
    or_reference: true,
};

static REQUEST_BODY: Message = Message {
    fields: &[("description", 1, Text), ("content", 2, Named(1, &[], &MEDIA_TYPE)), ("required", 3, Flag)],
    extensions: 4,
    or_reference: true,
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Text), ("content", 3, Named(1, &[], &MEDIA_TYPE))],
    extensions: 5,
    or_reference: true,
};

static MEDIA_TYPE: Message =
    Message { fields: &[("schema", 1, One(&[], &SCHEMA))], extensions: 5, or_reference: false };

static SCHEMA: Message = Message {
    fields: &[
        ("uniqueItems", 20, Flag),
        ("required", 23, Texts),
        ("enum", 24, Anys),
        ("type", 25, Text),
        ("allOf", 26, Many(&[], &SCHEMA)),
        ("oneOf", 27, Many(&[], &SCHEMA)),
        ("anyOf", 28, Many(&[], &SCHEMA)),
        ("items", 30, One(&[1], &SCHEMA)),
        ("properties", 31, Named(1, &[], &SCHEMA)),
        ("additionalProperties", 32, One(&[1], &SCHEMA)),
        ("default", 33, Scalar),
        ("description", 34, Text),
        ("format", 35, Text),
    ],
    extensions: 36,
    or_reference: true,
};

/// The whole document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    wire::message(&DOCUMENT, document)
}

#[cfg(test)]
mod tests;
