//! Damage: noticed wherever something is read, never forgotten, and mended with what is whole.
//!
//! In: what engines answer ([`guard`]). Out: a note on the disk that says what is damaged, and the end of this life. A
//! replica that starts with such a note takes no part in anything, above all in no election, until [`refill`] has made
//! its state anew: out of its own snapshot and log where they are whole, else with a snapshot of a peer.
//!
//! # Rules
//! * **D1** Vote and log are promises, the state is not: it is dropped as soon as it is known to be damaged.
//! * **D2** A log with a damaged entry is dropped only behind a snapshot of a peer that is past all of it. Then whatever
//!   the replica has acknowledged is in that snapshot, or a later leader has taken it back.
//! * **D3** Who cannot read its vote, or which disk this is, does not open, and ends where it is open: nobody but an
//!   operator can help.
//! * **D4** Who has applied what its leader's log contradicts ends, with all that it has ([`contradiction`]): then a majority
//!   has forgotten what it acknowledged, and this may be the last copy. Once the others have written as much anew, their
//!   states are compared with this one's, which is then held to be the wrong one.
//!
//! Deliberately absent: damage that no checksum shows. Replicas compare their states for that ([`divergence`]).

pub(crate) mod contradiction;
pub(crate) mod divergence;
mod guard;
mod refill;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use keelson_store_core::engine::{Disk, Engine, EngineError, Role};
use tokio::sync::Notify;

use crate::{
    log::LogMeta,
    record::{DamageRecord, DamagedPart},
};

use guard::Guarded;
pub(crate) use refill::Refill;

/// What becomes of a replica that has found damage.
const REFILLED: &str = "what is damaged is made anew at the next start";

/// Who notes what is found to be damaged. One per life of a replica.
pub(crate) struct Sentinel {
    meta: LogMeta,
    noted: RwLock<Option<DamageRecord>>,
    /// Why nobody but an operator can help (D3, D4).
    lost: OnceLock<String>,
    /// Wakes whoever ends this life.
    news: Notify,
}

impl Sentinel {
    /// Takes up what former lives have noted.
    pub(crate) fn open(meta: LogMeta) -> Result<Arc<Self>, EngineError> {
        let noted = RwLock::new(meta.damage()?);
        Ok(Arc::new(Self { meta, noted, lost: OnceLock::new(), news: Notify::new() }))
    }

    /// What is damaged here, as far as it is known and not mended.
    pub(crate) fn noted(&self) -> Option<DamageRecord> {
        self.noted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether all damage that is known is of the kind that the next start makes good.
    pub(crate) fn is_mended_at_start(&self) -> bool {
        self.lost.get().is_none() && self.noted().is_some()
    }

    /// Completes when something is found in this life; says what, and what comes of it. One caller at a time.
    pub(crate) async fn finds(&self) -> String {
        loop {
            self.news.notified().await;
            if let Some(what) = self.lost.get() {
                return what.clone();
            }
            if let Some(DamageRecord { what, .. }) = self.noted() {
                return format!("{what}; {REFILLED}");
            }
        }
    }

    /// Ends this life, if a result says that something is damaged that cannot be made anew. The next start says what to do.
    fn look_at_promises<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(error @ EngineError::Corrupt { .. }) = &result
            && self.lost.set(error.to_string()).is_ok()
        {
            tracing::error!(%error, "damage is found that only an operator can help with: this replica ends");
            self.news.notify_one();
        }
        result
    }

    /// Ends this life, for a reason that only an operator can do something about. Nothing is noted: what is on the disk is
    /// whole.
    pub(crate) fn end(&self, why: String) {
        if let Err(known) = self.lost.set(why) {
            tracing::debug!(known, "this replica ends already");
            return;
        }
        self.news.notify_one();
    }

    /// Notes that a part is damaged, durably, unless worse is known.
    pub(crate) fn note(&self, part: DamagedPart, what: &str) {
        if self.noted().is_some_and(|known| known.part >= part) {
            return;
        }
        tracing::error!(what, "damage is found: this replica serves nothing any more until it is refilled");
        let record = DamageRecord { part, what: what.to_owned() };
        if let Err(error) = self.meta.set_damage(&record) {
            // Whoever reads there again will find it again.
            tracing::warn!(%error, "the damage cannot be noted");
        }
        *self.noted.write().unwrap_or_else(PoisonError::into_inner) = Some(record);
        self.news.notify_one();
    }

    /// Notes damage of the state, if that is what a result says.
    pub(crate) fn look_at_state<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        self.look(DamagedPart::State, result)
    }

    /// Opens a store of a state whose damage does not go unnoticed.
    pub(crate) fn open_state(
        self: &Arc<Self>,
        disk: &dyn Disk,
        name: &str,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(self.guard(self.look_at_state(disk.open(name, Role::State))?))
    }

    /// An engine whose damage does not go unnoticed.
    pub(crate) fn guard(self: &Arc<Self>, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        Arc::new(Guarded::new(engine, self.clone()))
    }

    /// What was damaged is gone from the disk.
    fn mended(&self) {
        *self.noted.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn look<T>(&self, part: DamagedPart, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(error @ EngineError::Corrupt { .. }) = &result {
            self.note(part, &error.to_string());
        }
        result
    }
}
