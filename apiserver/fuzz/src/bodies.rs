//! Bodies of requests in every encoding.
//!
//! Promises: what can be read once can be written and read again, and says the same then.

use keelson_api_registry::resources::{RESOURCES, ResourceInfo};
use keelson_api_schema::{
    Document, Encoding, Schema, TypeId, builtin, decode_value, encode, encode_protobuf,
};
use serde_json::Value;

/// The resource that the first byte of an input chooses, and the rest.
pub(crate) fn chosen(input: &[u8]) -> Option<(&'static ResourceInfo, &[u8])> {
    let (first, rest) = input.split_first()?;
    Some((&RESOURCES[usize::from(*first) % RESOURCES.len()], rest))
}

pub(crate) fn json(input: &[u8]) {
    text(input, Encoding::Json);
}

pub(crate) fn yaml(input: &[u8]) {
    text(input, Encoding::Yaml);
}

pub(crate) fn protobuf(input: &[u8]) {
    let Some((resource, body)) = chosen(input) else { return };
    if let Some(value) = read(body, Encoding::Protobuf, resource.schema()) {
        check(resource.schema(), &value);
    }
}

fn text(input: &[u8], encoding: Encoding) {
    let Some((resource, body)) = chosen(input) else { return };
    // Without a type nothing can be wrong but the text.
    let _ = Document::parse(body, encoding).and_then(Document::decode_untyped);
    if let Some(value) = read(body, encoding, resource.schema()) {
        check(resource.schema(), &value);
    }
}

/// The body as a value of a type, if it is one.
pub(crate) fn read(body: &[u8], encoding: Encoding, ty: TypeId) -> Option<Value> {
    read_by(builtin(), body, encoding, ty)
}

fn read_by(schema: &Schema, body: &[u8], encoding: Encoding, ty: TypeId) -> Option<Value> {
    let document = Document::parse(body, encoding).ok()?;
    let _ = document.type_meta();
    document.decode(schema, ty).ok().map(|decoded| decoded.value)
}

/// A canonical value stays as it is, whichever way it goes.
fn check(ty: TypeId, value: &Value) {
    check_text(builtin(), ty, value);
    let message = encode_protobuf(builtin(), ty, value);
    let back = read(&message, Encoding::Protobuf, ty).expect("a message that was written can be read");
    assert_eq!(encode_protobuf(builtin(), ty, &back), message, "a message is read as it was written");
}

/// The same, as JSON of any schema's type.
pub(crate) fn check_text(schema: &Schema, ty: TypeId, value: &Value) {
    let again = decode_value(schema, ty, value.clone()).expect("what was decoded can be decoded again");
    assert_eq!(&again.value, value, "a canonical value is canonical");
    let written = encode(schema, ty, value);
    let back = read_by(schema, &written, Encoding::Json, ty).expect("what was written can be read");
    assert_eq!(encode(schema, ty, &back), written, "what was written is read as it was");
}
