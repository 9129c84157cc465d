//! RFC 3339 times, read as Go's `time.Parse` reads them and written in UTC.

use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use super::quote;

/// How many digits a second's fraction has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// A fraction may be read and is not written (`metav1.Time`).
    Seconds,
    /// Exactly six digits (`metav1.MicroTime`).
    Micros,
}

impl Precision {
    fn layout(self) -> &'static str {
        match self {
            Precision::Seconds => "2006-01-02T15:04:05Z07:00",
            Precision::Micros => "2006-01-02T15:04:05.000000Z07:00",
        }
    }
}

/// The same moment in upstream's text: UTC, cut to the precision. `None` for the zero time of Go (year 1), which
/// upstream writes as null.
///
/// # Errors
/// Go's message.
pub(crate) fn canonical(text: &str, precision: Precision) -> Result<Option<String>, String> {
    let mut reader = Reader { text, rest: text, precision };
    let moment = reader.read()?;
    let (date, time) = (moment.date(), moment.time());
    if (date.year(), date.ordinal(), time) == (1, 1, Time::MIDNIGHT) {
        return Ok(None);
    }
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let seconds = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    Ok(Some(match precision {
        Precision::Seconds => format!("{seconds}Z"),
        Precision::Micros => format!("{seconds}.{:06}Z", time.microsecond()),
    }))
}

/// Reads element after element.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    precision: Precision,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<PrimitiveDateTime, String> {
        let year = self.number("2006", 4)?;
        self.literal("-")?;
        let month = self.number("01", 2)?;
        self.in_range((1..=12).contains(&month), "month")?;
        self.literal("-")?;
        let day = self.number("02", 2)?;
        self.literal("T")?;
        let hour = self.number("15", 2)?;
        self.in_range(hour < 24, "hour")?;
        self.literal(":")?;
        let minute = self.number("04", 2)?;
        self.in_range(minute < 60, "minute")?;
        self.literal(":")?;
        let second = self.number("05", 2)?;
        self.in_range(second < 60, "second")?;
        let nanos = self.fraction()?;
        let offset = self.offset()?;
        if !self.rest.is_empty() {
            return Err(format!("parsing time {}: extra text: {}", quote(self.text), quote(self.rest)));
        }
        let date = narrow(month).and_then(|month| Month::try_from(month).ok()).zip(narrow(day));
        let date = date
            .and_then(|(month, day)| Date::from_calendar_date(i32::try_from(year).ok()?, month, day).ok());
        let time = narrow(hour).zip(narrow(minute)).zip(narrow(second));
        let time =
            time.and_then(|((hour, minute), second)| Time::from_hms_nano(hour, minute, second, nanos).ok());
        let moment = date.zip(time).map(|(date, time)| PrimitiveDateTime::new(date, time));
        let moment = moment.ok_or_else(|| self.out_of_range("day"))?;
        // Beyond the years that can be written, which Go refuses to encode.
        moment.checked_sub(offset).filter(|moment| moment.year() > 0).ok_or_else(|| self.out_of_range("year"))
    }

    /// Exactly `width` digits; `element` is their name in Go's layout.
    fn number(&mut self, element: &str, width: usize) -> Result<u32, String> {
        let digits = self.rest.get(..width).filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()));
        let Some(digits) = digits else { return Err(self.cannot_parse(element)) };
        self.rest = &self.rest[width..];
        digits.parse().map_err(|_| self.cannot_parse(element))
    }

    fn literal(&mut self, text: &str) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(text).ok_or_else(|| self.cannot_parse(text))?;
        Ok(())
    }

    /// The fraction of a second in nanoseconds.
    fn fraction(&mut self) -> Result<u32, String> {
        let digits = self.rest.strip_prefix(['.', ',']).unwrap_or_default();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let fits = match self.precision {
            Precision::Seconds => end > 0,
            Precision::Micros => end == 6,
        };
        if !fits && self.precision == Precision::Seconds {
            return Ok(0);
        }
        if !fits {
            return Err(self.cannot_parse(".000000"));
        }
        let (digits, rest) = digits.split_at(end);
        self.rest = rest;
        Ok(digits
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |sum, c| sum * 10 + u32::from(c - b'0')))
    }

    /// `Z` or `+hh:mm`.
    fn offset(&mut self) -> Result<Duration, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(Duration::ZERO);
        }
        let whole = self.rest;
        let failed = |reader: &mut Self| {
            reader.rest = whole;
            reader.cannot_parse("Z07:00")
        };
        let sign = match whole.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(failed(self)),
        };
        self.rest = &whole[1..];
        let hours = self.number("Z07:00", 2).map_err(|_| failed(self))?;
        self.literal(":").map_err(|_| failed(self))?;
        let minutes = self.number("Z07:00", 2).map_err(|_| failed(self))?;
        self.in_range(hours <= 24, "time zone offset hour")?;
        self.in_range(minutes < 60, "time zone offset minute")?;
        Ok(Duration::minutes(sign * i64::from(hours * 60 + minutes)))
    }

    fn in_range(&self, fits: bool, element: &str) -> Result<(), String> {
        if fits { Ok(()) } else { Err(self.out_of_range(element)) }
    }

    fn out_of_range(&self, element: &str) -> String {
        format!("parsing time {}: {element} out of range", quote(self.text))
    }

    fn cannot_parse(&self, element: &str) -> String {
        let layout = self.precision.layout();
        let [text, rest] = [self.text, self.rest].map(quote);
        format!("parsing time {text} as \"{layout}\": cannot parse {rest} as \"{element}\"")
    }
}

