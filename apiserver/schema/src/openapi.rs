//! OpenAPI v3 components, made from the schema.
//!
//! In: root types, the group versions of the shared kinds, and a source of descriptions. Out: `components.schemas` with
//! everything that the roots refer to, under upstream's names and with upstream's extensions, as `kubectl explain` and
//! validation by clients need it.
//!
//! Deliberately absent: paths (the caller makes them from its table of resources), and the descriptions themselves.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::builtin::group_of;
use crate::model::{Field, ListKind, MapKind, Presence, Schema, Shape, Struct, StructKind, Type, TypeId};

/// A group and a version of the API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupVersion {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
}

/// Where descriptions come from: the component's name and, for a field, the field's.
pub type Describe<'a> = dyn Fn(&str, Option<&str>) -> Option<String> + 'a;

/// Makes components.
pub struct Components<'a> {
    schema: &'a Schema,
    /// The group versions in which `DeleteOptions` and `WatchEvent` exist.
    shared: &'a [GroupVersion],
    describe: &'a Describe<'a>,
}

impl<'a> Components<'a> {
    /// Over a schema; `shared` are all group versions that are served.
    #[must_use]
    pub fn new(schema: &'a Schema, shared: &'a [GroupVersion], describe: &'a Describe<'a>) -> Components<'a> {
        Components { schema, shared, describe }
    }

    /// The components of the roots and of everything that they refer to, by name.
    #[must_use]
    pub fn closure(&self, roots: &[TypeId]) -> Map<String, Value> {
        let mut open: Vec<TypeId> = roots.to_vec();
        let mut seen: BTreeSet<TypeId> = BTreeSet::new();
        let mut components = Map::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let ty = self.schema.get(id);
            open.extend(ty.shape.inner());
            if let Some(name) = component_name(ty) {
                let component = self.component(ty, &name);
                components.insert(name, component);
            }
        }
        components
    }

    /// One component, without what it refers to; `None` for types that are written in place.
    #[must_use]
    pub fn schema_component(&self, id: TypeId) -> Option<(String, Value)> {
        let ty = self.schema.get(id);
        let name = component_name(ty)?;
        let component = self.component(ty, &name);
        Some((name, component))
    }

    fn component(&self, ty: &Type, name: &str) -> Value {
        let mut component = match &ty.shape {
            Shape::Struct(fields) => self.structure(fields, name),
            Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
            Shape::Duration => json!({"type": "string"}),
            Shape::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Shape::IntOrString => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Shape::Any if ty.name != "apiextensions/v1.JSON" => json!({"type": "object"}),
            // Any value at all.
            _ => json!({}),
        };
        if let Some(description) = (self.describe)(name, None) {
            component["description"] = description.into();
        }
        let kinds = self.kinds(ty);
        if !kinds.is_empty() {
            component["x-kubernetes-group-version-kind"] = kinds.into();
        }
        component
    }

    fn structure(&self, fields: &Struct, name: &str) -> Value {
        let mut properties = Map::new();
        for field in &fields.fields {
            properties.insert(field.name.to_string(), self.property(field, name));
        }
        let required = fields.fields.iter().filter(|field| is_required(field));
        let mut required: Vec<&str> = required.map(|field| field.name.as_ref()).collect();
        required.sort_unstable();
        let mut component = json!({"type": "object"});
        if !properties.is_empty() {
            component["properties"] = properties.into();
        }
        if !required.is_empty() {
            component["required"] = required.into();
        }
        if fields.kind == StructKind::Atomic {
            component["x-kubernetes-map-type"] = "atomic".into();
        }
        component
    }

    fn property(&self, field: &Field, owner: &str) -> Value {
        let mut property = self.inline(field.ty);
        let default = match &field.default {
            Some(default) => Some(default.clone()),
            None if field.pointer => None,
            None => self.zero(field.ty, field.omit_empty),
        };
        if let Some(default) = default {
            property.insert("default".into(), default);
        }
        if let Some(description) = (self.describe)(owner, Some(&field.name)) {
            property.insert("description".into(), description.into());
        }
        let strategies = [
            (field.patch.merge, "merge"),
            (field.patch.replace, "replace"),
            (field.patch.retain_keys, "retainKeys"),
        ];
        let strategies: Vec<&str> =
            strategies.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
        if !strategies.is_empty() {
            property.insert("x-kubernetes-patch-strategy".into(), strategies.join(",").into());
        }
        if let Some(key) = &field.merge_key {
            property.insert("x-kubernetes-patch-merge-key".into(), key.as_ref().into());
        }
        // A reference stands alone, or in `allOf` beside other words.
        if property.len() > 1
            && let Some(reference) = property.remove("$ref")
        {
            property.insert("allOf".into(), json!([{"$ref": reference}]));
        }
        Value::Object(property)
    }

    /// A type in the place where it is used.
    fn inline(&self, id: TypeId) -> Map<String, Value> {
        let ty = self.schema.get(id);
        if let Some(name) = component_name(ty) {
            return object(json!({"$ref": format!("#/components/schemas/{name}")}));
        }
        let mut property = match &ty.shape {
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::Float64 => json!({"type": "number", "format": "double"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 => json!({"type": "integer", "format": "int64"}),
            Shape::String => json!({"type": "string"}),
            Shape::List { item, kind } => self.list(*item, kind),
            Shape::Map { value, kind } => {
                let mut map = json!({"type": "object", "additionalProperties": self.element(*value)});
                if *kind == MapKind::Atomic {
                    map["x-kubernetes-map-type"] = "atomic".into();
                }
                map
            }
            _ => json!({"type": "object"}),
        };
        if !ty.enum_values.is_empty() && ty.rules.iter().any(|rule| rule == "enum") {
            let values: BTreeSet<&str> = ty.enum_values.iter().map(AsRef::as_ref).collect();
            property["enum"] = values.into_iter().collect::<Vec<&str>>().into();
        }
        object(property)
    }

    fn list(&self, item: TypeId, kind: &ListKind) -> Value {
        let mut list = json!({"type": "array", "items": self.element(item)});
        let name = match kind {
            ListKind::Unspecified => return list,
            ListKind::Atomic => "atomic",
            ListKind::Set => "set",
            ListKind::Map(keys) => {
                let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
                list["x-kubernetes-list-map-keys"] = keys.into();
                "map"
            }
        };
        list["x-kubernetes-list-type"] = name.into();
        list
    }

    /// An item of a list or a value of a map.
    fn element(&self, id: TypeId) -> Value {
        let mut element = self.inline(id);
        if let Some(zero) = self.zero(id, false) {
            element.insert("default".into(), zero);
            if let Some(reference) = element.remove("$ref") {
                element.insert("allOf".into(), json!([{"$ref": reference}]));
            }
        }
        Value::Object(element)
    }

    /// The default that upstream's generator writes for what Go holds by value: `{}` for structs, and the zero of
    /// scalars that are always written.
    fn zero(&self, id: TypeId, omit_empty: bool) -> Option<Value> {
        let zero = match &self.schema.get(id).shape {
            Shape::Struct(_) => return Some(json!({})),
            Shape::Bool => json!(false),
            Shape::Int32 | Shape::Int64 | Shape::Float64 => json!(0),
            Shape::String => json!(""),
            _ => return None,
        };
        (!omit_empty).then_some(zero)
    }

    /// The kinds that a type is.
    fn kinds(&self, ty: &Type) -> Vec<Value> {
        let Some((package, rest)) = ty.name.split_once('/') else { return Vec::new() };
        let Some((version, kind)) = rest.split_once('.') else { return Vec::new() };
        let kind_in = |group: &str, version: &str| json!({"group": group, "kind": kind, "version": version});
        if package == "meta" && matches!(kind, "DeleteOptions" | "WatchEvent") {
            return self.shared.iter().map(|shared| kind_in(&shared.group, &shared.version)).collect();
        }
        let embeds = |fields: &Struct| {
            fields.embedded.iter().any(|embedded| self.schema.get(embedded.ty).name == "meta/v1.TypeMeta")
        };
        match (ty.as_struct().is_some_and(embeds), package) {
            (true, "meta") => vec![kind_in("", version)],
            (true, _) => group_of(package).map(|group| kind_in(group, version)).into_iter().collect(),
            (false, _) => Vec::new(),
        }
    }
}

/// Upstream's name of a type's component, as in `io.k8s.api.apps.v1.Deployment`; `None` for types that are written in
/// place: scalars, enumerations, lists, maps.
#[must_use]
pub fn component_name(ty: &Type) -> Option<String> {
    let by_name = match &ty.shape {
        Shape::Struct(_)
        | Shape::BoolOr(_)
        | Shape::ListOr(_)
        | Shape::StringsOr(_)
        | Shape::Duration
        | Shape::IntOrString
        | Shape::MicroTime
        | Shape::Quantity
        | Shape::Time => true,
        Shape::Any => ty.name != "any",
        Shape::Bool
        | Shape::Bytes
        | Shape::Float64
        | Shape::Int32
        | Shape::Int64
        | Shape::String
        | Shape::List { .. }
        | Shape::Map { .. } => false,
    };
    if !by_name {
        return None;
    }
    let (package, name) = ty.name.rsplit_once('.')?;
    let package = package.replace('/', ".");
    let prefix = match package.split('.').next().unwrap_or_default() {
        "meta" => "io.k8s.apimachinery.pkg.apis",
        "runtime" => "io.k8s.apimachinery.pkg",
        "resource" if package == "resource" => "io.k8s.apimachinery.pkg.api",
        "intstr" => "io.k8s.apimachinery.pkg.util",
        "apiextensions" => "io.k8s.apiextensions-apiserver.pkg.apis",
        "apiregistration" => "io.k8s.kube-aggregator.pkg.apis",
        _ => "io.k8s.api",
    };
    Some(format!("{prefix}.{package}.{name}"))
}

/// As upstream's generator decides.
fn is_required(field: &Field) -> bool {
    match field.presence {
        Some(Presence::Required) => true,
        Some(Presence::Optional) => false,
        None => !field.omit_empty,
    }
}

/// The map of an object literal.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
