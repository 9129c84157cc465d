//! Leases in time: renewed and expired by whoever leads.
//!
//! In: renewals on any replica, and the clock. Out: the time a lease has; a revocation, proposed like any
//! other command, for each lease whose time has passed.
//!
//! A renewal costs no log entry. It is answered only after a quorum has confirmed, since the renewal came in,
//! that this replica leads: whoever takes over later gives every lease its full time from then on, so no
//! answered renewal is ever cut short.

use std::{sync::Arc, time::Duration};

use keelson_proto::peer::{
    self as proto, lease_keep_alive_reply as renewal, lease_time_to_live_reply as remaining,
};
use keelson_store_core::{
    command::Command,
    id::{LeaseId, Term},
    lease::{self, Lessor, Millis, Remaining, RenewError},
    mutant::{self, Mutant},
};

use crate::{
    error::{LeaseError, ReadError},
    membership::{self, Route},
    peer::{Directory, wire::Body},
    propose::Proposals,
    read::{self, LeadershipError},
    runtime::clock::{Instant, sleep, timeout_at},
    state::SharedState,
    types::Raft,
};

/// Leases revoked in one go at most.
const REVOKE_BATCH: usize = 512;
/// Pause before a call is tried again, unless a new leader shows up earlier.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long a deadline that lies beyond any wait is waited for.
const LONG: Duration = Duration::from_secs(3600);

/// Keeps the time of leases, wherever the leader is.
pub struct LeaseKeeper {
    raft: Raft,
    directory: Arc<Directory>,
    state: Arc<SharedState>,
    patience: Duration,
}

/// A call that only the leader can serve.
trait Call: Sync {
    type Answer;

    /// The call, for the leader.
    fn request(&self) -> Body;

    /// The leader's answer.
    fn decode(body: Body) -> Result<Self::Answer, Failure>;

    /// Serves the call on the leader.
    fn serve(&self, lessor: &mut Lessor, now: Millis) -> Result<Self::Answer, Failure>;
}

struct Renew(LeaseId);

struct AskRemaining(LeaseId);

impl Call for Renew {
    type Answer = u32;

    fn request(&self) -> Body {
        Body::LeaseKeepAlive(proto::LeaseKeepAlive { id: self.0.get() })
    }

    fn decode(body: Body) -> Result<u32, Failure> {
        decode_renewal(body)
    }

    fn serve(&self, lessor: &mut Lessor, now: Millis) -> Result<u32, Failure> {
        lessor.renew(now, self.0).map_err(|error| match error {
            RenewError::NotFound | RenewError::Expired => Failure::NotFound,
            RenewError::NotLeader => Failure::Retry("the leader is just taking over".to_owned()),
        })
    }
}

impl Call for AskRemaining {
    type Answer = Remaining;

    fn request(&self) -> Body {
        Body::LeaseTimeToLive(proto::LeaseTimeToLive { id: self.0.get() })
    }

    fn decode(body: Body) -> Result<Remaining, Failure> {
        decode_remaining(body)
    }

    fn serve(&self, lessor: &mut Lessor, now: Millis) -> Result<Remaining, Failure> {
        if !lessor.leads() {
            return Err(Failure::Retry("the leader is just taking over".to_owned()));
        }
        lessor.remaining(now, self.0).ok_or(Failure::NotFound)
    }
}

/// Why the leader's part of a call failed.
enum Failure {
    NotFound,
    /// Another replica may succeed, or this one a moment later.
    Retry(String),
}

impl LeaseKeeper {
    pub(crate) fn new(
        raft: Raft,
        directory: Arc<Directory>,
        state: Arc<SharedState>,
        patience: Duration,
    ) -> Self {
        Self { raft, directory, state, patience }
    }

    /// Gives a lease its full time again. Returns that time in seconds.
    pub async fn renew(&self, id: LeaseId) -> Result<u32, LeaseError> {
        self.call(Renew(id)).await
    }

    /// How long a lease lives, and how long it still has.
    pub async fn remaining(&self, id: LeaseId) -> Result<Remaining, LeaseError> {
        self.call(AskRemaining(id)).await
    }