/// Two digits always fit.
fn narrow(value: u32) -> Option<u8> {
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> String {
        canonical(text, Precision::Seconds)
            .map_or_else(|error| error, |time| time.unwrap_or_else(|| "null".into()))
    }

    #[test]
    fn times_come_out_in_utc() {
        assert_eq!(seconds("2020-01-01T00:30:00+01:00"), "2019-12-31T23:30:00Z");
        assert_eq!(seconds("2020-02-29T00:00:00.999Z"), "2020-02-29T00:00:00Z");
        assert_eq!(seconds("0001-01-01T00:00:00Z"), "null");
        let micros = canonical("2020-01-01T00:00:00.000001-00:30", Precision::Micros);
        assert_eq!(micros, Ok(Some("2020-01-01T00:30:00.000001Z".into())));
    }

    #[test]
    fn errors_are_gos() {
        let layout = "2006-01-02T15:04:05Z07:00";
        assert_eq!(
            seconds("x"),
            format!("parsing time \"x\" as \"{layout}\": cannot parse \"x\" as \"2006\"")
        );
        assert_eq!(
            seconds("2020-01-01 00:00:00Z"),
            format!(
                "parsing time \"2020-01-01 00:00:00Z\" as \"{layout}\": cannot parse \" 00:00:00Z\" as \"T\""
            )
        );
        assert_eq!(
            seconds("2020-13-01T00:00:00Z"),
            "parsing time \"2020-13-01T00:00:00Z\": month out of range"
        );
        assert_eq!(
            seconds("2021-02-29T00:00:00Z"),
            "parsing time \"2021-02-29T00:00:00Z\": day out of range"
        );
        assert_eq!(
            seconds("2021-02-28T00:00:00Zz"),
            "parsing time \"2021-02-28T00:00:00Zz\": extra text: \"z\""
        );
        let micros = canonical("2020-01-01T00:00:00Z", Precision::Micros).unwrap_err();
        assert!(micros.ends_with("cannot parse \"Z\" as \".000000\""), "{micros}");
        assert!(seconds("2020-01-01T00:00:00+ä").ends_with("cannot parse \"+ä\" as \"Z07:00\""));
        assert_eq!(
            seconds("0001-01-01T00:00:00+01:00"),
            "parsing time \"0001-01-01T00:00:00+01:00\": year out of range"
        );
    }
}
