//! Which fields a configuration has.
//!
//! In: an object. Out: its leaves, and the keys and items on the way to them; a struct's field that only leads to
//! others is not in the set, unlike where two versions are compared.

use serde_json::Value;

use super::compare::{index, only};
use super::element;
use super::field_set::FieldSet;
use super::place::{Form, Place};

/// The fields of an object.
pub(super) fn leaves(place: Place<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match (place.form(Some(value)), value) {
        (Form::Leaf, _) => set.member = true,
        (Form::Struct(fields), Value::Object(object)) => {
            for (name, value) in object {
                let Some(place) = place.field(fields, name) else { continue };
                let mut below = leaves(place, value);
                below.member |= is_void(value);
                set.attach(&element::field(name), below);
            }
        }
        (Form::Map(values), Value::Object(object)) => {
            for (name, value) in object {
                let mut below = leaves(values, value);
                below.member = true;
                set.attach(&element::field(name), below);
            }
        }
        (Form::List { items, keys }, list) => {
            for (element, found) in index(items, keys, list).unwrap_or_default() {
                let mut below = only(&found).map_or_else(FieldSet::default, |item| leaves(items, item));
                below.member = true;
                set.attach(&element, below);
            }
        }
        (Form::Struct(_) | Form::Map(_), _) => {}
    }
    set
}

/// Null, or an object without members.
fn is_void(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}
