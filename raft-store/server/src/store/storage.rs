//! Raft on log and state.
//!
//! In: a disk that is bound to a replica. Out: a Raft over whole parts; what was found to be damaged, in this start or
//! before, has been made anew by then, and a disk that was rolled back is refused.

use std::sync::{Arc, Mutex};

use keelson_store_core::{apply::StateMachine, engine::Disk};

use super::{
    identity::OpenLog,
    raft_config,
    rollback::{self, OnDisk},
};
use crate::{
    damage::{Refill, Sentinel, divergence::Start},
    error::OpenError,
    log::LogAdapter,
    options::StoreOptions,
    peer::{Directory, Identity, NetworkFactory, Sending},
    state::{SharedState, StateAdapter},
    types::Raft,
};

/// Attempts in one start. Each mends what the one before has found.
const ATTEMPTS: usize = 3;

/// What Raft is started with.
pub(super) struct Storage<'a> {
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) log: &'a OpenLog,
    pub(super) me: &'a Identity,
    pub(super) directory: &'a Arc<Directory>,
    pub(super) sentinel: &'a Arc<Sentinel>,
    pub(super) sending: &'a Sending,
    pub(super) options: &'a StoreOptions,
}

/// A Raft, and the state that it makes.
pub(super) struct Started {
    pub(super) raft: Raft,
    pub(super) state: Arc<SharedState>,
    pub(super) machine: Arc<Mutex<StateMachine>>,
}

impl Storage<'_> {
    /// Starts Raft, once all that is damaged and can be made anew is whole.
    pub(super) async fn start(&self) -> Result<Started, OpenError> {
        let mut attempt = 1;
        loop {
            self.refill().run().await?;
            match self.attempt().await {
                Err(error) if self.sentinel.noted().is_some() && attempt < ATTEMPTS => {
                    tracing::warn!(%error, "damage is found at the start");
                    attempt += 1;
                }
                started => return started,
            }
        }
    }

    fn refill(&self) -> Refill<'_> {
        Refill {
            disk: self.disk,
            log: &self.log.engine,
            meta: &self.log.meta,
            replica: self.me.replica,
            directory: self.directory,
            sentinel: self.sentinel,
            options: self.options,
        }
    }

    async fn attempt(&self) -> Result<Started, OpenError> {
        let (meta, replica) = (&self.log.meta, self.me.replica);
        let state = StateAdapter::open(self.disk.clone(), meta.clone(), self.sentinel, self.options)?;
        let log = self.sentinel.guard(self.log.engine.clone());
        let log = LogAdapter::open(log, replica, self.options, state.shared().meters().clone())?;
        // Raft reads this too, and of a damaged record it would say only that it cannot begin.
        meta.committed()?;
        log.cut_conflict(state.applied())?;
        let last = log.last()?;
        state.cover(last)?;
        let last = last.max(state.applied());
        let on_disk = OnDisk { last, vote: meta.vote()?, members: state.members()? };
        let (directory, sentinel) = (self.directory, self.sentinel);
        let started = Start { me: replica, directory, sentinel, state: state.shared() };
        let urls = rollback::others(self.options, &on_disk.members);
        let (met, alike) = tokio::join!(
            rollback::check(self.directory, &urls, &on_disk),
            started.check(&urls, state.header(), state.membership()?),
        );
        met.and(alike)?;
        let (shared, machine) = (state.shared().clone(), state.machine());
        let network = NetworkFactory {
            directory: directory.clone(),
            state: shared.clone(),
            timing: self.options.timing,
            sending: self.sending.clone(),
        };
        let raft = Raft::new(replica, raft_config::of(self.options)?, network, log, state).await;
        let raft = raft.map_err(|error| OpenError::Raft(error.to_string()))?;
        shared.raft_has_begun();
        Ok(Started { raft, state: shared, machine })
    }
}
