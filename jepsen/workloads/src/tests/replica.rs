//! Replicas of the plain store as clients see them: slow, unreliable, and wrong in one way if a test wants it.
//!
//! In: a seed and a [`Mistake`]. Out: a [`Client`]. Calls take some time before and after the moment at which they take
//! effect; some get lost on the way there, some on the way back, some take effect long after their client has given up.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Consistency, LeaseId, Revision};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep};

use super::state::State;
use super::stream::Stream;
use crate::client::{
    Answer, CallError, Client, LeaseResponse, RangeRequest, RangeResponse, Txn, TxnResponse, WatchRequest,
    WatchStream,
};
use crate::random::Random;

/// What the store gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Linearizable reads are sometimes old.
    StaleRead,
    /// Writes are sometimes acknowledged and never done.
    LostWrite,
    /// Guards are compared first, and the write is done later.
    CompareOutside,
    /// What is unknown is said to have failed.
    UnknownIsFailed,
    /// Transactions read first, and write later.
    SplitTransaction,
    /// Leases end after half their time.
    EarlyLeaseEnd,
    /// Events are sometimes delivered twice.
    EventTwice,
    /// Events are sometimes not delivered.
    EventLost,
    /// Events of one revision come in different responses.
    SplitRevision,
    /// Progress is reported before the events are delivered.
    EarlyProgress,
    /// A watch that starts in the past starts one revision late.
    SkippedStart,
    /// Events do not carry what was before.
    NoPrevious,
    /// Deletes are delivered to those who do not want them.
    Unfiltered,
}

/// The whole cluster.
pub(super) struct Cluster {
    state: Mutex<State>,
    random: Mutex<Random>,
    pub(super) mistake: Option<Mistake>,
    /// Something may have changed.
    pub(super) changed: Notify,
}

/// One replica of it.
pub(super) struct Replica {
    name: String,
    cluster: Arc<Cluster>,
}

/// What happens to a call on its way.
#[derive(Clone, Copy)]
enum Way {
    Good,
    LostOnTheWayThere,
    LostOnTheWayBack,
    RefusedAtTheDoor,
    Late,
}

impl Cluster {
    /// Connections to all of its replicas.
    pub(super) fn replicas(seed: u64, mistake: Option<Mistake>) -> Vec<Arc<dyn Client>> {
        let cluster = Arc::new(Self {
            state: Mutex::new(State::new()),
            random: Mutex::new(Random::derived(seed, u64::MAX)),
            mistake,
            changed: Notify::new(),
        });
        let replica = |number| Replica { name: format!("n{number}"), cluster: cluster.clone() };
        (1..=3).map(|number| Arc::new(replica(number)) as Arc<dyn Client>).collect()
    }

    /// The state as it is now.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        state.expire(Instant::now());
        state
    }

    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap())
    }

    /// Whether the store makes this mistake, and makes it now.
    pub(super) fn errs(&self, mistake: Mistake, percent: u64) -> bool {
        self.mistake == Some(mistake) && self.draw(|random| random.percent(percent))
    }

    async fn travel(&self) {
        sleep(self.draw(|random| random.duration(Duration::from_millis(0), Duration::from_millis(20)))).await;
    }

    fn apply(&self, txn: &Txn) -> Result<TxnResponse, CallError> {
        let mut state = self.state();
        if self.errs(Mistake::LostWrite, 3)
            && state.holds(&txn.guards)
            && let Some(answer) = state.pretend(&txn.success)?
        {
            return Ok(answer);
        }
        let response = state.txn(txn);
        drop(state);
        self.changed.notify_waiters();
        response
    }

    /// As [`Self::apply`], but the decision is older than the write.
    async fn apply_in_two_steps(&self, txn: &Txn) -> Result<TxnResponse, CallError> {
        let succeeded = self.state().holds(&txn.guards);
        self.travel().await;
        let response = self.state().branch(if succeeded { &txn.success } else { &txn.failure }, succeeded);
        self.changed.notify_waiters();
        response
    }
}

