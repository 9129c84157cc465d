//! The entries of `metadata.managedFields`.
//!
//! In: the list as an object has it. Out: one [`Entry`] per manager and way of managing, and the list again, in
//! upstream's order; what of a change is in conflict with whom, in upstream's words.

use serde_json::{Map, Value, json};

use super::field_set::FieldSet;
use crate::go_text::quote;

/// In whose entry many old ones are gathered.
const ANCIENT_CHANGES: &str = "ancient-changes";

/// How many entries of updates an object may have before the oldest are gathered.
const MAX_UPDATERS: usize = 10;

/// How a manager came to its fields; ordered as upstream orders entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// The fields that one manager manages in one way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    /// RFC 3339 in UTC, to the second; empty if unknown.
    pub(super) time: String,
    pub(super) subresource: String,
    pub(super) fields: FieldSet,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

impl Entry {
    /// Whether both are the same manager's and were come by in the same way. An applier stays itself when it
    /// changes to another version.
    pub(super) fn is_of(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    fn read(entry: &Value) -> Result<Self, String> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        let api_version = text("apiVersion");
        if api_version.is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType").as_str() {
            "FieldsV1" => {}
            "" => return Err("missing fieldsType in managed fields entry".to_owned()),
            other => return Err(format!("invalid fieldsType {} in managed fields entry", quote(other))),
        }
        let fields = match entry.get("fieldsV1") {
            None | Some(Value::Null) => FieldSet::default(),
            Some(fields) => FieldSet::read(fields).map_err(|why| format!("error decoding set: {why}"))?,
        };
        let (manager, subresource) = (text("manager"), text("subresource"));
        Ok(Self { manager, operation, api_version, time: text("time"), subresource, fields })
    }

    fn write(self) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, text: String| {
            if !text.is_empty() {
                entry.insert(name.to_owned(), Value::String(text));
            }
        };
        put("manager", self.manager);
        put("operation", self.operation.name().to_owned());
        put("apiVersion", self.api_version);
        put("time", self.time);
        put("fieldsType", "FieldsV1".to_owned());
        put("subresource", self.subresource);
        entry.insert("fieldsV1".to_owned(), self.fields.write());
        Value::Object(entry)
    }

    /// The manager as conflicts name it.
    fn describe(&self) -> String {
        let mut text = quote(&self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {}", quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

/// Reads a list of entries; of entries that are the same manager's the last counts. Absent is empty.
///
/// # Errors
/// What is wrong with one of them.
pub(super) fn read(list: Option<&Value>) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for entry in list.and_then(Value::as_array).into_iter().flatten() {
        let entry = Entry::read(entry)?;
        match entries.iter_mut().find(|known| known.is_of(&entry)) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

/// The list of these entries; `None` for an empty one.
pub(super) fn write(mut entries: Vec<Entry>) -> Option<Value> {
    let order = |entry: &Entry| {
        (
            entry.operation,
            entry.time.clone(),
            entry.manager.clone(),
            entry.api_version.clone(),
            entry.subresource.clone(),
        )
    };
    entries.sort_by_cached_key(order);
    (!entries.is_empty()).then(|| entries.into_iter().map(Entry::write).collect())
}

/// Whether a client asks for all entries to be dropped: `[{}]`. An empty list asks for nothing, because clients that
/// do not know the field send it.
pub(super) fn is_reset(list: &Value) -> bool {
    let says_nothing = |(name, value): (&String, &Value)| {
        value.is_null() || value == "" || (name == "fieldsV1" && *value == json!({}))
    };
    match list.as_array().map(Vec::as_slice) {
        Some([Value::Object(entry)]) => entry.iter().all(says_nothing),
        _ => false,
    }
}

/// Gathers the oldest updates of each version in one entry until there are few enough.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let is_update = |entry: &Entry| entry.operation == Operation::Update;
    let mut excess = entries.iter().filter(|entry| is_update(entry)).count().saturating_sub(MAX_UPDATERS);
    if excess == 0 {
        return;
    }
    entries.sort_by_cached_key(|entry| {
        (entry.operation, entry.time.clone(), entry.manager.clone(), entry.api_version.clone())
    });
    let mut left: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        let same = |known: &&mut Entry| is_update(known) && known.api_version == entry.api_version;
        // What was gathered before stays one entry with what is gathered now.
        let was_gathered = entry.manager == ANCIENT_CHANGES;
        match left.iter_mut().find(same) {
            Some(oldest)
                if is_update(&entry) && (excess > 0 || was_gathered && oldest.manager == ANCIENT_CHANGES) =>
            {
                ANCIENT_CHANGES.clone_into(&mut oldest.manager);
                oldest.subresource.clear();
                oldest.time = entry.time;
                oldest.fields.add(entry.fields);
                excess = excess.saturating_sub(1);
            }
            _ => left.push(entry),
        }
    }
    *entries = left;
}

/// A field that another manager manages and an applier wants otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager, as messages name it: `"kubectl-client-side-apply" using apps/v1`.
    pub manager: String,
    /// The field: `.spec.replicas`.
    pub field: String,
}

impl Conflict {
    /// Upstream's words, without the field.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// What an applier must settle: give up the fields, take other values, or force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    /// The conflicts with these entries over these of their fields; upstream's order where it has one.
    pub(super) fn of(mut found: Vec<(&Entry, FieldSet)>) -> Self {
        found.sort_by_cached_key(|(entry, _)| entry.describe());
        let mut conflicts = Vec::new();
        for (entry, fields) in found {
            let mut paths = Vec::new();
            fields.describe("", &mut paths);
            let manager = entry.describe();
            conflicts.extend(paths.into_iter().map(|field| Conflict { manager: manager.clone(), field }));
        }
        Self(conflicts)
    }
}

impl std::fmt::Display for Conflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: {}: {}", only.message(), only.field);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut manager = None;
        for conflict in &self.0 {
            if manager.replace(&conflict.manager) != Some(&conflict.manager) {
                let separator = if std::ptr::eq(conflict, &self.0[0]) { "" } else { "\n" };
                write!(f, "{separator}conflicts with {}:", conflict.manager)?;
            }
            write!(f, "\n- {}", conflict.field)?;
        }
        Ok(())
    }
}
