//! The end of a container's log, as a termination message. Pure, and never fails on what containers write.
//!
//! A log is in CRI's format: `2026-01-01T00:00:00.000000000Z stdout F text`, with `P` for a line that goes on in the
//! next one.

/// How much of a log becomes a message.
const MAX_LINES: usize = 80;
const MAX_BYTES: usize = 2048;

/// The last lines of what a container wrote. `log`: the end of its log; if that begins in the middle of a line, the
/// rest of that line is left out.
pub(crate) fn last_lines(log: &[u8], begins_inside: bool) -> String {
    let mut lines = log.split_inclusive(|byte| *byte == b'\n');
    if begins_inside {
        lines.next();
    }
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut goes_on = false;
    for (is_partial, text) in lines.filter_map(parse) {
        match texts.last_mut().filter(|_| goes_on) {
            Some(last) => last.extend_from_slice(text),
            None => texts.push(text.to_vec()),
        }
        if !is_partial && let Some(last) = texts.last_mut() {
            last.push(b'\n');
        }
        goes_on = is_partial;
    }
    let kept = texts.len().saturating_sub(MAX_LINES);
    let text = texts[kept..].concat();
    let from = text.len().saturating_sub(MAX_BYTES);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

/// Whether the line goes on, and its text.
fn parse(line: &[u8]) -> Option<(bool, &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let (_time, _stream, tag) = (fields.next()?, fields.next()?, fields.next()?);
    Some((tag.starts_with(b"P"), fields.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(tag: &str, text: &str) -> String {
        format!("2026-01-01T00:00:00.000000000Z stdout {tag} {text}\n")
    }

    #[test]
    fn parts_of_a_line_are_put_together() {
        let log = [line("F", "one"), line("P", "tw"), line("F", "o"), line("F", "")].concat();
        assert_eq!(last_lines(log.as_bytes(), false), "one\ntwo\n\n");
        assert_eq!(last_lines(log.as_bytes(), true), "two\n\n");
    }

    #[test]
    fn only_the_end_is_taken() {
        let log: String = (0..200).map(|number| line("F", &number.to_string())).collect();
        let text = last_lines(log.as_bytes(), false);
        assert!(text.starts_with("120\n") && text.ends_with("199\n"), "{text}");
        let text = last_lines(line("F", &"x".repeat(5000)).as_bytes(), false);
        assert_eq!(text.len(), MAX_BYTES);
    }

    proptest! {
        #[test]
        fn no_log_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300), inside in any::<bool>()) {
            let _ = last_lines(&bytes, inside);
        }
    }
}
