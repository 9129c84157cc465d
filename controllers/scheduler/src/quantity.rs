//! Kubernetes quantities as whole numbers.
//!
//! In: the text of a quantity (`100m`, `1.5Gi`, `2e3`). Out: the same amount in units or thousandths, exactly, rounded
//! away from zero as upstream's `Value` and `MilliValue` do, and held within `i64`. Deliberately absent: writing
//! quantities, and arithmetic on them: whoever needs that works on the whole numbers.

/// The amount in units: bytes, devices. `None` if it is no quantity.
pub(crate) fn units(text: &str) -> Option<i64> {
    Parts::split(text)?.scaled(0)
}

/// The amount in thousandths: millicores. `None` if it is no quantity.
pub(crate) fn milli(text: &str) -> Option<i64> {
    Parts::split(text)?.scaled(3)
}

/// `±digits × 2^binary × 10^decimal`.
struct Parts {
    negative: bool,
    /// Decimal digits, most significant first.
    digits: Vec<u8>,
    binary: u32,
    decimal: i64,
}

impl Parts {
    fn split(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).map(|digit| digit.wrapping_sub(b'0')).collect();
        if digits.is_empty() || digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        let (binary, decimal) = exponents(suffix)?;
        let decimal = decimal.saturating_sub(i64::try_from(fraction.len()).ok()?);
        Some(Self { negative, digits, binary, decimal })
    }

    /// The amount times `10^scale`.
    fn scaled(self, scale: i64) -> Option<i64> {
        let digits = times_power_of_two(&self.digits, self.binary);
        let leading = digits.iter().position(|digit| *digit != 0);
        let Some(leading) = leading else { return Some(0) };
        let significant = &digits[leading..];
        let length = i64::try_from(significant.len()).ok()?;
        // How many digits stand before the decimal point.
        let whole = length.saturating_add(self.decimal).saturating_add(scale);
        let magnitude = match usize::try_from(whole) {
            Err(_) => 1,
            Ok(whole) if whole > 20 => u128::MAX,
            Ok(whole) => {
                let zeros = std::iter::repeat(&0);
                let floor = significant.iter().chain(zeros).take(whole);
                let floor = floor.fold(0u128, |sum, digit| sum * 10 + u128::from(*digit));
                let rest = significant.get(whole..).unwrap_or_default();
                floor + u128::from(rest.iter().any(|digit| *digit != 0))
            }
        };
        let magnitude = i64::try_from(magnitude).unwrap_or(i64::MAX);
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// Powers of two and of ten that a suffix stands for.
fn exponents(suffix: &str) -> Option<(u32, i64)> {
    Some(match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.into()),
    })
}

fn times_power_of_two(digits: &[u8], power: u32) -> Vec<u8> {
    let factor = 1u128 << power;
    let mut product = Vec::with_capacity(digits.len() + 20);
    let mut carry = 0u128;
    for digit in digits.iter().rev() {
        carry += u128::from(*digit) * factor;
        product.push((carry % 10) as u8);
        carry /= 10;
    }
    while carry > 0 {
        product.push((carry % 10) as u8);
        carry /= 10;
    }
    product.reverse();
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn suffixes_mean_what_they_mean_upstream() {
        let cases = [
            ("0", 0, 0),
            ("1", 1, 1000),
            ("100m", 1, 100),
            ("1500m", 2, 1500),
            ("1.5", 2, 1500),
            (".5", 1, 500),
            ("5.", 5, 5000),
            ("+2k", 2000, 2_000_000),
            ("-1500m", -2, -1500),
            ("1Ki", 1024, 1_024_000),
            ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
            ("0.1Ki", 103, 102_400),
            ("128974848", 128_974_848, 128_974_848_000),
            ("129e6", 129_000_000, 129_000_000_000),
            ("12E-1", 2, 1200),
            ("1E", 1_000_000_000_000_000_000, i64::MAX),
            ("1n", 1, 1),
            ("1u", 1, 1),
        ];
        for (text, whole, thousandths) in cases {
            assert_eq!((units(text), milli(text)), (Some(whole), Some(thousandths)), "{text}");
        }
    }

    #[test]
    fn amounts_beyond_the_range_are_held_at_its_ends() {
        for text in ["9223372036854775808", "16Ei", "1e30", "99999999999999999999999999999999999999999999"] {
            assert_eq!(units(text), Some(i64::MAX), "{text}");
            assert_eq!(units(&format!("-{text}")), Some(-i64::MAX), "{text}");
        }
        assert_eq!(units("7.999999999999999998Ei"), Some(i64::MAX - 1));
        assert_eq!(units("1e-2000000000"), Some(1), "any amount at all is at least the smallest");
        assert_eq!(units("0e2000000000"), Some(0));
    }

    #[test]
    fn what_is_no_quantity_has_no_amount() {
        for text in [
            "", "-", "+", ".", "m", "1.2.3", "1mm", "1 ", " 1", "1ki", "1K", "0x10", "1e", "1e1.5", "--1",
            "1i",
        ] {
            assert_eq!(units(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*") {
            let _ = units(&text);
            let _ = milli(&text);
        }

        #[test]
        fn whole_numbers_are_themselves(number in any::<i64>().prop_filter("has a positive twin", |n| *n != i64::MIN)) {
            prop_assert_eq!(units(&number.to_string()), Some(number));
            prop_assert_eq!(milli(&format!("{number}m")), Some(number));
        }

        #[test]
        fn binary_suffixes_multiply_exactly(number in 0u32..=1_000_000, thousandths in 0u32..1000, power in 1u32..=6) {
            let suffix = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power as usize - 1];
            let scaled = (u128::from(number) * 1000 + u128::from(thousandths)) << (10 * power);
            let expected = i64::try_from(scaled.div_ceil(1000)).unwrap_or(i64::MAX);
            prop_assert_eq!(units(&format!("{number}.{thousandths:03}{suffix}")), Some(expected));
        }

        #[test]
        fn decimal_suffixes_and_exponents_say_the_same(number in 0u32..=100_000, fraction in 0u32..100) {
            for (suffix, exponent) in [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9)] {
                let number = format!("{number}.{fraction:02}");
                prop_assert_eq!(milli(&format!("{number}{suffix}")), milli(&format!("{number}e{exponent}")));
            }
        }
    }
}
