//! Whole numbers as Go's `strconv` reads them, and why it does not.

use std::num::{IntErrorKind, ParseIntError};

use super::quote;

/// `strconv.ParseInt(text, 10, 64)`.
///
/// # Errors
/// Go's text: `strconv.ParseInt: parsing "soon": invalid syntax`.
pub fn parse_int(text: &str) -> Result<i64, String> {
    text.parse().map_err(|error| failure("ParseInt", text, &error))
}

/// `strconv.ParseUint(text, 10, 64)`, which takes no sign.
///
/// # Errors
/// As [`parse_int`].
pub fn parse_uint(text: &str) -> Result<u64, String> {
    let unsigned = if text.starts_with('+') { "" } else { text };
    unsigned.parse().map_err(|error| failure("ParseUint", text, &error))
}

/// `strconv.Atoi(text)`.
///
/// # Errors
/// As [`parse_int`].
pub(crate) fn atoi(text: &str) -> Result<i64, String> {
    text.parse().map_err(|error| failure("Atoi", text, &error))
}

fn failure(function: &str, text: &str, error: &ParseIntError) -> String {
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing {}: {why}", quote(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        assert_eq!(parse_int("-5"), Ok(-5));
        assert_eq!(parse_int("soon"), Err("strconv.ParseInt: parsing \"soon\": invalid syntax".to_owned()));
        let large = "9223372036854775808";
        assert_eq!(
            parse_int(large),
            Err(format!("strconv.ParseInt: parsing \"{large}\": value out of range"))
        );
        assert_eq!(parse_uint(large), Ok(1 << 63));
        for text in ["+5", "-5", "", "1\u{1}"] {
            assert!(parse_uint(text).unwrap_err().ends_with(": invalid syntax"), "{text}");
        }
        assert_eq!(atoi("x"), Err("strconv.Atoi: parsing \"x\": invalid syntax".to_owned()));
    }
}
