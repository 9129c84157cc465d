//! Reads a log, as far as it is there, or as it grows.
//!
//! ```text
//!   Reading ──► end of file ──► Ended          without follow
//!      ▲             │
//!      │          Waiting ──► the container has ended: one more pass ──► Ended
//!      └─────────────┘ the file has grown, or another one has taken its place
//! ```
//!
//! A file that is moved aside is read to its end, and once more a while after its successor was seen: the runtime may
//! still have written to it in between.

use std::{
    io::{self, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::{Instant, sleep},
};

use super::{options::LogOptions, shape::Shape, tail};
use crate::containers::Containers;

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// The longest line; what is longer is taken apart. Runtimes cut at 16 KiB unless they are told otherwise.
const MAX_LINE: usize = 4 << 20;

/// How often a file that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often the runtime is asked whether the container still runs.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A log that is being read.
pub(super) struct LogReader {
    path: PathBuf,
    file: File,
    shape: Shape,
    /// What was read of a line whose end is still to come.
    line: Vec<u8>,
    state: State,
}

enum State {
    /// What was there at first is read: so many bytes are left.
    Whole { left: u64 },
    /// What comes is read.
    Following(Follow),
    /// Everything that is wanted was sent.
    Ended,
}

/// How a log is followed.
pub(super) struct Follow {
    containers: Arc<dyn Containers>,
    id: String,
    asked_at: Option<Instant>,
    /// Whether the container has ended, so that the next end of the file is the end of the log.
    is_last_pass: bool,
    /// Whether another file has taken this one's place, so that the next end of this file is its last.
    is_replaced: bool,
}

/// What comes after the end of a file.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The same file again.
    ReadOn,
    /// The file that has taken its place.
    Replacement,
    /// Nothing.
    End,
}

impl LogReader {
    /// Opens a log where the wanted part begins.
    pub(super) async fn open(
        path: PathBuf,
        options: &LogOptions,
        follow: Option<Follow>,
    ) -> io::Result<Self> {
        let file = File::open(&path).await?;
        let end = file.metadata().await?.len();
        let (file, start) = match options.tail {
            Some(lines) => start_of_tail(file, end, lines).await?,
            None => (file, 0),
        };
        let state = follow.map_or(State::Whole { left: end - start }, State::Following);
        let mut reader = Self { path, file, shape: Shape::of(options), line: Vec::new(), state };
        reader.file.seek(SeekFrom::Start(start)).await?;
        Ok(reader)
    }

    /// The next piece of what is wanted; `None` at its end. A file that cannot be read any further ends.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut out = Vec::new();
            if let Err(error) = self.advance(&mut out).await {
                tracing::warn!(path = %self.path.display(), %error, "cannot read a log any further");
                self.state = State::Ended;
            }
            if self.shape.is_full() {
                self.state = State::Ended;
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            if matches!(self.state, State::Ended) {
                return None;
            }
        }
    }

    /// One step: reads a block, or deals with the end of the file.
    async fn advance(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let most = match &self.state {
            State::Whole { left } => BLOCK.min(usize::try_from(*left).unwrap_or(BLOCK)),
            State::Following(_) => BLOCK,
            State::Ended => return Ok(()),
        };
        let mut block = vec![0; most];
        let length = if most == 0 { 0 } else { self.file.read(&mut block).await? };
        if length > 0 {
            self.take(&block[..length], out);
            if let State::Whole { left } = &mut self.state {
                *left -= length as u64;
            }
            return Ok(());
        }
        let next = match &mut self.state {
            State::Following(follow) => follow.wait(&self.path, &self.file).await?,
            State::Whole { .. } | State::Ended => Next::End,
        };
        match next {
            Next::ReadOn => {}
            Next::Replacement => {
                self.finish_line(out);
                self.file = File::open(&self.path).await?;
            }
            Next::End => {
                self.finish_line(out);
                self.state = State::Ended;
            }
        }
        Ok(())
    }

    fn take(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let mut rest = block;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            if self.line.is_empty() {
                self.shape.add(&rest[..at], true, out);
            } else {
                self.line.extend_from_slice(&rest[..at]);
                self.shape.add(&self.line, true, out);
                self.line.clear();
            }
            rest = &rest[at + 1..];
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > MAX_LINE {
            self.finish_line(out);
        }
    }

    /// Takes what there is of a line whose end does not come.
    fn finish_line(&mut self, out: &mut Vec<u8>) {
        if !self.line.is_empty() {
            self.shape.add(&self.line, false, out);
            self.line.clear();
        }
    }
}

/// Looks for the last lines; the file is read meanwhile, where waiting is allowed.
async fn start_of_tail(file: File, end: u64, lines: u64) -> io::Result<(File, u64)> {
    let mut file = file.into_std().await;
    let search = move || {
        let start = tail::start(&mut file, end, lines)?;
        Ok((File::from_std(file), start))
    };
    tokio::task::spawn_blocking(search).await.map_err(io::Error::other)?
}

impl Follow {
    pub(super) fn new(containers: Arc<dyn Containers>, id: String) -> Self {
        Self { containers, id, asked_at: None, is_last_pass: false, is_replaced: false }
    }

    /// What to do at the end of a file; waits where there may be more to come.
    async fn wait(&mut self, path: &Path, file: &File) -> io::Result<Next> {
        if self.is_replaced {
            self.is_replaced = false;
            return Ok(Next::Replacement);
        }
        if self.is_replaced_now(path, file).await? {
            self.is_replaced = true;
            sleep(LOOK_EVERY).await;
            return Ok(Next::ReadOn);
        }
        if self.is_last_pass {
            return Ok(Next::End);
        }
        if self.has_ended().await {
            self.is_last_pass = true;
        } else {
            sleep(LOOK_EVERY).await;
        }
        Ok(Next::ReadOn)
    }

    /// Whether another file has taken this one's place. Between the two there may be none: that is no end.
    async fn is_replaced_now(&self, path: &Path, file: &File) -> io::Result<bool> {
        let own = file.metadata().await?;
        match tokio::fs::metadata(path).await {
            Ok(other) => Ok((own.dev(), own.ino()) != (other.dev(), other.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the container has ended. A runtime that cannot be asked just now has not said so.
    async fn has_ended(&mut self) -> bool {
        if self.asked_at.is_some_and(|asked_at| asked_at.elapsed() < ASK_EVERY) {
            return false;
        }
        self.asked_at = Some(Instant::now());
        match self.containers.container(&self.id).await {
            Ok(found) => !found.is_some_and(|container| container.is_running),
            Err(error) => {
                tracing::debug!(%error, "cannot ask whether a container still runs");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
