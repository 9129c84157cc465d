//! What is known about the place of a value: how two versions of it merge.
//!
//! In: a type, and the field that holds it, which may say otherwise. Out: a [`Form`].
//!
//! Source: `k8s.io/kube-openapi/pkg/schemaconv`, which decides the same from OpenAPI's extensions.

use std::borrow::Cow;

use serde_json::Value;

use super::element;
use crate::decode::zero;
use crate::model::{Field, ListKind, MapKind, Schema, Shape, Struct, StructKind, TypeId, UnknownFields};

/// The place of a value.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) schema: &'s Schema,
    /// `None`: of no type.
    pub(super) ty: Option<TypeId>,
    /// The field that holds it, if one does.
    field: Option<&'s Field>,
}

/// How versions of a value merge.
#[derive(Clone, Copy)]
pub(super) enum Form<'s> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Struct(&'s Struct),
    /// Key by key.
    Map(Place<'s>),
    /// Item by item.
    List { items: Place<'s>, keys: Keys<'s> },
}

/// How the items of a list are told apart.
#[derive(Clone, Copy)]
pub(super) enum Keys<'s> {
    /// By themselves.
    Set,
    /// By some of their fields.
    Fields(&'s [Cow<'static, str>]),
}

impl<'s> Place<'s> {
    pub(super) fn root(schema: &'s Schema, ty: TypeId) -> Self {
        Self { schema, ty: Some(ty), field: None }
    }

    fn untyped(self) -> Self {
        Self { ty: None, field: None, ..self }
    }

    fn of_type(self, ty: TypeId) -> Self {
        Self { ty: Some(ty), field: None, ..self }
    }

    /// How versions of this value merge. The value decides where the type leaves it open.
    pub(super) fn form(self, value: Option<&Value>) -> Form<'s> {
        let Some(ty) = self.ty else { return Form::Leaf };
        match &self.schema.get(ty).shape {
            Shape::Struct(fields) => match self.struct_kind(fields) {
                StructKind::Atomic => Form::Leaf,
                StructKind::Granular | StructKind::Unspecified => Form::Struct(fields),
            },
            Shape::Map { kind: MapKind::Atomic, .. } => Form::Leaf,
            Shape::Map { value, kind: MapKind::Granular | MapKind::Unspecified } => {
                Form::Map(self.of_type(*value))
            }
            Shape::List { item, kind } => match self.keys(kind) {
                Some(keys) => Form::List { items: self.of_type(*item), keys },
                None => Form::Leaf,
            },
            Shape::Any if value.is_some_and(Value::is_object) => Form::Map(self.untyped()),
            Shape::Any
            | Shape::Bool
            | Shape::BoolOr(_)
            | Shape::Bytes
            | Shape::Duration
            | Shape::Float64
            | Shape::Int32
            | Shape::Int64
            | Shape::IntOrString
            | Shape::ListOr(_)
            | Shape::MicroTime
            | Shape::Quantity
            | Shape::String
            | Shape::StringsOr(_)
            | Shape::Time => Form::Leaf,
        }
    }

    fn struct_kind(self, fields: &Struct) -> StructKind {
        match self.field.map(|field| field.struct_kind) {
            None | Some(StructKind::Unspecified) => fields.kind,
            Some(other) => other,
        }
    }

    /// A list that declares nothing merges as a strategic merge patch does, or as a whole.
    fn keys(self, kind: &'s ListKind) -> Option<Keys<'s>> {
        match (kind, self.field) {
            (ListKind::Atomic, _) => None,
            (ListKind::Set, _) => Some(Keys::Set),
            (ListKind::Map(keys), _) => Some(Keys::Fields(keys)),
            (ListKind::Unspecified, Some(field)) if field.patch.merge => Some(
                field.merge_key.as_ref().map_or(Keys::Set, |key| Keys::Fields(std::slice::from_ref(key))),
            ),
            (ListKind::Unspecified, _) => None,
        }
    }

    /// The place of a struct's field. `None`: the type has no such field.
    pub(super) fn field(self, fields: &'s Struct, name: &str) -> Option<Self> {
        match (fields.field(name), fields.unknown) {
            (Some(field), _) => Some(Self { ty: Some(field.ty), field: Some(field), ..self }),
            (None, UnknownFields::Preserve) => Some(self.untyped()),
            (None, UnknownFields::Prune) => None,
        }
    }

    /// The place of a list's items, or of a map's values.
    pub(super) fn inner(self) -> Option<Self> {
        match &self.schema.get(self.ty?).shape {
            Shape::List { item: inner, .. } | Shape::Map { value: inner, .. } => Some(self.of_type(*inner)),
            _ => None,
        }
    }

    /// What a value of the type is before anybody has set anything.
    pub(super) fn zero(self) -> Value {
        self.ty.map_or(Value::Null, |ty| zero(self.schema, ty))
    }

    /// Which item of a list this is.
    ///
    /// # Errors
    /// Upstream's words for what cannot be told from others.
    pub(super) fn element(self, keys: Keys<'_>, item: &Value) -> Result<String, String> {
        match keys {
            Keys::Set => set_element(item),
            Keys::Fields(names) => self.keyed_element(names, item),
        }
    }

    fn keyed_element(self, names: &[Cow<'static, str>], item: &Value) -> Result<String, String> {
        let object = match item {
            Value::Object(object) => object,
            Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let value = object.get(name.as_ref()).or_else(|| self.default_of(name)).ok_or_else(|| {
                format!(
                    "associative list with keys has an element that omits key field {name:?} (and doesn't have \
                     default value)"
                )
            })?;
            found.push((name.as_ref(), value));
        }
        Ok(element::keys(found.into_iter()))
    }

    fn default_of(self, name: &str) -> Option<&'s Value> {
        self.schema.get(self.ty?).as_struct()?.field(name)?.default.as_ref()
    }
}

fn set_element(item: &Value) -> Result<String, String> {
    let why = match item {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(element::value(item)),
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
    };
    Err(why.to_owned())
}
