//! Changes of who belongs to the cluster.
//!
//! In: a [`Change`], at any replica, or from one that is no member yet. Out: the membership in which it is in force, or
//! why not; *refused* and *unknown* are told apart. The leader decides (`plan`, pure) and lets Raft carry it out, always
//! through a joint membership where voters change; one change at a time, each decided on the membership that it then
//! replaces.
//!
//! A replica comes in as a learner under the id of its disk, and becomes a voter by itself when it has caught up
//! (`keeper`). So nobody who has nothing of the log ever counts for a quorum.
//!
//! Deliberately absent: that a removed replica ends (`store/farewell` has that). Its peers refuse it, and it serves nothing
//! that needs a quorum.

use std::{sync::Arc, time::Duration};

use keelson_proto::peer as proto;
use keelson_store_core::id::ReplicaId;
use openraft::{
    ChangeMembers,
    async_runtime::watch::WatchReceiver as _,
    errors::{ChangeMembershipError, ClientWriteError, RaftError},
    raft::Precondition,
};

use crate::{
    error::ReadError,
    membership::{self, Route},
    options::{Member, Timing},
    peer::{
        Directory, LinkError,
        wire::{self, Body},
    },
    runtime::clock::{Instant, timeout_at},
    state::SharedState,
    types::{LogId, Membership, Raft, Types},
};

pub(crate) mod announcer;
pub(crate) mod keeper;
mod plan;

use plan::{Health, Step};

/// After an attempt that found no leader, or one that was busy.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A change of who belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Keeps a place for a replica that is still to come, at the member's peer URLs. It gets a new id, which the
    /// replica's disk replaces when it comes.
    Add {
        /// The place's id.
        place: ReplicaId,
        /// Its URLs, and what the replica is to become. Its name is empty.
        member: Member,
    },
    /// Takes in the replica with this disk.
    Join {
        /// The id of its disk.
        replica: ReplicaId,
        /// It.
        member: Member,
        /// The token that it was given.
        token: String,
    },
    /// Makes a voter of a learner.
    Promote(ReplicaId),
    /// Removes a member, for good: its id never comes back.
    Remove(ReplicaId),
    /// Replaces a member's client URLs, as it asks for itself whenever it starts with others.
    Announce {
        /// The member.
        replica: ReplicaId,
        /// Where clients reach it from now on.
        client_urls: Vec<String>,
    },
    /// Replaces a member's peer URLs.
    Update {
        /// The member.
        replica: ReplicaId,
        /// Where its peers reach it from now on.
        peer_urls: Vec<String>,
    },
}

/// Which rule a refused change breaks. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such member.
    #[error("member not found")]
    NotFound,
    /// Another member has one of the URLs.
    #[error("Peer URLs already exists")]
    PeerUrlExists,
    /// Another disk has the name.
    #[error(
        "{name:?} is a member with id {known:x}, on another disk: a wiped or foreign disk may not take its place; remove \
         the old member, then start this one anew"
    )]
    MemberExists {
        /// The name.
        name: String,
        /// The member that has it.
        known: u64,
    },
    /// Only a learner can be promoted.
    #[error("can only promote a learner member")]
    NotLearner,
    /// The learner has not caught up, or has not been heard of.
    #[error("can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    /// Too few of the remaining voters are there: the cluster would lose its quorum.
    #[error("re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// It was a member, and was removed: whatever asks for it now, or asked before, it does not come back.
    #[error("the replica was removed from the cluster, and its id never comes back")]
    Removed,
    /// The token is another cluster's.
    #[error("the cluster has another token: check --initial-cluster-token")]
    Token,
    /// Another change is under way. Trying again later may help.
    #[error("another change of the membership is under way")]
    InProgress,
}

/// Why a change has no effect that is known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReconfigureError {
    /// It was refused: nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It never reached a leader: nothing has changed.
    #[error("no leader has taken it: {0}")]
    NoLeader(String),
    /// Whether it is in force, or will be, is not known. List the members before trying again.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// This replica cannot say what is in force now; the change itself is.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Changes memberships, on this replica or through the leader.
pub(crate) struct Reconfigurer {
    raft: Raft,
    state: Arc<SharedState>,
    directory: Arc<Directory>,
    token: String,
    timing: Timing,
    patience: Duration,
    /// One change at a time on a leader.
    busy: tokio::sync::Mutex<()>,
}

/// Why one attempt failed.
enum Failure {
    Refused(Refusal),
    /// It was not taken.
    NotTaken(String),
    Unknown(String),
}

