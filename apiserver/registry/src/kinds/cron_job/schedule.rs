//! Schedules of five fields, as cron has them, and their short names.
//!
//! In: a schedule. Out: the first thing that is wrong with it, in the words of the parser that upstream uses
//! (`github.com/robfig/cron/v3`, its standard form).
//!
//! Deliberately absent: the times that a schedule means.

/// Fields with the least and the most of their numbers, in order.
const FIELDS: [Bounds; 5] = [
    Bounds { least: 0, most: 59, names: &[] },
    Bounds { least: 0, most: 23, names: &[] },
    Bounds { least: 1, most: 31, names: &[] },
    Bounds {
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

const SHORT_NAMES: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

const EVERY: &str = "@every ";

/// What a field may say.
struct Bounds {
    least: u32,
    most: u32,
    /// Names of the numbers from `least` on.
    names: &'static [&'static str],
}

/// Whether it is a schedule.
pub(super) fn check(text: &str) -> Result<(), String> {
    let rest = without_zone(text)?;
    if rest.starts_with('@') {
        return check_short(rest);
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let (wanted, found) = (FIELDS.len(), fields.len());
        return Err(format!("expected exactly {wanted} fields, found {found}: [{}]", fields.join(" ")));
    }
    FIELDS.iter().zip(fields).try_for_each(|(bounds, field)| {
        field.split(',').filter(|part| !part.is_empty()).try_for_each(|part| bounds.check(part))
    })
}

/// What comes after `TZ=` or `CRON_TZ=` and a zone.
fn without_zone(text: &str) -> Result<&str, String> {
    let named = ["TZ=", "CRON_TZ="].iter().any(|prefix| text.starts_with(prefix));
    let rest = if named { text.split_once(' ').map_or("", |(_, rest)| rest).trim() } else { text };
    if rest.is_empty() { Err("empty spec string".to_owned()) } else { Ok(rest) }
}

fn check_short(text: &str) -> Result<(), String> {
    if let Some(span) = text.strip_prefix(EVERY) {
        return if is_duration(span) {
            Ok(())
        } else {
            Err(format!("failed to parse duration {text}: time: invalid duration {span:?}"))
        };
    }
    if SHORT_NAMES.contains(&text) { Ok(()) } else { Err(format!("unrecognized descriptor: {text}")) }
}

/// `1h30m`, `-1.5s`: numbers with units, after Go.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let is_number = number.bytes().any(|c| c.is_ascii_digit()) && number.matches('.').count() <= 1;
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        if !is_number || !units.contains(&&after[..end]) {
            return false;
        }
        rest = &after[end..];
    }
    true
}

impl Bounds {
    /// A number, a range, or all, perhaps in steps.
    fn check(&self, expression: &str) -> Result<(), String> {
        let mut parts = expression.split('/');
        let range = parts.next().unwrap_or_default();
        let (step, more) = (parts.next(), parts.next());
        let ends: Vec<&str> = range.split('-').collect();
        let (start, end) = match ends[..] {
            ["*" | "?", ..] => (self.least, self.most),
            [only] => {
                let number = self.number(only)?;
                // A number with a step means: from there on.
                (number, if step.is_some() { self.most } else { number })
            }
            [start, end] => (self.number(start)?, self.number(end)?),
            _ => return Err(format!("too many hyphens: {expression}")),
        };
        if more.is_some() {
            return Err(format!("too many slashes: {expression}"));
        }
        let step = step.map_or(Ok(1), integer)?;
        self.check_range(start, end, expression)?;
        if step == 0 {
            return Err(format!("step of range should be a positive number: {expression}"));
        }
        Ok(())
    }

    fn check_range(&self, start: u32, end: u32, expression: &str) -> Result<(), String> {
        let Self { least, most, .. } = self;
        if start < *least {
            Err(format!("beginning of range ({start}) below minimum ({least}): {expression}"))
        } else if end > *most {
            Err(format!("end of range ({end}) above maximum ({most}): {expression}"))
        } else if start > end {
            Err(format!("beginning of range ({start}) beyond end of range ({end}): {expression}"))
        } else {
            Ok(())
        }
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.least..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map_or_else(|| integer(text), |(_, number)| Ok(number))
    }
}

fn integer(text: &str) -> Result<u32, String> {
    let unreadable =
        |why: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}");
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        // No field knows larger numbers, so these are as good as any.
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => {
            Err(unreadable("value out of range"))
        }
        Err(_) => Err(unreadable("invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cron_knows_is_accepted() {
        for good in [
            "* * * * *",
            "*/15 0-6/2 1,15 JAN-mar ?",
            "5/10 * * * Sun,MON",
            "0 0 , * 6",
            "@daily",
            "@every 1h30m",
            "TZ=UTC 0 12 * * 1-5",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_told_in_the_parsers_words() {
        let cases = [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("*/2/3 * * * *", "too many slashes: */2/3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("@often", "unrecognized descriptor: @often"),
            ("@every day", "failed to parse duration @every day: time: invalid duration \"day\""),
            ("TZ=UTC", "empty spec string"),
        ];
        for (text, why) in cases {
            assert_eq!(check(text), Err(why.to_owned()), "{text}");
        }
    }
}