    /// Has the leader serve a call, wherever it is, until the deadline.
    async fn call<C: Call>(&self, call: C) -> Result<C::Answer, LeaseError> {
        let deadline = Instant::now() + self.patience;
        loop {
            let route = membership::route(&self.raft);
            let attempt = Box::pin(self.attempt(&call, &route, deadline));
            let answer = membership::while_routed(&self.raft, &route, deadline, attempt).await;
            let why = match answer.unwrap_or_else(|| Err(Failure::Retry("leadership has moved".to_owned()))) {
                Ok(answer) => return Ok(answer),
                Err(Failure::NotFound) => return Err(LeaseError::NotFound),
                Err(Failure::Retry(why)) => why,
            };
            let now = Instant::now();
            if now >= deadline {
                return Err(ReadError::NoQuorum(why).into());
            }
            membership::rerouted(&self.raft, &route, deadline.min(now + RETRY_PAUSE)).await;
        }
    }

    async fn attempt<C: Call>(
        &self,
        call: &C,
        route: &Route,
        deadline: Instant,
    ) -> Result<C::Answer, Failure> {
        match route {
            Route::Nowhere => Err(Failure::Retry("no leader is known".to_owned())),
            Route::Here => timeout_at(deadline, self.serve(call)).await.unwrap_or_else(|_| Err(late())),
            Route::To(leader, member) => {
                let link = self.directory.control(*leader, member);
                let patience = deadline.saturating_duration_since(Instant::now());
                let reply = link.request(call.request(), patience).await;
                reply.map_err(|error| Failure::Retry(error.to_string())).and_then(C::decode)
            }
        }
    }

    /// The leader's part of a call.
    async fn serve<C: Call>(&self, call: &C) -> Result<C::Answer, Failure> {
        if !mutant::is(Mutant::RenewByBelief) {
            self.lead_and_be_current().await?;
        }
        call.serve(&mut self.state.lessor(), self.state.now())
    }

    /// Confirms, against a quorum, that this replica leads, and waits until it has applied all that is committed.
    async fn lead_and_be_current(&self) -> Result<(), Failure> {
        let index = read::confirm_leadership(&self.raft).await.map_err(|error| match error {
            LeadershipError::NotLeader => Failure::Retry("leadership was lost".to_owned()),
            LeadershipError::Unconfirmed(why) => Failure::Retry(why),
        })?;
        let deadline = Instant::now() + self.patience;
        let applied = read::wait_applied(&self.state, index, deadline).await;
        applied.map_err(|error| Failure::Retry(error.to_string()))
    }

    /// Renews for a peer.
    pub(crate) async fn answer_renewal(&self, id: LeaseId) -> proto::LeaseKeepAliveReply {
        use renewal::Result;
        let result = match self.serve(&Renew(id)).await {
            Ok(ttl) => Result::TtlSeconds(ttl.into()),
            Err(Failure::NotFound) => Result::NotFound(proto::LeaseNotFound {}),
            Err(Failure::Retry(why)) => Result::Failed(why),
        };
        proto::LeaseKeepAliveReply { result: Some(result) }
    }

    /// Tells a peer what is left of a lease.
    pub(crate) async fn answer_remaining(&self, id: LeaseId) -> proto::LeaseTimeToLiveReply {
        use remaining::Result;
        let result = match self.serve(&AskRemaining(id)).await {
            Ok(left) => Result::Remaining(proto::LeaseRemaining {
                ttl_seconds: i64::try_from(left.millis / 1000).unwrap_or(i64::MAX),
                granted_ttl_seconds: left.granted_seconds.into(),
            }),
            Err(Failure::NotFound) => Result::NotFound(proto::LeaseNotFound {}),
            Err(Failure::Retry(why)) => Result::Failed(why),
        };
        proto::LeaseTimeToLiveReply { result: Some(result) }
    }
}

