//! One run: load while the cluster is being broken, then stock is taken.
//!
//! In: a workload, connections, a seed, limits. Out: a history that can be judged. Tokio's time is the only clock, so a
//! run is the same under paused time and in real time, and all its randomness comes from the seed. Deliberately absent:
//! faults (the driver's), and verdicts (the promises').

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all, ready};
use keelson_checkers::history::{Call, Filters, History, KeyRange, ProcessId, Revision};
use tokio::time::sleep;

mod calls;
mod fleet;
mod follow;
mod limits;
mod log;
mod shared;
mod stock;
mod worker;

pub use fleet::Fleet;
pub use limits::{Control, Limits};
pub use log::Gap;

pub(crate) use follow::{Ended, Follower, Interest};
pub(crate) use shared::Audience;
pub(crate) use stock::LastRead;
pub(crate) use worker::Worker;

use crate::action::key;
use crate::client::Client;
use crate::random::Random;
use crate::recorder::Recorder;
use crate::table::Workload;
use shared::Shared;

/// Where the numbers of random generators begin that belong to no working client.
const STOCKTAKER: u64 = 1 << 32;
const OBSERVERS: u64 = 1 << 33;
const WATCHERS: u64 = 1 << 34;

/// How many watches a client that watches has at a time, each with an interest of its own.
const WATCHES_EACH: u64 = 3;

/// What a workload does.
pub(crate) trait Load: Send + Sync {
    /// Works until [`Worker::turn`] says that the load is over.
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()>;

    /// Watches until [`Follower::follow`] says that it is over. Called only where the workload's row has watchers.
    fn watch<'a>(&'a self, _worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    /// What is read at the end of a run of so many operations.
    fn last_reads(&self, operations: u64) -> Vec<LastRead>;
}

/// A run that came to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What happened.
    pub history: History,
    /// What the run could not do: a last read without an answer, a watcher that did not catch up. Not empty: a violation
    /// that the history shows stands all the same, but nothing is a pass.
    pub shortfalls: Vec<String>,
    /// Why the history has no commit log: what was compacted away before any observer saw it, nobody can tell afterwards.
    /// One more shortfall, unless the driver knows what was committed.
    pub gap: Option<Gap>,
}

/// Why there was no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Nothing was tested.
    #[error("no replica answered a first read in time: is the cluster up, and are the addresses right?")]
    NoAnswer,
    /// Its keys would pass for the workload's.
    #[error("the store is not empty ({keys} keys at revision {revision}): use one that was just made")]
    NotEmpty {
        /// How many.
        keys: usize,
        /// Where the store stands.
        revision: Revision,
    },
    /// The fleet has no observers or no clients.
    #[error("a run needs clients, and an observer for each replica")]
    NoClients,
}

/// Runs a workload to its end and takes the record out of `recorder`.
///
/// The load ends when the limits say so or the control does; then the run waits until the control says that the cluster
/// is healed. Dropping the future ends the run without its end; [`Recorder::so_far`] has what there is.
pub async fn run(
    workload: &Workload,
    fleet: &Fleet,
    seed: u64,
    limits: Limits,
    recorder: &Arc<Recorder>,
    control: &Control,
) -> Result<Finished, RunError> {
    let clients = fleet.clients();
    let count = u32::try_from(clients.len()).expect("fewer than 2^32 clients");
    if fleet.observers.is_empty() || clients.is_empty() {
        return Err(RunError::NoClients);
    }
    let shared = || Arc::new(Shared::new(recorder.clone(), limits, control.clone(), count));
    let probe = shared();
    let base = empty_at(&mut stocktaker(fleet, seed, &probe)).await?;
    // The load's time begins when the store has answered.
    let shared = shared();
    let observers = observers(fleet, seed, &shared);
    let processes: BTreeSet<ProcessId> = observers.iter().map(|observer| observer.process).collect();
    let mut crew = Crew::new(workload, clients, seed, &shared);
    let directing = Box::pin(direct(&mut crew, stocktaker(fleet, seed, &shared)));
    let observing = join_all(observers.into_iter().map(|observer| observe(observer, base)));
    let (last, _) = tokio::join!(directing, observing);

    let mut history = recorder.take();
    let assembled = log::assemble(&history, &processes, base, last);
    let gap = assembled.map(|log| history.log = Some(log)).err();
    Ok(Finished { history, shortfalls: shared.take_shortfalls(), gap })
}

