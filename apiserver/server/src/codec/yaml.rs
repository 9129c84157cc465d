//! YAML as `sigs.k8s.io/yaml` writes it: block style, keys in order, lists not indented.

use serde_json::{Map, Value};

/// The YAML of a JSON text.
pub(crate) fn yaml(json: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(json).expect("what is shown was written by this server");
    let mut out = String::with_capacity(json.len());
    match &value {
        Value::Object(members) if !members.is_empty() => mapping(members, 0, &mut out),
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut out),
        scalar => {
            flow(scalar, 0, &mut out);
            out.push('\n');
        }
    }
    out.into_bytes()
}

/// Begins a collection, whose JSON is given without items, up to the name of the list that they are in; returns what comes
/// after them.
pub(crate) fn collection_head(json: &[u8], out: &mut Vec<u8>) -> String {
    let head: Map<String, Value> =
        serde_json::from_slice(json).expect("the head of a collection was written by this server");
    let list = head.iter().rev().find(|(name, _)| ["items", "rows"].contains(&name.as_str()));
    let list = list.map(|(name, _)| name.clone()).unwrap_or_default();
    let (mut before, mut after) = (String::new(), String::new());
    for (key, value) in &head {
        let half = if *key <= list { &mut before } else { &mut after };
        line_text(key, half);
        half.push(':');
        if *key != list {
            member(value, 0, half);
        }
    }
    out.extend_from_slice(before.as_bytes());
    after
}

/// One item of a collection.
pub(crate) fn collection_item(json: &[u8]) -> Vec<u8> {
    let item: Value = serde_json::from_slice(json).expect("what is shown was written by this server");
    let mut out = String::with_capacity(json.len());
    sequence(std::slice::from_ref(&item), 0, &mut out);
    out.into_bytes()
}

fn mapping(members: &Map<String, Value>, depth: usize, out: &mut String) {
    for (at, (key, value)) in members.iter().enumerate() {
        // The first key of a list's item stands behind the dash.
        if at > 0 || !out.ends_with("- ") {
            indent(depth, out);
        }
        line_text(key, out);
        out.push(':');
        member(value, depth, out);
    }
}

/// What follows a key.
fn member(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            mapping(members, depth + 1, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            sequence(items, depth, out);
        }
        other => {
            out.push(' ');
            flow(other, depth, out);
            out.push('\n');
        }
    }
}

fn sequence(items: &[Value], depth: usize, out: &mut String) {
    for item in items {
        if !out.ends_with("- ") {
            indent(depth, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(members) if !members.is_empty() => mapping(members, depth + 1, out),
            Value::Array(items) if !items.is_empty() => sequence(items, depth + 1, out),
            other => {
                flow(other, depth, out);
                out.push('\n');
            }
        }
    }
}

/// What fits on a line, and texts of several lines.
fn flow(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::String(string) => text(string, depth, out),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn text(string: &str, depth: usize, out: &mut String) {
    if is_block(string) {
        block(string, depth, out);
    } else {
        line_text(string, out);
    }
}

fn line_text(string: &str, out: &mut String) {
    if is_plain(string) {
        out.push_str(string);
    } else {
        // Every JSON string is a YAML string in double quotes.
        out.push_str(&Value::from(string).to_string());
    }
}

/// Whether a text can stand as a literal block: with line ends, without a character that needs escaping, and the
/// first line neither empty nor indented.
fn is_block(string: &str) -> bool {
    let first = string.chars().next();
    string.contains('\n')
        && !matches!(first, Some(' ' | '\n' | '\t'))
        && string.chars().all(|c| c == '\n' || is_printable(c))
}

fn block(string: &str, depth: usize, out: &mut String) {
    let ends = string.len() - string.trim_end_matches('\n').len();
    out.push_str(match ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    let lines = string.strip_suffix('\n').unwrap_or(string).split('\n');
    for line in lines {
        out.push('\n');
        if !line.is_empty() {
            indent(depth + 1, out);
            out.push_str(line);
        }
    }
}

/// Whether a text means itself without quotes, in YAML 1.1 as in 1.2. When in doubt it is quoted.
fn is_plain(string: &str) -> bool {
    let starts = string.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '('));
    let plain = |c: char| c.is_ascii_alphanumeric() || "_/.-()+ :,=@;".contains(c);
    let ends = !string.ends_with([' ', ':']);
    starts && ends && string.chars().all(plain) && !string.contains(": ") && !is_word(string)
}

/// Words that are no text without quotes. Numbers and times begin with a digit.
fn is_word(string: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    WORDS.contains(&string.to_ascii_lowercase().as_str())
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}
