//! One line of a log as CRI runtimes write it: `2026-01-02T03:04:05.678901234Z stdout F text`.
//!
//! The runtime cuts long lines of the container into several: all but the last are marked `P`.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Where a container wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// To its standard output.
    Stdout,
    /// To its standard error.
    Stderr,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'l> {
    /// When it was written.
    pub(super) time: OffsetDateTime,
    /// Where.
    pub(super) stream: Stream,
    /// Whether the container's line goes on in a later one.
    pub(super) is_partial: bool,
    /// What the container wrote, without the end of the line.
    pub(super) text: &'l [u8],
}

impl<'l> Line<'l> {
    /// Reads a line, its end excluded. `None` for what no runtime writes; after a power cut, there may be such.
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        let (time, rest) = word(line)?;
        let (stream, rest) = word(rest)?;
        // A container's empty line may come without the space after the mark.
        let (mark, text) = word(rest).unwrap_or((rest, b""));
        let stream = match stream {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let time = OffsetDateTime::parse(std::str::from_utf8(time).ok()?, &Rfc3339).ok()?;
        Some(Self { time, stream, is_partial: is_partial(mark)?, text })
    }
}

/// Whether a line of the file, its end excluded, is one that goes on in a later one.
pub(super) fn goes_on(line: &[u8]) -> bool {
    Line::parse(line).is_some_and(|line| line.is_partial)
}

/// Further marks may follow after a colon.
fn is_partial(marks: &[u8]) -> Option<bool> {
    match marks.split(|byte| *byte == b':').next()? {
        b"P" => Some(true),
        b"F" => Some(false),
        _ => None,
    }
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn lines_of_runtimes_are_read() {
        let line = Line::parse(b"2026-01-02T04:04:05.5+01:00 stderr P:x  two words ").unwrap();
        let expected = Line {
            time: datetime!(2026-01-02 03:04:05.5 UTC),
            stream: Stream::Stderr,
            is_partial: true,
            text: b" two words ",
        };
        assert_eq!(line, expected);
        let empty = Line::parse(b"2026-01-02T03:04:05Z stdout F").unwrap();
        assert_eq!((empty.text, empty.is_partial), (&b""[..], false));
        assert_eq!(Line::parse(b"2026-01-02T03:04:05Z stdout F \xff").unwrap().text, b"\xff");
    }

    #[test]
    fn what_no_runtime_writes_is_no_line() {
        for text in [
            "",
            "text",
            "2026-01-02T03:04:05Z stdin F x",
            "2026-01-02T03:04:05Z stdout X x",
            "yesterday stdout F x",
        ] {
            assert_eq!(Line::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Line::parse(&bytes);
        }
    }
}
