//! JSON pointers (RFC 6901), with the list indexes of upstream's library.

use serde_json::Value;

use crate::go_text::number::atoi;

/// A pointer's text and its unescaped tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pointer {
    pub(super) text: String,
    /// Empty for the whole document, and for a text without a slash, which leads nowhere.
    tokens: Vec<String>,
}

impl Pointer {
    pub(super) fn read(text: &str) -> Pointer {
        // What stands before the first slash is ignored, as upstream does.
        let tokens = text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
        Pointer { text: text.to_owned(), tokens: tokens.collect() }
    }

    /// How many lists and objects enclose the place.
    pub(super) fn depth(&self) -> usize {
        self.tokens.len()
    }

    /// The list or object that holds the place, and the place's key in it.
    pub(super) fn parent<'v>(&self, document: &'v mut Value) -> Option<(&'v mut Value, &str)> {
        let (key, way) = self.tokens.split_last()?;
        let mut at = document;
        for token in way {
            at = match at {
                Value::Object(object) => object.get_mut(token)?,
                Value::Array(items) => {
                    let index = index(token, items.len()).ok()?;
                    items.get_mut(index)?
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
            };
        }
        Some((at, key))
    }
}

/// The position of an item; below 0 counts from the end.
pub(super) fn index(key: &str, len: usize) -> Result<usize, String> {
    let number = atoi(key)?;
    place(number, len).filter(|at| *at < len).ok_or_else(|| invalid(number))
}

/// Where a new item goes: before an item, or `-` for the end.
pub(super) fn insertion_index(key: &str, len: usize) -> Result<usize, String> {
    if key == "-" {
        return Ok(len);
    }
    let number = atoi(key).map_err(|why| format!("value was not a proper array index: '{key}': {why}"))?;
    place(number, len + 1).filter(|at| *at <= len).ok_or_else(|| invalid(number))
}

fn place(number: i64, len: usize) -> Option<usize> {
    match usize::try_from(number) {
        Ok(at) => Some(at),
        Err(_) => len.checked_sub(usize::try_from(number.unsigned_abs()).ok()?),
    }
}

fn invalid(number: i64) -> String {
    format!("Unable to access invalid index: {number}: invalid index referenced")
}
