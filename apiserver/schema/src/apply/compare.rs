//! Which fields two versions of an object differ in.
//!
//! In: both versions. Out: what was added, changed and removed. What is added or removed as a whole is named with all
//! that is in it. Of an item that a list has twice only the item itself is named. A list whose items cannot be told
//! apart counts as one field: only objects from before a check existed have such.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element;
use super::field_set::FieldSet;
use super::place::{Form, Keys, Place};

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// An object's members; null has none.
type Members<'v> = Option<&'v Map<String, Value>>;

/// The items of a list by their path elements.
pub(super) type Index<'v> = BTreeMap<String, Vec<&'v Value>>;

impl Comparison {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Forgets what `forget` takes out of a set.
    pub(super) fn without(mut self, forget: impl Fn(&mut FieldSet)) -> Self {
        [&mut self.added, &mut self.modified, &mut self.removed].into_iter().for_each(forget);
        self
    }

    /// What is new or changed, and what is gone.
    pub(super) fn split(self) -> (FieldSet, FieldSet) {
        let mut changed = self.added;
        changed.add(self.modified);
        (changed, self.removed)
    }

    fn modified() -> Self {
        Self { modified: FieldSet::leaf(), ..Self::default() }
    }

    fn attach(&mut self, element: &str, below: Self) {
        self.added.attach(element, below.added);
        self.modified.attach(element, below.modified);
        self.removed.attach(element, below.removed);
    }

    fn attach_child(
        &mut self,
        element: &str,
        place: Option<Place<'_>>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        // What the type does not know is not in a canonical object.
        let Some(place) = place else { return };
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => self.added.attach(element, whole(place, new)),
            (Some(old), None) => self.removed.attach(element, whole(place, old)),
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => self.attach(element, compare(place, old, new)),
        }
    }
}

/// Compares two versions.
pub(super) fn compare(place: Place<'_>, old: &Value, new: &Value) -> Comparison {
    let leaf = || if old == new { Comparison::default() } else { Comparison::modified() };
    if is_void(old) && is_void(new) {
        return leaf();
    }
    match place.form(Some(if new.is_null() { old } else { new })) {
        Form::Leaf => leaf(),
        Form::Struct(fields) => match objects(old, new) {
            Some((old, new)) => compare_members(old, new, |name| place.field(fields, name)),
            None => leaf(),
        },
        Form::Map(values) => match objects(old, new) {
            Some((old, new)) => compare_members(old, new, |_| Some(values)),
            None => leaf(),
        },
        Form::List { items, keys } => match (index(items, keys, old), index(items, keys, new)) {
            (Some(old), Some(new)) => compare_items(items, &old, &new),
            _ => leaf(),
        },
    }
}

/// All that a value has, itself included.
pub(super) fn whole(place: Place<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::leaf();
    match (place.form(Some(value)), value) {
        (Form::Struct(fields), Value::Object(object)) => {
            for (name, value) in object {
                if let Some(place) = place.field(fields, name) {
                    set.attach(&element::field(name), whole(place, value));
                }
            }
        }
        (Form::Map(values), Value::Object(object)) => {
            object.iter().for_each(|(name, value)| set.attach(&element::field(name), whole(values, value)));
        }
        (Form::List { items, keys }, list) => {
            for (element, found) in index(items, keys, list).unwrap_or_default() {
                set.attach(&element, only(&found).map_or_else(FieldSet::leaf, |item| whole(items, item)));
            }
        }
        (Form::Leaf | Form::Struct(_) | Form::Map(_), _) => {}
    }
    set
}

/// The items of a list. `None`: they cannot be told apart. Null is a list without items.
pub(super) fn index<'v>(items: Place<'_>, keys: Keys<'_>, list: &'v Value) -> Option<Index<'v>> {
    let mut index = Index::new();
    for item in list.as_array().map_or(&[][..], Vec::as_slice) {
        index.entry(items.element(keys, item).ok()?).or_default().push(item);
    }
    (list.is_array() || list.is_null()).then_some(index)
}

/// The item, if there is one and one only.
pub(super) fn only<'v>(found: &[&'v Value]) -> Option<&'v Value> {
    match found {
        [item] => Some(item),
        _ => None,
    }
}

/// Null, or a list or object without anything in it.
fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Two objects; null is one without members.
fn objects<'v>(old: &'v Value, new: &'v Value) -> Option<(Members<'v>, Members<'v>)> {
    let fits = |value: &Value| value.is_object() || value.is_null();
    (fits(old) && fits(new)).then(|| (old.as_object(), new.as_object()))
}

fn compare_members<'s>(
    old: Members<'_>,
    new: Members<'_>,
    place: impl Fn(&str) -> Option<Place<'s>>,
) -> Comparison {
    let mut comparison = Comparison::default();
    for (name, value) in old.into_iter().flatten() {
        let other = new.and_then(|new| new.get(name));
        if other != Some(value) {
            comparison.attach_child(&element::field(name), place(name), Some(value), other);
        }
    }
    for (name, value) in new.into_iter().flatten() {
        if old.is_none_or(|old| !old.contains_key(name)) {
            comparison.attach_child(&element::field(name), place(name), None, Some(value));
        }
    }
    comparison
}

fn compare_items(place: Place<'_>, old: &Index<'_>, new: &Index<'_>) -> Comparison {
    let mut comparison = Comparison::default();
    for (element, before) in old {
        let after = new.get(element).map_or(&[][..], Vec::as_slice);
        match (before.as_slice(), after) {
            ([before], [] | [_]) => {
                comparison.attach_child(element, Some(place), Some(before), after.first().copied());
            }
            ([before], _) => {
                comparison.attach_child(element, Some(place), Some(before), None);
                comparison.added.attach(element, FieldSet::leaf());
            }
            (_, [] | [_]) => {
                comparison.attach_child(element, Some(place), None, after.first().copied());
                comparison.removed.attach(element, FieldSet::leaf());
            }
            (before, after) if before == after => {}
            _ => comparison.modified.attach(element, FieldSet::leaf()),
        }
    }
    for (element, after) in new.iter().filter(|(element, _)| !old.contains_key(*element)) {
        let below = only(after).map_or_else(FieldSet::leaf, |item| whole(place, item));
        comparison.added.attach(element, below);
    }
    comparison
}
