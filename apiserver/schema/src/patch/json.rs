//! JSON patch (RFC 6902).
//!
//! In: a list of operations. Out: the patched value, or the first operation that fails, in the words of the library
//! that upstream uses; like it, negative indexes count from a list's end.
//!
//! Limits: 10,000 operations; 3 MiB of copied text; a bounded number of list items moved and values compared; and no
//! deeper nesting than a document may have.

mod pointer;

use serde_json::Value;

use super::PatchError;
use crate::go_text::mismatch;
use crate::tree::MAX_DEPTH;
use pointer::Pointer;

/// The most operations in one patch.
pub const MAX_OPERATIONS: usize = 10_000;

/// The most bytes of JSON that all `copy` operations of a patch may add.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// The most steps (list items shifted, values compared or measured) that one patch may take.
const MAX_STEPS: usize = 50_000_000;

/// A patch whose operations have been read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPatch {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq)]
enum Operation {
    Add {
        path: Pointer,
        value: Value,
    },
    Remove {
        path: Pointer,
    },
    Replace {
        path: Pointer,
        value: Value,
    },
    Move {
        from: Pointer,
        path: Pointer,
    },
    Copy {
        from: Pointer,
        path: Pointer,
    },
    Test {
        path: Pointer,
        value: Value,
    },
    /// One that upstream refuses only when its turn comes.
    Bad {
        message: String,
    },
}

impl JsonPatch {
    /// Reads a patch.
    ///
    /// # Errors
    /// [`PatchError::Malformed`] if it is no list of objects, [`PatchError::TooLarge`] for too many operations.
    pub fn read(patch: Value) -> Result<JsonPatch, PatchError> {
        let items = match patch {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            other => return Err(not_go(&other, "jsonpatch.Patch")),
        };
        if items.len() > MAX_OPERATIONS {
            let message = format!(
                "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                items.len()
            );
            return Err(PatchError::too_large(message));
        }
        let operations = items.into_iter().map(Operation::read).collect::<Result<_, _>>()?;
        Ok(JsonPatch { operations })
    }

    /// Applies all operations, or none.
    ///
    /// # Errors
    /// [`PatchError::Unprocessable`] for the first operation that fails, [`PatchError::TooLarge`] for a limit.
    pub fn apply(&self, mut document: Value) -> Result<Value, PatchError> {
        let mut budget = Budget { copied: 0, steps: 0 };
        for operation in &self.operations {
            operation.apply(&mut document, &mut budget)?;
        }
        Ok(document)
    }
}

/// Go's message for a JSON value in the wrong place.
fn not_go(value: &Value, wanted: &str) -> PatchError {
    PatchError::malformed(mismatch(value, &format!("Go value of type {wanted}")))
}

/// What an operation has used up.
struct Budget {
    copied: usize,
    steps: usize,
}

impl Budget {
    fn steps(&mut self, steps: usize) -> Result<(), PatchError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(PatchError::too_large(format!("the JSON patch takes more than {MAX_STEPS} steps")));
        }
        Ok(())
    }

    fn copied(&mut self, bytes: usize) -> Result<(), PatchError> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > MAX_COPIED_BYTES {
            return Err(PatchError::unprocessable(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit {MAX_COPIED_BYTES}",
                self.copied
            )));
        }
        Ok(())
    }
}

impl Operation {
    fn read(item: Value) -> Result<Operation, PatchError> {
        let mut fields = match item {
            Value::Object(fields) => fields,
            other => return Err(not_go(&other, "jsonpatch.Operation")),
        };
        let kind = fields.get("op").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        let pointer = |key: &str| fields.get(key).and_then(Value::as_str).map(Pointer::read);
        let (path, from) = (pointer("path"), pointer("from"));
        let value = fields.remove("value");
        let missing =
            |what: &str| Operation::Bad { message: format!("{kind} operation failed to decode {what}") };
        let no_path = || missing("path: missing value");
        Ok(match (kind.as_str(), path) {
            ("add", Some(path)) => Operation::Add { path, value: value.unwrap_or_default() },
            ("remove", Some(path)) => Operation::Remove { path },
            ("replace", Some(path)) => Operation::Replace { path, value: value.unwrap_or_default() },
            ("test", Some(path)) => Operation::Test { path, value: value.unwrap_or_default() },
            ("move" | "copy", path) => match (from, path) {
                (None, _) => missing("from: operation, missing from field: missing value"),
                (Some(_), None) if kind == "copy" => no_path(),
                (Some(_), None) => missing("path: operation missing path field: missing value"),
                (Some(from), Some(path)) if kind == "move" => Operation::Move { from, path },
                (Some(from), Some(path)) => Operation::Copy { from, path },
            },
            ("add" | "remove", None) => no_path(),
            ("replace" | "test", None) => missing("path: operation missing path field: missing value"),
            (kind, _) => Operation::Bad { message: format!("Unexpected kind: {kind}") },
        })
    }

