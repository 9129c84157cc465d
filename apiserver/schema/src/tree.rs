//! A document as it was written: fields in order, repeated ones included, numbers as text.
//!
//! In: JSON or YAML text, or a value that was computed. Out: a [`Node`]. A `serde_json::Value` cannot play this part: it
//! keeps the last of repeated fields silently, and a quantity written `1e3` must be read from its text.
//!
//! Depth is bounded here, once: whatever becomes a `Node` can be walked recursively, and can be parsed again by
//! `serde_json`, whose own limit is 128.

pub(crate) mod json;
pub(crate) mod yaml;

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// How deep lists and objects may nest.
pub(crate) const MAX_DEPTH: usize = 120;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    /// The number's text.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// Cut loose from the text that it was read from.
    pub(crate) fn into_owned(self) -> Node<'static> {
        match self {
            Node::Null => Node::Null,
            Node::Bool(value) => Node::Bool(value),
            Node::Number(text) => Node::Number(Cow::Owned(text.into_owned())),
            Node::String(text) => Node::String(Cow::Owned(text.into_owned())),
            Node::List(items) => Node::List(items.into_iter().map(Node::into_owned).collect()),
            Node::Object(fields) => {
                let fields =
                    fields.into_iter().map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()));
                Node::Object(fields.collect())
            }
        }
    }

    /// The tree of a value; `None` if it nests too deep.
    pub(crate) fn from_value(value: Value) -> Option<Node<'static>> {
        from_value(value, 0)
    }

    /// The value with the last of repeated fields, and numbers as Go reads them when it knows no type.
    ///
    /// # Errors
    /// The text of a number that no double can hold.
    pub(crate) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(text) => Value::Number(number(&text)?),
            Node::String(text) => Value::String(text.into_owned()),
            Node::List(items) => {
                Value::Array(items.into_iter().map(Node::into_value).collect::<Result<_, _>>()?)
            }
            Node::Object(fields) => {
                let mut object = Map::new();
                for (key, value) in fields {
                    object.insert(key.into_owned(), value.into_value()?);
                }
                Value::Object(object)
            }
        })
    }
}

/// An integer if the text is one that fits 64 bits, else a double.
///
/// # Errors
/// The text, if no double can hold it.
pub(crate) fn number(text: &str) -> Result<Number, String> {
    if let Ok(value) = text.parse::<i64>() {
        return Ok(value.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(|| text.to_owned())
}

fn from_value(value: Value, depth: usize) -> Option<Node<'static>> {
    if depth == MAX_DEPTH && (value.is_array() || value.is_object()) {
        return None;
    }
    Some(match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(value),
        Value::Number(number) => Node::Number(Cow::Owned(number_text(&number))),
        Value::String(text) => Node::String(Cow::Owned(text)),
        Value::Array(items) => {
            Node::List(items.into_iter().map(|item| from_value(item, depth + 1)).collect::<Option<_>>()?)
        }
        Value::Object(fields) => {
            let fields =
                fields.into_iter().map(|(key, value)| Some((Cow::Owned(key), from_value(value, depth + 1)?)));
            Node::Object(fields.collect::<Option<_>>()?)
        }
    })
}

/// A number as Go writes it.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => crate::go_text::float(value),
        _ => number.to_string(),
    }
}
