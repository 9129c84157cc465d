//! The cluster: replicas that live, die and come back, each on a machine, a disk and a node of its own.
//!
//! In: what shall befall a replica. Out: stores that serve, and for the ghost every birth and death. A replica that
//! stops by itself is started again after a while, again and again, as a service manager would, but where its disk tells it
//! to wait for an operator.
//!
//! Deliberately absent: who is a member. Replicas are asked to join and to go (`nemesis`), and the logs say what came of
//! it (`ghost`); here is only on which machine there is a replica, and whether its flags let it found or join.

mod life;
mod replica;
mod seat;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keelson_store::{
    Member, Store, StoreOptions,
    options::{Beginning, InitialMember, Timing},
    runtime::Offload,
};
use keelson_store_core::{
    engine::mem::{Faults, MemDisk},
    id::ReplicaId,
};

use crate::{
    Node,
    disk::{Pace, lasting_header},
    ghost::{Broken, Ghost, Trust},
    invariant::Invariant,
    network::Network,
    plan::Swarm,
    random::{Purpose, Random},
    trace::{Event, Trace},
};
pub(crate) use life::Ending;
use life::Life;
use replica::{Replica, State};
use seat::{Seat, Seats};

/// How a replica dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process alone: its machine tells its peers.
    Process,
    /// The machine loses its power: nobody is told.
    Power,
}

/// All replicas. Clones share them.
#[derive(Clone)]
pub(crate) struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    swarm: Swarm,
    network: Network,
    ghost: Ghost,
    trace: Trace,
    replicas: Vec<Mutex<Replica>>,
    seats: Seats,
}

impl Cluster {
    /// Founders on new disks, none of which runs yet.
    pub(crate) fn new(seed: u64, swarm: &Swarm, network: Network, ghost: Ghost, trace: Trace) -> Self {
        let replicas = swarm.nodes().map(|node| Mutex::new(Replica::new(node, seed, swarm))).collect();
        let seats = Seats::new(swarm);
        let inner = Inner { seed, swarm: swarm.clone(), network, ghost, trace, replicas, seats };
        Self { inner: Arc::new(inner) }
    }

