//! One life of a replica: from its process's start to its end.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use keelson_store::{OpenError, Store, StoreOptions, compactor, peer::Transport, runtime, runtime::Machine};
use tokio::sync::mpsc;

use super::{Cluster, Replica};
use crate::{
    disk::Mount,
    random::{Purpose, Random},
};

/// A visit to a store, by whoever serves clients there.
type Visit = Box<dyn FnOnce(Store) -> BoxFuture<'static, ()> + Send>;

/// A running process.
pub(super) struct Life {
    machine: Machine,
    mount: Mount,
    store: Arc<OnceLock<Store>>,
    visits: mpsc::UnboundedSender<Visit>,
    expected_to_stop: AtomicBool,
}

/// How a process ended by itself.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// The cluster does not let it in.
    Refused(String),
    /// It did not open its store. It may the next time.
    NotOpened(String),
    /// What it has promised is damaged: nobody but an operator can bring it back.
    Lost(String),
    /// Its store stopped.
    Stopped(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "is refused: {why}"),
            Self::NotOpened(why) => write!(f, "does not open its store: {why}"),
            Self::Lost(why) => write!(f, "is lost: {why}"),
            Self::Stopped(why) => write!(f, "stops: {why}"),
        }
    }
}

impl Life {
    pub(super) fn begin(cluster: &Cluster, replica: &mut Replica) -> Self {
        let inner = &cluster.inner;
        let (node, number) = (replica.node, replica.lives);
        let machine = Machine::new();
        machine.set_pace(replica.clock);
        machine.set_aside_time(replica.pace.sync());
        let (disk, pace) = (replica.disk.clone(), replica.pace.clone());
        replica.trouble = disk.faults() != Default::default();
        let mount = Mount::new(node, disk, machine.clone(), pace, inner.ghost.clone());
        let transport = inner.network.listen(node);
        let store = Arc::new(OnceLock::new());
        let (visits, visitors) = mpsc::unbounded_channel();
        let run = live(
            mount.clone(),
            transport,
            cluster.options(node),
            store.clone(),
            visitors,
            inner.swarm.keep_history(),
        );
        let index = u64::from(node.0) << 24 | number;
        let cluster = cluster.clone();
        let (ended, ending) = tokio::sync::oneshot::channel();
        machine.start(Random::new(inner.seed, Purpose::Replica, index).next(), async move {
            // Whoever is told may be gone at the end of the run.
            let _ = ended.send(run.await);
        });
        tokio::spawn(async move {
            // A process that is killed says nothing.
            if let Ok(ending) = ending.await {
                cluster.ended(node, number, ending);
            }
        });
        Self { machine, mount, store, visits, expected_to_stop: AtomicBool::new(false) }
    }

    /// Ends it, at once: nothing of it happens any more.
    pub(super) fn end(self) {
        self.mount.cut_off();
        self.machine.kill();
    }

    /// Its store, once that is open.
    pub(super) fn store(&self) -> Option<Store> {
        self.store.get().cloned()
    }

    /// Has a visit made at the store, once that is open; false when nobody is left to take it.
    pub(super) fn visit<F>(&self, visit: impl FnOnce(Store) -> F + Send + 'static) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.visits.send(Box::new(|store| Box::pin(visit(store)))).is_ok()
    }

    pub(super) fn expect_to_stop(&self) {
        self.expected_to_stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_expected_to_stop(&self) -> bool {
        self.expected_to_stop.load(Ordering::Relaxed)
    }

    pub(super) fn pause(&self, pause: bool) {
        if pause { self.machine.pause() } else { self.machine.resume() }
    }

    pub(super) fn set_clock(&self, pace: u64) {
        self.machine.set_pace(pace);
    }

    pub(super) fn set_aside_time(&self, time: Duration) {
        self.machine.set_aside_time(time);
    }
}

async fn live(
    mount: Mount,
    transport: Arc<dyn Transport>,
    options: StoreOptions,
    slot: Arc<OnceLock<Store>>,
    mut visits: mpsc::UnboundedReceiver<Visit>,
    keep_history: Option<Duration>,
) -> Ending {
    let store = match Box::pin(Store::open(Arc::new(mount), transport, options)).await {
        Ok(store) => slot.get_or_init(|| store),
        Err(error) => return not_opened(&error),
    };
    if let Some(keep) = keep_history {
        runtime::spawn(compactor::run(store.clone(), keep));
    }
    loop {
        tokio::select! {
            biased;
            why = store.failed() => return Ending::Stopped(why),
            visit = visits.recv() => match visit {
                Some(visit) => drop(runtime::spawn(visit(store.clone()))),
                None => return Ending::Stopped("nobody is left who could visit it".to_owned()),
            },
        }
    }
}

fn not_opened(error: &OpenError) -> Ending {
    let why = error.to_string();
    match error {
        OpenError::Refused { .. } | OpenError::RolledBack { .. } => Ending::Refused(why),
        OpenError::Damaged(_) | OpenError::LogMissing(_) => Ending::Lost(why),
        _ => Ending::NotOpened(why),
    }
}
