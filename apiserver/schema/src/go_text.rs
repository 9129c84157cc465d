//! Texts that clients compare with what Go's standard library writes: quoted strings, numbers, times, durations.

pub(crate) mod duration;
pub(crate) mod number;
pub(crate) mod time;

pub use duration::parse as parse_duration;
pub use number::{parse_int, parse_uint};

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

/// A string as Go's `%q` writes it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string cannot fail.
            c if (c as u32) < 0x80 && c.is_control() => drop(write!(out, "\\x{:02x}", c as u32)),
            c if c.is_control() || c == '\u{feff}' => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What Go's decoder says of a JSON value where `target` is wanted: `Go value of type string`.
pub fn mismatch(found: &Value, target: &str) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into {target}")
}

/// A value as Go's `%v` writes it: `map[a:1 b:[x y]]`.
pub fn print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) => value.to_string(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(double) => float(double),
            None => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            // Sorted, whichever order the document had.
            let fields: BTreeMap<&String, &Value> = fields.iter().collect();
            let shown: Vec<_> =
                fields.into_iter().map(|(name, value)| format!("{name}:{}", print(value))).collect();
            format!("map[{}]", shown.join(" "))
        }
    }
}

/// A double as Go's JSON encoder writes it: no exponent between 10⁻⁶ and 10²¹, no trailing `.0`.
pub(crate) fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
            _ => text,
        };
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing() {
        let value = serde_json::json!({"b": [1, 1.5, "x y"], "a": null, "c": {"d": true}});
        assert_eq!(print(&value), "map[a:<nil> b:[1 1.5 x y] c:map[d:true]]");
    }

    #[test]
    fn quoting() {
        assert_eq!(quote("a\"b\\c\n\u{1}ä\u{85}"), r#""a\"b\\c\n\x01ä\u0085""#);
    }

    #[test]
    fn floats() {
        let table =
            [(1.0, "1"), (0.5, "0.5"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-7, "1e-7")];
        for (value, text) in table {
            assert_eq!(float(value), text);
        }
        assert_eq!(float(0.000_001), "0.000001");
    }
}
