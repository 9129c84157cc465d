//! Leader election by a Lease, so that of several replicas one works and the others stand by.
//!
//! In: a Lease's name, this replica's name, and what to do as the leader. Out: that future, run while the Lease is held
//! and dropped before anybody else can hold it. Interoperates with client-go's `LeaderElector`: the same fields, the same
//! rules. No clock but one's own monotonic one is trusted: a Lease has expired when it has not been seen to change for
//! as long as it says. Two leaders at once are still possible (a replica that stood still for long): what leaders do
//! must be safe then, merely wasteful.

mod record;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::record::{Candidate, Step};
use crate::backoff::Backoff;
use crate::events::{EventRecorder, reference_to};
use crate::explain::explain;

/// The pace of an election. Everybody who takes part has to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a Lease holds that is not renewed. Whole seconds.
    pub lease: Duration,
    /// After this time without a renewal that worked, the leader steps back. Less than `lease`.
    pub renew_deadline: Duration,
    /// How often the leader renews, and the others look.
    pub retry: Duration,
}

impl Default for Times {
    /// Quicker than upstream's 15, 10 and 2 seconds: the API server is next door.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(8),
            renew_deadline: Duration::from_secs(5),
            retry: Duration::from_secs(2),
        }
    }
}

/// One replica's part in an election.
#[derive(Clone, Debug)]
pub struct Election {
    /// Where the Lease is, mostly `kube-system`.
    pub namespace: String,
    /// The Lease's name, for instance `kube-controller-manager`.
    pub lease: &'static str,
    /// This replica's name, unlike every other's that may run at the same time. One that is the same again after a
    /// restart goes on with the Lease that it held.
    pub identity: String,
    /// The pace.
    pub times: Times,
    /// Tells users who leads. `None`: a recorder of the election's own does, in the Lease's name.
    pub events: Option<EventRecorder>,
}

/// Why a replica leads no longer.
enum End {
    /// The Lease could not be renewed in time.
    Lost,
    /// It was asked to stop.
    Stopped,
    /// What it did as the leader has come to its end.
    Finished,
}

impl Election {
    /// For this Lease in `kube-system`, with the usual pace.
    pub fn new(lease: &'static str, identity: impl Into<String>) -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            lease,
            identity: identity.into(),
            times: Times::default(),
            events: None,
        }
    }

    /// Takes part for ever. See [`run_until`](Self::run_until).
    pub async fn run<F, Fut>(self, client: Client, lead: F)
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = ()>,
    {
        self.run_until(client, std::future::pending(), lead).await;
    }

    /// Takes part until `stop` is there. Whenever the Lease is held, the future that `lead` returns runs; it is dropped
    /// when the Lease cannot be renewed, or on `stop`, before the Lease is given back. A future that ends gives the Lease
    /// back too, and the replica stands by again.
    pub async fn run_until<F, Fut>(self, client: Client, stop: impl Future<Output = ()>, mut lead: F)
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut stop = std::pin::pin!(stop);
        let events = self.events.clone().unwrap_or_else(|| {
            let (recorder, writing) = EventRecorder::new(client.clone(), self.lease, None);
            tokio::spawn(writing);
            recorder
        });
        let mut replica = Replica::of(&self, client, events);
        loop {
            let held_since = tokio::select! {
                () = &mut stop => return,
                since = replica.acquire() => since,
            };
            replica.tell("became leader");
            let end = {
                let lead = Box::pin(lead());
                tokio::select! {
                    biased;
                    () = replica.keep(held_since) => End::Lost,
                    () = &mut stop => End::Stopped,
                    () = lead => End::Finished,
                }
            };
            replica.tell("stopped leading");
            match end {
                End::Lost => {}
                End::Stopped => return replica.release().await,
                End::Finished => {
                    replica.release().await;
                    sleep(self.times.retry).await;
                }
            }
        }
    }
}

/// A replica at work.
struct Replica {
    leases: Api<Lease>,
    times: Times,
    candidate: Candidate,
    events: EventRecorder,
}

/// What an attempt to have the Lease has come to.
enum Standing {
    /// This replica has it.
    Leader,
    /// Another one has it, at least until then as far as is known.
    Follower(Instant),
}

impl Replica {
    fn of(election: &Election, client: Client, events: EventRecorder) -> Self {
        Self {
            leases: Api::namespaced(client, &election.namespace),
            times: election.times,
            candidate: Candidate::new(
                &election.namespace,
                election.lease,
                &election.identity,
                election.times.lease,
            ),
            events,
        }
    }

