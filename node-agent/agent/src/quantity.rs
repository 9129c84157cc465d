//! Amounts of resources, as Kubernetes writes them: `500m`, `64Mi`, `1.5`, `1e3`.
//!
//! In: a Quantity. Out: whole numbers of units or thousandths, rounded up; and back, in the customary form. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Amounts by the name of the resource.
pub(crate) type Resources = BTreeMap<String, Quantity>;

/// How finely an amount is kept.
const NANO: i128 = 1_000_000_000;

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// The amount in whole units, rounded up. What makes no sense counts as nothing: the API has checked it.
pub(crate) fn units(quantity: &Quantity) -> i64 {
    checked_units(quantity).unwrap_or(0)
}

/// The amount in whole units, rounded up, of what nobody has checked; `None` if it makes no sense.
pub(crate) fn checked_units(quantity: &Quantity) -> Option<i64> {
    nanos(&quantity.0).map(|nanos| divided_up(nanos, NANO))
}

/// The amount in thousandths, rounded up.
pub(crate) fn thousandths(quantity: &Quantity) -> i64 {
    divided_up(nanos(&quantity.0).unwrap_or(0), NANO / 1000)
}

/// The amount of one resource in whole units; nothing if it is not there.
pub(crate) fn units_of(resources: Option<&Resources>, name: &str) -> i64 {
    resources.and_then(|all| all.get(name)).map_or(0, units)
}

/// The amount of one resource in thousandths; nothing if it is not there.
pub(crate) fn thousandths_of(resources: Option<&Resources>, name: &str) -> i64 {
    resources.and_then(|all| all.get(name)).map_or(0, thousandths)
}

/// Whether an amount is more than nothing.
pub(crate) fn is_positive(quantity: &Quantity) -> bool {
    nanos(&quantity.0).is_some_and(|nanos| nanos > 0)
}

/// So many bytes, in the largest binary unit that fits exactly.
pub(crate) fn of_bytes(bytes: u64) -> Quantity {
    let fits = BINARY.iter().rev().find(|(_, bits)| bytes >= 1 << bits && bytes.trailing_zeros() >= *bits);
    Quantity(match fits {
        Some((suffix, bits)) => format!("{}{suffix}", bytes >> bits),
        None => bytes.to_string(),
    })
}

/// So many thousandths, as whole units if they are.
pub(crate) fn of_thousandths(amount: i64) -> Quantity {
    Quantity(if amount % 1000 == 0 { (amount / 1000).to_string() } else { format!("{amount}m") })
}

fn divided_up(amount: i128, by: i128) -> i64 {
    let quotient = amount.div_euclid(by) + i128::from(amount.rem_euclid(by) != 0);
    i64::try_from(quotient).unwrap_or(if quotient < 0 { i64::MIN } else { i64::MAX })
}

fn nanos(text: &str) -> Option<i128> {
    let text = text.trim();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let amount = scaled(digits, places, suffix)?;
    Some(if is_negative { -amount } else { amount })
}

/// `digits` with so many of them after the point, times the suffix, in nanos, rounded up.
fn scaled(digits: i128, places: i32, suffix: &str) -> Option<i128> {
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return powered(digits.checked_shl(*bits).filter(|it| it >> bits == digits)?, 9 - places);
    }
    let exponent = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
        Some((_, exponent)) => *exponent,
        None => suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    };
    powered(digits, exponent.checked_add(9)?.checked_sub(places)?)
}

fn powered(digits: i128, exponent: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return digits.checked_mul(power?);
    }
    // Less than a nano is still something.
    let power = power.unwrap_or(i128::MAX);
    Some(digits / power + i128::from(digits % power != 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("0", 0),
            ("100m", 100),
            ("1", 1000),
            ("1.5", 1500),
            (".5", 500),
            ("2.", 2000),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("1E", i64::MAX),
            ("+1", 1000),
            ("-1", -1000),
            ("1n", 1),
            ("1u", 1),
        ] {
            assert_eq!(thousandths(&Quantity(text.into())), expected, "{text}");
        }
        assert_eq!(units(&Quantity("1.5".into())), 2);
        assert_eq!(units(&Quantity("128Mi".into())), 134_217_728);
    }

    #[test]
    fn what_makes_no_sense_counts_as_nothing() {
        for text in ["", "x", "1x", "1.2.3", "Ki", "1e", "9e999999999999"] {
            assert_eq!(thousandths(&Quantity(text.into())), 0, "{text}");
        }
    }

    #[test]
    fn amounts_are_written_in_the_customary_form() {
        assert_eq!(of_bytes(16 << 30).0, "16Gi");
        assert_eq!(of_bytes(24_603_136 << 10).0, "24603136Ki");
        assert_eq!(of_bytes(1001).0, "1001");
        assert_eq!(of_thousandths(2000).0, "2");
        assert_eq!(of_thousandths(1900).0, "1900m");
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC*") {
            let _ = thousandths(&Quantity(text));
        }

        #[test]
        fn bytes_come_back(bytes in 0..u64::from(u32::MAX) * 1024) {
            prop_assert_eq!(units(&of_bytes(bytes)), i64::try_from(bytes).unwrap());
        }
    }
}
