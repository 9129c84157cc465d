//! One step of a field's path, as `FieldsV1` writes it: `f:spec`, `k:{"name":"web"}`, `v:"example.com/held"`, `i:3`.
//!
//! The text is the step: what is equal is written in the same way, whoever wrote it ([`canonical`]).

use serde_json::{Map, Value};

use crate::encode;
use crate::go_text::quote;
use crate::tree::number_text;

/// A field of an object, or a key of a map.
pub(super) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The name of a field.
pub(super) fn field_name(element: &str) -> Option<&str> {
    element.strip_prefix("f:")
}

/// An item of a set.
pub(super) fn value(value: &Value) -> String {
    prefixed("v:", value)
}

/// An item of a list with keys.
pub(super) fn keys<'k>(keys: impl Iterator<Item = (&'k str, &'k Value)>) -> String {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable_by_key(|(name, _)| *name);
    let mut text = b"k:{".to_vec();
    for (at, (name, value)) in keys.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, name).expect("writing a string to memory cannot fail");
        text.push(b':');
        encode::untyped(value, &mut text);
    }
    text.push(b'}');
    utf8(text)
}

/// A step that somebody else wrote, in the only form that is compared. `None`: of a kind that only later versions know.
///
/// # Errors
/// What is wrong with it.
pub(super) fn canonical(text: &str) -> Result<Option<String>, String> {
    let Some((kind, rest)) = text.split_at_checked(2) else {
        return Err(format!("key must be 2 characters long:{text}"));
    };
    let parse = || serde_json::from_str::<Value>(rest).map_err(|error| error.to_string());
    match kind {
        "f:" => Ok(Some(text.to_owned())),
        "v:" => Ok(Some(value(&parse()?))),
        "k:" => match parse()? {
            Value::Object(object) => Ok(Some(keys_of(&object))),
            _ => Err("parsing JSON: expected an object of keys".to_owned()),
        },
        "i:" => match rest.parse::<i32>() {
            Ok(index) => Ok(Some(format!("i:{index}"))),
            Err(error) => Err(error.to_string()),
        },
        _ => Ok(None),
    }
}

/// Appends the step as messages have it: `.spec`, `[name="web"]`, `[="example.com/held"]`, `[3]`.
pub(super) fn describe(element: &str, out: &mut String) {
    let (kind, rest) = element.split_at_checked(2).unwrap_or(("f:", element));
    let text = match (kind, serde_json::from_str::<Value>(rest)) {
        ("k:", Ok(Value::Object(keys))) => {
            let keys: Vec<_> = keys.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
            format!("[{}]", keys.join(","))
        }
        ("v:", Ok(value)) => format!("[={}]", shown(&value)),
        ("i:", _) => format!("[{rest}]"),
        _ => format!(".{rest}"),
    };
    out.push_str(&text);
}

fn keys_of(object: &Map<String, Value>) -> String {
    keys(object.iter().map(|(name, value)| (name.as_str(), value)))
}

fn prefixed(prefix: &str, value: &Value) -> String {
    let mut text = prefix.as_bytes().to_vec();
    encode::untyped(value, &mut text);
    utf8(text)
}

fn utf8(text: Vec<u8>) -> String {
    String::from_utf8(text).expect("JSON that was written from strings is UTF-8")
}

/// A scalar in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => number_text(number),
        other => other.to_string(),
    }
}
