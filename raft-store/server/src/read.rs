//! The only door for linearizable reads.
//!
//! In: readers, on any replica. Out: the promise that this replica has applied everything that was committed
//! when the reader came. Whoever leads, or led, gets no shortcut: each round asks a quorum.
//!
//! Readers that arrive while a round is under way share the next one, so a replica has one question to its
//! leader in flight, whatever the number of readers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use keelson_proto::peer::{self as proto, read_index_reply};
use keelson_store_core::{
    id::LogIndex,
    mutant::{self, Mutant},
};
use openraft::{
    errors::{LinearizableReadError, RaftError},
    raft::ReadPolicy,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    error::ReadError,
    membership::{self, Route},
    meters::{Meters, count},
    peer::{Directory, wire::Body},
    runtime::{
        self,
        clock::{Instant, timeout_at},
    },
    state::SharedState,
    types::Raft,
};

/// Pause before a round is tried again, unless a new leader shows up earlier.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Lets readers wait until this replica is up to date.
pub struct ReadIndex {
    state: Arc<SharedState>,
    patience: Duration,
    waiting: mpsc::UnboundedSender<Reader>,
}

struct Reader {
    deadline: Instant,
    answer: oneshot::Sender<Result<LogIndex, ReadError>>,
}

/// Asks, round by round, how far a reader must wait.
struct Rounds {
    raft: Raft,
    directory: Arc<Directory>,
    meters: Arc<Meters>,
}

impl ReadIndex {
    /// Starts answering. `patience` bounds how long a reader waits.
    pub(crate) fn start(
        raft: Raft,
        directory: Arc<Directory>,
        state: Arc<SharedState>,
        patience: Duration,
    ) -> Self {
        let (waiting, readers) = mpsc::unbounded_channel();
        let meters = state.meters().clone();
        runtime::spawn(Rounds { raft, directory, meters }.run(readers));
        Self { state, patience, waiting }
    }

    /// Returns when this replica has applied everything that was committed at the time of the call.
    pub async fn barrier(&self) -> Result<(), ReadError> {
        if mutant::is(Mutant::SkipReadIndex) {
            return Ok(());
        }
        let deadline = Instant::now() + self.patience;
        let (answer, answered) = oneshot::channel();
        self.waiting.send(Reader { deadline, answer }).map_err(|_| ReadError::Stopped)?;
        let index = answered.await.map_err(|_| ReadError::Stopped)??;
        wait_applied(&self.state, index, deadline).await
    }
}

/// Waits until `index` is applied here.
pub(crate) async fn wait_applied(
    state: &SharedState,
    index: LogIndex,
    deadline: Instant,
) -> Result<(), ReadError> {
    if mutant::is(Mutant::ReadBeforeApply) {
        return Ok(());
    }
    let mut applied = state.applied();
    match timeout_at(deadline, applied.wait_for(|applied| applied.index >= Some(index))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(ReadError::Stopped),
        Err(_) => Err(ReadError::NoQuorum(format!("this replica has not applied entry {index} yet"))),
    }
}

/// The read index, if this replica leads: a quorum has confirmed it after the call began.
pub(crate) async fn confirm_leadership(raft: &Raft) -> Result<LogIndex, LeadershipError> {
    if mutant::is(Mutant::BelieveToLead) && membership::leadership(raft).1 {
        return Ok(membership::applied(raft));
    }
    match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(_) if mutant::is(Mutant::ReadWhatIsApplied) => Ok(membership::applied(raft)),
        Ok(linearizer) => Ok(LogIndex::new(linearizer.read_log_id().index())),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => {
            Err(LeadershipError::NotLeader)
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(why))) => {
            Err(LeadershipError::Unconfirmed(why.to_string()))
        }
        Err(RaftError::Fatal(fatal)) => Err(LeadershipError::Unconfirmed(fatal.to_string())),
    }
}

