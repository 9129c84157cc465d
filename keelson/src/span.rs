//! A span of time on the command line: 90s, 5m, 1h.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// At least one second, in whole seconds: nothing that has a flag makes sense with less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(Duration);

/// Units and their seconds, the longest first.
const UNITS: [(&str, u64); 3] = [("h", 3600), ("m", 60), ("s", 1)];

impl Span {
    pub(crate) const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = UNITS.iter().find_map(|(unit, seconds)| {
            let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
            count.checked_mul(*seconds).map(Duration::from_secs)
        });
        match parsed {
            Some(Duration::ZERO) => Err("at least 1s is needed".to_owned()),
            Some(duration) => Ok(Self(duration)),
            None => Err("write it as a number with s, m or h, for instance 5m".to_owned()),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let fits = UNITS.iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
        let (unit, length) = fits.copied().unwrap_or(("s", 1));
        write!(f, "{}{unit}", seconds / length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds, written) in [("90s", 90, "90s"), ("5m", 300, "5m"), ("120m", 7200, "2h")] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.get().as_secs(), span.to_string()), (seconds, written.to_owned()));
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "5", "m", "-1s", "1.5h", "5 m", "99999999999999999999s", "9999999999999999999h"] {
            assert!(text.parse::<Span>().unwrap_err().starts_with("write it as"), "{text}");
        }
        assert_eq!("0s".parse::<Span>(), Err("at least 1s is needed".to_owned()));
    }
}
