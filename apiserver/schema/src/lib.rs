//! The Kubernetes API's types as data, and everything that is decided by a type alone.
//!
//! In: bytes or JSON values that claim to be of some type. Out: the same data decoded, pruned, checked, in
//! canonical form; patches applied; selectors parsed; OpenAPI components. All of it is pure: no clock, no
//! randomness, no I/O, and no panic or unbounded work on anything a client may send.
//!
//! The way of one request body through this crate:
//! [`Document::parse`] (JSON, YAML or protobuf to a tree) → [`Document::decode`] (typed, pruned, canonical, with
//! [`Violation`]s noted) → [`Decoded::enforce`] (strict, warn or ignore) → [`default::apply`] →
//! (the caller: a kind's own defaults, admission, validation) → [`encode`] (bytes to store and to send).
//! A patch goes [`encode`]d object or value → [`patch`] → [`decode_value`] and on as above.
//! A configuration that is applied goes object and value → [`apply`] → [`decode_value`] likewise.
//!
//! Values are `serde_json::Value`s that look as upstream's Go structs look when they are written as JSON:
//! a field is absent where Go's `omitempty` leaves it out, and `null`, `""`, `0` or `{}` where Go writes a zero
//! value. Code that reads them must treat a `null` field as an absent one.
//!
//! Deliberately absent: which kinds are served and under which paths, a kind's own rules (both in the resource
//! registry), status codes, and typed Rust structs.

pub mod apply;
pub mod default;
pub mod format;
pub mod go_text;
pub mod openapi;
pub mod patch;
pub mod quantity;
pub mod selector;

mod builtin;
mod decode;
mod encode;
mod model;
mod protobuf;
mod table;
mod tree;

pub use builtin::{builtin, group_of};
pub use decode::error::DecodeError;
pub use decode::{
    Decoded, Document, Encoding, FieldValidation, MAX_DOCUMENT_BYTES, MAX_OBJECTS, TypeMeta,
    UnknownFieldValidation, Violation, decode_value,
};
pub use encode::{encode, encode_to};
pub use model::{
    Embedded, Field, FieldDraft, KindFacts, ListKind, MapKind, PatchStrategy, Presence, Proto, Schema,
    SchemaBuilder, SchemaError, Scope, Shape, Struct, StructKind, Type, TypeId, UnknownFields, Wire,
};
pub use protobuf::write::{
    encode_protobuf, protobuf_field, protobuf_field_head, protobuf_frame, protobuf_frame_around,
    protobuf_message,
};