/// Why leadership was not confirmed.
pub(crate) enum LeadershipError {
    /// Another replica leads, or none.
    NotLeader,
    /// No quorum answered.
    Unconfirmed(String),
}

/// Answers a follower's question for the read index.
pub(crate) async fn answer_peer(raft: &Raft) -> proto::ReadIndexReply {
    use read_index_reply::Result;
    let result = match confirm_leadership(raft).await {
        Ok(index) => Result::Index(index.get()),
        Err(LeadershipError::NotLeader) => Result::NotLeader(proto::NotLeader { leader: None }),
        Err(LeadershipError::Unconfirmed(why)) => Result::Failed(why),
    };
    proto::ReadIndexReply { result: Some(result) }
}

impl Rounds {
    async fn run(self, mut readers: mpsc::UnboundedReceiver<Reader>) {
        while let Some(first) = readers.recv().await {
            let mut sharing = vec![first];
            while let Ok(reader) = readers.try_recv() {
                sharing.push(reader);
            }
            self.round(sharing).await;
        }
    }

    /// Answers all who were waiting when the round began. Those whose deadline passes are let go.
    async fn round(&self, mut sharing: Vec<Reader>) {
        loop {
            sharing.retain(|reader| !reader.answer.is_closed());
            let Some(deadline) = sharing.iter().map(|reader| reader.deadline).min() else { return };
            let route = membership::route(&self.raft);
            let asking = self.ask(&route, deadline);
            let asked = membership::while_routed(&self.raft, &route, deadline, asking).await;
            let failure = match asked.unwrap_or_else(|| Err("leadership has moved".to_owned())) {
                Ok(index) => return sharing.into_iter().for_each(|reader| reader.tell(Ok(index))),
                Err(failure) => failure,
            };
            count(&self.meters.read_indexes_failed);
            let now = Instant::now();
            let (late, left) = sharing.into_iter().partition(|reader| reader.deadline <= now);
            let late: Vec<Reader> = late;
            self.meters.read_indexes_slow.fetch_add(late.len() as u64, Ordering::Relaxed);
            late.into_iter().for_each(|reader| reader.tell(Err(ReadError::NoQuorum(failure.clone()))));
            sharing = left;
            membership::rerouted(&self.raft, &route, deadline.min(now + RETRY_PAUSE)).await;
        }
    }

    async fn ask(&self, route: &Route, deadline: Instant) -> Result<LogIndex, String> {
        match route {
            Route::Nowhere => Err("no leader is known".to_owned()),
            Route::Here => match timeout_at(deadline, confirm_leadership(&self.raft)).await {
                Ok(Ok(index)) => Ok(index),
                Ok(Err(LeadershipError::NotLeader)) => Err("leadership was lost".to_owned()),
                Ok(Err(LeadershipError::Unconfirmed(why))) => Err(why),
                Err(_) => Err("no quorum answered".to_owned()),
            },
            Route::To(leader, member) => {
                let link = self.directory.control(*leader, member);
                let patience = deadline.saturating_duration_since(Instant::now());
                match link.request(Body::ReadIndex(proto::ReadIndex {}), patience).await {
                    Ok(Body::ReadIndexReply(reply)) => read_index(reply),
                    Ok(_) => Err("the leader's answer makes no sense".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            }
        }
    }
}

impl Reader {
    fn tell(self, result: Result<LogIndex, ReadError>) {
        // The reader may have gone away.
        let _ = self.answer.send(result);
    }
}

fn read_index(reply: proto::ReadIndexReply) -> Result<LogIndex, String> {
    use read_index_reply::Result;
    match reply.result {
        Some(Result::Index(index)) => Ok(LogIndex::new(index)),
        Some(Result::NotLeader(_)) => Err("whoever was taken for the leader is not".to_owned()),
        Some(Result::Failed(why)) => Err(why),
        None => Err("the leader's answer is empty".to_owned()),
    }
}
