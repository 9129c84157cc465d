//! An API object: a JSON tree with typed access to what every object has.
//!
//! The tree is what [`keelson_api_schema`] decoded: known fields only, in canonical form. A `null` field counts
//! as an absent one.

use serde_json::{Map, Value};

/// An API object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub Value);

impl Object {
    /// The field at a path of names, or `None` where it is absent or null.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let found = path.iter().try_fold(&self.0, |value, name| value.get(name));
        found.filter(|value| !value.is_null())
    }

    /// The text at a path; empty where it is absent or no text.
    pub fn text(&self, path: &[&str]) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer at a path.
    pub fn integer(&self, path: &[&str]) -> Option<i64> {
        self.get(path).and_then(Value::as_i64)
    }

    /// The list at a path; empty where it is absent.
    pub fn list(&self, path: &[&str]) -> &[Value] {
        self.get(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The map at a path.
    pub fn map(&self, path: &[&str]) -> Option<&Map<String, Value>> {
        self.get(path).and_then(Value::as_object)
    }

    /// Sets a field, making the objects on the way.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        if let Some(slot) = self.slot(path) {
            *slot = value.into();
        }
    }

    /// Sets a field that is absent or null.
    pub fn set_default(&mut self, path: &[&str], value: impl Into<Value>) {
        if self.get(path).is_none() {
            self.set(path, value);
        }
    }

    /// Removes a field. A no-op where it is absent.
    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(&mut self.0, |value, name| value.get_mut(name))?;
        parent.as_object_mut()?.remove(*last)
    }

    /// The place of a field, made where it is absent. `None` for an empty path.
    pub fn slot(&mut self, path: &[&str]) -> Option<&mut Value> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().fold(&mut self.0, |value, name| entry(value, name));
        Some(entry(parent, last))
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text(&["metadata", "name"])
    }

    /// `metadata.namespace`; empty where there is none.
    pub fn namespace(&self) -> &str {
        self.text(&["metadata", "namespace"])
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.text(&["metadata", "uid"])
    }

    /// `metadata.resourceVersion`; empty where there is none.
    pub fn resource_version(&self) -> &str {
        self.text(&["metadata", "resourceVersion"])
    }

    /// `metadata.generation`; 0 where there is none.
    pub fn generation(&self) -> i64 {
        self.integer(&["metadata", "generation"]).unwrap_or(0)
    }

    /// `metadata.labels`, or null.
    pub fn labels(&self) -> &Value {
        self.get(&["metadata", "labels"]).unwrap_or(&Value::Null)
    }

    /// Whether its deletion has begun.
    pub fn is_being_deleted(&self) -> bool {
        self.get(&["metadata", "deletionTimestamp"]).is_some()
    }

    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.list(&["metadata", "finalizers"]).iter().filter_map(Value::as_str)
    }
}

impl From<Value> for Object {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

/// A member of an object, made where it is absent; what is no object becomes one.
fn entry<'v>(value: &'v mut Value, name: &str) -> &'v mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(members) => members.entry(name).or_insert(Value::Null),
        _ => unreachable!("it was just made an object"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_set_and_removed() {
        let mut object = Object(json!({"metadata": {"name": "a", "labels": null}}));
        assert_eq!(object.name(), "a");
        assert_eq!(object.get(&["metadata", "labels"]), None);
        object.set(&["spec", "replicas"], 3);
        assert_eq!(object.integer(&["spec", "replicas"]), Some(3));
        assert_eq!(object.remove(&["spec", "replicas"]), Some(json!(3)));
        assert_eq!(object.remove(&["no", "such"]), None);
        assert_eq!(object.0, json!({"metadata": {"name": "a", "labels": null}, "spec": {}}));
    }
}
