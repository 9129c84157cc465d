//! A field of an object together with its path, so that a rule that reads it can also complain about it.

use serde_json::Value;

use crate::{field::FieldError, object::Object};

/// A field, set or not, and where it is.
#[derive(Clone, Debug)]
pub struct Place<'v> {
    path: String,
    /// Never null: that counts as unset.
    value: Option<&'v Value>,
}

impl<'v> Place<'v> {
    /// The whole object.
    pub fn root(object: &'v Object) -> Self {
        Self { path: String::new(), value: Some(&object.0) }
    }

    /// The field at a path of names from the object's root.
    pub fn at(object: &'v Object, path: &[&str]) -> Self {
        Self { path: path.join("."), value: object.get(path) }
    }

    /// Its path: `spec.containers[0].name`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its value, or `None` where it is unset.
    pub fn value(&self) -> Option<&'v Value> {
        self.value
    }

    /// A field of it.
    pub fn child(&self, name: &str) -> Place<'v> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        let value = self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null());
        Place { path, value }
    }

    /// The same value, complained about under another path: upstream's paths are not always where the field is.
    #[must_use]
    pub fn shown_as(self, path: &str) -> Place<'v> {
        Place { path: path.to_owned(), ..self }
    }

    /// An entry of it, which is a map: `data[key]`.
    pub fn key(&self, key: &str) -> Place<'v> {
        let value = self.value.and_then(|value| value.get(key)).filter(|value| !value.is_null());
        Place { path: format!("{}[{key}]", self.path), value }
    }

    /// The items of it, which is a list.
    pub fn items(&self) -> impl Iterator<Item = Place<'v>> + use<'_, 'v> {
        let items = self.value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let place = |(at, value)| Place { path: format!("{}[{at}]", self.path), value: Some(value) };
        items.iter().enumerate().map(place)
    }

    /// The entries of it, which is a map, in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&'v str, Place<'v>)> + use<'_, 'v> {
        let entries = self.value.and_then(Value::as_object).into_iter().flatten();
        entries.map(|(key, value)| {
            (key.as_str(), Place { path: format!("{}[{key}]", self.path), value: Some(value) })
        })
    }

    /// How many items or entries it has.
    pub fn len(&self) -> usize {
        match self.value {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(entries)) => entries.len(),
            _ => 0,
        }
    }

    /// Whether it has no items or entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Its text; empty where it is unset.
    pub fn text(&self) -> &'v str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    /// Its number.
    pub fn integer(&self) -> Option<i64> {
        self.value.and_then(Value::as_i64)
    }

    /// Whether it is set to true.
    pub fn flag(&self) -> bool {
        self.value.and_then(Value::as_bool).unwrap_or(false)
    }

    /// It must be there.
    pub fn required(&self, detail: impl Into<String>) -> FieldError {
        FieldError::required(&self.path, detail)
    }

    /// Its value is wrong. An unset one is shown as empty text.
    pub fn invalid(&self, detail: impl Into<String>) -> FieldError {
        FieldError::invalid(&self.path, self.shown(), detail)
    }

    /// Its value is wrong, and is not told.
    pub fn unfit(&self, detail: impl Into<String>) -> FieldError {
        FieldError::unfit(&self.path, detail)
    }

    /// Its value is wrong in each of these ways.
    pub fn each_invalid(&self, details: Vec<String>) -> impl Iterator<Item = FieldError> + use<'_, 'v> {
        details.into_iter().map(|detail| self.invalid(detail))
    }

    /// Its value is none of these.
    pub fn not_supported(&self, supported: &[&str]) -> FieldError {
        FieldError::not_supported(&self.path, self.shown(), supported)
    }

    /// It must not be set, or not so.
    pub fn forbidden(&self, detail: impl Into<String>) -> FieldError {
        FieldError::forbidden(&self.path, detail)
    }

    /// Its value is there already.
    pub fn duplicate(&self) -> FieldError {
        FieldError::duplicate(&self.path, self.shown())
    }

    /// What it refers to does not exist.
    pub fn not_found(&self) -> FieldError {
        FieldError::not_found(&self.path, self.shown())
    }

    /// Complains unless its value is one of `supported`.
    pub fn one_of(&self, supported: &[&str], errors: &mut Vec<FieldError>) {
        if !supported.contains(&self.text()) {
            errors.push(self.not_supported(supported));
        }
    }

    /// Complains if it is a negative number.
    pub fn non_negative(&self, errors: &mut Vec<FieldError>) {
        if self.integer().is_some_and(|number| number < 0) {
            errors.push(self.invalid("must be greater than or equal to 0"));
        }
    }

    /// Complains if it is a number that is not positive.
    pub fn positive(&self, errors: &mut Vec<FieldError>) {
        if self.integer().is_some_and(|number| number <= 0) {
            errors.push(self.invalid("must be greater than 0"));
        }
    }

    /// Complains unless it is equal to what it was.
    pub fn unchanged(&self, old: &Place<'_>, errors: &mut Vec<FieldError>) {
        if self.value != old.value {
            errors.push(self.invalid("field is immutable"));
        }
    }

    fn shown(&self) -> Value {
        self.value.cloned().unwrap_or_else(|| "".into())
    }
}