    /// Until this replica has the Lease. Returns a time from before it had.
    async fn acquire(&mut self) -> Instant {
        let mut pause = Duration::ZERO;
        let mut backoff = Backoff::default();
        loop {
            sleep(pause).await;
            let begun = Instant::now();
            // What fails is tried again soon at first: a server that starts, or another one that answers.
            pause = backoff.next_delay().min(self.times.retry);
            match timeout(self.times.renew_deadline / 2, self.attempt()).await {
                Ok(Ok(Standing::Leader)) => return begun,
                Ok(Ok(Standing::Follower(until))) => {
                    backoff.reset();
                    // Everybody looks at other times, or they would all be in each other's way.
                    let usual = self.times.retry.mul_f64(1.0 + rand::random::<f64>() * 0.2);
                    pause = usual.min(self.just_after(until));
                }
                Ok(Err(error)) if !backoff.is_persistent() => self.note(&error),
                Ok(Err(error)) => self.complain("cannot look at the Lease", Some(&error)),
                Err(_elapsed) => self.complain("cannot look at the Lease: no answer in time", None),
            }
        }
    }

    /// The wait until just after another's Lease has expired.
    fn just_after(&self, until: Instant) -> Duration {
        let spread = self.times.retry.mul_f64(0.02 + rand::random::<f64>() * 0.1);
        until.saturating_duration_since(Instant::now()) + spread
    }

    /// Renews the Lease for as long as that works. Counts from before the last renewal that worked: others count from
    /// when they saw it, which is later, and wait longer.
    async fn keep(&mut self, since: Instant) {
        let mut held = since;
        let mut pause = self.times.retry;
        loop {
            let deadline = held + self.times.renew_deadline;
            sleep_until(deadline.min(Instant::now() + pause)).await;
            let begun = Instant::now();
            if begun >= deadline {
                return;
            }
            let patience = (self.times.renew_deadline / 2).min(deadline - begun);
            pause = self.times.retry / 4;
            match timeout(patience, self.attempt()).await {
                Ok(Ok(Standing::Leader)) => {
                    held = begun;
                    pause = self.times.retry;
                }
                Ok(Ok(Standing::Follower(_))) => return,
                Ok(Err(error)) => self.complain("cannot renew the Lease", Some(&error)),
                Err(_elapsed) => self.complain("cannot renew the Lease: no answer in time", None),
            }
        }
    }

    /// Takes or renews the Lease, if the rules allow it.
    async fn attempt(&mut self) -> kube::Result<Standing> {
        if let Some(renewed) = self.candidate.renewed(Timestamp::now()) {
            // The usual case: nobody else has touched it.
            match self.leases.replace(self.candidate.lease(), &PostParams::default(), &renewed).await {
                Ok(lease) => return Ok(self.holds(lease)),
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let found = self.leases.get_opt(self.candidate.lease()).await?;
        let params = PostParams::default();
        let written = match self.candidate.step(found, Instant::now(), Timestamp::now()) {
            Step::Wait(until) => return Ok(Standing::Follower(until)),
            Step::Create(lease) => self.leases.create(&params, &lease).await,
            Step::Replace(lease) => self.leases.replace(self.candidate.lease(), &params, &lease).await,
        };
        written.map(|lease| self.holds(lease))
    }

    fn holds(&mut self, lease: Lease) -> Standing {
        self.candidate.observe(lease, Instant::now());
        Standing::Leader
    }

    /// Gives the Lease back, so that nobody has to wait until it expires. Not being able to costs only that wait.
    async fn release(&mut self) {
        let Some(released) = self.candidate.released(Timestamp::now()) else { return };
        let params = PostParams::default();
        let replacing = self.leases.replace(self.candidate.lease(), &params, &released);
        match timeout(self.times.renew_deadline / 2, replacing).await {
            Ok(Ok(lease)) => self.candidate.observe(lease, Instant::now()),
            Ok(Err(error)) => self.complain("cannot give the Lease back", Some(&error)),
            Err(_elapsed) => self.complain("cannot give the Lease back: no answer in time", None),
        }
    }

    fn tell(&self, what: &str) {
        let (lease, identity) = (self.candidate.lease(), self.candidate.identity());
        tracing::info!(lease, identity, what);
        let object = reference_to(&self.candidate.reference());
        self.events.normal(&object, "LeaderElection", format!("{identity} {what}"));
    }

    /// At first it is a server that starts, or somebody who was quicker.
    fn note(&self, error: &kube::Error) {
        tracing::debug!(
            lease = self.candidate.lease(),
            error = explain(error),
            "does not have the Lease yet"
        );
    }

    fn complain(&self, what: &str, error: Option<&kube::Error>) {
        let error = error.map(|error| explain(error));
        tracing::warn!(lease = self.candidate.lease(), error, "{what}");
    }
}

#[cfg(test)]
mod tests;
