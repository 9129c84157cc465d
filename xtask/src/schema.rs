//! Makes the built-in types' table of `keelson-api-schema`.
//!
//! In: a JSON file of facts on the Kubernetes API types, one object per type (names, types, tags, markers).
//! Out: `apiserver/schema/src/table/api.txt`, a line per type and a line per field, tab-separated; its format is
//! described where it is read, in `apiserver/schema/src/table.rs`. The output is a function of the input alone:
//! types in name order, attributes in a fixed order.
//!
//! Deliberately absent: descriptions (they come from elsewhere at run time), and types that never travel over
//! the wire (Go interfaces, functions and what is built on them).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

/// First line of the table; the reader refuses any other.
const HEADER: &str = "keelson-schema 1";

/// Types that the reader knows by name and that need no line.
const PRIMITIVE: &[&str] = &[
    "any",
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
    "bool",
    "bytes",
    "float64",
    "int32",
    "int64",
    "intstr.IntOrString",
    "meta/v1.Duration",
    "meta/v1.FieldsV1",
    "meta/v1.MicroTime",
    "meta/v1.Time",
    "resource.Quantity",
    "runtime.RawExtension",
    "string",
    "types.NodeName",
    "types.UID",
];

/// Fields tagged `omitzero` upstream, a fact that the input does not carry: a zero struct here is left out,
/// where any other zero struct is written.
const OMIT_ZERO: &[(&str, &str)] = &[("meta/v1.ObjectMeta", "creationTimestamp")];

/// Reads the facts at `input` and writes the table to `output`.
///
/// # Errors
/// Says which file could not be read or written, or which fact has a form that the table cannot express.
pub fn run(input: &Path, output: &Path) -> Result<(), String> {
    let text = fs::read_to_string(input).map_err(|error| format!("read {}: {error}", input.display()))?;
    let facts: BTreeMap<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("parse {}: {error}", input.display()))?;
    let table = render(&facts)?;
    fs::write(output, table).map_err(|error| format!("write {}: {error}", output.display()))
}

/// The whole table as text.
fn render(facts: &BTreeMap<String, Value>) -> Result<String, String> {
    let mut out = format!("{HEADER}\n");
    let wire = wire_types(facts);
    for name in &wire {
        match facts.get(*name) {
            Some(fact) => type_lines(&mut out, name, fact, facts)?,
            // The facts leave out structs without fields.
            None => writeln!(out, "{name}").map_err(|error| error.to_string())?,
        }
    }
    Ok(out)
}

/// The names of all types that can be encoded: those that mention only other such types. Empty structs, which
/// are mentioned but have no fact, are among them.
fn wire_types(facts: &BTreeMap<String, Value>) -> BTreeSet<&str> {
    let mut dropped: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = dropped.len();
        for (name, fact) in facts.iter().filter(|(name, _)| !PRIMITIVE.contains(&name.as_str())) {
            let unknown = |mentioned: &&str| {
                dropped.contains(mentioned)
                    || !(facts.contains_key(*mentioned)
                        || PRIMITIVE.contains(mentioned)
                        || versioned(mentioned))
            };
            if name.starts_with("runtime.")
                || name.starts_with("intstr.")
                || mentions(fact).iter().any(unknown)
            {
                dropped.insert(name);
            }
        }
        if dropped.len() == before {
            break;
        }
    }
    let kept = facts
        .iter()
        .filter(|(name, _)| !dropped.contains(name.as_str()) && !PRIMITIVE.contains(&name.as_str()));
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (name, fact) in kept {
        names.insert(name);
        names.extend(mentions(fact));
    }
    names.retain(|name| !PRIMITIVE.contains(name));
    names
}

