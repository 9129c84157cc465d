//! Reads quantities, to tell whether two of them are the same amount: pure.
//!
//! In: the text of a valid quantity (`1500m`, `1.5`, `1Ki`). Out: the amount in units of 10⁻⁹. Deliberately absent:
//! judging what is not valid (the API has), and amounts that need more than 128 bits.

/// The amount, in billionths; `None` if the text is no quantity or does not fit.
pub(super) fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    match binary(suffix) {
        Some(factor) => shifted(mantissa.checked_mul(factor)?, 9 - places),
        None => shifted(mantissa, exponent(suffix)? + 9 - places),
    }
}

fn binary(suffix: &str) -> Option<i128> {
    let power = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|known| *known == suffix)?;
    Some(1 << (10 * (power + 1)))
}

/// Which power of ten the suffix stands for.
fn exponent(suffix: &str) -> Option<i32> {
    Some(match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        exponent => exponent.strip_prefix(['e', 'E'])?.parse().ok()?,
    })
}

/// Times a power of ten. What is smaller than a billionth counts as one, as upstream rounds.
fn shifted(mantissa: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 {
        return mantissa.checked_mul(factor);
    }
    let rest = mantissa % factor;
    Some(mantissa / factor + rest.signum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_amount_has_many_names() {
        let same = [
            &["1", "1000m", "1.0", "1e0", "+1", "1000000u", "0.001k"][..],
            &["1Ki", "1024", "1.024k", "1024000m"],
            &["0.5Gi", "512Mi"],
            &["1E", "1000P", "1e18"],
            &["-2", "-2000m"],
            &["0", "0m", "0.0", "-0"],
            &["0.1n", "1n", ".0000000001"],
        ];
        for names in same {
            let amounts: Vec<_> = names.iter().map(|name| parse(name)).collect();
            assert!(amounts[0].is_some() && amounts.iter().all(|amount| *amount == amounts[0]), "{names:?}");
        }
        assert_ne!(parse("1M"), parse("1Mi"));
    }

    #[test]
    fn what_is_no_quantity_has_no_amount() {
        for text in ["", "m", "1kk", "1e", "e3", "1 Gi", "1e99", "--1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
