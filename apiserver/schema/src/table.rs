//! Reads the committed table of built-in types, `table/api.txt`, which `xtask` generates.
//!
//! In: the table's text. Out: a [`SchemaBuilder`] full of declarations. Names and markers are borrowed from the
//! text, which lives as long as the program.
//!
//! The format. The first line is `keelson-schema 1`. Then a line per type, followed by a line per field that begins
//! with a tab. Within a line, tabs separate attributes.
//!
//! A type: its name; `=base` if it is written like another type; `kind`, `scope=`, `client=`, `rule=`, `enum=`
//! (the last three repeat). A field: its JSON name, empty if the type is embedded; its type, with `*` for a
//! pointer, `[]` for a list, `{}` for a map, and a leading dot for the package of the struct itself; then
//! `o` omitempty, `z` omitzero, `#7b` protobuf number and wire type (`b` bytes, `v` varint, upper case: the tag says
//! `rep`), `?` optional, `!` required, `list=`, `map=`, `struct=`, `patch=`, `key=` (merge key), `default=` (JSON),
//! `gate=`, `rule=`.

use std::borrow::Cow;

use crate::model::{
    Field, FieldDraft, KindFacts, ListKind, MapKind, PatchStrategy, Presence, Proto, SchemaBuilder,
    SchemaError, Scope, Shape, StructKind, TypeId, UnknownFields, Wire,
};

/// The only first line that is understood.
const HEADER: &str = "keelson-schema 1";

/// Lists of which upstream's defaults tell an empty one from one that is not there, as if Go held a pointer to them.
const TOLD_APART: &[(&str, &str)] = &[("autoscaling/v2.HPAScalingRules", "policies")];

/// Types with a form of their own, by name.
const PRIMITIVES: &[(&str, Shape)] = &[
    ("any", Shape::Any),
    ("apiextensions/v1.JSON", Shape::Any),
    ("bool", Shape::Bool),
    ("bytes", Shape::Bytes),
    ("float64", Shape::Float64),
    ("int32", Shape::Int32),
    ("int64", Shape::Int64),
    ("intstr.IntOrString", Shape::IntOrString),
    ("meta/v1.Duration", Shape::Duration),
    ("meta/v1.FieldsV1", Shape::Any),
    ("meta/v1.MicroTime", Shape::MicroTime),
    ("meta/v1.Time", Shape::Time),
    ("resource.Quantity", Shape::Quantity),
    ("runtime.RawExtension", Shape::Any),
    ("string", Shape::String),
    ("types.NodeName", Shape::String),
    ("types.UID", Shape::String),
];

/// Declares every type of the table.
///
/// # Errors
/// [`SchemaError::BadTable`] with the line, or what the builder refuses.
pub(crate) fn read(text: &'static str) -> Result<SchemaBuilder, SchemaError> {
    let mut builder = SchemaBuilder::new();
    primitives(&mut builder)?;
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, line)| line) != Some(HEADER) {
        return Err(SchemaError::BadTable { line: 1, reason: format!("must be {HEADER}") });
    }
    let mut open: Option<OpenType> = None;
    for (at, line) in lines {
        let bad = |reason: String| SchemaError::BadTable { line: at + 1, reason };
        if let Some(rest) = line.strip_prefix('\t') {
            let open = open.as_mut().ok_or_else(|| bad("a field before any type".into()))?;
            let field = field(&mut builder, open.name, rest).map_err(bad)?;
            open.fields.push(field);
        } else {
            if let Some(done) = open.replace(type_line(line).map_err(bad)?) {
                done.declare(&mut builder)?;
            }
        }
    }
    open.map(|last| last.declare(&mut builder)).transpose()?;
    Ok(builder)
}

fn primitives(builder: &mut SchemaBuilder) -> Result<(), SchemaError> {
    for (name, shape) in PRIMITIVES {
        builder.shape(*name, shape.clone())?;
    }
    let props = builder.reference("apiextensions/v1.JSONSchemaProps");
    builder.shape("apiextensions/v1.JSONSchemaPropsOrBool", Shape::BoolOr(props))?;
    builder.shape("apiextensions/v1.JSONSchemaPropsOrArray", Shape::ListOr(props))?;
    builder.shape("apiextensions/v1.JSONSchemaPropsOrStringArray", Shape::StringsOr(props))?;
    Ok(())
}

/// A type whose field lines are being read.
struct OpenType {
    name: &'static str,
    base: Option<&'static str>,
    kind: Option<KindFacts>,
    enum_values: Vec<Cow<'static, str>>,
    rules: Vec<Cow<'static, str>>,
    fields: Vec<FieldDraft>,
}

impl OpenType {
    fn declare(self, builder: &mut SchemaBuilder) -> Result<TypeId, SchemaError> {
        match self.base {
            Some(base) => {
                let of =
                    type_expression(builder, self.name, base, ListKind::Unspecified, MapKind::Unspecified);
                builder.alias(self.name, of, self.enum_values, self.rules)
            }
            None => builder.structure(self.name, self.fields, UnknownFields::Prune, self.kind, self.rules),
        }
    }
}

fn type_line(line: &'static str) -> Result<OpenType, String> {
    let mut attributes = line.split('\t');
    let name = attributes.next().filter(|name| !name.is_empty()).ok_or("a type without a name")?;
    let mut open = OpenType {
        name,
        base: None,
        kind: None,
        enum_values: Vec::new(),
        rules: Vec::new(),
        fields: Vec::new(),
    };
    for attribute in attributes {
        match attribute.split_once('=') {
            Some(("", base)) => open.base = Some(base),
            None if attribute == "kind" => open.kind = Some(KindFacts::default()),
            Some(("scope", scope)) => open.kind.get_or_insert_default().scope = Some(scope_named(scope)?),
            Some(("client", text)) => open.kind.get_or_insert_default().client.push(text.into()),
            Some(("rule", text)) => open.rules.push(text.into()),
            Some(("enum", text)) => open.enum_values.push(text.into()),
            _ => return Err(format!("attribute {attribute:?}")),
        }
    }
    Ok(open)
}

