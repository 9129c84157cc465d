//! What one replica's disk still holds, when there is no quorum left to ask.
//!
//! In: the disk of a replica that does not run. Out: the state with everything in its log, ready to be
//! written to a file. What the disk holds stays as it is: the log's end is applied to a copy of the state.
//!
//! Entries that the replica does not know to be committed count, too: any of them may have been acknowledged
//! with its help. One that was not was *unknown* to whoever wrote it, and may come to pass.
//!
//! Of a log with a damaged entry everything before that entry survives. What is behind it does not: it was decided on top
//! of what is lost.

use std::{io, sync::Arc};

use keelson_store_core::{
    apply::StateMachine,
    engine::{Disk, Engine, EngineError, Family, Role},
    id::{LogIndex, LogPosition},
};

use super::{
    format::{Head, Totals},
    write::{Sealed, write},
};
use crate::{
    log::{LogMeta, Survey},
    record,
    state::apply_entry,
    store::LOG_STORE,
};

/// Where the copy lies while it is needed.
const COPY: &str = "survivor";
/// Entries that are applied at once.
const BATCH_ENTRIES: usize = 512;

/// What survives on a disk.
pub struct Survivor {
    disk: Arc<dyn Disk>,
    machine: StateMachine,
    head: Head,
    unconfirmed: u64,
    lost: Option<Lost>,
}

/// The end of a log, which does not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first entry, which is damaged.
    pub from: LogIndex,
    /// The last one.
    pub to: LogIndex,
    /// What is wrong with the first.
    pub why: String,
}

/// Why a disk tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum SurvivorError {
    /// It never belonged to a cluster.
    #[error("there is no member's data in it")]
    Empty,
    /// It cannot be read, or is damaged.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Survivor {
    /// Reads a disk. `now_ms` is the time, in milliseconds since 1970.
    ///
    /// # Errors
    /// See [`SurvivorError`].
    pub fn open(disk: Arc<dyn Disk>, now_ms: u64) -> Result<Self, SurvivorError> {
        if !disk.list()?.iter().any(|name| name == LOG_STORE) {
            return Err(SurvivorError::Empty);
        }
        let log = disk.open(LOG_STORE, Role::Log)?;
        let meta = LogMeta::new(log.clone());
        let (Some(replica), Some(cluster), Some(live)) =
            (meta.replica()?, meta.cluster()?, meta.state_store()?)
        else {
            return Err(SurvivorError::Empty);
        };
        disk.remove(COPY)?;
        disk.open(&live, Role::State)?.checkpoint(COPY)?;
        let mut machine = StateMachine::open(disk.open(COPY, Role::State)?)?;
        let lost = lost(&machine, &log, &meta)?;
        apply_all(&mut machine, &*log, lost.as_ref().map(|lost| lost.from))?;
        let beyond = |at: Option<LogPosition>| at.map_or(0, |at| at.index.get() + 1);
        let unconfirmed = beyond(machine.header().applied).saturating_sub(beyond(meta.committed()?));
        let head = Head { cluster, replica, revision: machine.header().revision, taken_ms: now_ms };
        Ok(Self { disk, machine, head, unconfirmed, lost })
    }

    /// Whose state it is, and at which revision.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The last entries of the log, which this replica does not know to be committed.
    pub const fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// What of the log does not survive.
    pub const fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }

    /// Writes it all to a file.
    ///
    /// # Errors
    /// Something cannot be read, or the sink takes nothing.
    pub fn save(&self, sink: impl io::Write) -> io::Result<Totals> {
        let mut sealed = Sealed::new(sink);
        let totals = write(&**self.machine.engine(), self.head, &mut sealed)?;
        sealed.finish().map(|_| totals)
    }

    /// Removes the copy.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn close(self) -> Result<(), EngineError> {
        let Self { disk, machine, .. } = self;
        drop(machine);
        disk.remove(COPY)
    }
}

/// What of the log behind the state cannot be applied.
fn lost(machine: &StateMachine, log: &Arc<dyn Engine>, meta: &LogMeta) -> Result<Option<Lost>, EngineError> {
    let survey = Survey::of(&**log, meta, machine.header().next_index())?;
    let Some((from, why)) = survey.damage else { return Ok(None) };
    let to = survey.last.map_or(from, |last| last.index);
    Ok(Some(Lost { from, to, why }))
}

/// Applies the log behind the state, up to an entry or to its end or its first gap.
fn apply_all(
    machine: &mut StateMachine,
    log: &dyn Engine,
    before: Option<LogIndex>,
) -> Result<(), EngineError> {
    loop {
        let mut next = machine.header().next_index();
        let mut batch = machine.begin();
        let mut applied = 0;
        while applied < BATCH_ENTRIES && Some(next) != before {
            let Some(bytes) = log.get(Family::LogEntries, &next.get().to_be_bytes())? else { break };
            apply_entry(&mut batch, record::decode_entry(next, &bytes)?)?;
            applied += 1;
            next = next.next();
        }
        batch.commit()?;
        if applied == 0 {
            return Ok(());
        }
    }
}
