//! A configuration put into an object.
//!
//! In: the object, and a configuration that [`super::check`] has passed. Out: the object with all that the
//! configuration says. Objects merge field by field, lists with keys and sets item by item in the configuration's
//! order; everything else is replaced. Nothing is removed here.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::place::{Form, Keys, Place};

/// Merges a configuration into an object.
pub(super) fn merge(place: Place<'_>, old: &Value, new: &Value) -> Value {
    match (place.form(Some(if new.is_null() { old } else { new })), old, new) {
        (Form::Struct(fields), Value::Object(old), Value::Object(new)) => {
            members(old, new, |name| place.field(fields, name))
        }
        (Form::Map(values), Value::Object(old), Value::Object(new)) => members(old, new, |_| Some(values)),
        (Form::List { items: at, keys }, Value::Array(old), Value::Array(new)) => items(at, keys, old, new),
        // A configuration that says null where there is something does not take it away.
        (Form::Struct(_) | Form::Map(_), Value::Object(fields), Value::Null) if !fields.is_empty() => {
            old.clone()
        }
        (Form::List { .. }, Value::Array(items), Value::Null) if !items.is_empty() => old.clone(),
        _ => new.clone(),
    }
}

fn members<'s>(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    place: impl Fn(&str) -> Option<Place<'s>>,
) -> Value {
    let mut merged = old.clone();
    for (name, value) in new {
        let value = match (old.get(name), place(name)) {
            (Some(old), Some(place)) => merge(place, old, value),
            _ => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

/// Items that both have stand in the configuration's order; items of the object alone stay before what they stood
/// before.
fn items(place: Place<'_>, keys: Keys<'_>, old: &[Value], new: &[Value]) -> Value {
    let element = |item: &Value| place.element(keys, item).unwrap_or_default();
    let old_at: Vec<String> = old.iter().map(element).collect();
    let new_at: Vec<String> = new.iter().map(element).collect();
    let wanted: HashSet<&str> = new_at.iter().map(String::as_str).collect();
    let known = unique(&old_at, old);
    let mut shared = new_at.iter().map(String::as_str).filter(|at| known.contains_key(at)).peekable();
    let merged = |at: &str, new: &Value| match known.get(at) {
        Some(Some(old)) => merge(place, old, new),
        _ => new.clone(),
    };
    let mut out = Vec::with_capacity(old.len().max(new.len()));
    let mut done: HashSet<&str> = HashSet::new();
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        if let (Some(here), Some(there)) = (old_at.get(left), new_at.get(right)) {
            if here == there {
                out.push(merged(there, &new[right]));
                done.insert(there);
                (left, right) = (left + 1, right + 1);
                shared.next();
                continue;
            }
            if wanted.contains(here.as_str()) && shared.peek().is_some_and(|next| next != here) {
                left += 1;
                continue;
            }
        }
        if let Some(here) = old_at.get(left) {
            if !wanted.contains(here.as_str()) {
                out.push(old[left].clone());
                left += 1;
                continue;
            }
            left += usize::from(done.contains(here.as_str()));
        }
        if let Some(there) = new_at.get(right) {
            out.push(merged(there, &new[right]));
            done.insert(there);
            right += 1;
            shared.next_if(|next| next == there);
        }
    }
    Value::Array(out)
}

/// The items by their elements; `None` for those that are there more than once, which nothing is merged into.
fn unique<'v>(elements: &'v [String], items: &'v [Value]) -> HashMap<&'v str, Option<&'v Value>> {
    let mut known = HashMap::with_capacity(items.len());
    for (at, item) in elements.iter().zip(items) {
        known.entry(at.as_str()).and_modify(|twice| *twice = None).or_insert(Some(item));
    }
    known
}
