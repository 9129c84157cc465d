//! Histories as JSON lines.
//!
//! In and out: one record a line. The first names format, version and meta; then operations, watches and fault
//! events, each kind in its order; then the commit log, and the run's remarks; the last line counts what came before
//! it, so that a file that was cut short is seen. Lossless both ways.
//!
//! Version 1 had no remarks: that the run crashed or fell short is not in such a file.
//!
//! Deliberately absent: repair. A file that does not add up is refused, with the line and the cure.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::history::{
    Commit, CommitLog, FaultEvent, Flaw, History, Meta, OpId, Operation, Place, Remarks, Revision, Watch,
    WatchId,
};

/// The version of the format that is written, and the newest that is read.
const VERSION: u32 = 2;
/// The oldest version that is read.
const OLDEST: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record<'a> {
    History { version: u32, meta: Cow<'a, Meta> },
    Operation(Cow<'a, Operation>),
    Watch(Cow<'a, Watch>),
    Fault(Cow<'a, FaultEvent>),
    Log { base: Revision },
    Commit(Cow<'a, Commit>),
    Remarks(Cow<'a, Remarks>),
    End(Counts),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    operations: usize,
    watches: usize,
    faults: usize,
    commits: usize,
}

impl Counts {
    fn of(history: &History) -> Self {
        Self {
            operations: history.operations.len(),
            watches: history.watches.len(),
            faults: history.faults.len(),
            commits: history.log.as_ref().map_or(0, |log| log.commits.len()),
        }
    }
}

/// Why something is no history.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It could not be read.
    #[error("line {line}: reading failed: {error}; try again")]
    Io {
        /// The line that was being read.
        line: usize,
        /// What the system says.
        error: io::Error,
    },
    /// A line is no record.
    #[error("line {line}: {problem}")]
    Line {
        /// The line.
        line: usize,
        /// What is wrong, and the cure.
        problem: String,
    },
    /// The last line is missing.
    #[error(
        "line {line}: the file ends without its `end` record: it was cut short, so record the run again or copy \
         the whole file"
    )]
    CutShort {
        /// The first line that is not there.
        line: usize,
    },
    /// A record cannot be.
    #[error("line {line}: {flaw}")]
    Flawed {
        /// The record's line.
        line: usize,
        /// What is wrong with it, and the cure.
        flaw: Flaw,
    },
}

/// Writes a history.
pub fn write(history: &History, out: &mut impl Write) -> io::Result<()> {
    line(out, &Record::History { version: VERSION, meta: Cow::Borrowed(&history.meta) })?;
    for operation in &history.operations {
        line(out, &Record::Operation(Cow::Borrowed(operation)))?;
    }
    for watch in &history.watches {
        line(out, &Record::Watch(Cow::Borrowed(watch)))?;
    }
    for event in &history.faults {
        line(out, &Record::Fault(Cow::Borrowed(event)))?;
    }
    if let Some(log) = &history.log {
        line(out, &Record::Log { base: log.base })?;
        for commit in &log.commits {
            line(out, &Record::Commit(Cow::Borrowed(commit)))?;
        }
    }
    line(out, &Record::Remarks(Cow::Borrowed(&history.remarks)))?;
    line(out, &Record::End(Counts::of(history)))
}

fn line(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

/// Reads a history, line by line, and checks that it can be one.
pub fn read(input: impl BufRead) -> Result<History, ReadError> {
    let mut reader = Reader::new(input);
    let (version, meta) = reader.first()?;
    let mut history = History { meta, ..History::default() };
    let (mut lines, mut remarks) = (Lines::default(), None);
    loop {
        let Some(record) = reader.record()? else {
            return Err(ReadError::CutShort { line: reader.line + 1 });
        };
        match record {
            Record::History { .. } => {
                return Err(reader.error("a second first record: one file, one history"));
            }
            Record::Operation(operation) => {
                history.operations.push(operation.into_owned());
                lines.operations.push(reader.line);
            }
            Record::Watch(watch) => {
                history.watches.push(watch.into_owned());
                lines.watches.push(reader.line);
            }
            Record::Fault(event) => {
                history.faults.push(event.into_owned());
                lines.faults.push(reader.line);
            }
            Record::Log { base } => match &history.log {
                None => history.log = Some(CommitLog { base, commits: Vec::new() }),
                Some(_) => return Err(reader.error("a second commit log: a history has one")),
            },
            Record::Commit(commit) => match &mut history.log {
                Some(log) => log.commits.push(commit.into_owned()),
                None => return Err(reader.error("a commit before the `log` record: that one names the base")),
            },
            Record::Remarks(read) => match remarks.replace(read.into_owned()) {
                None => {}
                Some(_) => return Err(reader.error("second remarks: a history has one record of them")),
            },
            Record::End(counts) => {
                if remarks.is_none() && version >= 2 {
                    return Err(
                        reader.error("no `remarks` before the end: lines are missing, copy the whole file")
                    );
                }
                reader.finish(&counts, &history)?;
                break;
            }
        }
    }
    history.remarks = remarks.unwrap_or_default();
    history.validate().map_err(|flaw| ReadError::Flawed { line: lines.of(flaw.place), flaw })?;
    Ok(history)
}

/// In which line a record stands.
#[derive(Default)]
struct Lines {
    operations: Vec<usize>,
    watches: Vec<usize>,
    faults: Vec<usize>,
}

impl Lines {
    fn of(&self, place: Place) -> usize {
        match place {
            Place::Operation(OpId(number)) => self.operations[number as usize],
            Place::Watch(WatchId(number)) => self.watches[number as usize],
            Place::Fault(number) => self.faults[number],
            Place::Whole => 1,
        }
    }
}

struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    /// The line in the buffer, counted from 1.
    line: usize,
}

impl<R: BufRead> Reader<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), line: 0 }
    }

    fn error(&self, problem: impl Into<String>) -> ReadError {
        ReadError::Line { line: self.line, problem: problem.into() }
    }

    /// Reads the next line; false at the end.
    fn advance(&mut self) -> Result<bool, ReadError> {
        self.buffer.clear();
        let line = self.line + 1;
        let read = self.input.read_until(b'\n', &mut self.buffer);
        let more = read.map_err(|error| ReadError::Io { line, error })? > 0;
        if more {
            self.line = line;
        }
        Ok(more)
    }

    fn record(&mut self) -> Result<Option<Record<'static>>, ReadError> {
        if !self.advance()? {
            return Ok(None);
        }
        let record = serde_json::from_slice(&self.buffer);
        record.map(Some).map_err(|error| self.error(format!("not a record of a history: {error}")))
    }

    /// The version, and what was run.
    fn first(&mut self) -> Result<(u32, Meta), ReadError> {
        if !self.advance()? {
            return Err(ReadError::CutShort { line: 1 });
        }
        self.check_version()?;
        let record = serde_json::from_slice(&self.buffer);
        match record.map_err(|error| self.error(format!("not the first record of a history: {error}")))? {
            Record::History { version, meta } => Ok((version, meta.into_owned())),
            Record::Operation(_)
            | Record::Watch(_)
            | Record::Fault(_)
            | Record::Log { .. }
            | Record::Commit(_)
            | Record::Remarks(_)
            | Record::End(_) => {
                Err(self.error("the first record must be `history`: is the beginning missing?"))
            }
        }
    }

    /// Before anything else, because a newer record may have fields that this one does not know.
    fn check_version(&self) -> Result<(), ReadError> {
        #[derive(Deserialize)]
        struct First {
            history: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        match serde_json::from_slice::<First>(&self.buffer) {
            Ok(First { history: Version { version } }) if version > VERSION => Err(self.error(format!(
                "version {version} of the format, and this program reads up to {VERSION}: use a newer one"
            ))),
            Ok(First { history: Version { version } }) if version < OLDEST => Err(self.error(format!(
                "version {version} of the format, and the first one was {OLDEST}: something else wrote this"
            ))),
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(format!("not the first record of a history: {error}"))),
        }
    }

    fn finish(&mut self, counts: &Counts, history: &History) -> Result<(), ReadError> {
        let found = Counts::of(history);
        if *counts != found {
            return Err(self.error(format!(
                "the end counts {counts:?}, the file holds {found:?}: lines are missing, copy the whole file"
            )));
        }
        if self.advance()? {
            return Err(self.error("something follows the `end` record: one file, one history"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
