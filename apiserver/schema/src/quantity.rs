//! Quantities: fixed-point numbers with a suffix, as in `500m`, `1.5Gi`, `12e6`.
//!
//! In: text. Out: an exact amount in units of 10⁻⁹, arithmetic on it, and upstream's canonical text.
//!
//! As upstream: what is finer than a nano unit is rounded away from zero; a binary quantity is capped at 2⁶³-1; text
//! that is nearly canonical already is kept letter by letter (`1.500`), everything else is rewritten (`1000m` is `1`).
//! Unlike upstream, which computes with unbounded decimals, an amount beyond ±10²⁹ is refused, so that no input costs
//! unbounded work.

mod parse;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Neg, Sub};

use parse::Parsed;

/// Nano units in one.
const NANOS: i128 = 1_000_000_000;

/// The largest amount, in nano units: 10²⁹ ones.
const MAX_NANOS: i128 = 10i128.pow(38);

/// Why a text is no quantity, in upstream's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text has the wrong form.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is out of range.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is none of those that exist.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// Which family of suffixes a quantity is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi`, powers of 1024.
    BinarySi,
    /// `12M`, powers of 1000; `500m`.
    DecimalSi,
}

/// An amount and the family of suffixes that it is written with. Comparisons look at the amount alone.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    /// Between `-MAX_NANOS` and `MAX_NANOS`.
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// Reads a quantity; space around it is allowed.
    ///
    /// # Errors
    /// See [`QuantityError`].
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        Parsed::read(text.trim()).map(|parsed| parsed.quantity)
    }

    /// `value` ones.
    #[must_use]
    pub fn from_int(value: i64, format: Format) -> Quantity {
        Quantity { nanos: i128::from(value) * NANOS, format }
    }

    /// `value` thousandths.
    #[must_use]
    pub fn from_milli(value: i64, format: Format) -> Quantity {
        Quantity { nanos: i128::from(value) * (NANOS / 1_000), format }
    }

    /// The family of suffixes.
    #[must_use]
    pub fn format(self) -> Format {
        self.format
    }

    /// Whether the amount is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// -1, 0 or 1.
    #[must_use]
    pub fn signum(self) -> i32 {
        match self.nanos.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// The amount in ones, rounded away from zero, at most what an `i64` holds.
    #[must_use]
    pub fn value(self) -> i64 {
        saturate(divide_away(self.nanos, NANOS))
    }

    /// The amount in thousandths, rounded away from zero, at most what an `i64` holds.
    #[must_use]
    pub fn milli_value(self) -> i64 {
        saturate(divide_away(self.nanos, NANOS / 1_000))
    }

    /// The amount as a double, for ratios and metrics.
    #[must_use]
    pub fn approximate(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "approximate by name")]
        let nanos = self.nanos as f64;
        nanos / 1e9
    }

    /// This amount `factor` times, or `None` beyond the range.
    #[must_use]
    pub fn checked_mul(self, factor: i64) -> Option<Quantity> {
        let nanos = self.nanos.checked_mul(i128::from(factor))?;
        (nanos.abs() <= MAX_NANOS).then_some(Quantity { nanos, ..self })
    }

    fn clamped(nanos: i128, format: Format) -> Quantity {
        Quantity { nanos: nanos.clamp(-MAX_NANOS, MAX_NANOS), format }
    }
}

/// The text that upstream writes for a quantity that it read from `text`.
///
/// # Errors
/// See [`QuantityError`].
pub fn canonical_text(text: &str) -> Result<Cow<'_, str>, QuantityError> {
    let text = text.trim();
    let parsed = Parsed::read(text)?;
    Ok(if parsed.keeps_text { Cow::Borrowed(text) } else { Cow::Owned(parsed.quantity.to_string()) })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// A sum keeps the left format, or takes the right one if the left amount is 0. It stays within the range.
impl Add for Quantity {
    type Output = Quantity;

    fn add(self, other: Quantity) -> Quantity {
        let format = if self.is_zero() { other.format } else { self.format };
        Quantity::clamped(self.nanos.saturating_add(other.nanos), format)
    }
}

/// A difference, with the format that a sum has.
impl Sub for Quantity {
    type Output = Quantity;

    fn sub(self, other: Quantity) -> Quantity {
        self + -other
    }
}

impl Neg for Quantity {
    type Output = Quantity;

    fn neg(self) -> Quantity {
        Quantity { nanos: -self.nanos, ..self }
    }
}

/// Canonical text: no fraction, the largest suffix that leaves none. Binary quantities below 1024 and those with a
/// fraction are written in decimal.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            _ if self.nanos == 0 => f.write_str("0"),
            Format::BinarySi if self.nanos.abs() >= 1024 * NANOS && self.nanos % NANOS == 0 => {
                write_binary(f, self.nanos / NANOS)
            }
            Format::BinarySi | Format::DecimalSi => write_decimal(f, self.nanos, decimal_suffix),
            Format::DecimalExponent => write_decimal(f, self.nanos, |exponent| match exponent {
                0 => String::new(),
                _ => format!("e{exponent}"),
            }),
        }
    }
}

fn write_binary(f: &mut fmt::Formatter<'_>, mut ones: i128) -> fmt::Result {
    const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut times = 0;
    while ones.abs() >= 1024 && ones % 1024 == 0 && times + 1 < SUFFIXES.len() {
        ones /= 1024;
        times += 1;
    }
    write!(f, "{ones}{}", SUFFIXES[times])
}

/// Writes with the largest power of 1000 that divides the amount, at most 10¹⁸.
fn write_decimal(
    f: &mut fmt::Formatter<'_>,
    mut mantissa: i128,
    suffix: impl Fn(i32) -> String,
) -> fmt::Result {
    let mut exponent = -9;
    while mantissa % 1_000 == 0 && exponent < 18 {
        mantissa /= 1_000;
        exponent += 3;
    }
    write!(f, "{mantissa}{}", suffix(exponent))
}

fn decimal_suffix(exponent: i32) -> String {
    let suffix = match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        0 => "",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        _ => "E",
    };
    suffix.to_owned()
}

/// `amount / divisor`, rounded away from zero; `divisor` is positive.
fn divide_away(amount: i128, divisor: i128) -> i128 {
    let quotient = amount / divisor;
    if amount % divisor == 0 { quotient } else { quotient + amount.signum() }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
