//! Histories of a correct store: a sequential model, and clients that overlap.
//!
//! In: a seed, and what clients do. Out: a history that keeps every promise, with its commit log. An operation takes
//! effect at one moment between its beginning and its end; some answers are lost, some requests never arrive, some
//! arrive late, some are refused. Deliberately absent: real stores, and real time.

mod clients;
mod random;
mod store;
mod watches;

use keelson_checkers::history::{Bounds, CommitLog, History, Meta, Nanos, Revision};

pub(crate) use clients::Kind;
pub(crate) use random::Random;

use clients::Run;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) clients: u32,
    pub(crate) operations: usize,
    pub(crate) keys: u64,
    pub(crate) watches: usize,
}

/// A correct history.
pub(crate) fn history(seed: u64, kind: Kind, size: Size) -> History {
    let mut random = Random::new(seed);
    let run = Run::new(kind, size, &mut random).finish();
    let watches = watches::of(&run.store, size.watches, &mut random);
    let log = CommitLog { base: Revision(1), commits: run.store.commits };
    let bounds = Bounds { lease_expiry: Some(Nanos(1_000_000_000)), ..Bounds::default() };
    let meta = Meta { workload: format!("{kind:?}"), seed, bounds, ..Meta::default() };
    History { meta, operations: run.operations, watches, log: Some(log), ..History::default() }
}