/// Follows leadership and revokes leases whose time has passed, as long as this replica leads. Runs until
/// dropped.
pub(crate) async fn expire(raft: Raft, state: Arc<SharedState>, proposals: Arc<Proposals>) {
    let mut leading: Option<Term> = None;
    loop {
        let (term, leads) = membership::leadership(&raft);
        let leads_in = leads.then_some(term);
        if leads_in != leading {
            leading = take_over_or_let_go(&state, leads_in);
            if leading != leads_in {
                sleep(RETRY_PAUSE).await;
                continue;
            }
        }
        let due = state.lessor().due(state.now(), REVOKE_BATCH);
        if due.is_empty() {
            wait(&raft, &state, leading).await;
            continue;
        }
        let commands = due.iter().map(|id| Command::LeaseRevoke(*id)).collect();
        tokio::select! {
            biased;
            revoked = proposals.decide_if_leading(commands) => take_back(&state, due, &revoked).await,
            // The timetable is another term's: it must not answer renewals until it is made anew.
            () = membership::leadership_changed(&raft, leading) => {}
        }
    }
}

/// Hands out again, a little later, what could not be revoked.
async fn take_back(state: &SharedState, due: Vec<LeaseId>, revoked: &[bool]) {
    let left: Vec<_> = due.into_iter().zip(revoked).filter(|(_, revoked)| !**revoked).collect();
    if left.is_empty() {
        return;
    }
    sleep(RETRY_PAUSE).await;
    left.into_iter().for_each(|(id, _)| state.lessor().retry(id));
}

fn take_over_or_let_go(state: &SharedState, leads_in: Option<Term>) -> Option<Term> {
    let Some(term) = leads_in else {
        state.lessor().demote();
        return None;
    };
    // What is not applied yet reaches the lessor as it is applied.
    match state.view().and_then(|view| lease::all(view.read())) {
        Ok(leases) => {
            state.lessor().promote(state.now(), leases);
            Some(term)
        }
        Err(error) => {
            tracing::error!(%error, "the leases cannot be read; they are kept until that succeeds");
            state.lessor().demote();
            None
        }
    }
}

/// Waits until a deadline passes, a lease comes or goes, or leadership changes.
async fn wait(raft: &Raft, state: &SharedState, leading: Option<Term>) {
    let next = state.lessor().next_deadline();
    let pause = next.map_or(LONG, |at| Duration::from_millis(at.get().saturating_sub(state.now().get())));
    tokio::select! {
        () = sleep(pause.max(Duration::from_millis(1))) => {}
        () = state.leases_changed().notified() => {}
        () = membership::leadership_changed(raft, leading) => {}
    }
}

fn late() -> Failure {
    Failure::Retry("no quorum confirmed the call in time".to_owned())
}

fn decode_renewal(body: Body) -> Result<u32, Failure> {
    use renewal::Result;
    let Body::LeaseKeepAliveReply(reply) = body else { return Err(nonsense()) };
    match reply.result.ok_or_else(nonsense)? {
        Result::TtlSeconds(ttl) => u32::try_from(ttl).map_err(|_| nonsense()),
        Result::NotFound(_) => Err(Failure::NotFound),
        Result::NotLeader(_) => Err(Failure::Retry("leadership was lost".to_owned())),
        Result::Failed(why) => Err(Failure::Retry(why)),
    }
}

fn decode_remaining(body: Body) -> Result<Remaining, Failure> {
    use remaining::Result;
    let Body::LeaseTimeToLiveReply(reply) = body else { return Err(nonsense()) };
    match reply.result.ok_or_else(nonsense)? {
        Result::Remaining(left) => Ok(Remaining {
            granted_seconds: u32::try_from(left.granted_ttl_seconds).map_err(|_| nonsense())?,
            millis: u64::try_from(left.ttl_seconds).map_err(|_| nonsense())?.saturating_mul(1000),
        }),
        Result::NotFound(_) => Err(Failure::NotFound),
        Result::NotLeader(_) => Err(Failure::Retry("leadership was lost".to_owned())),
        Result::Failed(why) => Err(Failure::Retry(why)),
    }
}

fn nonsense() -> Failure {
    Failure::Retry("the leader's answer makes no sense".to_owned())
}
