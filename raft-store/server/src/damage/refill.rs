//! A damaged state is made anew, before its replica takes part in anything.
//!
//! In: a note of damage, and what else is on the disk. Out: a whole state, and a log that goes on where it ends. What is
//! here comes first: the replica's own snapshot and log need no peer, and so a cluster of one can be mended, too. A
//! state that others contradict, and a log with a hole, need a peer's snapshot; whoever waits for one waits for as long
//! as it takes, and harms nobody meanwhile. A member without peers has nothing to wait for: an operator has to say what
//! becomes of it.
//!
//! Deliberately absent: members that replace others by themselves. The replica keeps its id, and its vote.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use keelson_store_core::{
    engine::{Disk, Engine, EngineError},
    id::{LogIndex, ReplicaId},
};

use super::Sentinel;
use crate::{
    error::OpenError,
    log::{LogMeta, Survey},
    options::StoreOptions,
    peer::{Directory, SnapshotWish, denies_membership, fetch_snapshot},
    record::DamagedPart,
    runtime::clock::sleep,
    state,
    types::{self, SnapshotMeta},
};

/// Between two rounds in which nobody had a snapshot to give.
const PAUSE: Duration = Duration::from_millis(500);
/// Rounds between two lines in the log that say who is missing.
const REMIND_EVERY: u32 = 20;
/// So many rounds must agree that this replica is no member any more.
const DENIALS: u32 = 3;

/// What a refill works with.
pub(crate) struct Refill<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) log: &'a Arc<dyn Engine>,
    pub(crate) meta: &'a LogMeta,
    pub(crate) replica: ReplicaId,
    pub(crate) directory: &'a Directory,
    pub(crate) sentinel: &'a Sentinel,
    pub(crate) options: &'a StoreOptions,
}

impl Refill<'_> {
    /// Makes the state anew if something is noted to be damaged.
    ///
    /// # Errors
    /// The disk fails, what is damaged cannot be made anew, nobody is there to be asked, or the replica was removed meanwhile.
    pub(crate) async fn run(&self) -> Result<(), OpenError> {
        let Some(noted) = self.sentinel.noted() else { return Ok(()) };
        let survey = self.survey().await?;
        let part = if survey.is_whole() { noted.part } else { DamagedPart::Log };
        tracing::warn!(what = noted.what, ?part, "damaged: the state is made anew");
        let is_rebuilt = match part {
            DamagedPart::State => self.rebuild().await?,
            DamagedPart::Diverged | DamagedPart::Log => false,
        };
        if is_rebuilt {
            tracing::info!("the state was made anew out of this replica's own snapshot and log");
        } else {
            self.ask_peers(part, &noted.what, &survey).await?;
        }
        self.sentinel.mended();
        Ok(())
    }

    async fn survey(&self) -> Result<Survey, OpenError> {
        let (log, meta) = (self.log.clone(), self.meta.clone());
        Ok(self.aside(move || Survey::of(&*log, &meta, LogIndex::default())).await?)
    }

    async fn rebuild(&self) -> Result<bool, OpenError> {
        let (disk, meta) = (self.disk.clone(), self.meta.clone());
        Ok(self.aside(move || state::rebuild(&*disk, &meta)).await?)
    }

    /// D2: without a whole log, what comes from a peer must be past all of it.
    async fn ask_peers(&self, part: DamagedPart, what: &str, survey: &Survey) -> Result<(), OpenError> {
        let urls = self.urls(survey)?;
        if urls.is_empty() {
            let what = survey.damage.as_ref().map_or(what, |(_, of_log)| of_log);
            return Err(OpenError::NobodyToAsk(what.to_owned()));
        }
        let purged = self.meta.purged()?;
        let at_least = match part {
            DamagedPart::State | DamagedPart::Diverged => purged,
            DamagedPart::Log => survey.last,
        };
        // Damage here is no peer's fault, and no other peer would help.
        let live = self.meta.state_store()?;
        let wish = SnapshotWish { at_least, live, disk: self.disk, offload: self.options.offload };
        let (store, contents) = self.fetch(&wish, &urls).await?;
        let last = contents.last_log_id.as_ref().map(types::position);
        let goes_on = last == purged || last.map_or(Ok(true), |last| self.meta.holds(last))?;
        let keep_log = part != DamagedPart::Log && goes_on;
        let (disk, meta, replica) = (self.disk.clone(), self.meta.clone(), self.replica);
        self.aside(move || state::put_in_place(&disk, &meta, replica, &store, keep_log)).await?;
        tracing::info!(?last, keep_log, "the state was refilled with a peer's snapshot");
        Ok(())
    }

    /// Asks one peer after the other until one of them has given a snapshot that is whole.
    async fn fetch(
        &self,
        wish: &SnapshotWish<'_>,
        urls: &BTreeSet<String>,
    ) -> Result<(String, SnapshotMeta), OpenError> {
        let mut denials = 0;
        for round in 0_u32.. {
            let mut refusals = Vec::new();
            for url in urls {
                match fetch_snapshot(self.directory, url, wish).await {
                    Ok(fetched) => return Ok(fetched),
                    Err(refusal) => refusals.push((url, refusal)),
                }
            }
            let is_denied = refusals.iter().any(|(_, why)| is_denial(why));
            let is_known = refusals.iter().any(|(_, why)| is_answer(why) && !is_denial(why));
            denials = if is_denied && !is_known { denials + 1 } else { 0 };
            if denials >= DENIALS {
                return Err(OpenError::Removed);
            }
            if round.is_multiple_of(REMIND_EVERY) {
                let missing: Vec<_> = refusals.iter().map(|(url, why)| format!("{url}: {why}")).collect();
                let missing = missing.join("; ");
                tracing::warn!(missing, at_least = ?wish.at_least, "waiting for a snapshot of a peer");
            }
            sleep(PAUSE).await;
        }
        unreachable!("nobody waits for four billion rounds")
    }

    /// Where there may be peers: whom the flags name, and whom this disk knows.
    fn urls(&self, survey: &Survey) -> Result<BTreeSet<String>, EngineError> {
        let own = &self.options.member.name;
        let snapshot = self.meta.snapshot()?;
        let known = snapshot.iter().flat_map(|snapshot| snapshot.membership.members.values());
        let known = known.chain(&survey.members).filter(|member| member.name != *own);
        let told = self.options.initial_cluster.iter().filter(|member| member.name != *own);
        let told = told.map(|member| member.peer_url.clone());
        Ok(known.flat_map(|member| member.peer_urls.iter().cloned()).chain(told).collect())
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let done = self.options.offload.run(work).await;
        done.unwrap_or_else(|error| {
            Err(EngineError::Io { what: "making the state anew".to_owned(), cause: error.to_string() })
        })
    }
}

/// Whether somebody was there at all.
fn is_answer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Other)
}

/// Whether a peer says that this replica is no member.
fn is_denial(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted && denies_membership(&error.to_string())
}