/// Whether a type name has the form `package/version.Name` of an API type.
fn versioned(name: &str) -> bool {
    name.split_once("/v").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The types that a fact refers to: its fields' types, or its base without list and map prefixes.
fn mentions(fact: &Value) -> Vec<&str> {
    let fields = fact.get("fields").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<&str> = fields.filter_map(|field| field.get("type")?.as_str()).collect();
    names.extend(fact.get("base").and_then(Value::as_str).map(base_element));
    names
}

/// The element type of a Go type expression.
fn base_element(base: &str) -> &str {
    base.trim_start_matches("[]").trim_start_matches("map[string]")
}

/// One type's line and its fields' lines.
fn type_lines(
    out: &mut String,
    name: &str,
    fact: &Value,
    facts: &BTreeMap<String, Value>,
) -> Result<(), String> {
    out.push_str(name);
    if let Some(base) = fact.get("base").and_then(Value::as_str) {
        let base = base.replace("map[string]", "{}");
        attribute(out, "=", &base)?;
    }
    if fact.get("kind").is_some() {
        out.push_str("\tkind");
    }
    if let Some(scope) = fact.get("scope").and_then(Value::as_str) {
        attribute(out, "scope=", scope)?;
    }
    for (key, prefix) in [("client", "client="), ("rules", "rule=")] {
        for text in strings(fact.get(key)) {
            attribute(out, prefix, text)?;
        }
    }
    let mut seen = BTreeSet::new();
    for value in strings(fact.get("enum")).filter(|value| seen.insert(*value)) {
        attribute(out, "enum=", value)?;
    }
    out.push('\n');
    // The facts on `apidiscovery` hold every field twice.
    let mut seen: Vec<&Value> = Vec::new();
    for field in fact.get("fields").and_then(Value::as_array).into_iter().flatten() {
        if seen.contains(&field) {
            continue;
        }
        seen.push(field);
        let field = field.as_object().ok_or_else(|| format!("{name}: a field is not an object"))?;
        field_line(out, name, field, facts)?;
    }
    Ok(())
}

/// One field's line.
fn field_line(
    out: &mut String,
    owner: &str,
    field: &Map<String, Value>,
    facts: &BTreeMap<String, Value>,
) -> Result<(), String> {
    let text = |key: &str| field.get(key).and_then(Value::as_str);
    let json = text("json").ok_or_else(|| format!("{owner}: a field has no name"))?;
    let ty = text("type").ok_or_else(|| format!("{owner}.{json}: no type"))?;
    let _ = write!(
        out,
        "\t{json}\t{}{}{}",
        flag(field, "ptr", "*"),
        flag(field, "list", "[]"),
        flag(field, "map", "{}")
    );
    match ty.strip_prefix(owner.rsplit_once('.').map_or("", |(package, _)| package)) {
        Some(rest) if rest.starts_with('.') => out.push_str(rest),
        _ => out.push_str(ty),
    }
    out.push_str(flag(field, "omitempty", "\to"));
    if OMIT_ZERO.contains(&(owner, json)) {
        out.push_str("\tz");
    }
    if let Some(number) = field.get("proto").and_then(Value::as_u64) {
        let wire = match text("wire") {
            Some("bytes") => "b",
            Some("bytes,rep") => "B",
            Some("varint") => "v",
            Some("varint,rep") => "V",
            other => return Err(format!("{owner}.{json}: wire type {other:?}")),
        };
        attribute(out, "#", &format!("{number}{wire}"))?;
    }
    match text("presence") {
        Some("optional") => out.push_str("\t?"),
        Some("required") => out.push_str("\t!"),
        None => {}
        Some(other) => return Err(format!("{owner}.{json}: presence {other}")),
    }
    topology(out, field)?;
    if let Some(default) = text("default") {
        attribute(out, "default=", &default_literal(default, ty, facts)?)?;
    }
    if let Some(gate) = text("featureGate") {
        attribute(out, "gate=", gate)?;
    }
    for rule in strings(field.get("rules")) {
        attribute(out, "rule=", rule)?;
    }
    out.push('\n');
    Ok(())
}

/// How lists, maps and structs merge.
fn topology(out: &mut String, field: &Map<String, Value>) -> Result<(), String> {
    let text = |key: &str| field.get(key).and_then(Value::as_str);
    match text("listType") {
        Some("map") => {
            let keys: Vec<&str> = strings(field.get("listMapKeys")).collect();
            attribute(out, "list=map:", &keys.join(","))?;
        }
        Some(kind) => attribute(out, "list=", kind)?,
        None => {}
    }
    let attributes = [
        ("mapType", "map="),
        ("structType", "struct="),
        ("patchStrategy", "patch="),
        ("patchMergeKey", "key="),
    ];
    for (key, prefix) in attributes {
        if let Some(value) = text(key) {
            attribute(out, prefix, value)?;
        }
    }
    Ok(())
}

/// A default as a JSON literal. A reference to a Go constant is resolved to the one value of the field's enum
/// that the constant's name contains.
fn default_literal(default: &str, ty: &str, facts: &BTreeMap<String, Value>) -> Result<String, String> {
    let Some(constant) = default.strip_prefix("ref(").and_then(|rest| rest.strip_suffix(')')) else {
        serde_json::from_str::<Value>(default).map_err(|error| format!("default {default}: {error}"))?;
        return Ok(default.to_owned());
    };
    let values = strings(facts.get(ty).and_then(|fact| fact.get("enum")));
    let found: Vec<&str> = values.filter(|value| constant.contains(value)).collect();
    match found[..] {
        [value] => Ok(Value::from(value).to_string()),
        _ => Err(format!("default {default}: {} values of {ty} fit", found.len())),
    }
}

/// The strings of a JSON array; none if there is no array.
fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// `mark` if the field's flag is set.
fn flag<'a>(field: &Map<String, Value>, key: &str, mark: &'a str) -> &'a str {
    if field.get(key) == Some(&Value::Bool(true)) { mark } else { "" }
}

/// Appends one tab-separated attribute.
fn attribute(out: &mut String, prefix: &str, value: &str) -> Result<(), String> {
    if value.contains(['\t', '\n', '\r']) {
        return Err(format!("{prefix}{value:?}: cannot hold tabs or line breaks"));
    }
    let _ = write!(out, "\t{prefix}{value}");
    Ok(())
}
