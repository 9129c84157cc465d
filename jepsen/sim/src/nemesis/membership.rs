//! Changes of who belongs to the cluster.
//!
//! In: whom they hit. Out: members that come, go and are replaced through the store's own calls, while everything else
//! goes on. One removal at a time, and none that would leave a majority to disks that cannot be relied on: what such a
//! cluster loses is not the store's fault. Removals whose outcome is unknown are left to themselves: the logs will say
//! what became of them.

use std::time::Duration;

use keelson_store::{
    Store,
    reconfigure::{Change, ReconfigureError},
};
use keelson_store_core::id::ReplicaId;
use tokio::{sync::oneshot, time::timeout};

use super::{Hit, Nemesis, Strike};
use crate::{Node, cluster::Death, ghost::Trust, random::Random};

/// How long the nemesis waits for an answer, in true time: the clock of whoever is asked may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of a removal.
enum Removal {
    Done,
    /// It was not taken, and never will be.
    Refused,
    Unknown,
}

/// As long as it lives, nobody else changes who belongs, or relies on it.
pub(super) struct Reserved {
    nemesis: Nemesis,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.nemesis.state().is_reserved = false;
    }
}

impl Nemesis {
    pub(super) fn reserve(&self) -> Result<Reserved, &'static str> {
        match std::mem::replace(&mut self.state().is_reserved, true) {
            true => Err("one at a time"),
            false => Ok(Reserved { nemesis: self.clone() }),
        }
    }

    pub(super) fn join(&self, strike: &mut Strike) -> Hit {
        let empty = self.inner.cluster.empty();
        if empty.is_empty() {
            return Err("everybody is there");
        }
        let node = strike.random.pick(&empty);
        self.inner.cluster.seat(node);
        Ok(vec![node])
    }

    pub(super) async fn remove(&self, strike: &mut Strike) -> Hit {
        let _reserved = self.reserve()?;
        let victim = self.victim(&mut strike.random);
        let replica = self.may_go(victim)?;
        match self.ask_to_remove(victim, replica, &mut strike.random).await? {
            Removal::Done | Removal::Unknown => Ok(vec![victim]),
            Removal::Refused => Err("the store has refused"),
        }
    }

    pub(super) async fn replace(&self, strike: &mut Strike) -> Hit {
        let _reserved = self.reserve()?;
        let victim = self.victim(&mut strike.random);
        let replica = self.may_go(victim)?;
        let cluster = &self.inner.cluster;
        cluster.kill(victim, Death::Power);
        match self.ask_to_remove(victim, replica, &mut strike.random).await {
            Ok(Removal::Done) => {
                cluster.vacate(victim);
                cluster.seat(victim);
                self.state().leaving.remove(&victim);
                Ok(vec![victim])
            }
            // Its disk was not lost after all.
            not_done => {
                cluster.start(victim);
                not_done?;
                Err("its removal is not certain")
            }
        }
    }

    /// One that joins is told anew whom to ask, unless it belongs already: those whom it knows may all be gone.
    pub(super) fn remind(&self, node: Node) {
        let cluster = &self.inner.cluster;
        if !cluster.ghost().is_member(node) {
            cluster.kill(node, Death::Process);
        }
    }

    /// The id of a replica whose removal leaves a cluster that can be held to its promises.
    fn may_go(&self, victim: Node) -> Result<ReplicaId, &'static str> {
        let cluster = &self.inner.cluster;
        let ghost = cluster.ghost();
        if self.state().held.contains_key(&victim) {
            return Err("it has a disk that is not its own");
        }
        let id = ghost.id(victim).filter(|_| ghost.is_member(victim)).ok_or("it is no member")?;
        let left = self.reliable_voters().filter(|node| *node != victim).count();
        let unsound = cluster.nodes().filter(|node| *node != victim && ghost.trust(*node) != Trust::Whole);
        match left >= 2 && unsound.count() <= (left - 1) / 2 {
            true => Ok(id),
            false => Err("too few would be left"),
        }
    }

    /// Voters that nobody has asked to go.
    pub(super) fn reliable_voters(&self) -> impl Iterator<Item = Node> {
        let leaving = self.state().leaving.clone();
        let cluster = &self.inner.cluster;
        cluster.nodes().filter(move |node| cluster.ghost().votes_for_good(*node) && !leaving.contains(node))
    }

    async fn ask_to_remove(
        &self,
        victim: Node,
        replica: ReplicaId,
        random: &mut Random,
    ) -> Result<Removal, &'static str> {
        let cluster = &self.inner.cluster;
        let serving: Vec<_> = cluster.nodes().filter(|node| cluster.store(*node).is_some()).collect();
        if serving.is_empty() {
            return Err("nobody serves");
        }
        let (done, answer) = oneshot::channel();
        let visit = move |store: Store| async move {
            // The nemesis may have given up.
            let _ = done.send(store.reconfigure(Change::Remove(replica)).await);
        };
        self.state().leaving.insert(victim);
        let is_asked = cluster.visit(random.pick(&serving), visit);
        let removal = match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(()) | Err(ReconfigureError::Read(_)))) => Removal::Done,
            Ok(Ok(Err(ReconfigureError::Refused(_) | ReconfigureError::NoLeader(_)))) => Removal::Refused,
            Ok(Ok(Err(ReconfigureError::Unknown(_)))) | Err(_) => Removal::Unknown,
            Ok(Err(_)) => {
                if is_asked {
                    Removal::Unknown
                } else {
                    Removal::Refused
                }
            }
        };
        if matches!(removal, Removal::Refused) {
            self.state().leaving.remove(&victim);
        }
        Ok(removal)
    }
}