fn scope_named(name: &str) -> Result<Scope, String> {
    match name {
        "Cluster" => Ok(Scope::Cluster),
        "Namespaced" => Ok(Scope::Namespaced),
        _ => Err(format!("scope {name:?}")),
    }
}

fn field(builder: &mut SchemaBuilder, owner: &'static str, line: &'static str) -> Result<FieldDraft, String> {
    let (name, rest) = line.split_once('\t').ok_or("a field without a type")?;
    let (expression, attributes) = rest.split_once('\t').unwrap_or((rest, ""));
    let attributes: Vec<&'static str> = attributes.split('\t').filter(|text| !text.is_empty()).collect();
    let list = list_kind(&attributes)?;
    let map = map_kind(&attributes)?;
    let pointer = expression.starts_with('*') || TOLD_APART.contains(&(owner, name));
    let ty = type_expression(builder, owner, expression.trim_start_matches('*'), list, map);
    let mut draft = FieldDraft::plain(name, ty).with(|field| field.pointer = pointer);
    for attribute in attributes {
        apply_attribute(&mut draft.0, attribute)?;
    }
    Ok(draft)
}

/// Resolves `[]`, `{}` and the leading dot.
fn type_expression(
    builder: &mut SchemaBuilder,
    owner: &'static str,
    expression: &'static str,
    list: ListKind,
    map: MapKind,
) -> TypeId {
    if let Some(item) = expression.strip_prefix("[]") {
        let item = type_expression(builder, owner, item, ListKind::Unspecified, map);
        return builder.list(item, list);
    }
    if let Some(value) = expression.strip_prefix("{}") {
        let value = type_expression(builder, owner, value, list, MapKind::Unspecified);
        return builder.map(value, map);
    }
    match (expression.strip_prefix('.'), owner.rsplit_once('.')) {
        (Some(name), Some((package, _))) => builder.reference(format!("{package}.{name}")),
        _ => builder.reference(expression),
    }
}

fn list_kind(attributes: &[&'static str]) -> Result<ListKind, String> {
    match attributes.iter().find_map(|text| text.strip_prefix("list=")) {
        None => Ok(ListKind::Unspecified),
        Some("atomic") => Ok(ListKind::Atomic),
        Some("set") => Ok(ListKind::Set),
        Some(other) => match other.strip_prefix("map:") {
            Some(keys) => Ok(ListKind::Map(keys.split(',').map(Cow::Borrowed).collect())),
            None => Err(format!("list type {other:?}")),
        },
    }
}

fn map_kind(attributes: &[&'static str]) -> Result<MapKind, String> {
    match attributes.iter().find_map(|text| text.strip_prefix("map=")) {
        None => Ok(MapKind::Unspecified),
        Some("atomic") => Ok(MapKind::Atomic),
        Some("granular") => Ok(MapKind::Granular),
        Some(other) => Err(format!("map type {other:?}")),
    }
}

fn apply_attribute(field: &mut Field, attribute: &'static str) -> Result<(), String> {
    match attribute {
        "o" => field.omit_empty = true,
        "z" => field.omit_zero = true,
        "?" => field.presence = Some(Presence::Optional),
        "!" => field.presence = Some(Presence::Required),
        _ => match (attribute.strip_prefix('#'), attribute.split_once('=')) {
            (Some(proto), _) => field.proto = Some(proto_tag(proto)?),
            // Already part of the type.
            (None, Some(("list" | "map", _))) => {}
            (None, Some(("struct", "granular"))) => field.struct_kind = StructKind::Granular,
            (None, Some(("struct", "atomic"))) => field.struct_kind = StructKind::Atomic,
            (None, Some(("patch", strategies))) => field.patch = patch_strategy(strategies)?,
            (None, Some(("key", key))) => field.merge_key = Some(key.into()),
            (None, Some(("default", json))) => {
                let value = serde_json::from_str(json).map_err(|error| format!("default {json}: {error}"))?;
                field.default = Some(value);
            }
            (None, Some(("gate", gate))) => field.feature_gate = Some(gate.into()),
            (None, Some(("rule", rule))) => field.rules.push(rule.into()),
            (None, _) => return Err(format!("attribute {attribute:?}")),
        },
    }
    Ok(())
}

fn proto_tag(tag: &str) -> Result<Proto, String> {
    let bad = || format!("protobuf tag {tag:?}");
    let split = tag.len().checked_sub(1).filter(|at| tag.is_char_boundary(*at)).ok_or_else(bad)?;
    let (number, wire) = tag.split_at(split);
    let number = number.parse().map_err(|_| bad())?;
    let (wire, repeated) = match wire {
        "b" => (Wire::Bytes, false),
        "B" => (Wire::Bytes, true),
        "v" => (Wire::Varint, false),
        "V" => (Wire::Varint, true),
        _ => return Err(bad()),
    };
    Ok(Proto { number, wire, repeated })
}

fn patch_strategy(text: &str) -> Result<PatchStrategy, String> {
    let mut strategy = PatchStrategy::default();
    for word in text.split(',') {
        match word {
            "merge" => strategy.merge = true,
            "replace" => strategy.replace = true,
            "retainKeys" => strategy.retain_keys = true,
            _ => return Err(format!("patch strategy {word:?}")),
        }
    }
    Ok(strategy)
}

#[cfg(test)]
mod tests;