    /// All replicas that there are.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        self.inner.seats.taken().into_iter()
    }

    pub(crate) fn network(&self) -> &Network {
        &self.inner.network
    }

    pub(crate) fn ghost(&self) -> &Ghost {
        &self.inner.ghost
    }

    /// Starts a replica that is down; a no-op on any other.
    pub(crate) fn start(&self, node: Node) {
        let mut replica = self.replica(node);
        let State::Down { .. } = replica.state else { return };
        if self.inner.seats.of(node) == Seat::Empty {
            return;
        }
        self.tell(node, "starts");
        replica.lives += 1;
        let life = Life::begin(self, &mut replica);
        replica.state = State::Up(life);
    }

    /// Ends a replica, now; a no-op where it is down. It stays down until it is started.
    pub(crate) fn kill(&self, node: Node, death: Death) {
        let mut replica = self.replica(node);
        if death == Death::Power {
            self.inner.network.darken(node, true);
        }
        let State::Up(life) = std::mem::replace(&mut replica.state, State::Down { restarts: false }) else {
            return;
        };
        self.tell(
            node,
            match death {
                Death::Process => "is killed",
                Death::Power => "loses its power",
            },
        );
        life.end();
        self.inner.network.hang_up(node);
        let Replica { disk, random, .. } = &mut *replica;
        disk.crash(&mut |at_risk| {
            let count = at_risk.count() as u64;
            let left = random.below(3);
            // All, nothing, or something between.
            let kept = if left == 0 {
                count
            } else if left == 1 {
                0
            } else {
                random.below(count + 1)
            };
            usize::try_from(kept).unwrap_or(usize::MAX)
        });
        drop(replica);
        self.inner.ghost.crashed(node);
    }

    /// Hands over what it leads, stops and is started again.
    pub(crate) fn restart_in_order(&self, node: Node) {
        let State::Up(life) = &self.replica(node).state else { return };
        self.tell(node, "stops in order");
        life.visit(async |store: Store| store.shutdown().await);
        life.expect_to_stop();
    }

    /// What a life that ended by itself means, and what comes next.
    fn ended(&self, node: Node, life: u64, ending: Ending) {
        let mut replica = self.replica(node);
        if replica.lives != life || !matches!(replica.state, State::Up(_)) {
            return;
        }
        self.tell(node, &ending.to_string());
        let (trust, is_out) = (self.inner.ghost.trust(node), self.inner.ghost.was_removed(node));
        let excused = match &replica.state {
            State::Up(life) => life.is_expected_to_stop() || replica.trouble || trust == Trust::Damaged,
            State::Down { .. } => true,
        };
        let is_foreign = trust == Trust::Foreign;
        if !excused && !is_foreign && !is_out {
            self.inner.ghost.report(Broken(Invariant::StopsForDisks, format!("{node} {ending}")));
        }
        let is_lost = matches!(ending, Ending::Lost(_)) && trust == Trust::Damaged;
        replica.is_lost |= is_lost;
        replica.refused = is_foreign.then_some(ending);
        drop(replica);
        self.kill(node, Death::Process);
        // One that is lost waits for somebody to look at it, and one that was removed for the end.
        if !is_foreign && !is_out && !is_lost {
            self.restart_soon(node);
        }
    }

    fn restart_soon(&self, node: Node) {
        let mut replica = self.replica(node);
        replica.state = State::Down { restarts: true };
        let (lives, pause) = (replica.lives, self.inner.swarm.restart());
        drop(replica);
        let cluster = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let is_due = {
                let replica = cluster.replica(node);
                replica.lives == lives && matches!(replica.state, State::Down { restarts: true })
            };
            if is_due {
                cluster.start(node);
            }
        });
    }

    /// Whether a replica runs, serving or not yet.
    pub(crate) fn is_up(&self, node: Node) -> bool {
        matches!(self.replica(node).state, State::Up(_))
    }

    /// Whether what a replica has promised is damaged, so that it does not open.
    pub(crate) fn is_lost(&self, node: Node) -> bool {
        self.replica(node).is_lost
    }

    /// The store of a replica that serves.
    pub(crate) fn store(&self, node: Node) -> Option<Store> {
        match &self.replica(node).state {
            State::Up(life) => life.store(),
            State::Down { .. } => None,
        }
    }

    /// How often the replica was started.
    pub(crate) fn lives(&self, node: Node) -> u64 {
        self.replica(node).lives
    }

    /// Has a visit made at a replica; false when nobody is there to take it.
    pub(crate) fn visit<F>(&self, node: Node, visit: impl FnOnce(Store) -> F + Send + 'static) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match &self.replica(node).state {
            State::Up(life) if life.store().is_some() => life.visit(visit),
            State::Up(_) | State::Down { .. } => false,
        }
    }

    /// The replica that takes itself for the leader in the highest term.
    pub(crate) fn leader(&self) -> Option<Node> {
        let leading = |node: Node| {
            let status = self.store(node)?.status();
            (status.leader == Some(status.replica)).then_some((status.term, node))
        };
        self.nodes().filter_map(leading).max().map(|(_, node)| node)
    }

    /// A replica's id, where it has got so far.
    pub(crate) fn replica_id(&self, node: Node) -> Option<ReplicaId> {
        Some(self.store(node)?.status().replica)
    }

    pub(crate) fn pause(&self, node: Node, pause: bool) {
        if let State::Up(life) = &self.replica(node).state {
            life.pause(pause);
        }
    }

    /// From now on, over all lives, the replica's clock runs at so many millionths of true time.
    pub(crate) fn set_clock(&self, node: Node, pace: u64) {
        let mut replica = self.replica(node);
        replica.clock = pace;
        if let State::Up(life) = &replica.state {
            life.set_clock(pace);
        }
    }

    /// From now on syncs of the replica's disk take about so long.
    pub(crate) fn set_sync_time(&self, node: Node, time: Duration) {
        let replica = self.replica(node);
        replica.pace.set(time);
        if let State::Up(life) = &replica.state {
            life.set_aside_time(time);
        }
    }

    /// Replaces the faults of the replica's disk.
    pub(crate) fn set_disk_faults(&self, node: Node, faults: Faults) {
        let mut replica = self.replica(node);
        replica.trouble |= faults != Faults::default();
        replica.disk.set_faults(faults);
    }

    /// The replica's disk, for those who do something to it.
    pub(crate) fn disk(&self, node: Node) -> MemDisk {
        self.replica(node).disk.clone()
    }

    /// Whether a replica still has another state than it should have: no store that it merely looks at counts, and
    /// nothing that a power cut would take away again.
    pub(crate) fn has_diverged(&self, node: Node) -> bool {
        if !self.ghost().has_diverged(node) {
            return false;
        }
        let is_whole = lasting_header(&self.disk(node)).is_some_and(|header| self.ghost().is_shared(&header));
        if is_whole {
            self.ghost().mended(node);
        }
        !is_whole
    }

    /// Puts another disk into a replica that is down; answers the one that it had.
    pub(crate) fn swap_disk(&self, node: Node, disk: MemDisk) -> MemDisk {
        let mut replica = self.replica(node);
        (replica.refused, replica.is_lost) = (None, false);
        std::mem::replace(&mut replica.disk, disk)
    }

    /// How a replica with a foreign disk was refused, once it was.
    pub(crate) fn refusal(&self, node: Node) -> Option<String> {
        self.replica(node).refused.as_ref().map(Ending::to_string)
    }

    fn replica(&self, node: Node) -> MutexGuard<'_, Replica> {
        self.inner.replicas[node.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, node: Node, what: &str) {
        self.inner.trace.note(Event::Told(format!("{node} {what}")));
        tracing::info!(at = self.inner.trace.now() / 1_000_000, "{node} {what}");
    }

    fn options(&self, node: Node) -> StoreOptions {
        let swarm = &self.inner.swarm;
        let member = |node: Node| InitialMember { name: node.to_string(), peer_url: node.url() };
        let own = Member {
            name: node.to_string(),
            peer_urls: vec![node.url()],
            client_urls: vec![],
            ..Member::default()
        };
        let (beginning, others): (_, Vec<_>) = match self.inner.seats.of(node) {
            Seat::Founder => (Beginning::Founding, swarm.founders().map(member).collect()),
            Seat::Joiner | Seat::Empty => (Beginning::Joining, self.nodes().map(member).collect()),
        };
        let mut options = StoreOptions::new(own, others, "sim".into());
        options.beginning = beginning;
        options.timing = Timing {
            heartbeat: Duration::from_millis(swarm.heartbeat_millis),
            election_min: Duration::from_millis(swarm.election_min_millis),
            election_max: Duration::from_millis(swarm.election_max_millis),
        };
        options.snapshot_every = swarm.snapshot_every;
        options.keep_behind_snapshot = swarm.keep_behind_snapshot;
        options.request_timeout = Duration::from_millis(swarm.request_timeout_millis);
        options.log_cache_bytes = swarm.log_cache_bytes;
        options.watch_history_bytes = swarm.watch_history_bytes;
        options.offload = Offload::Inline;
        options
    }
}

impl Replica {
    fn new(node: Node, seed: u64, swarm: &Swarm) -> Self {
        let index = node.0.into();
        let pace = Pace::new(swarm.sync(), Random::new(seed, Purpose::Disk, 1 << 8 | index));
        Self {
            node,
            disk: MemDisk::new(),
            pace,
            clock: 1_000_000,
            random: Random::new(seed, Purpose::Disk, index),
            lives: 0,
            trouble: false,
            is_lost: false,
            refused: None,
            state: State::Down { restarts: false },
        }
    }
}
