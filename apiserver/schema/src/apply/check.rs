//! What is wrong with a configuration that is applied.
//!
//! In: a value as the client wrote it, and its type. Out: errors in upstream's words: unknown fields, values of another
//! type, items that cannot be told apart. Of an object's unknown fields only the first is named, as upstream does.

use serde_json::{Map, Value};

use super::go_value;
use super::place::{Form, Place};
use super::{element, place::Keys};
use crate::model::Shape;

/// What is wrong, each with its path.
pub(super) fn check(place: Place<'_>, value: &Value) -> Vec<String> {
    let mut check = Check { path: String::new(), errors: Vec::new() };
    check.value(place, value);
    check.errors
}

/// All errors as one text.
pub(super) fn joined(errors: &[String]) -> String {
    match errors {
        [error] => error.clone(),
        errors => errors.iter().fold("errors:".to_owned(), |text, error| text + "\n  " + error),
    }
}

struct Check {
    /// Where we are.
    path: String,
    errors: Vec<String>,
}

impl Check {
    fn fail(&mut self, why: &str) {
        self.errors.push(match self.path.is_empty() {
            true => why.to_owned(),
            false => format!("{}: {why}", self.path),
        });
    }

    fn below(&mut self, element: &str, check: impl FnOnce(&mut Self)) {
        let here = self.path.len();
        element::describe(element, &mut self.path);
        check(self);
        self.path.truncate(here);
    }

    fn value(&mut self, place: Place<'_>, value: &Value) {
        let shape = place.ty.map(|ty| &place.schema.get(ty).shape);
        match (shape, value) {
            (None | Some(Shape::Any), _) | (_, Value::Null) => {}
            (Some(Shape::Struct(_)), Value::Object(object)) => self.structure(place, object),
            (Some(Shape::Map { value: _, .. }), Value::Object(object)) => self.map(place, object),
            (Some(Shape::List { .. }), Value::Array(items)) => self.list(place, items),
            (Some(Shape::Struct(_) | Shape::Map { .. }), other) => {
                self.fail(&format!("expected map, got &{{{}}}", go_value::text(other)));
            }
            (Some(Shape::List { .. }), other) => {
                self.fail(&format!("expected list, got &{{{}}}", go_value::text(other)));
            }
            (Some(shape), value) => self.scalar(shape, value),
        }
    }

    fn structure(&mut self, place: Place<'_>, object: &Map<String, Value>) {
        let Some(fields) = place.ty.and_then(|ty| place.schema.get(ty).as_struct()) else { return };
        for (name, value) in object {
            let at = element::field(name);
            let Some(place) = place.field(fields, name) else {
                self.below(&at, |check| check.fail("field not declared in schema"));
                return;
            };
            self.below(&at, |check| check.value(place, value));
        }
    }

    fn map(&mut self, place: Place<'_>, object: &Map<String, Value>) {
        let Some(values) = place.inner() else { return };
        for (name, value) in object {
            self.below(&element::field(name), |check| check.value(values, value));
        }
    }

    fn list(&mut self, place: Place<'_>, list: &[Value]) {
        let Some(items) = place.inner() else { return };
        let keys = match place.form(None) {
            Form::List { keys, .. } => Some(keys),
            Form::Leaf | Form::Map(_) | Form::Struct(_) => None,
        };
        let mut seen = std::collections::HashSet::new();
        for (index, item) in list.iter().enumerate() {
            let element = match keys.map(|keys: Keys<'_>| items.element(keys, item)) {
                None => format!("i:{index}"),
                Some(Ok(element)) => element,
                Some(Err(why)) => return self.fail(&format!("element {index}: {why}")),
            };
            self.below(&element, |check| check.value(items, item));
            if keys.is_some() && !seen.insert(element.clone()) {
                let mut text = String::new();
                element::describe(&element, &mut text);
                self.fail(&format!("duplicate entries for key {text}"));
            }
        }
    }

    fn scalar(&mut self, shape: &Shape, value: &Value) {
        let is_scalar = !value.is_array() && !value.is_object();
        let why = match shape {
            Shape::Bool if !value.is_boolean() => {
                format!("expected boolean, got &{{{}}}", go_value::text(value))
            }
            Shape::Int32 | Shape::Int64 | Shape::Float64 if !value.is_number() => {
                format!("expected numeric (int or float), got {}", go_value::type_name(value))
            }
            Shape::String | Shape::Bytes | Shape::Duration if !value.is_string() => {
                format!("expected string, got &value.valueUnstructured{{Value:{}}}", quoted(value))
            }
            Shape::IntOrString | Shape::Quantity | Shape::Time | Shape::MicroTime if !is_scalar => {
                format!("expected any scalar, got &{{{}}}", go_value::text(value))
            }
            _ => return,
        };
        self.fail(&why);
    }
}

/// A value as Go's `%#v` writes it, but for the types of lists and maps.
fn quoted(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => {
            format!("{}{}", go_value::type_name(value), go_value::text(value))
        }
        other => go_value::text(other),
    }
}