    fn apply(&self, document: &mut Value, budget: &mut Budget) -> Result<(), PatchError> {
        match self {
            Operation::Add { path, value } => {
                let missing = || {
                    format!(
                        "add operation does not apply: doc is missing path: \"{}\": missing value",
                        path.text
                    )
                };
                insert(document, path, value.clone(), budget, missing, |reason| {
                    format!("error in add for path: '{}': {reason}", path.text)
                })
            }
            Operation::Remove { path } => remove(document, path, budget),
            Operation::Replace { path, value } => replace(document, path, value, budget),
            Operation::Move { from, path } => relocate(document, from, path, budget),
            Operation::Copy { from, path } => copy(document, from, path, budget),
            Operation::Test { path, value } => test(document, path, value, budget),
            Operation::Bad { message } => Err(PatchError::unprocessable(message.clone())),
        }
    }
}

/// Adds a value where a pointer leads.
fn insert(
    document: &mut Value,
    path: &Pointer,
    value: Value,
    budget: &mut Budget,
    missing: impl FnOnce() -> String,
    failed: impl FnOnce(String) -> String,
) -> Result<(), PatchError> {
    let (nodes, height) = measure(&value);
    budget.steps(nodes)?;
    if path.depth() + height > MAX_DEPTH {
        return Err(PatchError::too_large(format!("the patch nests deeper than {MAX_DEPTH} levels")));
    }
    let Some((parent, key)) = path.parent(document) else {
        return Err(PatchError::unprocessable(missing()));
    };
    match parent {
        Value::Object(object) => {
            object.insert(key.to_owned(), value);
            Ok(())
        }
        Value::Array(items) => {
            let at = pointer::insertion_index(key, items.len());
            let at = at.map_err(|reason| PatchError::unprocessable(failed(reason)))?;
            budget.steps(items.len() - at)?;
            items.insert(at, value);
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(PatchError::unprocessable(missing()))
        }
    }
}

/// Takes a value out; the error is the reason alone.
fn take(parent: &mut Value, key: &str, budget: &mut Budget) -> Result<Value, Taken> {
    match parent {
        Value::Object(object) => object
            .remove(key)
            .ok_or_else(|| Taken::Missing(format!("Unable to remove nonexistent key: {key}: missing value"))),
        Value::Array(items) => {
            let at = pointer::index(key, items.len()).map_err(Taken::Missing)?;
            budget.steps(items.len() - at).map_err(Taken::Limit)?;
            Ok(items.remove(at))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(Taken::Missing("missing value".into()))
        }
    }
}

/// Why nothing was taken.
enum Taken {
    Missing(String),
    Limit(PatchError),
}

impl Taken {
    fn describe(self, message: impl FnOnce(String) -> String) -> PatchError {
        match self {
            Taken::Missing(reason) => PatchError::unprocessable(message(reason)),
            Taken::Limit(error) => error,
        }
    }
}

fn remove(document: &mut Value, path: &Pointer, budget: &mut Budget) -> Result<(), PatchError> {
    let text = &path.text;
    let missing =
        || format!("remove operation does not apply: doc is missing path: \"{text}\": missing value");
    let (parent, key) = path.parent(document).ok_or_else(|| PatchError::unprocessable(missing()))?;
    take(parent, key, budget)
        .map(drop)
        .map_err(|taken| taken.describe(|reason| format!("error in remove for path: '{text}': {reason}")))
}

