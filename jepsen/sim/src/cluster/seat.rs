//! On which machines there are replicas, and how they came there.
//!
//! In: replicas that are to come and go. Out: empty machines, and replicas on new disks that ask to be taken in.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keelson_store_core::engine::mem::MemDisk;

use super::{Cluster, Death, Node, Swarm};

/// What a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// A replica that has founded the cluster.
    Founder,
    /// A replica that joins the cluster, or has joined it.
    Joiner,
    /// None.
    Empty,
}

/// All machines, by node.
pub(super) struct Seats {
    seats: Mutex<Vec<Seat>>,
}

impl Seats {
    pub(super) fn new(swarm: &Swarm) -> Self {
        let seat = |node: Node| if node.0 < swarm.replicas { Seat::Founder } else { Seat::Empty };
        Self { seats: Mutex::new(swarm.nodes().map(seat).collect()) }
    }

    pub(super) fn of(&self, node: Node) -> Seat {
        self.lock()[node.index()]
    }

    /// The machines with a replica.
    pub(super) fn taken(&self) -> Vec<Node> {
        let seats = self.lock();
        (0..).map(Node).zip(&*seats).filter(|(_, seat)| **seat != Seat::Empty).map(|(node, _)| node).collect()
    }

    fn set(&self, node: Node, seat: Seat) {
        self.lock()[node.index()] = seat;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Machines without a replica.
    pub(crate) fn empty(&self) -> Vec<Node> {
        self.inner.swarm.nodes().filter(|node| self.inner.seats.of(*node) == Seat::Empty).collect()
    }

    /// Puts a replica on a new disk where there is none, and starts it: it asks to be taken in.
    pub(crate) fn seat(&self, node: Node) {
        self.inner.seats.set(node, Seat::Joiner);
        self.start(node);
    }

    /// Ends a replica and takes its disk away.
    pub(crate) fn vacate(&self, node: Node) {
        self.kill(node, Death::Process);
        self.tell(node, "goes");
        self.inner.seats.set(node, Seat::Empty);
        self.swap_disk(node, MemDisk::new());
        self.inner.ghost.renewed(node);
    }

    /// Has those go who are no members any more.
    pub(crate) fn clear_out(&self) {
        self.nodes().filter(|node| self.inner.ghost.was_removed(*node)).for_each(|node| self.vacate(node));
    }

    /// Has founders who had to go join anew, so that there is somebody again wherever clients are.
    pub(crate) fn bring_back(&self) {
        self.clear_out();
        let empty = self.empty();
        self.inner.swarm.founders().filter(|node| empty.contains(node)).for_each(|node| self.seat(node));
    }
}