impl Reconfigurer {
    pub(crate) fn new(
        raft: Raft,
        state: Arc<SharedState>,
        directory: Arc<Directory>,
        token: String,
        timing: Timing,
        patience: Duration,
    ) -> Self {
        Self { raft, state, directory, token, timing, patience, busy: tokio::sync::Mutex::default() }
    }

    /// Carries a change out, wherever the leader is.
    pub(crate) async fn run(&self, change: &Change) -> Result<(), ReconfigureError> {
        let deadline = Instant::now() + self.patience;
        loop {
            let route = membership::route(&self.raft);
            let why = match self.attempt(change, &route, deadline).await {
                Ok(()) => return Ok(()),
                Err(Failure::Refused(Refusal::InProgress)) if Instant::now() < deadline => {
                    crate::runtime::clock::sleep(RETRY_PAUSE).await;
                    continue;
                }
                Err(Failure::Refused(refusal)) => return Err(refusal.into()),
                Err(Failure::Unknown(why)) => return Err(ReconfigureError::Unknown(why)),
                Err(Failure::NotTaken(why)) => why,
            };
            let now = Instant::now();
            if now >= deadline {
                return Err(ReconfigureError::NoLeader(why));
            }
            membership::rerouted(&self.raft, &route, deadline.min(now + RETRY_PAUSE)).await;
        }
    }

    async fn attempt(&self, change: &Change, route: &Route, deadline: Instant) -> Result<(), Failure> {
        match route {
            Route::Nowhere => Err(Failure::NotTaken("no leader is known".to_owned())),
            Route::Here => timeout_at(deadline, self.serve(change))
                .await
                .unwrap_or_else(|_| Err(Failure::Unknown("no quorum has confirmed it in time".to_owned()))),
            Route::To(leader, member) => {
                // Its answer may take as long as a quorum does.
                let link = self.directory.forward(*leader, member);
                let patience = deadline.saturating_duration_since(Instant::now());
                match link.request(Body::Reconfigure(wire::put_change(change)), patience).await {
                    Ok(Body::ReconfigureReply(reply)) => outcome(reply),
                    Ok(_) => Err(Failure::Unknown("the leader's answer makes no sense".to_owned())),
                    Err(LinkError::NotSent(why)) => Err(Failure::NotTaken(why)),
                    Err(lost) => Err(Failure::Unknown(lost.to_string())),
                }
            }
        }
    }

    /// The leader's part, for a peer.
    pub(crate) async fn answer_peer(&self, change: &Change) -> proto::ReconfigureReply {
        reply(self.serve(change).await)
    }

    /// Any member's part, for a replica that wants to become one. One attempt: whoever asks will ask again.
    pub(crate) async fn answer_stranger(&self, change: &Change) -> proto::ReconfigureReply {
        let route = membership::route(&self.raft);
        reply(self.attempt(change, &route, Instant::now() + self.patience).await)
    }

    /// The leader's part: plan on the membership in force, then have Raft carry out each step.
    async fn serve(&self, change: &Change) -> Result<(), Failure> {
        let _one_at_a_time = self.busy.lock().await;
        let (_, leads) = membership::leadership(&self.raft);
        if !leads {
            return Err(Failure::NotTaken("leadership has moved".to_owned()));
        }
        let health = self.health().await;
        let (at, membership) = membership::in_force(&self.raft);
        if !health.may_change(&membership) {
            return Err(Failure::NotTaken("this leader was removed".to_owned()));
        }
        if let Change::Join { replica, .. } = change {
            self.check_not_removed(*replica, at).await?;
        }
        let step = plan::plan(&membership, &health, &self.token, change).map_err(Failure::Refused)?;
        match step {
            Step::Nothing => Ok(()),
            Step::Change(change) => self.carry_out(at, change).await,
        }
    }

