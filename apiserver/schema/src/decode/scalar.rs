//! Scalars: what is accepted for each, and how it is rewritten.
//!
//! In: a scalar shape and a node. Out: the canonical value, or what is wrong, which the walk completes with the place.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::walk::found;
use crate::go_text::{duration, time};
use crate::model::Shape;
use crate::quantity;
use crate::tree::{self, Node};

/// What is wrong with a scalar.
pub(super) enum Fault {
    /// It is another kind of value, described as Go does, and Go would have put it into a type of this name.
    Mismatch { found: String, wanted: Wanted },
    /// It has the right kind and a wrong text; Go's message, which names no place.
    Text(String),
}

/// The name of the Go type that a value did not fit.
pub(super) enum Wanted {
    /// The declared type.
    Declared,
    /// A type inside of it.
    Inner(&'static str),
}

/// As Go's standard encoding: padded, trailing bits not checked.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A node that is not null as a scalar; `None` if the shape is no scalar.
pub(super) fn decode(shape: &Shape, node: &Node<'_>) -> Option<Result<Value, Fault>> {
    Some(match shape {
        Shape::Bool => match node {
            Node::Bool(value) => Ok(Value::Bool(*value)),
            other => mismatch(other, Wanted::Declared),
        },
        Shape::String => text(node, Wanted::Declared).map(Value::from),
        Shape::Int32 => integer(node, i32::MIN.into(), i32::MAX.into(), Wanted::Declared),
        Shape::Int64 => integer(node, i64::MIN, i64::MAX, Wanted::Declared),
        Shape::Float64 => float(node),
        Shape::Bytes => text(node, Wanted::Declared).and_then(bytes),
        Shape::IntOrString => match node {
            Node::String(text) => Ok(Value::from(text.as_ref())),
            other => integer(other, i32::MIN.into(), i32::MAX.into(), Wanted::Inner("int32")),
        },
        Shape::Quantity => quantity_text(node),
        Shape::Time => moment(node, time::Precision::Seconds),
        Shape::MicroTime => moment(node, time::Precision::Micros),
        Shape::Duration => {
            let text = text(node, Wanted::Inner("string"));
            text.and_then(|text| duration::canonical(text).map_err(Fault::Text)).map(Value::from)
        }
        Shape::Any
        | Shape::BoolOr(_)
        | Shape::ListOr(_)
        | Shape::StringsOr(_)
        | Shape::List { .. }
        | Shape::Map { .. }
        | Shape::Struct(_) => return None,
    })
}

fn mismatch<T>(node: &Node<'_>, wanted: Wanted) -> Result<T, Fault> {
    Err(Fault::Mismatch { found: found(node).to_owned(), wanted })
}

fn text<'n>(node: &'n Node<'_>, wanted: Wanted) -> Result<&'n str, Fault> {
    match node {
        Node::String(text) => Ok(text),
        other => mismatch(other, wanted),
    }
}

fn integer(node: &Node<'_>, least: i64, most: i64, wanted: Wanted) -> Result<Value, Fault> {
    let Node::Number(text) = node else { return mismatch(node, wanted) };
    match text.parse::<i64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value.into()),
        _ => Err(Fault::Mismatch { found: format!("number {text}"), wanted }),
    }
}

fn float(node: &Node<'_>) -> Result<Value, Fault> {
    let Node::Number(text) = node else { return mismatch(node, Wanted::Declared) };
    let too_large = |text| Fault::Mismatch { found: format!("number {text}"), wanted: Wanted::Declared };
    tree::number(text).map(Value::Number).map_err(too_large)
}

/// Base64 in, canonical base64 out. Go skips line breaks inside.
fn bytes(text: &str) -> Result<Value, Fault> {
    let joined = text.replace(['\r', '\n'], "");
    let decoded = BASE64.decode(&joined).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(length) => length - length % 4,
            base64::DecodeError::InvalidPadding => joined.trim_end_matches('=').len(),
        };
        Fault::Text(format!("illegal base64 data at input byte {at}"))
    })?;
    Ok(Value::from(BASE64.encode(decoded)))
}

/// Upstream reads a quantity from the text of any JSON value.
fn quantity_text(node: &Node<'_>) -> Result<Value, Fault> {
    let text = match node {
        Node::String(text) | Node::Number(text) => text.as_ref(),
        Node::Null | Node::Bool(_) | Node::List(_) | Node::Object(_) => {
            return Err(Fault::Text(quantity::QuantityError::Format.to_string()));
        }
    };
    match quantity::canonical_text(text) {
        Ok(text) => Ok(Value::from(text)),
        Err(error) => Err(Fault::Text(error.to_string())),
    }
}

fn moment(node: &Node<'_>, precision: time::Precision) -> Result<Value, Fault> {
    let text = text(node, Wanted::Inner("string"))?;
    time::canonical(text, precision).map(Value::from).map_err(Fault::Text)
}