impl Replica {
    /// Does something to the store, over the unreliable way there and back.
    async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(Arc<Cluster>) -> BoxFuture<'static, Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let cluster = &self.cluster;
        let ways = [
            (92, Way::Good),
            (2, Way::LostOnTheWayThere),
            (2, Way::LostOnTheWayBack),
            (3, Way::RefusedAtTheDoor),
            (1, Way::Late),
        ];
        cluster.travel().await;
        let unknown = || match cluster.mistake {
            Some(Mistake::UnknownIsFailed) => CallError::Failed("lost".to_owned()),
            _ => CallError::Unknown("lost".to_owned()),
        };
        match cluster.draw(|random| random.weighted(&ways)) {
            Way::Good => {
                let answer = act(cluster.clone()).await;
                cluster.travel().await;
                answer
            }
            Way::LostOnTheWayThere => Err(unknown()),
            Way::LostOnTheWayBack => {
                act(cluster.clone()).await.ok();
                Err(unknown())
            }
            Way::RefusedAtTheDoor => Err(CallError::Failed("no leader".to_owned())),
            Way::Late => {
                let delay = cluster.draw(|random| random.duration(Duration::ZERO, Duration::from_secs(4)));
                let act = act(cluster.clone());
                tokio::spawn(async move {
                    sleep(delay).await;
                    act.await.ok();
                });
                Err(unknown())
            }
        }
    }
}

impl Client for Replica {
    fn replica(&self) -> &str {
        &self.name
    }

    fn range(&self, request: RangeRequest) -> Answer<'_, RangeResponse> {
        let act = |cluster: Arc<Cluster>| {
            let stale = cluster.errs(Mistake::StaleRead, 5);
            let old = stale || request.consistency == Consistency::Serializable;
            let back = if old { cluster.draw(|random| random.below(5)) } else { 0 };
            async move {
                let state = cluster.state();
                let now = Revision(state.revision.0.saturating_sub(back).max(state.compacted.0).max(1));
                let answer = state.range(&request, now)?;
                // A stale answer that says so would be none.
                Ok(RangeResponse { revision: if stale { state.revision } else { now }, ..answer })
            }
            .boxed()
        };
        self.call(act).boxed()
    }

    fn txn(&self, txn: Txn) -> Answer<'_, TxnResponse> {
        let act = |cluster: Arc<Cluster>| {
            async move {
                match cluster.mistake {
                    Some(Mistake::CompareOutside) => cluster.apply_in_two_steps(&txn).await,
                    Some(Mistake::SplitTransaction) if txn.guards.is_empty() => split(&cluster, &txn).await,
                    _ => cluster.apply(&txn),
                }
            }
            .boxed()
        };
        self.call(act).boxed()
    }

    fn compact(&self, revision: Revision) -> Answer<'_, Revision> {
        self.call(move |cluster| async move { cluster.state().compact(revision) }.boxed()).boxed()
    }

    fn lease_grant(&self, id: LeaseId, ttl_seconds: u32) -> Answer<'_, LeaseResponse> {
        let act = move |cluster: Arc<Cluster>| {
            let ttl = Duration::from_secs(ttl_seconds.into());
            let real = if cluster.mistake == Some(Mistake::EarlyLeaseEnd) { ttl / 2 } else { ttl };
            async move {
                let mut state = cluster.state();
                state.grant(id, real, Instant::now());
                Ok(LeaseResponse { revision: state.revision, ttl_seconds: Some(ttl_seconds) })
            }
            .boxed()
        };
        self.call(act).boxed()
    }

    fn lease_keep_alive(&self, id: LeaseId) -> Answer<'_, LeaseResponse> {
        let act = move |cluster: Arc<Cluster>| {
            async move {
                let mut state = cluster.state();
                let ttl_seconds = state.renew(id, Instant::now());
                Ok(LeaseResponse { revision: state.revision, ttl_seconds })
            }
            .boxed()
        };
        self.call(act).boxed()
    }

    fn lease_revoke(&self, id: LeaseId) -> Answer<'_, Revision> {
        self.call(move |cluster| async move { cluster.state().revoke(id) }.boxed()).boxed()
    }

    fn lease_time_to_live(&self, id: LeaseId) -> Answer<'_, LeaseResponse> {
        let act = move |cluster: Arc<Cluster>| {
            async move {
                let state = cluster.state();
                let ttl_seconds = state.remaining(id, Instant::now());
                Ok(LeaseResponse { revision: state.revision, ttl_seconds })
            }
            .boxed()
        };
        self.call(act).boxed()
    }

    fn watch(&self, request: WatchRequest) -> Box<dyn WatchStream> {
        Box::new(Stream::open(self.cluster.clone(), request))
    }
}

/// Each part of a transaction at a moment of its own.
async fn split(cluster: &Cluster, txn: &Txn) -> Result<TxnResponse, CallError> {
    let mut whole = TxnResponse { succeeded: true, ..TxnResponse::default() };
    for op in &txn.success {
        let part = cluster.state().branch(std::slice::from_ref(op), true)?;
        whole.revision = part.revision;
        whole.results.extend(part.results);
        cluster.changed.notify_waiters();
        cluster.travel().await;
    }
    Ok(whole)
}
