//! Patches, as far as a node agent sends them.

use serde_json::{Map, Value};

/// Lists that merge by a key, all others are replaced.
const MERGED: [(&str, &str); 4] =
    [("conditions", "type"), ("addresses", "type"), ("podIPs", "ip"), ("hostIPs", "ip")];

/// Applies a strategic merge patch (or, without lists that merge, a merge patch).
pub(crate) fn apply(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, change) in changes {
        let merged = MERGED.iter().find(|(name, _)| name == key);
        match (change, merged) {
            (Value::Null, _) => drop(object.remove(key)),
            (Value::Array(items), Some((_, by))) => {
                let old = object.remove(key).unwrap_or_default();
                object.insert(key.clone(), merged_list(old, items, by));
            }
            (Value::Object(_), _) => apply(object.entry(key.clone()).or_insert(Value::Null), change),
            _ => drop(object.insert(key.clone(), change.clone())),
        }
    }
}

fn merged_list(old: Value, changes: &[Value], key: &str) -> Value {
    let is_replaced = changes.iter().any(|item| item["$patch"] == "replace");
    let mut list = match old {
        Value::Array(list) if !is_replaced => list,
        _ => Vec::new(),
    };
    for change in changes.iter().filter(|item| item.get("$patch").is_none()) {
        match list.iter_mut().find(|item| item[key] == change[key]) {
            Some(item) => apply(item, change),
            None => {
                let mut item = Value::Null;
                apply(&mut item, change);
                list.push(item);
            }
        }
    }
    Value::Array(list)
}
