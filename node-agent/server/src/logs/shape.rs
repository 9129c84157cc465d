//! From lines of the file to the bytes that are sent: which lines, with their time or without, and how many bytes.

use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

use super::{
    line::{Line, Stream},
    options::LogOptions,
};

/// Upstream's form, which always has nine digits.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");

/// What is still to be sent.
#[derive(Debug)]
pub(super) struct Shape {
    since: Option<OffsetDateTime>,
    stream: Option<Stream>,
    timestamps: bool,
    /// How many bytes may still be sent.
    left: Option<u64>,
    /// Whether what was sent last was the end of a container's line.
    at_line_start: bool,
}

impl Shape {
    pub(super) fn of(options: &LogOptions) -> Self {
        Self {
            since: options.since,
            stream: options.stream,
            timestamps: options.timestamps,
            left: options.limit,
            at_line_start: true,
        }
    }

    /// Whether as much was sent as may be.
    pub(super) fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Adds what is wanted of a line of the file, its end excluded. `is_whole` is false for what stands after the
    /// last end of a line. What no runtime writes is left out.
    pub(super) fn add(&mut self, line: &[u8], is_whole: bool, out: &mut Vec<u8>) {
        let Some(line) = Line::parse(line) else {
            tracing::debug!(bytes = line.len(), "a line of a log is not in CRI's format");
            return;
        };
        let is_early = self.since.is_some_and(|since| line.time < since);
        if is_early || self.stream.is_some_and(|wanted| wanted != line.stream) {
            return;
        }
        if self.timestamps && self.at_line_start {
            self.send(timestamp(line.time).as_bytes(), out);
        }
        self.send(line.text, out);
        let ends = is_whole && !line.is_partial;
        if ends {
            self.send(b"\n", out);
        }
        self.at_line_start = ends;
    }

    fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(left) = &mut self.left else { return out.extend_from_slice(bytes) };
        let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        out.extend_from_slice(&bytes[..length]);
        *left -= length as u64;
    }
}

fn timestamp(time: OffsetDateTime) -> String {
    let text =
        time.to_offset(UtcOffset::UTC).format(TIME).expect("every part of the form is one that a time has");
    text + " "
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const LOG: [&str; 5] = [
        "2026-01-02T03:04:05.1Z stdout F one",
        "2026-01-02T03:04:06Z stdout P tw",
        "2026-01-02T03:04:07Z stdout F o",
        "damaged",
        "2026-01-02T03:04:08.000000001Z stderr F three",
    ];

    fn shaped(options: &LogOptions) -> String {
        let mut shape = Shape::of(options);
        let mut out = Vec::new();
        for line in LOG {
            shape.add(line.as_bytes(), true, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_of_a_line_are_joined_and_have_one_time() {
        assert_eq!(shaped(&LogOptions::default()), "one\ntwo\nthree\n");
        let timed = shaped(&LogOptions { timestamps: true, ..Default::default() });
        assert_eq!(
            timed,
            "2026-01-02T03:04:05.100000000Z one\n2026-01-02T03:04:06.000000000Z two\n\
             2026-01-02T03:04:08.000000001Z three\n"
        );
    }

    #[test]
    fn lines_are_chosen_by_time_and_stream() {
        let since = Some(datetime!(2026-01-02 03:04:06 UTC));
        assert_eq!(shaped(&LogOptions { since, ..Default::default() }), "two\nthree\n");
        let stream = Some(Stream::Stderr);
        assert_eq!(shaped(&LogOptions { stream, ..Default::default() }), "three\n");
    }

    #[test]
    fn bytes_are_counted_with_everything_that_is_sent() {
        let limit =
            |limit, timestamps| shaped(&LogOptions { limit: Some(limit), timestamps, ..Default::default() });
        assert_eq!(limit(5, false), "one\nt");
        assert_eq!(limit(32, true), "2026-01-02T03:04:05.100000000Z o");
        assert_eq!(limit(1000, false), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_line_without_its_end_is_sent_without_one() {
        let mut out = Vec::new();
        Shape::of(&LogOptions::default()).add(LOG[0].as_bytes(), false, &mut out);
        assert_eq!(out, b"one");
    }
}
