//! One direction between two nodes.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::Node;
use crate::random::Random;

/// How long a lost packet takes to be sent again, in microseconds: TCP's first timeout, doubled now and then.
const RESEND_MICROS: [u64; 4] = [200_000, 200_000, 400_000, 800_000];

/// How long things take on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Weather {
    /// The shortest way, in microseconds.
    pub least_micros: u64,
    /// The longest way, in microseconds.
    pub most_micros: u64,
    /// Of a thousand packets so many are lost and sent again.
    pub loss_permille: u64,
}

impl Weather {
    /// How long something takes that leaves now.
    pub(super) fn delay(self, random: &mut Random) -> Duration {
        let mut micros = random.between(self.least_micros, self.most_micros);
        if random.below(1000) < self.loss_permille {
            micros += random.pick(&RESEND_MICROS);
        }
        Duration::from_micros(micros)
    }
}

/// One direction between two nodes.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) weather: Weather,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Cut { since: Instant },
}

/// What became of a link.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// It carries nothing any more.
    Cut,
    /// It carries again, after so long.
    Mended(Duration),
}

impl Link {
    pub(super) const fn is_cut(&self) -> bool {
        matches!(self.state, State::Cut { .. })
    }

    /// Cuts or mends; `None` when nothing changes.
    pub(super) fn set_cut(&mut self, cut: bool, now: Instant) -> Option<Turn> {
        match (self.state, cut) {
            (State::Open, true) => {
                self.state = State::Cut { since: now };
                Some(Turn::Cut)
            }
            (State::Cut { since }, false) => {
                self.state = State::Open;
                Some(Turn::Mended(now - since))
            }
            (State::Open, false) | (State::Cut { .. }, true) => None,
        }
    }
}

/// All directions between all nodes.
pub(super) struct Links {
    nodes: usize,
    /// Row by row, by sender and then by receiver.
    links: Vec<Link>,
}

impl Links {
    pub(super) fn new(nodes: usize, weather: Weather) -> Self {
        Self { nodes, links: vec![Link { weather, state: State::Open }; nodes * nodes] }
    }

    pub(super) fn get(&self, from: Node, to: Node) -> &Link {
        &self.links[from.index() * self.nodes + to.index()]
    }

    pub(super) fn get_mut(&mut self, from: Node, to: Node) -> &mut Link {
        &mut self.links[from.index() * self.nodes + to.index()]
    }

    /// Every direction.
    pub(super) fn pairs(&self) -> Vec<(Node, Node)> {
        let nodes = || (0..self.nodes).map(|node| Node(u8::try_from(node).expect("a cluster has few nodes")));
        nodes().flat_map(|from| nodes().map(move |to| (from, to))).filter(|(from, to)| from != to).collect()
    }
}
