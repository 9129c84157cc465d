//! Leases in time: renewed and expired by whoever leads.
//!
//! In: renewals on any replica, and the clock. Out: the time a lease has; a revocation, proposed like any
//! other command, for each lease whose time has passed ([`expiry`]).
//!
//! A renewal costs no log entry. It is answered only after a quorum has confirmed, since the renewal came in,
//! that this replica leads: whoever takes over later gives every lease its full time from then on, so no
//! answered renewal is ever cut short. Renewals that come in while others are under way share the next round
//! ([`renewals`]), so that many cost little more than one.

use std::{sync::Arc, time::Duration};

use keelson_proto::peer::{
    self as proto, lease_keep_alive_reply as renewal, lease_time_to_live_reply as remaining,
};
use keelson_store_core::{
    id::LeaseId,
    lease::{Lessor, Millis, Remaining, RenewError},
    mutant::{self, Mutant},
};
use tokio::sync::mpsc;

use crate::{
    error::{LeaseError, ReadError},
    membership::{self, Route},
    peer::{Directory, wire::Body},
    read::{self, LeadershipError},
    runtime::{
        self,
        clock::{Instant, timeout_at},
    },
    state::SharedState,
    types::Raft,
};

mod expiry;
mod renewals;

pub(crate) use expiry::expire;

/// Pause before a call is tried again, unless a new leader shows up earlier.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Keeps the time of leases, wherever the leader is.
pub struct LeaseKeeper {
    leader: Arc<Leader>,
    patience: Duration,
    renewals: mpsc::UnboundedSender<renewals::Renewal>,
}

/// Whoever leads, and how it is asked.
struct Leader {
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
    fn decode(&self, body: Body) -> Result<Self::Answer, Failure>;

    /// Serves the call on the leader.
    fn serve(&self, lessor: &mut Lessor, now: Millis) -> Result<Self::Answer, Failure>;
}

/// Gives leases their full time again. Answers that time for each, in seconds; `None` where there is no such
/// lease.
struct Renew(Vec<LeaseId>);

struct AskRemaining(LeaseId);

impl Call for Renew {
    type Answer = Vec<Option<u32>>;

    fn request(&self) -> Body {
        Body::LeaseKeepAlive(proto::LeaseKeepAlive { ids: self.0.iter().map(|id| id.get()).collect() })
    }

    fn decode(&self, body: Body) -> Result<Self::Answer, Failure> {
        decode_renewals(body, self.0.len())
    }

    fn serve(&self, lessor: &mut Lessor, now: Millis) -> Result<Self::Answer, Failure> {
        let renew = |id: &LeaseId| match lessor.renew(now, *id) {
            Ok(seconds) => Ok(Some(seconds)),
            Err(RenewError::NotFound) => Ok(None),
            // It is gone when that is committed, and not before: the next leader would give it its time again.
            Err(RenewError::Expired) => {
                Err(Failure::Retry("a lease that has expired is being revoked".to_owned()))
            }
            Err(RenewError::NotLeader) => Err(taking_over()),
        };
        self.0.iter().map(renew).collect()
    }
}

impl Call for AskRemaining {
    type Answer = Remaining;

    fn request(&self) -> Body {
        Body::LeaseTimeToLive(proto::LeaseTimeToLive { id: self.0.get() })
    }

    fn decode(&self, body: Body) -> Result<Remaining, Failure> {
        decode_remaining(body)
    }

    fn serve(&self, lessor: &mut Lessor, now: Millis) -> Result<Remaining, Failure> {
        if !lessor.leads() {
            return Err(taking_over());
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
    /// Starts serving. Must be called inside [`runtime::seeded`].
    pub(crate) fn start(
        raft: Raft,
        directory: Arc<Directory>,
        state: Arc<SharedState>,
        patience: Duration,
    ) -> Self {
        let leader = Arc::new(Leader { raft, directory, state, patience });
        let (renewals, waiting) = mpsc::unbounded_channel();
        runtime::spawn(renewals::run(leader.clone(), waiting));
        Self { leader, patience, renewals }
    }

    /// Gives a lease its full time again. Returns that time in seconds.
    pub async fn renew(&self, id: LeaseId) -> Result<u32, LeaseError> {
        renewals::ask(&self.renewals, id, Instant::now() + self.patience).await
    }

    /// How long a lease lives, and how long it still has.
    pub async fn remaining(&self, id: LeaseId) -> Result<Remaining, LeaseError> {
        self.leader.call(AskRemaining(id), Instant::now() + self.patience).await
    }

    /// Renews for a peer.
    pub(crate) async fn answer_renewal(&self, ids: Vec<i64>) -> proto::LeaseKeepAliveReply {
        use renewal::Result;
        let ids = ids.into_iter().map(LeaseId::new).collect();
        let result = match self.leader.serve(&Renew(ids)).await {
            Ok(renewed) => {
                let ttl_seconds = renewed.into_iter().map(Option::unwrap_or_default).collect();
                Result::Renewals(proto::LeaseRenewals { ttl_seconds })
            }
            Err(Failure::NotFound) => unreachable!("what becomes of each lease is in the answer"),
            Err(Failure::Retry(why)) => Result::Failed(why),
        };
        proto::LeaseKeepAliveReply { result: Some(result) }
    }

    /// Tells a peer what is left of a lease.
    pub(crate) async fn answer_remaining(&self, id: LeaseId) -> proto::LeaseTimeToLiveReply {
        use remaining::Result;
        let result = match self.leader.serve(&AskRemaining(id)).await {
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

impl Leader {
    /// Has the leader serve a call, wherever it is, until the deadline.
    async fn call<C: Call>(&self, call: C, deadline: Instant) -> Result<C::Answer, LeaseError> {
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
                reply.map_err(|error| Failure::Retry(error.to_string())).and_then(|body| call.decode(body))
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
}

fn late() -> Failure {
    Failure::Retry("no quorum confirmed the call in time".to_owned())
}

fn taking_over() -> Failure {
    Failure::Retry("the leader is just taking over".to_owned())
}

fn decode_renewals(body: Body, asked: usize) -> Result<Vec<Option<u32>>, Failure> {
    use renewal::Result;
    let Body::LeaseKeepAliveReply(reply) = body else { return Err(nonsense()) };
    match reply.result.ok_or_else(nonsense)? {
        Result::Renewals(renewals) if renewals.ttl_seconds.len() == asked => {
            Ok(renewals.ttl_seconds.into_iter().map(|ttl| (ttl > 0).then_some(ttl)).collect())
        }
        Result::Renewals(_) => Err(nonsense()),
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
