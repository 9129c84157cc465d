//! What a plain YAML scalar stands for, by the rules of YAML 1.1 that upstream's reader follows.

use std::borrow::Cow;

use crate::tree::Node;

/// Null, a boolean, a number, or the text itself. Infinities and NaN, which JSON cannot hold, stay text.
pub(super) fn resolve(text: &str) -> Node<'static> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Node::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Node::Bool(false)
        }
        _ => match number(text) {
            Some(number) => Node::Number(Cow::Owned(number)),
            None => Node::String(Cow::Owned(text.to_owned())),
        },
    }
}

/// The JSON text of a number, if the scalar is one.
fn number(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

fn integer(text: &str) -> Option<String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some(start) if start.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -value } else { value };
    (value >= i128::from(i64::MIN)).then(|| value.to_string())
}

fn float(text: &str) -> Option<String> {
    let allowed = |c: u8| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(allowed) || !text.bytes().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| crate::go_text::float(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars() {
        let number = |text: &'static str| Node::Number(text.into());
        let string = |text: &'static str| Node::String(text.into());
        let table = [
            ("~", Node::Null),
            ("yes", Node::Bool(true)),
            ("off", Node::Bool(false)),
            ("1", number("1")),
            ("+1_000", number("1000")),
            ("-0x1F", number("-31")),
            ("010", number("8")),
            ("0", number("0")),
            ("0.50", number("0.5")),
            ("1e3", number("1000")),
            ("18446744073709551615", number("18446744073709551615")),
            ("1Gi", string("1Gi")),
            ("1.2.3", string("1.2.3")),
            ("-", string("-")),
            (".inf", string(".inf")),
            ("2001-01-01", string("2001-01-01")),
            ("0xg", string("0xg")),
            ("09", number("9")),
        ];
        for (text, node) in table {
            assert_eq!(resolve(text), node, "{text}");
        }
    }
}
