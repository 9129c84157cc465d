//! Canonical texts, errors, rounding, limits, arithmetic.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    match canonical_text(text) {
        Ok(text) => text.into_owned(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn canonical_forms() {
    let table = [
        ("0", "0"),
        ("0m", "0"),
        ("0Ki", "0"),
        ("-0", "0"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1.500", "1.500"),
        ("0.001", "1m"),
        ("+5", "+5"),
        ("5.", "5."),
        ("1024Mi", "1Gi"),
        ("1028Mi", "1028Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1023Ki", "1023Ki"),
        ("1025", "1025"),
        ("0.0001Ki", "102400u"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("10e3", "10e3"),
        ("1000e3", "1e6"),
        ("1e4", "10e3"),
        ("1E", "1E"),
        ("1000E", "1000E"),
        ("2000", "2k"),
        ("12000000", "12M"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1.0000000001", "1000000001n"),
        ("16Ei", "9223372036854775807"),
        ("7Ei", "7Ei"),
        (" 1Gi ", "1Gi"),
        ("1e-1", "100e-3"),
    ];
    for (text, expected) in table {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn errors() {
    let table = [
        ("", "Format"),
        ("abc", "Format"),
        ("1 Gi", "Format"),
        ("1.1.M", "Format"),
        ("1i", "Suffix"),
        ("1KiB", "Format"),
        ("1mm", "Suffix"),
        ("1e99999999999", "Suffix"),
        ("1e2147483647", "Numeric"),
        ("1e30", "Numeric"),
        ("ä", "Format"),
    ];
    for (text, expected) in table {
        assert_eq!(canonical(text), expected, "{text}");
    }
    let message =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    assert_eq!(QuantityError::Format.to_string(), message);
}

#[test]
fn amounts() {
    let parse = |text| Quantity::parse(text).unwrap();
    assert_eq!(parse("1500m").value(), 2);
    assert_eq!(parse("-1500m").value(), -2);
    assert_eq!(parse("1Gi").milli_value(), 1_073_741_824_000);
    assert_eq!(parse("1e28").value(), i64::MAX);
    assert_eq!(parse("1e-2147483648"), parse("1n"));
    assert_eq!(parse("1Ki"), parse("1024"));
    assert!(parse("999m") < parse("1"));
    assert_eq!((parse("0") + parse("1Ki")).to_string(), "1Ki");
    assert_eq!((parse("512Mi") + parse("512Mi")).to_string(), "1Gi");
    assert_eq!((parse("1") - parse("100m")).to_string(), "900m");
    assert_eq!(parse("3").checked_mul(4).unwrap().to_string(), "12");
    assert_eq!(parse("1e28").checked_mul(11), None);
    assert_eq!(Quantity::from_milli(1500, Format::DecimalSi).to_string(), "1500m");
    assert_eq!(parse("1e28").signum(), 1);
    assert!((parse("250m").approximate() - 0.25).abs() < 1e-12);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,24}") {
        let _ = canonical_text(&text);
    }

    #[test]
    fn canonical_text_is_stable_and_keeps_the_amount(
        text in "[+-]?[0-9]{0,25}(\\.[0-9]{0,25})?(n|u|m||k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]{1,2})"
    ) {
        if let Ok(quantity) = Quantity::parse(&text) {
            let written = quantity.to_string();
            let again = Quantity::parse(&written).unwrap();
            prop_assert_eq!(quantity, again);
            prop_assert_eq!(&again.to_string(), &written);
            prop_assert_eq!(Quantity::parse(&canonical_text(&text).unwrap()).unwrap(), quantity);
        }
    }

    #[test]
    fn sums_undo(a in any::<i32>(), b in any::<i32>()) {
        let [a, b] = [a, b].map(|value| Quantity::from_milli(value.into(), Format::DecimalSi));
        prop_assert_eq!(a + b - b, a);
    }
}
