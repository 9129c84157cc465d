//! The walk along a document and its type.
//!
//! In: a tree and a type. Out: the canonical value and the violations on the way.
//!
//! Two places are kept while walking, as upstream keeps them: the path for violations, which has list indexes and map
//! keys, and the path for type errors, which has struct fields only.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::scalar::{self, Fault, Wanted};
use super::{DecodeError, MAX_OBJECTS, Violation, owned};
use crate::builtin::builtin;
use crate::model::{Field, Schema, Shape, Struct, TypeId, UnknownFields};
use crate::tree::Node;

/// How many violations are noted, as upstream.
const MAX_VIOLATIONS: usize = 100;

/// Decodes a whole document.
pub(super) fn decode(
    schema: &Schema,
    ty: TypeId,
    node: Node<'_>,
) -> Result<(Value, Vec<Violation>), DecodeError> {
    let mut walk = Walk::new(schema);
    let value = walk.value(node, ty)?;
    Ok((value, walk.violations))
}

/// Decodes a whole document of no type.
pub(super) fn decode_untyped(node: Node<'_>) -> Result<(Value, Vec<Violation>), DecodeError> {
    // No type is looked up on the way.
    let mut walk = Walk::new(builtin());
    let value = walk.untyped(node)?;
    Ok((value, walk.violations))
}

/// How Go's JSON errors name a value.
pub(super) fn found(node: &Node<'_>) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "bool",
        Node::Number(_) => "number",
        Node::String(_) => "string",
        Node::List(_) => "array",
        Node::Object(_) => "object",
    }
}

struct Walk<'s> {
    schema: &'s Schema,
    /// Where we are: `spec.containers[0]`.
    path: String,
    /// The struct fields on the way here.
    fields: Vec<&'s str>,
    /// The struct that we are in.
    owner: Option<TypeId>,
    violations: Vec<Violation>,
    seen: HashSet<Violation>,
    /// Above 0 inside of types that upstream decodes by hand, where it notes no violations.
    lenient: u32,
    /// How many objects of known types there were.
    objects: u32,
}

impl<'s> Walk<'s> {
    fn new(schema: &'s Schema) -> Walk<'s> {
        Walk {
            schema,
            path: String::new(),
            fields: Vec::new(),
            owner: None,
            violations: Vec::new(),
            seen: HashSet::new(),
            lenient: 0,
            objects: 0,
        }
    }

    /// A node in the place of a value that is there.
    fn value(&mut self, node: Node<'_>, ty: TypeId) -> Result<Value, DecodeError> {
        let shape = &self.schema.get(ty).shape;
        if node == Node::Null {
            return Ok(zero(self.schema, ty));
        }
        if let Some(result) = scalar::decode(shape, &node) {
            return result.map_err(|fault| self.fault(fault, ty));
        }
        match shape {
            Shape::Any => self.silently(|walk| walk.untyped(node)),
            Shape::List { item, .. } => self.list(node, *item, ty),
            Shape::Map { value, .. } => self.map(node, *value, ty),
            Shape::Struct(fields) => self.structure(node, fields, ty),
            Shape::BoolOr(other) => match node {
                Node::Bool(value) => Ok(Value::Bool(value)),
                node => self.silently(|walk| walk.value(node, *other)),
            },
            Shape::ListOr(other) => match node {
                Node::List(items) => self.silently(|walk| walk.items(items, *other)),
                node => self.silently(|walk| walk.value(node, *other)),
            },
            Shape::StringsOr(other) => match node {
                Node::List(items) => self.strings(items),
                node => self.silently(|walk| walk.value(node, *other)),
            },
            scalar => unreachable!("{scalar:?} is a scalar, decoded above"),
        }
    }

    /// Notes no violations in `read`.
    fn silently<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.lenient += 1;
        let result = read(self);
        self.lenient -= 1;
        result
    }

    fn list(&mut self, node: Node<'_>, item: TypeId, ty: TypeId) -> Result<Value, DecodeError> {
        match node {
            Node::List(items) => self.items(items, item),
            other => Err(self.mismatch(found(&other), &go_type(&self.schema.get(ty).name))),
        }
    }

    fn items(&mut self, items: Vec<Node<'_>>, item: TypeId) -> Result<Value, DecodeError> {
        let mut values = Vec::with_capacity(items.len());
        for (at, node) in items.into_iter().enumerate() {
            let here = self.path.len();
            self.path.push_str(&format!("[{at}]"));
            values.push(self.value(node, item)?);
            self.path.truncate(here);
        }
        Ok(Value::Array(values))
    }