    /// Who was removed is not to come back: not by a request of its own that was under way meanwhile, nor because it
    /// does not know. `at` put the membership in force on which the change is decided.
    async fn check_not_removed(&self, replica: ReplicaId, at: Option<LogId>) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timing.election_max;
        match timeout_at(deadline, membership::applied_up_to(&self.raft, at)).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Failure::Refused(Refusal::InProgress)),
        }
        match self.state.was_removed(replica) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Failure::Refused(Refusal::Removed)),
            Err(error) => Err(Failure::NotTaken(error.to_string())),
        }
    }

    /// The leader's upkeep: what `keeper` has found to do.
    async fn upkeep(&self) {
        let Ok(_one_at_a_time) = self.busy.try_lock() else { return };
        let health = self.health().await;
        let (at, membership) = membership::in_force(&self.raft);
        let Some(step) = plan::upkeep(&membership, &health) else { return };
        tracing::info!(change = %step, "the membership is brought forward");
        if let Err(Failure::NotTaken(why) | Failure::Unknown(why)) = self.carry_out(at, step).await {
            tracing::info!(why, "the membership could not be brought forward");
        }
    }

    /// Who answers now. Waits for everybody, but no longer than a follower waits for its leader.
    async fn health(&self) -> Health {
        let began = Instant::now();
        let deadline = began + self.timing.election_max;
        let mut metrics = self.raft.metrics();
        loop {
            let health = Health::since(&self.raft, began);
            if health.is_complete(&membership::current(&self.raft)) {
                return health;
            }
            match timeout_at(deadline, metrics.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Health::since(&self.raft, began),
            }
        }
    }

    async fn carry_out(
        &self,
        decided_on: Option<LogId>,
        change: ChangeMembers<ReplicaId, Member>,
    ) -> Result<(), Failure> {
        let unchanged = Precondition::LastMembershipLogId { last_membership_log_id: decided_on };
        match self.raft.change_membership_if(change, false, [unchanged]).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(not_led(membership::leadership(&self.raft).1))
            }
            Err(RaftError::APIError(error)) => Err(failure(error)),
            Err(RaftError::Fatal(fatal)) => Err(Failure::Unknown(fatal.to_string())),
        }
    }
}

/// Why Raft has sent a change to the leader although this replica was that: openraft says the same of one that leads no
/// more and of one that a majority has not answered lately. Either step of the change may hear it: after the first, the
/// change goes on under the next leader.
fn not_led(still_leads: bool) -> Failure {
    let why = if still_leads { "a majority of the members does not answer" } else { "leadership has moved" };
    Failure::Unknown(why.to_owned())
}

fn failure(error: ClientWriteError<Types>) -> Failure {
    match error {
        ClientWriteError::LogEntryDiscarded(_) => Failure::Unknown("the leader was lost".to_owned()),
        ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
        ) => Failure::Refused(Refusal::InProgress),
        ClientWriteError::ChangeMembershipError(ChangeMembershipError::LearnerNotFound(_)) => {
            Failure::Refused(Refusal::NotFound)
        }
        other => Failure::Unknown(other.to_string()),
    }
}

fn reply(result: Result<(), Failure>) -> proto::ReconfigureReply {
    use proto::reconfigure_reply::Result;
    let result = match result {
        Ok(()) => Result::Done(proto::ReconfigureDone {}),
        Err(Failure::Refused(refusal)) => Result::Refused(wire::put_refusal(&refusal)),
        Err(Failure::NotTaken(_)) => Result::NotLeader(proto::NotLeader { leader: None }),
        Err(Failure::Unknown(why)) => Result::Failed(why),
    };
    proto::ReconfigureReply { result: Some(result) }
}

fn outcome(reply: proto::ReconfigureReply) -> Result<(), Failure> {
    use proto::reconfigure_reply::Result;
    match reply.result {
        Some(Result::Done(_)) => Ok(()),
        Some(Result::Refused(refused)) => Err(Failure::Refused(wire::refusal(refused))),
        Some(Result::NotLeader(_)) => Err(Failure::NotTaken("leadership has moved".to_owned())),
        Some(Result::Failed(why)) => Err(Failure::Unknown(why)),
        None => Err(Failure::Unknown("the leader's answer makes no sense".to_owned())),
    }
}

/// What a replica that asked to be taken in was told.
pub(crate) enum Answer {
    /// It never will be: it was, and was removed.
    Removed,
    /// It never will be, as things are.
    Refused(String),
    /// Not now, or it is not known.
    NotNow(String),
}

/// What became of the request to be taken in.
pub(crate) fn taken(reply: proto::ReconfigureReply) -> Result<(), Answer> {
    outcome(reply).map_err(|failure| match failure {
        Failure::Refused(Refusal::InProgress) => Answer::NotNow(Refusal::InProgress.to_string()),
        Failure::Refused(Refusal::Removed) => Answer::Removed,
        Failure::Refused(refusal) => Answer::Refused(refusal.to_string()),
        Failure::NotTaken(why) | Failure::Unknown(why) => Answer::NotNow(why),
    })
}

/// Whether the replica is in a membership.
pub(crate) fn names(membership: &Membership, replica: ReplicaId) -> bool {
    membership.get_node(&replica).is_some()
}