/// Compacts for a driver, and records it as everybody's: promises about watches and old revisions must know. Up to
/// [`Control::logged`] the commit log stays whole. What came of it is in the record; the answer is
/// whether the store did it.
pub async fn compact(recorder: &Recorder, client: &dyn Client, revision: Revision) -> bool {
    let id = recorder.invoke(recorder.new_process(), client.replica(), Call::Compact { revision });
    let done = key::compact(client, revision).await;
    let is_done = done.is_ok();
    recorder.complete(id, |at| worker::end(done, at));
    is_done
}

/// Those who do what the workload says.
struct Crew {
    load: Box<dyn Load>,
    workers: Vec<Worker>,
    watchers: Vec<Worker>,
}

impl Crew {
    fn new(workload: &Workload, clients: Vec<Vec<Arc<dyn Client>>>, seed: u64, shared: &Arc<Shared>) -> Self {
        let mut crew = Self { load: (workload.load)(), workers: Vec::new(), watchers: Vec::new() };
        for (connections, number) in clients.into_iter().zip(0_u32..) {
            let worker = |random| Worker::new(shared, connections.clone(), random);
            if workload.watchers.has(number) {
                let first = WATCHERS + u64::from(number) * WATCHES_EACH;
                let each = first..first + WATCHES_EACH;
                crew.watchers.extend(each.map(|place| worker(Random::derived(seed, place))));
            } else {
                crew.workers.push(worker(Random::derived(seed, number.into())));
            }
        }
        crew
    }
}

/// The run from its load to the last read. Answers where the store stood at the end.
async fn direct(crew: &mut Crew, mut taker: Worker) -> Revision {
    let Crew { load, workers, watchers } = crew;
    let working = async {
        join_all(workers.iter_mut().map(|worker| load.work(worker))).await;
        taker.shared.control.healed().await;
        sleep(taker.shared.limits.settle).await;
        let reads = load.last_reads(taker.shared.operations());
        stock::read_all(&mut taker, &reads).await;
        call_in(&mut taker, Audience::Watchers).await
    };
    let watching = join_all(watchers.iter_mut().map(|worker| load.watch(worker)));
    tokio::join!(working, watching);
    call_in(&mut taker, Audience::Observers).await
}

/// Has an audience catch up with what there is now.
async fn call_in(taker: &mut Worker, audience: Audience) -> Revision {
    let revision = match stock::look(taker).await {
        Some((revision, _)) => revision,
        None => {
            taker.shared.fell_short("the store's last revision could not be read in time".to_owned());
            taker.shared.newest()
        }
    };
    taker.shared.set_goal(audience, revision);
    revision
}

/// The revision before the first commit.
async fn empty_at(taker: &mut Worker) -> Result<Revision, RunError> {
    match stock::look(taker).await {
        None => Err(RunError::NoAnswer),
        Some((revision, 0)) => Ok(revision),
        Some((revision, keys)) => Err(RunError::NotEmpty { keys, revision }),
    }
}

/// A client that does no work: it reads, before and after the load, wherever there is an answer.
fn stocktaker(fleet: &Fleet, seed: u64, shared: &Arc<Shared>) -> Worker {
    Worker::new(shared, fleet.observers.clone(), Random::derived(seed, STOCKTAKER))
}

fn observers(fleet: &Fleet, seed: u64, shared: &Arc<Shared>) -> Vec<Worker> {
    let connections = fleet.observers.iter().zip(0_u32..);
    let observer = |(connection, number): (&Arc<dyn Client>, u32)| {
        let random = Random::derived(seed, OBSERVERS + u64::from(number));
        Worker::new(shared, vec![connection.clone()], random)
    };
    connections.map(observer).collect()
}

/// Watches everything on one replica, from the first commit to the last.
async fn observe(mut observer: Worker, base: Revision) {
    let interest = Interest {
        range: KeyRange::all(),
        filters: Filters::default(),
        prev_kv: true,
        progress: true,
        ask: Duration::from_secs(1),
        keep: None,
    };
    let mut follower = Follower::new(&observer, Audience::Observers, interest, base.next());
    while let Ended::Compacted(oldest) = follower.follow(&mut observer).await {
        follower.restart(oldest);
    }
}
