//! Reading a quantity. The scanner is as lenient as upstream's, which is more lenient than the regular expression
//! that its error message quotes.

use super::{Format, MAX_NANOS, NANOS, Quantity, QuantityError, divide_away};

/// More digits than this cannot change a nano unit of an amount that is within the range.
const MAX_DIGITS: usize = 38;

/// The largest binary quantity, in nano units.
const MAX_BINARY: i128 = i64::MAX as i128 * NANOS;

/// A quantity and whether upstream would write it as it was read.
pub(super) struct Parsed {
    pub(super) quantity: Quantity,
    pub(super) keeps_text: bool,
}

/// The pieces of a quantity's text.
struct Pieces<'a> {
    negative: bool,
    /// Digits before the point without leading zeros, `0` if there are none.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    suffix: &'a str,
}

/// A suffix's meaning: the amount is multiplied by `base` to the power of `exponent`.
struct Multiplier {
    format: Format,
    exponent: i32,
}

impl Parsed {
    pub(super) fn read(text: &str) -> Result<Parsed, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let pieces = Pieces::split(text)?;
        let multiplier = Multiplier::read(pieces.suffix).ok_or(QuantityError::Suffix)?;
        let keeps_text = pieces.is_canonical(&multiplier);
        let quantity = match multiplier.format {
            Format::BinarySi => pieces.binary(multiplier.exponent)?,
            Format::DecimalSi | Format::DecimalExponent => pieces.decimal(&multiplier)?,
        };
        Ok(Parsed { quantity, keeps_text })
    }
}

impl<'a> Pieces<'a> {
    fn split(text: &'a str) -> Result<Pieces<'a>, QuantityError> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, rest) = take_while(unsigned.trim_start_matches('0'), |c| c.is_ascii_digit());
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => take_while(rest, |c| c.is_ascii_digit()),
            None => ("", rest),
        };
        let (_, exponent) = take_while(suffix, |c| "eEinumkKMGTP".contains(c));
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if !exponent.bytes().all(|c| c.is_ascii_digit()) {
            return Err(QuantityError::Format);
        }
        let whole = if digits.is_empty() { "0" } else { digits };
        Ok(Pieces { negative, whole, fraction, suffix })
    }

    /// Whether upstream takes its fast path and finds the text canonical enough to keep.
    fn is_canonical(&self, multiplier: &Multiplier) -> bool {
        let digits = self.whole.len() + self.fraction.len();
        match multiplier.format {
            Format::BinarySi => {
                let room = 14 - multiplier.exponent * 3 / 10;
                let fits =
                    self.fraction.is_empty() && i32::try_from(digits).is_ok_and(|digits| digits <= room);
                fits && self.whole.parse::<i64>().is_ok_and(|value| value & 7 != 0)
            }
            Format::DecimalSi | Format::DecimalExponent => {
                let scale =
                    i64::from(multiplier.exponent) - i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
                let all = || self.whole.chars().chain(self.fraction.chars());
                let ends_in_zeros = digits >= 3 && all().rev().take(3).all(|c| c == '0');
                digits <= 18
                    && scale >= -9
                    && scale % 3 == 0
                    && !ends_in_zeros
                    && !self.whole.starts_with('0')
            }
        }
    }

    /// All digits as one number, and the power of ten that it is multiplied by. Digits that cannot matter are
    /// rounded away from zero.
    fn mantissa(&self) -> (i128, i64) {
        let mut value: i128 = 0;
        let mut used = 0;
        let mut dropped = 0;
        let mut inexact = false;
        for digit in self.whole.bytes().chain(self.fraction.bytes()).map(|c| i128::from(c - b'0')) {
            if used < MAX_DIGITS {
                value = value * 10 + digit;
                used += usize::from(value != 0);
            } else {
                dropped += 1;
                inexact |= digit != 0;
            }
        }
        let fraction = i64::try_from(self.fraction.len()).unwrap_or(i64::MAX);
        (value + i128::from(inexact), dropped - fraction)
    }

    fn decimal(&self, multiplier: &Multiplier) -> Result<Quantity, QuantityError> {
        let (mantissa, scale) = self.mantissa();
        let nanos =
            shift(mantissa, scale + i64::from(multiplier.exponent) + 9).ok_or(QuantityError::Numeric)?;
        self.signed(nanos, multiplier.format)
    }

    fn binary(&self, exponent: i32) -> Result<Quantity, QuantityError> {
        let (mut mantissa, mut scale) = self.mantissa();
        // The mantissa has at most 38 digits, so that this ends soon.
        let product = loop {
            match mantissa.checked_mul(1 << exponent) {
                Some(product) => break product,
                None => (mantissa, scale) = (divide_away(mantissa, 10), scale + 1),
            }
        };
        let nanos = shift(product, scale + 9).map_or(MAX_BINARY, |nanos| nanos.min(MAX_BINARY));
        let format = if nanos < NANOS { Format::DecimalSi } else { Format::BinarySi };
        self.signed(nanos, format)
    }

    fn signed(&self, nanos: i128, format: Format) -> Result<Quantity, QuantityError> {
        if nanos > MAX_NANOS {
            return Err(QuantityError::Numeric);
        }
        Ok(Quantity { nanos: if self.negative { -nanos } else { nanos }, format })
    }
}

impl Multiplier {
    fn read(suffix: &str) -> Option<Multiplier> {
        let (format, exponent) = match suffix {
            "n" => (Format::DecimalSi, -9),
            "u" => (Format::DecimalSi, -6),
            "m" => (Format::DecimalSi, -3),
            "" => (Format::DecimalSi, 0),
            "k" => (Format::DecimalSi, 3),
            "M" => (Format::DecimalSi, 6),
            "G" => (Format::DecimalSi, 9),
            "T" => (Format::DecimalSi, 12),
            "P" => (Format::DecimalSi, 15),
            "E" => (Format::DecimalSi, 18),
            "Ki" => (Format::BinarySi, 10),
            "Mi" => (Format::BinarySi, 20),
            "Gi" => (Format::BinarySi, 30),
            "Ti" => (Format::BinarySi, 40),
            "Pi" => (Format::BinarySi, 50),
            "Ei" => (Format::BinarySi, 60),
            _ => (Format::DecimalExponent, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
        };
        Some(Multiplier { format, exponent })
    }
}

/// `mantissa` times ten to the power of `exponent`, rounded up to an integer; `None` if it is too large.
fn shift(mantissa: i128, exponent: i64) -> Option<i128> {
    if mantissa == 0 {
        return Some(0);
    }
    let power =
        |exponent: u64| u32::try_from(exponent).ok().and_then(|exponent| 10i128.checked_pow(exponent));
    if exponent >= 0 {
        mantissa.checked_mul(power(exponent.unsigned_abs())?)
    } else {
        // Smaller than one nano unit is one nano unit.
        Some(power(exponent.unsigned_abs()).map_or(1, |divisor| divide_away(mantissa, divisor)))
    }
}

/// Splits `text` where the first character fails the test.
fn take_while(text: &str, test: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !test(c)).unwrap_or(text.len());
    text.split_at(end)
}