    fn strings(&mut self, items: Vec<Node<'_>>) -> Result<Value, DecodeError> {
        let text = |node| match node {
            Node::String(text) => Ok(Value::String(owned(text))),
            Node::Null => Ok(Value::from("")),
            other => Err(self.mismatch(found(&other), "string")),
        };
        items.into_iter().map(text).collect::<Result<Vec<Value>, DecodeError>>().map(Value::Array)
    }

    fn map(&mut self, node: Node<'_>, value: TypeId, ty: TypeId) -> Result<Value, DecodeError> {
        let Node::Object(entries) = node else {
            return Err(self.mismatch(found(&node), &go_type(&self.schema.get(ty).name)));
        };
        let mut object = Map::new();
        for (key, node) in entries {
            if object.contains_key(key.as_ref()) {
                self.note(|path| Violation::DuplicateField { path }, &key);
            }
            let here = self.enter(&key);
            let value = self.value(node, value)?;
            self.path.truncate(here);
            object.insert(owned(key), value);
        }
        Ok(Value::Object(object))
    }

    fn structure(&mut self, node: Node<'_>, fields: &'s Struct, ty: TypeId) -> Result<Value, DecodeError> {
        let Node::Object(entries) = node else {
            return Err(self.mismatch(found(&node), &go_type(&self.schema.get(ty).name)));
        };
        self.objects += 1;
        if self.objects > MAX_OBJECTS {
            return Err(DecodeError::TooMany);
        }
        let mut given: Vec<Option<Value>> = vec![None; fields.fields.len()];
        let mut seen = vec![false; fields.fields.len()];
        let mut kept = Map::new();
        for (key, node) in entries {
            let Some(at) = fields.position(&key) else {
                self.unknown(fields.unknown, key, node, &mut kept)?;
                continue;
            };
            let field = &fields.fields[at];
            if std::mem::replace(&mut seen[at], true) {
                self.note(|path| Violation::DuplicateField { path }, &key);
            }
            given[at] = self.field(field, node, ty)?;
        }
        for (field, value) in fields.fields.iter().zip(given) {
            if let Some(value) = self.written(field, value) {
                kept.insert(field.name.to_string(), value);
            }
        }
        Ok(Value::Object(kept))
    }

    /// A field that is given: its value, or `None` for a null that unsets it.
    fn field(
        &mut self,
        field: &'s Field,
        node: Node<'_>,
        owner: TypeId,
    ) -> Result<Option<Value>, DecodeError> {
        if node == Node::Null {
            return Ok(None);
        }
        let here = self.enter(&field.name);
        let outer = self.owner.replace(owner);
        self.fields.push(&field.name);
        let value = self.value(node, field.ty)?;
        self.fields.pop();
        self.owner = outer;
        self.path.truncate(here);
        // Go writes a pointer to the zero time as null, and reads that as unset.
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    /// What Go writes for a field, if anything.
    fn written(&self, field: &Field, value: Option<Value>) -> Option<Value> {
        match value {
            Some(value) if field.pointer => Some(value),
            Some(value) if omitted(self.schema, field, &value) => None,
            Some(value) => Some(value),
            None if field.pointer && field.omit_empty => None,
            None if field.pointer => Some(Value::Null),
            None => {
                let zero = zero(self.schema, field.ty);
                (!omitted(self.schema, field, &zero)).then_some(zero)
            }
        }
    }

    fn unknown(
        &mut self,
        unknown: UnknownFields,
        key: Cow<'_, str>,
        node: Node<'_>,
        kept: &mut Map<String, Value>,
    ) -> Result<(), DecodeError> {
        match unknown {
            UnknownFields::Prune => self.note(|path| Violation::UnknownField { path }, &key),
            UnknownFields::Preserve => {
                if kept.contains_key(key.as_ref()) {
                    self.note(|path| Violation::DuplicateField { path }, &key);
                }
                let here = self.enter(&key);
                let value = self.untyped(node)?;
                self.path.truncate(here);
                kept.insert(owned(key), value);
            }
        }
        Ok(())
    }

    /// A value of no type: everything is kept, the last of repeated fields.
    fn untyped(&mut self, node: Node<'_>) -> Result<Value, DecodeError> {
        match node {
            Node::Object(entries) => {
                let mut object = Map::new();
                for (key, node) in entries {
                    self.unknown(UnknownFields::Preserve, key, node, &mut object)?;
                }
                Ok(Value::Object(object))
            }
            Node::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (at, node) in items.into_iter().enumerate() {
                    let here = self.path.len();
                    self.path.push_str(&format!("[{at}]"));
                    values.push(self.untyped(node)?);
                    self.path.truncate(here);
                }
                Ok(Value::Array(values))
            }
            scalar => scalar.into_value().map_err(|text| DecodeError::number(&text)),
        }
    }

