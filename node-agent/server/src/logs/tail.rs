//! Where the last lines of a log begin, found from the end of the file: a log may be large, and only its end read.

use std::io::{self, Read, Seek, SeekFrom};

use super::line::goes_on;

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// Where the last `lines` lines of the container begin in the first `end` bytes of a file. A line that the runtime has
/// cut into parts counts once; so does one whose end is still to come.
pub(super) fn start(file: &mut (impl Read + Seek), end: u64, lines: u64) -> io::Result<u64> {
    let mut tail = Tail { wanted: lines, found: 0, last_end: end, is_last: true };
    if lines == 0 {
        return Ok(end);
    }
    // What was read of the line whose beginning is still to come; it ends where the next one begins.
    let mut rest: Vec<u8> = Vec::new();
    let mut block_start = end;
    while block_start > 0 {
        let length = BLOCK.min(usize::try_from(block_start).unwrap_or(BLOCK));
        block_start -= length as u64;
        file.seek(SeekFrom::Start(block_start))?;
        let mut block = vec![0; length];
        file.read_exact(&mut block)?;
        block.append(&mut rest);
        while let Some(at) = end_of_line_before(&block) {
            let line_start = block_start + at as u64 + 1;
            if let Some(start) = tail.take(line_start, &block[at + 1..]) {
                return Ok(start);
            }
            block.truncate(at + 1);
        }
        rest = block;
    }
    Ok(tail.take(0, &rest).unwrap_or(0))
}

/// Where the line before the one that ends `text` ends.
fn end_of_line_before(text: &[u8]) -> Option<usize> {
    let (_, before) = text.split_last()?;
    before.iter().rposition(|byte| *byte == b'\n')
}

/// Counts lines from the last to the first.
struct Tail {
    wanted: u64,
    found: u64,
    /// Where the line after the next one to be taken begins.
    last_end: u64,
    is_last: bool,
}

impl Tail {
    /// Takes a line of the file that begins at `start`; the answer, if it is one too many.
    fn take(&mut self, start: u64, line: &[u8]) -> Option<u64> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let begins_another = self.is_last || !goes_on(text);
        self.is_last = false;
        if begins_another {
            if self.found == self.wanted {
                return Some(self.last_end);
            }
            self.found += 1;
        }
        self.last_end = start;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn tail(text: &str, lines: u64) -> &str {
        let at = start(&mut Cursor::new(text), text.len() as u64, lines).unwrap();
        &text[usize::try_from(at).unwrap()..]
    }

    fn line(mark: char, text: &str) -> String {
        format!("2026-01-02T03:04:05Z stdout {mark} {text}\n")
    }

    #[test]
    fn the_last_lines_are_found() {
        let (a, b, c) = (line('F', "a"), line('F', "b"), line('F', "c"));
        let text = format!("{a}{b}{c}");
        assert_eq!(tail(&text, 0), "");
        assert_eq!(tail(&text, 1), c);
        assert_eq!(tail(&text, 2), format!("{b}{c}"));
        assert_eq!(tail(&text, 3), text);
        assert_eq!(tail(&text, u64::MAX), text);
        assert_eq!(tail("", 5), "");
    }

    #[test]
    fn parts_count_as_the_line_that_they_are_of() {
        let (a, b, c, d) = (line('F', "a"), line('P', "b"), line('P', "c"), line('F', "d"));
        let text = format!("{a}{b}{c}{d}");
        assert_eq!(tail(&text, 1), format!("{b}{c}{d}"));
        assert_eq!(tail(&text, 2), text);
        // Neither the end of the container's line nor the end of the file's is there yet.
        let unfinished = format!("{d}{b}{}", c.trim_end());
        assert_eq!(tail(&unfinished, 1), format!("{b}{}", c.trim_end()));
    }

    #[test]
    fn only_what_was_there_counts() {
        let text = format!("{}{}", line('F', "a"), line('F', "b"));
        let end = line('F', "a").len() as u64;
        assert_eq!(start(&mut Cursor::new(text), end, 1).unwrap(), 0);
    }

    /// The same, by reading from the beginning.
    fn by_counting(text: &str, lines: usize) -> String {
        let mut groups: Vec<String> = Vec::new();
        let mut is_new = true;
        for line in text.split_inclusive('\n') {
            if is_new {
                groups.push(String::new());
            }
            groups.last_mut().unwrap().push_str(line);
            is_new = !line.contains(" P ");
        }
        groups[groups.len().saturating_sub(lines)..].concat()
    }

    proptest! {
        #[test]
        fn it_agrees_with_counting_from_the_beginning(
            marks in prop::collection::vec((any::<bool>(), 0..40_000_usize), 0..12),
            lines in 0..6_usize,
        ) {
            let lines_of = marks.iter().map(|(is_partial, length)| {
                line(if *is_partial { 'P' } else { 'F' }, &"x".repeat(*length))
            });
            let text: String = lines_of.collect();
            prop_assert_eq!(tail(&text, lines as u64), by_counting(&text, lines));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), lines in 0..9_u64) {
            let end = bytes.len() as u64;
            prop_assert!(start(&mut Cursor::new(bytes), end, lines).unwrap() <= end);
        }
    }
}
