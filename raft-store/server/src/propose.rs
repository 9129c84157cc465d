//! The only door for writes.
//!
//! In: commands, on any replica. Out: their outcomes, or an error that says whether the command may still
//! take effect.
//!
//! Commands that arrive while a batch is under way form the next one. The leader appends a batch itself; a
//! follower sends it to the leader in one frame. A batch that was never appended is tried again until its
//! deadline; one that may have been appended is never sent twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use keelson_proto::peer::{self as proto, forward_outcome};
use keelson_store_core::{
    command::{Caller, Command, CommandError, Outcome},
    id::ReplicaId,
    mutant::{self, Mutant},
};
use openraft::{errors::ClientWriteError, impls::ProgressResponder, raft::ClientWriteResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::Instrument as _;

use crate::{
    error::{Doubt, Rejection, WriteError},
    membership::{self, Route},
    meters::{Meters, count},
    options::{Member, StoreOptions},
    peer::{Directory, Link, LinkError, wire::Body},
    record,
    runtime::{
        self,
        clock::{Instant, timeout, timeout_at},
    },
    types::{Answer, EncodedCommand, Raft, Types},
};

mod slow;

use slow::{SlowLog, Way};

/// Commands in a batch at most.
const BATCH_COMMANDS: usize = 512;
/// Bytes in a batch at most, but for a single command that is larger: what one frame carries with room.
const BATCH_BYTES: usize = 4 << 20;
/// Batches under way at once; measured: more gain nothing.
const BATCHES_IN_FLIGHT: usize = 4;
/// Commands that may wait before writers are turned away.
const QUEUE: usize = 64 << 10;
/// Pause before a batch that a supposed leader refused is tried again, unless a new leader shows up earlier.
const REROUTE_PAUSE: Duration = Duration::from_millis(20);

/// How long a leader that has been replaced may take for what it was sent: if it is alive, it learns soon what
/// became of that.
const FORMER_LEADER_PATIENCE: Duration = Duration::from_millis(500);

/// Carries commands to the leader.
pub struct Proposals {
    slow: SlowLog,
    raft: Raft,
    directory: Arc<Directory>,
    patience: Duration,
    queue: mpsc::Sender<Proposal>,
}

/// One command that waits for its fate.
struct Proposal {
    command: Bytes,
    came: Instant,
    deadline: Instant,
    answer: oneshot::Sender<Result<Outcome, WriteError>>,
}

/// What became of one command of a batch.
enum Fate {
    Decided(Outcome),
    /// Never appended, because whoever was asked does not lead.
    NotLeader,
    /// Never appended, because the replica has stopped.
    Stopped,
    Unknown(Doubt),
}

impl Proposals {
    /// Starts carrying.
    pub(crate) fn start(
        raft: Raft,
        directory: Arc<Directory>,
        meters: Arc<Meters>,
        options: &StoreOptions,
    ) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (slow, patience) = (SlowLog::new(meters, options.slow_write), options.request_timeout);
        let proposals = Arc::new(Self { slow, raft, directory, patience, queue });
        runtime::spawn(Self::form_batches(Arc::downgrade(&proposals), waiting));
        proposals
    }

    /// Proposes what a caller asks for, and waits for its outcome.
    pub async fn propose(&self, caller: &Caller, command: &Command) -> Result<Outcome, WriteError> {
        let meters = &self.slow.meters;
        let _pending = Pending::of(&meters.pending);
        let decided = self.decide(command.encode_for(caller)).await;
        if decided.is_err() {
            count(&meters.failed);
        }
        decided
    }

    async fn decide(&self, command: Bytes) -> Result<Outcome, WriteError> {
        let (answer, answered) = oneshot::channel();
        let came = Instant::now();
        let proposal = Proposal { command, came, deadline: came + self.patience, answer };
        self.queue.try_send(proposal).map_err(|error| {
            WriteError::Rejected(match error {
                mpsc::error::TrySendError::Full(_) => Rejection::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Rejection::Stopped,
            })
        })?;
        // Whoever drops the sender has the command already: only its fate is lost.
        answered.await.unwrap_or(Err(WriteError::Unknown(Doubt::Stopped)))
    }

    async fn form_batches(proposals: std::sync::Weak<Self>, mut waiting: mpsc::Receiver<Proposal>) {
        let permits = Arc::new(Semaphore::new(BATCHES_IN_FLIGHT));
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            let mut batch = Vec::new();
            if waiting.recv_many(&mut batch, BATCH_COMMANDS).await == 0 {
                return;
            }
            let Some(proposals) = proposals.upgrade() else { return };
            let permit = Arc::new(permit);
            for part in split_by_bytes(batch) {
                let station = tracing::debug_span!("propose", commands = part.len());
                runtime::spawn(proposals.clone().carry(part, permit.clone()).instrument(station));
            }
        }
    }

    /// Carries one batch until every command in it has its fate.
    async fn carry(self: Arc<Self>, mut batch: Vec<Proposal>, _permit: Arc<OwnedSemaphorePermit>) {
        let Some(deadline) = batch.iter().map(|proposal| proposal.deadline).min() else { return };
        let began = Instant::now();
        loop {
            let route = membership::route(&self.raft);
            let commands: Vec<_> = batch.iter().map(|proposal| proposal.command.clone()).collect();
            let fates = match &route {
                Route::Here => decide_here(&self.raft, commands, deadline).await,
                Route::To(leader, member) => self.forward(*leader, member, commands, deadline).await,
                Route::Nowhere => commands.iter().map(|_| Fate::NotLeader).collect(),
            };
            let decided = batch.iter().zip(&fates).filter(|(_, fate)| matches!(fate, Fate::Decided(_)));
            let now = Instant::now();
            for (Proposal { came, command, .. }, _) in decided {
                self.slow.decided(now, &Way { came: *came, began, route: &route, bytes: command.len() });
            }
            batch = settle(batch, fates);
            if batch.is_empty() {
                return;
            }
            if !self.pause(&route, deadline).await {
                return give_up(batch);
            }
        }
    }

    /// Waits until another attempt has a chance. False when there is no time left for one.
    async fn pause(&self, stale: &Route, deadline: Instant) -> bool {
        let now = Instant::now();
        let until = match stale {
            Route::Nowhere => deadline,
            Route::Here | Route::To(..) => (now + REROUTE_PAUSE).min(deadline),
        };
        membership::rerouted(&self.raft, stale, until).await || Instant::now() < deadline
    }

    async fn forward(
        &self,
        leader: ReplicaId,
        member: &Member,
        commands: Vec<Bytes>,
        deadline: Instant,
    ) -> Vec<Fate> {
        let count = commands.len();
        let link = self.directory.forward(leader, member);
        let patience = deadline.saturating_duration_since(Instant::now());
        let doubt = |doubt| (0..count).map(|_| Fate::Unknown(doubt)).collect();
        let request = link.request(Body::ForwardBatch(proto::ForwardBatch { commands }), patience);
        match self.await_leader(&link, leader, member, deadline, request).await {
            Ok(Body::ForwardReply(reply)) if reply.outcomes.len() == count => {
                reply.outcomes.into_iter().map(decode_fate).collect()
            }
            Err(LinkError::NotSent(_)) => (0..count).map(|_| Fate::NotLeader).collect(),
            Err(_) if mutant::is(Mutant::RetryUnknown) => (0..count).map(|_| Fate::NotLeader).collect(),
            Err(LinkError::Timeout) => doubt(Doubt::Timeout),
            Ok(_) | Err(LinkError::Lost | LinkError::Failed(_)) => doubt(Doubt::LeaderLost),
        }
    }

    /// Waits for the leader's answer, but not much longer than it leads: a leader that fell silent would hold up
    /// all that wait behind this batch.
    async fn await_leader(
        &self,
        link: &Link,
        leader: ReplicaId,
        member: &Member,
        deadline: Instant,
        request: impl Future<Output = Result<Body, LinkError>>,
    ) -> Result<Body, LinkError> {
        let mut request = std::pin::pin!(request);
        let route = Route::To(leader, member.clone());
        let answer = membership::while_routed(&self.raft, &route, deadline, &mut request).await;
        let answer = match answer {
            Some(answer) => answer,
            None => timeout(FORMER_LEADER_PATIENCE, request).await.unwrap_or(Err(LinkError::Timeout)),
        };
        if matches!(answer, Err(LinkError::Timeout)) {
            link.reset();
        }
        answer
    }

    /// Proposes commands if this replica leads, and never forwards them. Says for each whether it was applied.
    pub(crate) async fn decide_if_leading(&self, caller: &Caller, commands: Vec<Command>) -> Vec<bool> {
        let commands = commands.iter().map(|command| command.encode_for(caller)).collect();
        let fates = decide_here(&self.raft, commands, Instant::now() + self.patience).await;
        // Authentication may have been switched on meanwhile.
        let denied = |outcome: &Outcome| matches!(outcome, Err(CommandError::Auth(_)));
        let is_decided = |fate| matches!(fate, Fate::Decided(outcome) if !denied(&outcome));
        fates.into_iter().map(is_decided).collect()
    }

    /// Decides a batch that a follower has sent.
    pub(crate) async fn answer_peer(&self, commands: Vec<Bytes>) -> proto::ForwardReply {
        // A frame's fields share its memory, and commands stay in the log's tail for long.
        let commands = commands.iter().map(|command| Bytes::copy_from_slice(command)).collect();
        let fates = decide_here(&self.raft, commands, Instant::now() + self.patience).await;
        proto::ForwardReply { outcomes: fates.into_iter().map(encode_fate).collect() }
    }
}