    /// Steps into a field or a key; returns the length to which the path is cut afterwards.
    fn enter(&mut self, key: &str) -> usize {
        let here = self.path.len();
        if here > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        here
    }

    fn note(&mut self, violation: impl FnOnce(String) -> Violation, key: &str) {
        if self.lenient > 0 || self.violations.len() >= MAX_VIOLATIONS {
            return;
        }
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let violation = violation(path);
        if self.seen.insert(violation.clone()) {
            self.violations.push(violation);
        }
    }

    fn fault(&self, fault: Fault, ty: TypeId) -> DecodeError {
        match fault {
            Fault::Text(message) => DecodeError::Type { message },
            Fault::Mismatch { found, wanted: Wanted::Inner(name) } => self.mismatch(&found, name),
            Fault::Mismatch { found, wanted: Wanted::Declared } => {
                self.mismatch(&found, &go_type(&self.schema.get(ty).name))
            }
        }
    }

    fn mismatch(&self, found: &str, wanted: &str) -> DecodeError {
        let place = match self.owner.map(|owner| go_name(&self.schema.get(owner).name)) {
            Some(owner) => format!("struct field {owner}.{}", self.fields.join(".")),
            None => "value".to_owned(),
        };
        DecodeError::Type {
            message: format!("json: cannot unmarshal {found} into Go {place} of type {wanted}"),
        }
    }
}

/// What Go writes for an unset value of the type.
pub(crate) fn zero(schema: &Schema, ty: TypeId) -> Value {
    match &schema.get(ty).shape {
        Shape::Bool => Value::Bool(false),
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => Value::from(0),
        Shape::String => Value::from(""),
        Shape::Quantity => Value::from("0"),
        Shape::Duration => Value::from("0s"),
        Shape::Any
        | Shape::Bytes
        | Shape::Time
        | Shape::MicroTime
        | Shape::BoolOr(_)
        | Shape::ListOr(_)
        | Shape::StringsOr(_)
        | Shape::List { .. }
        | Shape::Map { .. } => Value::Null,
        Shape::Struct(fields) => {
            let mut object = Map::new();
            for field in &fields.fields {
                if field.pointer && field.omit_empty {
                    continue;
                }
                let zero = if field.pointer { Value::Null } else { zero(schema, field.ty) };
                if field.pointer || !omitted(schema, field, &zero) {
                    object.insert(field.name.to_string(), zero);
                }
            }
            Value::Object(object)
        }
    }
}

/// Whether Go leaves out a value of a field that is no pointer. Structs are never left out for being empty.
pub(crate) fn omitted(schema: &Schema, field: &Field, value: &Value) -> bool {
    let by_value = match &schema.get(field.ty).shape {
        Shape::Bool => *value == Value::Bool(false),
        Shape::Int32 | Shape::Int64 => value.as_i64() == Some(0),
        Shape::Float64 => value.as_f64() == Some(0.0),
        Shape::String | Shape::Bytes => value.as_str().is_none_or(str::is_empty),
        Shape::List { .. } => value.as_array().is_none_or(Vec::is_empty),
        Shape::Map { .. } => value.as_object().is_none_or(Map::is_empty),
        Shape::Time | Shape::MicroTime => return field.omit_zero && value.is_null(),
        Shape::Any
        | Shape::Duration
        | Shape::IntOrString
        | Shape::Quantity
        | Shape::BoolOr(_)
        | Shape::ListOr(_)
        | Shape::StringsOr(_)
        | Shape::Struct(_) => false,
    };
    field.omit_empty && by_value
}

/// A type's name without its package: `PodSpec`.
fn go_name(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

/// A type as Go prints it: `v1.PodSpec`, `[]v1.Container`, `map[string]string`.
fn go_type(name: &str) -> String {
    let base = name.trim_start_matches("[]").trim_start_matches("map[string]").trim_start_matches("[]");
    let prefix = &name[..name.len() - base.len()];
    let base = match base {
        "bytes" => "[]uint8",
        _ => base.rsplit_once('/').map_or(base, |(_, name)| name),
    };
    format!("{prefix}{base}")
}
