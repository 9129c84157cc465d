//! What stays of a replica from one life to the next.

use keelson_store_core::engine::mem::MemDisk;

use super::{Ending, Life};
use crate::{Node, disk::Pace, random::Random};

/// A replica.
pub(super) struct Replica {
    pub(super) node: Node,
    pub(super) disk: MemDisk,
    pub(super) pace: Pace,
    /// The pace of its clock, in millionths of true time.
    pub(super) clock: u64,
    /// For what a crash leaves.
    pub(super) random: Random,
    pub(super) lives: u64,
    /// Whether its disk has failed since this life began.
    pub(super) trouble: bool,
    /// Whether its own disk keeps it from starting, until an operator has seen to it.
    pub(super) is_lost: bool,
    /// How it ended on a disk that is not its own.
    pub(super) refused: Option<Ending>,
    pub(super) state: State,
}

/// Whether it runs.
pub(super) enum State {
    Down {
        /// Whether it is started again by itself.
        restarts: bool,
    },
    Up(Life),
}
