//! The life of one watch.
//!
//! ```text
//!   Initial ──► Following ──► Ended
//!      │            │            ▲
//!      └────────────┴── failure ─┘
//! ```

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use keelson_api_registry::status::ApiError;
use keelson_store_core::id::Revision;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Begin, lines::Lines, place::Place};
use crate::{
    cache::{CacheEvent, CachedObject, EventType},
    handlers::list::options::WatchOptions,
    server::Server,
};

/// Between two bookmarks of a watch that wants them.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// Roughly how many bytes are sent at once.
const PIECE: usize = 64 << 10;

/// A watch that is being answered.
pub(super) struct Stream {
    place: Place,
    lines: Lines,
    state: State,
    changes: watch::Receiver<Revision>,
    /// Knows when all watches are to end.
    server: Arc<Server>,
    ends: Instant,
    /// When the next bookmark is due; `None` for a client that wants none.
    bookmark_at: Option<Instant>,
}

enum State {
    /// What was there at first is being told.
    Initial { left: VecDeque<Arc<CachedObject>>, announce_end: bool },
    /// Changes are told as they come.
    Following,
    /// Everything has been told.
    Ended,
}

impl Stream {
    /// Begins.
    ///
    /// # Errors
    /// 500 when what is there cannot be read.
    pub(super) fn open(
        server: Arc<Server>,
        mut place: Place,
        lines: Lines,
        begin: Begin,
        options: &WatchOptions,
    ) -> Result<Self, ApiError> {
        let changes = place.changes();
        let state = match begin {
            Begin::WithWhatIs => {
                let announce_end = options.initial == Some(true) && options.bookmarks;
                State::Initial { left: place.take_all()?.into(), announce_end }
            }
            Begin::After(revision) => {
                place.move_to(revision);
                State::Following
            }
            Begin::Now => {
                place.move_to_now();
                State::Following
            }
        };
        let now = Instant::now();
        let ends = now + super::lifetime(options);
        let bookmark_at = options.bookmarks.then(|| now + BOOKMARK_INTERVAL);
        Ok(Self { place, lines, state, changes, server, ends, bookmark_at })
    }

    /// The body, piece by piece.
    pub(super) fn pieces(self) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
        futures_util::stream::unfold(self, |mut stream| async move {
            let piece = stream.next().await?;
            Some((piece, stream))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let piece = match &self.state {
                State::Initial { .. } => self.initial(),
                State::Following => self.following().await,
                State::Ended => return None,
            };
            match piece {
                Ok(empty) if empty.is_empty() => {}
                Ok(piece) => return Some(piece),
                Err(error) => {
                    self.state = State::Ended;
                    return Some(self.lines.failure(&error));
                }
            }
        }
    }

    /// The next of what was there at first.
    fn initial(&mut self) -> Result<Bytes, ApiError> {
        let State::Initial { left, announce_end } = &mut self.state else { return Ok(Bytes::new()) };
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let Some(object) = left.pop_front() else {
                if *announce_end {
                    piece.extend_from_slice(&self.lines.bookmark(self.place.cursor(), true));
                }
                self.state = State::Following;
                break;
            };
            piece.extend_from_slice(&self.lines.addition(&object)?);
        }
        Ok(piece.into())
    }

    /// The next changes, waiting for them; the last bookmark at the end of the watch's time.
    async fn following(&mut self) -> Result<Bytes, ApiError> {
        while !self.is_over() {
            self.changes.mark_unchanged();
            let seen = self.place.pull().await?;
            if !seen.events.is_empty() {
                return self.write(&seen.events);
            }
            if seen.more {
                tokio::task::yield_now().await;
                continue;
            }
            let now = Instant::now();
            if let Some(due) = self.bookmark_at.as_mut().filter(|due| **due <= now) {
                *due = now + BOOKMARK_INTERVAL;
                return Ok(self.lines.bookmark(self.place.cursor(), false));
            }
            self.wait().await;
        }
        self.state = State::Ended;
        let wanted = self.bookmark_at.is_some();
        Ok(if wanted { self.lines.bookmark(self.place.cursor(), false) } else { Bytes::new() })
    }

    /// Whether the client's time is up, or the server's.
    fn is_over(&self) -> bool {
        Instant::now() >= self.ends || self.server.is_stopping()
    }

    fn write(&mut self, events: &[(EventType, Arc<CacheEvent>)]) -> Result<Bytes, ApiError> {
        // Nothing is copied where there is one, which is the usual case.
        if let [(kind, event)] = events {
            return self.lines.change(*kind, event);
        }
        let mut piece = Vec::new();
        for (kind, event) in events {
            piece.extend_from_slice(&self.lines.change(*kind, event)?);
        }
        Ok(piece.into())
    }

    /// Returns when there may be something to tell, or to end.
    async fn wait(&mut self) {
        let due = self.bookmark_at.map_or(self.ends, |due| due.min(self.ends));
        tokio::select! {
            biased;
            _ = self.changes.changed() => {}
            () = self.server.stopped() => {}
            () = sleep_until(due) => {}
        }
    }
}