fn replace(
    document: &mut Value,
    path: &Pointer,
    value: &Value,
    budget: &mut Budget,
) -> Result<(), PatchError> {
    let (nodes, height) = measure(value);
    budget.steps(nodes)?;
    if path.depth() + height > MAX_DEPTH {
        return Err(PatchError::too_large(format!("the patch nests deeper than {MAX_DEPTH} levels")));
    }
    let text = &path.text;
    if text.is_empty() {
        if !value.is_object() && !value.is_array() {
            let message = "replace operation value must be object or array";
            return Err(PatchError::unprocessable(message));
        }
        *document = value.clone();
        return Ok(());
    }
    let missing = |what: &str| {
        format!("replace operation does not apply: doc is missing {what}: {text}: missing value")
    };
    let (parent, key) = path.parent(document).ok_or_else(|| PatchError::unprocessable(missing("path")))?;
    match parent {
        // Upstream's library sets a key that was not there.
        Value::Object(object) => {
            object.insert(key.to_owned(), value.clone());
            Ok(())
        }
        Value::Array(items) => {
            let at =
                pointer::index(key, items.len()).map_err(|_| PatchError::unprocessable(missing("key")))?;
            items[at] = value.clone();
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(PatchError::unprocessable(missing("path")))
        }
    }
}

fn relocate(
    document: &mut Value,
    from: &Pointer,
    path: &Pointer,
    budget: &mut Budget,
) -> Result<(), PatchError> {
    let text = &from.text;
    let missing =
        || format!("move operation does not apply: doc is missing from path: {text}: missing value");
    let (parent, key) = from.parent(document).ok_or_else(|| PatchError::unprocessable(missing()))?;
    let value = take(parent, key, budget)
        .map_err(|taken| taken.describe(|reason| format!("error in move for path: '{key}': {reason}")))?;
    let text = &path.text;
    let missing =
        || format!("move operation does not apply: doc is missing destination path: {text}: missing value");
    insert(document, path, value, budget, missing, |reason| {
        format!("error in move for path: '{text}': {reason}")
    })
}

fn copy(document: &mut Value, from: &Pointer, path: &Pointer, budget: &mut Budget) -> Result<(), PatchError> {
    let text = &from.text;
    let missing =
        || format!("copy operation does not apply: doc is missing from path: {text}: missing value");
    let (parent, key) = from.parent(document).ok_or_else(|| PatchError::unprocessable(missing()))?;
    let value = match parent {
        Value::Object(object) => object.get(key).unwrap_or(&Value::Null),
        Value::Array(items) => match pointer::index(key, items.len()) {
            Ok(at) => &items[at],
            Err(reason) => {
                let message = format!("error in copy for from: '{text}': {reason}");
                return Err(PatchError::unprocessable(message));
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(PatchError::unprocessable(missing()));
        }
    };
    // A value of n nodes has at least n bytes of text: no copy is made before it is known to be affordable.
    budget.copied(measure(value).0.max(value.to_string().len()))?;
    let value = value.clone();
    let text = &path.text;
    let missing =
        || format!("copy operation does not apply: doc is missing destination path: {text}: missing value");
    insert(document, path, value, budget, missing, |reason| {
        format!("error while adding value during copy: {reason}")
    })
}

fn test(document: &mut Value, path: &Pointer, value: &Value, budget: &mut Budget) -> Result<(), PatchError> {
    let text = &path.text;
    budget.steps(measure(value).0)?;
    let found = if text.is_empty() {
        &*document
    } else {
        let missing = || format!("test operation does not apply: is missing path: {text}: missing value");
        let (parent, key) = path.parent(document).ok_or_else(|| PatchError::unprocessable(missing()))?;
        match parent {
            Value::Object(object) => object.get(key).unwrap_or(&Value::Null),
            Value::Array(items) => match pointer::index(key, items.len()) {
                Ok(at) => &items[at],
                Err(reason) => {
                    let message = format!("error in test for path: '{text}': {reason}");
                    return Err(PatchError::unprocessable(message));
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(PatchError::unprocessable(missing()));
            }
        }
    };
    if found == value {
        return Ok(());
    }
    Err(PatchError::unprocessable(format!("testing value {text} failed: test failed")))
}

/// How many values a value is, and how many levels of lists and objects it has.
fn measure(value: &Value) -> (usize, usize) {
    let join =
        |(nodes, height): (usize, usize), inner: (usize, usize)| (nodes + inner.0, height.max(inner.1));
    let (nodes, height) = match value {
        Value::Array(items) => items.iter().map(measure).fold((0, 0), join),
        Value::Object(object) => object.values().map(measure).fold((0, 0), join),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return (1, 0),
    };
    (nodes + 1, height + 1)
}

#[cfg(test)]
mod tests;