/// Counts a write that waits, for as long as it does.
struct Pending<'c>(&'c AtomicU64);

impl<'c> Pending<'c> {
    fn of(counter: &'c AtomicU64) -> Self {
        count(counter);
        Self(counter)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Proposes commands to this replica's own Raft.
async fn decide_here(raft: &Raft, commands: Vec<Bytes>, deadline: Instant) -> Vec<Fate> {
    let mut pending = Vec::with_capacity(commands.len());
    for command in commands {
        let (responder, answered) = ProgressResponder::<Types, ClientWriteResult<Types>>::complete_only();
        let sent = raft.client_write_ff(EncodedCommand(command), Some(responder)).await;
        pending.push(sent.map(|()| answered));
    }
    let mut fates = Vec::with_capacity(pending.len());
    for answered in pending {
        fates.push(match answered {
            // The message did not reach the core: nothing was appended.
            Err(_stopped) => Fate::Stopped,
            Ok(answered) => match timeout_at(deadline, answered).await {
                Ok(Ok(result)) => fate(result),
                Ok(Err(_closed)) => Fate::Unknown(Doubt::Stopped),
                Err(_elapsed) => Fate::Unknown(Doubt::Timeout),
            },
        });
    }
    fates
}

fn fate(result: ClientWriteResult<Types>) -> Fate {
    match result {
        Ok(response) => match response.data {
            Answer::Outcome(outcome) => Fate::Decided(outcome),
            Answer::Nothing => unreachable!("a command was proposed, and commands answer with an outcome"),
        },
        // openraft: refused before anything was appended.
        Err(ClientWriteError::ForwardToLeader(_)) => Fate::NotLeader,
        // openraft: appended, then replaced or lost; it may be committed all the same.
        Err(ClientWriteError::LogEntryDiscarded(_)) => Fate::Unknown(Doubt::LeaderLost),
        Err(ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)) => {
            unreachable!("a plain command changes no membership and has no precondition")
        }
    }
}

/// Answers every command whose fate is known, and returns the others.
fn settle(batch: Vec<Proposal>, fates: Vec<Fate>) -> Vec<Proposal> {
    assert_eq!(batch.len(), fates.len(), "every command of a batch has a fate");
    let mut left = Vec::new();
    for (proposal, fate) in batch.into_iter().zip(fates) {
        let answer = match fate {
            Fate::Decided(outcome) => Ok(outcome),
            Fate::Unknown(_) if mutant::is(Mutant::UnknownAsFailed) => {
                Err(WriteError::Rejected(Rejection::NoLeader))
            }
            Fate::Unknown(doubt) => Err(WriteError::Unknown(doubt)),
            Fate::Stopped => Err(WriteError::Rejected(Rejection::Stopped)),
            Fate::NotLeader => {
                left.push(proposal);
                continue;
            }
        };
        // The client may have gone away.
        let _ = proposal.answer.send(answer);
    }
    left
}

fn give_up(batch: Vec<Proposal>) {
    for proposal in batch {
        let _ = proposal.answer.send(Err(WriteError::Rejected(Rejection::NoLeader)));
    }
}

fn split_by_bytes(batch: Vec<Proposal>) -> Vec<Vec<Proposal>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for proposal in batch {
        bytes += proposal.command.len();
        if bytes > BATCH_BYTES {
            bytes = proposal.command.len();
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(proposal);
        }
    }
    parts
}

fn encode_fate(fate: Fate) -> proto::ForwardOutcome {
    use forward_outcome::Result;
    let result = match fate {
        Fate::Decided(outcome) => Result::Outcome(record::encode(&outcome)),
        Fate::NotLeader | Fate::Stopped => Result::Rejected(proto::NotLeader { leader: None }),
        Fate::Unknown(doubt) => Result::Unknown(doubt.to_string()),
    };
    proto::ForwardOutcome { result: Some(result) }
}

fn decode_fate(outcome: proto::ForwardOutcome) -> Fate {
    use forward_outcome::Result;
    match outcome.result {
        Some(Result::Outcome(bytes)) => match record::decode("outcome", &bytes) {
            Ok(outcome) => Fate::Decided(outcome),
            Err(error) => {
                tracing::error!(%error, "the leader's answer cannot be read");
                Fate::Unknown(Doubt::LeaderLost)
            }
        },
        Some(Result::Rejected(_)) => Fate::NotLeader,
        Some(Result::Unknown(_)) | None => Fate::Unknown(Doubt::LeaderLost),
    }
}
