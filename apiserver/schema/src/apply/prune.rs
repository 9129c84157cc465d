//! What an applier wanted before and does not want any more is taken out, unless somebody else manages it.
//!
//! In: the object with the new configuration merged into it, what the applier managed before, and what all managers
//! manage now. Out: the object without what nobody wants.
//!
//! Source: `prune` and what it calls in `sigs.k8s.io/structured-merge-diff/merge/update.go`.

use serde_json::{Map, Value};

use super::element;
use super::field_set::FieldSet;
use super::leaves::leaves;
use super::place::{Form, Keys, Place};

/// Takes out what only `last` has wanted; `managed` is what is managed now, by anybody.
pub(super) fn prune(place: Place<'_>, merged: Value, last: &FieldSet, managed: &FieldSet) -> Value {
    if last.is_empty() {
        return merged;
    }
    let last = with_named_fields(place, last);
    let all = with_named_fields(place, &leaves(place, &merged));
    let left = |value: &Value| with_named_fields(place, &leaves(place, value));
    // First without all that the applier managed; then again with what anybody manages now.
    let mut doomed = all.clone();
    doomed.subtract(&left(&remove(place, &merged, &last)));
    doomed.subtract(&with_named_fields(place, managed));
    let pruned = remove(place, &merged, &doomed);
    // What fell with something else although the applier never managed it comes back.
    let mut doomed = all;
    doomed.subtract(&left(&pruned));
    remove(place, &merged, &doomed.intersection(&last))
}

/// The set with the struct fields that lead to its members.
fn with_named_fields(place: Place<'_>, set: &FieldSet) -> FieldSet {
    let mut named = FieldSet { member: set.member, ..FieldSet::default() };
    for (element, below) in &set.children {
        let (place, is_named) = place_below(place, element);
        let mut below = place.map_or_else(|| below.clone(), |place| with_named_fields(place, below));
        below.member |= is_named && !below.children.is_empty();
        named.attach(element, below);
    }
    named
}

/// The place below an element, and whether that is a struct's field.
fn place_below<'s>(place: Place<'s>, element: &str) -> (Option<Place<'s>>, bool) {
    // An untyped object counts as one: only its keys lead to anything.
    let object = Value::Object(Map::new());
    match (place.form(Some(&object)), element::field_name(element)) {
        (Form::Struct(fields), Some(name)) => (place.field(fields, name), fields.field(name).is_some()),
        (Form::Map(values), Some(_)) => (Some(values), false),
        (Form::List { items, .. }, None) => (Some(items), false),
        (Form::Leaf | Form::Struct(_) | Form::Map(_) | Form::List { .. }, _) => (None, false),
    }
}

/// The value without these fields; null where nothing is left of it.
fn remove(place: Place<'_>, value: &Value, doomed: &FieldSet) -> Value {
    if doomed.children.is_empty() {
        return value.clone();
    }
    match (place.form(Some(value)), value) {
        (Form::Struct(fields), Value::Object(object)) => {
            remove_members(object, doomed, |name| place.field(fields, name))
        }
        (Form::Map(values), Value::Object(object)) => remove_members(object, doomed, |_| Some(values)),
        (Form::List { items, keys }, Value::Array(list)) => remove_items(items, keys, list, doomed),
        (Form::Leaf | Form::Struct(_) | Form::Map(_) | Form::List { .. }, value) => value.clone(),
    }
}

fn remove_members<'s>(
    object: &Map<String, Value>,
    doomed: &FieldSet,
    place: impl Fn(&str) -> Option<Place<'s>>,
) -> Value {
    let mut left = Map::new();
    for (name, value) in object {
        let value = match doomed.children.get(&element::field(name)) {
            Some(below) if below.member => continue,
            Some(below) => place(name).map_or_else(|| value.clone(), |place| remove(place, value, below)),
            None => value.clone(),
        };
        left.insert(name.clone(), value);
    }
    if left.is_empty() { Value::Null } else { Value::Object(left) }
}

fn remove_items(place: Place<'_>, keys: Keys<'_>, list: &[Value], doomed: &FieldSet) -> Value {
    let mut left = Vec::with_capacity(list.len());
    for item in list {
        let element = place.element(keys, item).unwrap_or_default();
        match doomed.children.get(&element) {
            Some(below) if below.member => {}
            Some(below) => left.push(remove(place, item, below)),
            None => left.push(item.clone()),
        }
    }
    if left.is_empty() { Value::Null } else { Value::Array(left) }
}
