//! The network between replicas, and between clients and replicas.
//!
//! In: dials, bytes, and what the nemesis does to links. Out: streams as a program sees TCP's: bytes in order, late,
//! or a connection that breaks or falls silent. Between two connections nothing is ordered: what an old one still
//! carries may arrive after a new one is up.
//!
//! Packets themselves are not modelled. One that is lost is a pause of its connection until it is sent again, one that
//! comes twice or out of order is put right by TCP; what is left of them is what is injected here.

mod link;
mod stream;
mod transport;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use keelson_store::peer::{Duplex, Transport};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

pub use link::Weather;
use link::{Link, Links};
use stream::{Endpoint, Pipe};

use crate::{random::Random, trace::Trace};

/// A place on the network: a replica's, or a client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u8);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl Node {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Where its peers reach it.
    pub(crate) fn url(self) -> String {
        format!("sim://{self}")
    }

    fn of_url(url: &str) -> Option<Self> {
        url.strip_prefix("sim://n")?.parse().ok().map(Self)
    }
}

/// The network. Clones share it.
#[derive(Clone)]
pub(crate) struct Network {
    inner: Arc<Mutex<Inner>>,
    /// Told whenever a link or a node comes or goes.
    changed: Arc<watch::Sender<()>>,
    trace: Trace,
}

struct Inner {
    random: Random,
    links: Links,
    /// Nodes whose machine has no power: they send nothing, not even that a connection is gone.
    dark: Vec<bool>,
    listeners: BTreeMap<Node, mpsc::UnboundedSender<Incoming>>,
    /// Every direction of every connection that may still be open.
    pipes: Vec<Weak<Mutex<Pipe>>>,
}

type Incoming = (Node, Box<dyn Duplex>);

impl Network {
    /// A network of so many nodes, all of which reach each other in `weather`.
    pub(crate) fn new(nodes: usize, weather: Weather, random: Random, trace: Trace) -> Self {
        let inner = Inner {
            random,
            links: Links::new(nodes, weather),
            dark: vec![false; nodes],
            listeners: BTreeMap::new(),
            pipes: Vec::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), changed: Arc::default(), trace }
    }

    /// Listens in a node's name, in place of whoever did before.
    pub(crate) fn listen(&self, node: Node) -> Arc<dyn Transport> {
        let (sender, incoming) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        inner.listeners.insert(node, sender);
        inner.dark[node.index()] = false;
        drop(inner);
        self.changed.send_replace(());
        transport::new(self.clone(), node, incoming)
    }

    /// The process at a node is gone; its machine says so to whoever asks.
    pub(crate) fn hang_up(&self, node: Node) {
        self.lock().listeners.remove(&node);
    }

    /// The machine at a node has lost its power: nobody is told anything, until it has it again.
    pub(crate) fn darken(&self, node: Node, dark: bool) {
        let mut inner = self.lock();
        inner.dark[node.index()] = dark;
        if dark {
            inner.listeners.remove(&node);
        }
        drop(inner);
        self.changed.send_replace(());
    }

    /// Cuts and mends links until exactly those are cut for which `is_cut` holds.
    pub(crate) fn cut(&self, is_cut: impl Fn(Node, Node) -> bool) {
        let mut inner = self.lock();
        let Inner { links, pipes, random, .. } = &mut *inner;
        let now = Instant::now();
        for (from, to) in links.pairs() {
            let Some(outage) = links.get_mut(from, to).set_cut(is_cut(from, to), now) else { continue };
            for pipe in pipes.iter().filter_map(Weak::upgrade) {
                stream::lock(&pipe).on_link(from, to, outage, now, random);
            }
        }
        drop(inner);
        self.changed.send_replace(());
    }

    /// From now on it is as `weather` says on the links for which `is_meant` holds.
    pub(crate) fn set_weather(&self, weather: Weather, is_meant: impl Fn(Node, Node) -> bool) {
        let mut inner = self.lock();
        for (from, to) in inner.links.pairs() {
            if is_meant(from, to) {
                inner.links.get_mut(from, to).weather = weather;
            }
        }
    }

    /// Breaks every connection between nodes for which `is_meant` holds; both ends notice.
    pub(crate) fn reset(&self, is_meant: impl Fn(Node, Node) -> bool) {
        let now = Instant::now();
        for pipe in self.pipes() {
            let mut pipe = stream::lock(&pipe);
            if is_meant(pipe.from, pipe.to) {
                pipe.reset(now);
            }
        }
    }

    /// What the connections of now carry between such nodes arrives so much later; new ones are as fast as ever.
    pub(crate) fn stall(&self, time: Duration, is_meant: impl Fn(Node, Node) -> bool) {
        let until = Instant::now() + time;
        for pipe in self.pipes() {
            let mut pipe = stream::lock(&pipe);
            if is_meant(pipe.from, pipe.to) {
                pipe.stall(until);
            }
        }
    }

    /// Completes when a message that leaves now has arrived; never while the link is cut.
    pub(crate) async fn travel(&self, from: Node, to: Node) {
        let mut changed = self.changed.subscribe();
        loop {
            let delay = self.delay(from, to);
            tokio::time::sleep(delay).await;
            loop {
                changed.borrow_and_update();
                if self.is_open(from, to) {
                    return;
                }
                if changed.changed().await.is_err() {
                    return std::future::pending().await;
                }
                if self.is_open(from, to) {
                    // It was lost, and is sent again.
                    break;
                }
            }
        }
    }

    /// Completes when the next message of a stream has arrived that was sent at `sent`, after one that arrived at
    /// `last`; answers when that is.
    pub(crate) async fn arrive(&self, from: Node, to: Node, sent: Instant, last: Instant) -> Instant {
        tokio::time::sleep_until((sent + self.delay(from, to)).max(last)).await;
        if !self.is_open(from, to) {
            self.travel(from, to).await;
        }
        Instant::now()
    }

    fn delay(&self, from: Node, to: Node) -> Duration {
        let Inner { links, random, .. } = &mut *self.lock();
        links.get(from, to).weather.delay(random)
    }

    fn is_open(&self, from: Node, to: Node) -> bool {
        let inner = self.lock();
        !inner.links.get(from, to).is_cut() && !inner.dark[to.index()] && !inner.dark[from.index()]
    }

    /// Makes a connection; answers its two ends.
    fn connect(&self, from: Node, to: Node) -> [Endpoint; 2] {
        let mut inner = self.lock();
        let pipe = |inner: &Inner, from, to| {
            let is_cut = inner.links.get(from, to).is_cut();
            Arc::new(Mutex::new(Pipe::new(from, to, is_cut)))
        };
        let (there, back) = (pipe(&inner, from, to), pipe(&inner, to, from));
        inner.pipes.retain(|pipe| pipe.strong_count() > 0);
        inner.pipes.extend([&there, &back].map(Arc::downgrade));
        drop(inner);
        let near = Endpoint::new(self.clone(), back.clone(), there.clone());
        [near, Endpoint::new(self.clone(), there, back)]
    }

    fn pipes(&self) -> Vec<Arc<Mutex<Pipe>>> {
        self.lock().pipes.iter().filter_map(Weak::upgrade).collect()
    }

    /// A panic elsewhere is reported by whoever notices it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn link(&self, from: Node, to: Node) -> &Link {
        self.links.get(from, to)
    }
}

#[cfg(test)]
mod tests;
