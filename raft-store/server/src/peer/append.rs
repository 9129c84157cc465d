//! The replication stream: appends pipelined over a connection of their own, answered in order.
//!
//! One future does both directions, so that an append costs no hand-over between tasks. It cannot deadlock:
//! answers are tiny, and the follower's reader never waits for its writer.

use std::{collections::VecDeque, io, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use keelson_store_core::mutant::{self, Mutant};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};

use super::{
    connection::{Connection, unexpected},
    wire::{self, Body},
};
use crate::{runtime::clock::timeout, types::Types};

/// Appends under way at once.
const PIPELINE: usize = 64;

/// One run of the stream over a connection that is borrowed from its owner and handed back when every append
/// was answered well. In any other case it is dropped, since the follower has forgotten the rest.
struct Session<'a, S> {
    home: &'a mut Option<Connection>,
    connection: Connection,
    /// `None` when openraft has no more to send.
    input: Option<S>,
    /// Ids of appends that wait for their answer.
    unanswered: VecDeque<u64>,
    next: u64,
    patience: Duration,
}

enum Turn {
    Send(Option<AppendEntriesRequest<Types>>),
    Answer(io::Result<(u64, Body)>),
}

/// Replicates `input` over `connection`; yields one result per append, in order. Ends after the last one, or
/// after the first that is not a success. `patience` is the longest silence while an append waits.
pub(super) fn replicate<'a, S>(
    home: &'a mut Option<Connection>,
    connection: Connection,
    input: S,
    patience: Duration,
) -> impl Stream<Item = io::Result<StreamAppendResult<Types>>> + Send + 'a
where
    S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
{
    let session =
        Session { home, connection, input: Some(input), unanswered: VecDeque::new(), next: 1, patience };
    stream::unfold(Some(session), |session| async move {
        let mut session = session?;
        match session.next_result().await {
            Ok(None) => {
                *session.home = Some(session.connection);
                None
            }
            Ok(Some(Ok(last))) => Some((Ok(Ok(last)), Some(session))),
            Ok(Some(Err(refused))) => {
                // Nothing else is under way: the follower is ready for the next run.
                if session.unanswered.is_empty() {
                    *session.home = Some(session.connection);
                }
                Some((Ok(Err(refused)), None))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl<S> Session<'_, S>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
{
    /// The next append's result, sending what there is to send meanwhile; `None` when all is done.
    async fn next_result(&mut self) -> io::Result<Option<StreamAppendResult<Types>>> {
        loop {
            if self.input.is_none() && self.unanswered.is_empty() {
                return Ok(None);
            }
            match self.turn().await {
                Turn::Send(None) => self.input = None,
                Turn::Send(Some(request)) if mutant::is(Mutant::AnswerBeforeCommit) => {
                    let last = wire::last_log_id(&request);
                    self.send(request).await?;
                    return Ok(Some(Ok(last)));
                }
                Turn::Send(Some(request)) => self.send(request).await?,
                Turn::Answer(answer) => return self.take(answer?).map(Some),
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let waiting = !self.unanswered.is_empty();
        let room = self.unanswered.len() < PIPELINE;
        let reader = &mut self.connection.reader;
        let patience = self.patience;
        let answer = async { timeout(patience, reader.expect()).await.unwrap_or_else(|_| Err(silent())) };
        match &mut self.input {
            Some(input) if room => tokio::select! {
                biased;
                answer = answer, if waiting => Turn::Answer(answer),
                request = input.next() => Turn::Send(request),
            },
            Some(_) | None => Turn::Answer(answer.await),
        }
    }

    async fn send(&mut self, request: AppendEntriesRequest<Types>) -> io::Result<()> {
        let body = Body::AppendRequest(wire::put_append(&request));
        let send = self.connection.writer.send(self.next, body);
        timeout(self.patience, send).await.unwrap_or_else(|_| Err(silent()))?;
        self.unanswered.push_back(self.next);
        self.next += 1;
        Ok(())
    }

    fn take(&mut self, (id, body): (u64, Body)) -> io::Result<StreamAppendResult<Types>> {
        let Body::AppendReply(reply) = body else { return Err(unexpected("on the replication stream")) };
        if self.unanswered.pop_front() != Some(id) {
            return Err(unexpected("out of order on the replication stream"));
        }
        wire::append_result(reply).map_err(super::connection::invalid)
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the follower has fallen silent")
}
