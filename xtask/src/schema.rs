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
pub(crate) fn run(input: &Path, output: &Path) -> Result<(), String> {
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
    let place = |reason: String| format!("{owner}.{json}: {reason}");
    let ty = text("type").ok_or_else(|| place("no type".into()))?;
    let [pointer, list, map] =
        [("ptr", "*"), ("list", "[]"), ("map", "{}")].map(|(key, mark)| flag(field, key, mark));
    let package = owner.rsplit_once('.').map_or("", |(package, _)| package);
    let ty_name = ty.strip_prefix(package).filter(|rest| rest.starts_with('.')).unwrap_or(ty);
    let _ = write!(out, "\t{json}\t{pointer}{list}{map}{ty_name}");
    out.push_str(flag(field, "omitempty", "\to"));
    if OMIT_ZERO.contains(&(owner, json)) {
        out.push_str("\tz");
    }
    if let Some(number) = field.get("proto").and_then(Value::as_u64) {
        attribute(out, "#", &format!("{number}{}", wire_mark(text("wire")).map_err(place)?))?;
    }
    out.push_str(presence_mark(text("presence")).map_err(place)?);
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

fn wire_mark(wire: Option<&str>) -> Result<char, String> {
    match wire {
        Some("bytes") => Ok('b'),
        Some("bytes,rep") => Ok('B'),
        Some("varint") => Ok('v'),
        Some("varint,rep") => Ok('V'),
        other => Err(format!("wire type {other:?}")),
    }
}

fn presence_mark(presence: Option<&str>) -> Result<&'static str, String> {
    match presence {
        Some("optional") => Ok("\t?"),
        Some("required") => Ok("\t!"),
        None => Ok(""),
        Some(other) => Err(format!("presence {other}")),
    }
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
    let found: BTreeSet<&str> = values.filter(|value| constant.contains(value)).collect();
    match found.iter().collect::<Vec<_>>()[..] {
        [value] => Ok(Value::from(*value).to_string()),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(facts: &Value) -> Result<String, String> {
        let facts = facts.as_object().unwrap();
        render(&facts.iter().map(|(name, fact)| (name.clone(), fact.clone())).collect())
    }

    #[test]
    fn every_fact_has_its_place() {
        let facts = json!({
            "core/v1.Thing": {"kind": true, "scope": "Cluster", "client": ["genclient"], "rules": ["union"], "fields": [
                {"json": "", "type": "meta/v1.TypeMeta", "inline": true},
                {"json": "mode", "type": "core/v1.Mode", "ptr": true, "omitempty": true, "proto": 1, "wire": "bytes",
                 "presence": "optional", "default": "ref(ThingModeFast)", "featureGate": "G", "rules": ["r"]},
                {"json": "parts", "type": "core/v1.Part", "list": true, "proto": 2, "wire": "bytes,rep",
                 "presence": "required", "listType": "map", "listMapKeys": ["a", "b"], "patchStrategy": "merge",
                 "patchMergeKey": "a"}
            ]},
            "core/v1.Mode": {"base": "string", "enum": ["Fast", "Slow", "Fast"]},
            "meta/v1.TypeMeta": {"fields": [{"json": "kind", "type": "string"}]}
        });
        let expected = "keelson-schema 1\n\
            core/v1.Mode\t=string\tenum=Fast\tenum=Slow\n\
            core/v1.Part\n\
            core/v1.Thing\tkind\tscope=Cluster\tclient=genclient\trule=union\n\
            \t\tmeta/v1.TypeMeta\n\
            \tmode\t*.Mode\to\t#1b\t?\tdefault=\"Fast\"\tgate=G\trule=r\n\
            \tparts\t[].Part\t#2B\t!\tlist=map:a,b\tpatch=merge\tkey=a\n\
            meta/v1.TypeMeta\n\
            \tkind\tstring\n";
        assert_eq!(table(&facts), Ok(expected.to_owned()));
    }

    #[test]
    fn types_that_never_travel_are_left_out_with_what_needs_them() {
        let facts = json!({
            "meta/v1.Object": {"base": "?*ast.InterfaceType"},
            "meta/v1.Holder": {"fields": [{"json": "object", "type": "meta/v1.Object"}]},
            "runtime.Codec": {"base": "runtime.Serializer"}
        });
        assert_eq!(table(&facts), Ok("keelson-schema 1\n".to_owned()));
    }

    #[test]
    fn facts_that_the_table_cannot_express_are_named() {
        let field = |field: Value| table(&json!({"core/v1.T": {"fields": [field]}})).unwrap_err();
        assert_eq!(
            field(json!({"json": "a", "type": "string", "proto": 1, "wire": "fixed64"})),
            "core/v1.T.a: wire type Some(\"fixed64\")"
        );
        assert_eq!(
            field(json!({"json": "a", "type": "string", "rules": ["x\ty"]})),
            "rule=\"x\\ty\": cannot hold tabs or line breaks"
        );
        assert_eq!(
            field(json!({"json": "a", "type": "string", "default": "ref(Gone)"})),
            "default ref(Gone): 0 values of string fit"
        );
    }
}
