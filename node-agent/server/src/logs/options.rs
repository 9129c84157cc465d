//! Which part of a log is wanted.

use http::StatusCode;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::line::Stream;
use crate::{answer::Refusal, query::Query};

/// What a request for a log asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogOptions {
    /// Whether to stay and send what is still to come.
    pub(super) follow: bool,
    /// Whether the container before the present one is meant.
    pub(super) previous: bool,
    /// Whether lines begin with their time.
    pub(super) timestamps: bool,
    /// Only lines from that time on.
    pub(super) since: Option<OffsetDateTime>,
    /// Only so many of the last lines.
    pub(super) tail: Option<u64>,
    /// Only so many bytes.
    pub(super) limit: Option<u64>,
    /// Only lines of that stream.
    pub(super) stream: Option<Stream>,
}

impl LogOptions {
    /// Reads a query. The API server has checked it already, and worded its refusals; these here are for others.
    pub(super) fn parse(query: &Query, now: OffsetDateTime) -> Result<Self, Refusal> {
        Ok(Self {
            follow: query.flag("follow"),
            previous: query.flag("previous"),
            timestamps: query.flag("timestamps"),
            since: since(query, now)?,
            tail: natural(query, "tailLines", 0)?,
            limit: natural(query, "limitBytes", 1)?,
            stream: match query.text("stream") {
                None | Some("All") => None,
                Some("Stdout") => Some(Stream::Stdout),
                Some("Stderr") => Some(Stream::Stderr),
                Some(_) => return Err(invalid("stream: use All, Stdout or Stderr")),
            },
        })
    }
}

fn since(query: &Query, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Refusal> {
    let seconds = query.number("sinceSeconds")?;
    match (seconds, query.text("sinceTime").filter(|text| !text.is_empty())) {
        (None, None) => Ok(None),
        (None, Some(text)) => {
            let time = OffsetDateTime::parse(text, &Rfc3339);
            time.map(Some).map_err(|_| Refusal::bad_request(format!("sinceTime: {text:?} is no time")))
        }
        (Some(seconds @ 1..), None) => {
            let since = now.checked_sub(Duration::seconds(seconds));
            // Before the calendar begins, there is nothing to leave out.
            Ok(since)
        }
        (Some(_), None) => Err(invalid("sinceSeconds must be greater than 0")),
        (Some(_), Some(_)) => Err(invalid("at most one of sinceTime and sinceSeconds may be given")),
    }
}

/// A number that is not less than `least`.
fn natural(query: &Query, name: &str, least: u64) -> Result<Option<u64>, Refusal> {
    let Some(number) = query.number(name)? else { return Ok(None) };
    let number = u64::try_from(number).ok().filter(|number| *number >= least);
    number.map(Some).ok_or_else(|| invalid(&format!("{name} must not be less than {least}")))
}

fn invalid(text: &str) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

    fn parse(query: &str) -> Result<LogOptions, Refusal> {
        LogOptions::parse(&Query::parse(query).unwrap(), NOW)
    }

    #[test]
    fn options_are_read() {
        assert_eq!(parse("").unwrap(), LogOptions::default());
        let options = parse("follow=true&previous=1&timestamps=true&sinceSeconds=5&tailLines=0&limitBytes=9");
        let expected = LogOptions {
            follow: true,
            previous: true,
            timestamps: true,
            since: Some(datetime!(2026-01-02 03:04:00 UTC)),
            tail: Some(0),
            limit: Some(9),
            stream: None,
        };
        assert_eq!(options.unwrap(), expected);
        let options = parse("sinceTime=2026-01-02T04:04:05%2B01:00&stream=Stderr").unwrap();
        assert_eq!((options.since, options.stream), (Some(NOW), Some(Stream::Stderr)));
        assert_eq!(parse("sinceSeconds=9223372036854775807").unwrap().since, None);
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for query in [
            "tailLines=-1",
            "limitBytes=0",
            "sinceSeconds=0",
            "stream=stdout",
            "sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z",
        ] {
            assert_eq!(parse(query).unwrap_err().code, 422, "{query}");
        }
        for query in ["tailLines=many", "sinceTime=yesterday"] {
            assert_eq!(parse(query).unwrap_err().code, 400, "{query}");
        }
    }
}
