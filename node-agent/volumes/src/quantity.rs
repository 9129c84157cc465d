//! Quantities as numbers: `500m`, `1.5Gi`, `2e3`. Pure and exact.
//!
//! In: the text of a Quantity. Out: whole units or thousandths, rounded up as upstream rounds. Deliberately absent:
//! writing quantities, arithmetic on them beyond what this crate needs.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The finest part that a quantity can have.
const NANO: i128 = 1_000_000_000;

/// More than this is as much.
const MAX: i128 = i64::MAX as i128 * NANO;

/// Fraction digits beyond these only decide whether to round up.
const MAX_FRACTION: usize = 15;

/// An amount of something, not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount {
    nano: i128,
}

impl Amount {
    /// Of what the text says; none of what is no quantity or less than nothing (the API accepts neither here).
    pub(crate) fn of(quantity: &Quantity) -> Self {
        Self { nano: parse(&quantity.0).unwrap_or_default() }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nano == 0
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { nano: (self.nano + other.nano).min(MAX) }
    }

    /// In whole units, rounded up.
    pub(crate) fn units(self) -> i64 {
        saturated(divided_up(self.nano, NANO))
    }

    /// In thousandths, rounded up.
    pub(crate) fn milli(self) -> i64 {
        saturated(divided_up(self.nano, NANO / 1000))
    }
}

/// `a / b`, rounded up. Neither is negative, `b` is not zero.
pub(crate) fn divided_up(a: i128, b: i128) -> i128 {
    (a + b - 1) / b
}

fn saturated(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn parse(text: &str) -> Option<i128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let (times, divided) = scale(suffix)?;
    let (kept, rest) = fraction.split_at(fraction.len().min(MAX_FRACTION));
    let mut digits = format!("{whole}{kept}").trim_start_matches('0').to_owned();
    if digits.is_empty() {
        digits.push('0');
    }
    let Ok(mut mantissa) = digits.parse::<i128>() else { return Some(MAX) };
    if rest.bytes().any(|digit| digit != b'0') {
        mantissa = mantissa.saturating_add(1);
    }
    let Some(product) = mantissa.checked_mul(times) else { return Some(MAX) };
    let fraction_length = u32::try_from(kept.len()).ok()?;
    let divisor = divided.checked_mul(10_i128.checked_pow(fraction_length)?);
    let nano = divisor.map_or_else(|| product.signum(), |divisor| divided_up(product, divisor));
    Some(nano.min(MAX))
}

/// By what a number with this suffix is multiplied, and by what divided, to have billionths.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let times = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => NANO,
        "k" => NANO * 1_000,
        "M" => NANO * 1_000_000,
        "G" => NANO * NANO,
        "T" => NANO * NANO * 1_000,
        "P" => NANO * NANO * 1_000_000,
        "E" => NANO * NANO * NANO,
        "Ki" => NANO << 10,
        "Mi" => NANO << 20,
        "Gi" => NANO << 30,
        "Ti" => NANO << 40,
        "Pi" => NANO << 50,
        "Ei" => NANO << 60,
        _ => return exponent(suffix),
    };
    Some((times, 1))
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    // Beyond these bounds every number is the greatest or the least there is.
    let power = 10_i128.pow(exponent.unsigned_abs().min(28));
    match exponent {
        0.. => Some((NANO.checked_mul(power).unwrap_or(i128::MAX), 1)),
        ..0 => Some((NANO, power)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::of(&Quantity(text.to_owned()))
    }

    #[test]
    fn quantities_are_read_exactly() {
        for (text, milli) in [
            ("0", 0),
            ("1", 1000),
            ("500m", 500),
            ("0.5", 500),
            (".5", 500),
            ("1.", 1000),
            ("+2", 2000),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("2e3", 2_000_000),
            ("2E3", 2_000_000),
            ("1e-3", 1),
            ("1E", 1_000_000_000_000_000_000_i64.saturating_mul(1000)),
            ("100n", 1),
            ("1u", 1),
            ("0.0000000001", 1),
            ("1.0001m", 2),
            ("00.10", 100),
        ] {
            assert_eq!(amount(text).milli(), milli, "{text}");
        }
        assert_eq!(amount("128Mi").units(), 134_217_728);
        assert_eq!(amount("1100m").units(), 2, "rounded up");
        assert_eq!(amount("99999999999999999999999999999999999999999999").units(), i64::MAX);
        assert_eq!(amount("1e99").units(), i64::MAX);
        assert_eq!(amount("1e-99").milli(), 1, "a little is not nothing");
    }

    #[test]
    fn what_is_no_quantity_is_nothing() {
        for text in ["", "x", "-1", "1x", "1.2.3", ".", "1e", "1 Gi", "Gi", "1ki"] {
            assert!(amount(text).is_zero(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            amount(&text).milli();
        }

        #[test]
        fn odd_numbers_never_panic(text in "[+]?[0-9]{0,45}[.]?[0-9]{0,45}([eE][+-]?[0-9]{0,12}|[numkMGTPE]i?)?") {
            prop_assert!(amount(&text).units() >= 0);
        }

        #[test]
        fn whole_numbers_keep_their_value(number in 0..i64::MAX / 1000) {
            prop_assert_eq!(amount(&number.to_string()).units(), number);
            prop_assert_eq!(amount(&format!("{number}m")).milli(), number);
        }
    }
}
