//! Room on the disk: the last of it is kept for what makes room.
//!
//! In: transactions. Out: whether they go on. While a member's disk has less left than the reserve, it takes
//! no write that grows the store; deletes, compactions, leases, and updates that are no larger than what they
//! replace (or small) always go on. A disk that is really full stops the member, and nothing can be deleted
//! any more.
//!
//! How much that is says the disk ([`Space::reserve`]): what engines may still have to write of what was acknowledged. A disk
//! that has no room beside that is refused.
//!
//! It is decided at the door, by the disk and the state that this member has: nothing that was proposed may
//! depend on it. Deliberately absent: the disks of other members; each looks after its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keelson_store_core::{
    command::{Command, Op, PutRequest, Txn},
    engine::{Disk, EngineError, Space},
    mvcc,
};

use crate::{
    error::{OpenError, Rejection, WriteError},
    runtime::clock::Instant,
    state::{SharedState, StateView},
};

/// How long an answer of the disk holds.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An update of a key that is there, up to so many bytes, counts as one that does not grow.
const SMALL_BYTES: usize = 16 << 10;

/// Looks after the room on one disk.
pub(super) struct Room {
    disk: Arc<dyn Disk>,
    opened: Instant,
    /// When the disk was asked last: nanoseconds after `opened`.
    asked: AtomicU64,
    was_low: AtomicBool,
}

impl Room {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        let was_low = AtomicBool::new(disk.space().is_some_and(is_low));
        Self { disk, opened: Instant::now(), asked: AtomicU64::new(0), was_low }
    }

    /// Whether only the reserve is left. Asked before every write, so it takes no lock, and asks the disk now and then.
    pub(super) fn is_low(&self) -> bool {
        let now = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let asked = self.asked.load(Ordering::Relaxed);
        if now.saturating_sub(asked) >= LOOK_EVERY.as_nanos() as u64 {
            self.was_low.store(self.disk.space().is_some_and(is_low), Ordering::Relaxed);
            self.asked.store(now, Ordering::Relaxed);
        }
        self.was_low.load(Ordering::Relaxed)
    }

    /// What the disk has left above the reserve, in bytes.
    pub(super) fn left(&self) -> Option<u64> {
        self.disk.space().map(above_reserve)
    }

    /// Lets a command pass that does not grow the store, or any while there is room.
    pub(super) fn check(&self, state: &SharedState, command: &Command) -> Result<(), WriteError> {
        let Command::Txn(txn) = command else { return Ok(()) };
        if !self.is_low() {
            return Ok(());
        }
        match state.view().and_then(|view| grows(&view, txn)) {
            Ok(false) => Ok(()),
            Ok(true) => Err(WriteError::Rejected(Rejection::NoSpace)),
            Err(error) => {
                tracing::error!(%error, "it cannot be told whether a write grows the store");
                Err(WriteError::Rejected(Rejection::NoSpace))
            }
        }
    }
}

fn is_low(space: Space) -> bool {
    space.free < space.reserve
}

fn above_reserve(space: Space) -> u64 {
    space.free.saturating_sub(space.reserve)
}

/// Refuses a disk that is too small.
pub(super) fn check_size(disk: &dyn Disk) -> Result<(), OpenError> {
    match disk.space() {
        Some(Space { total, least, .. }) if total < least => Err(OpenError::DiskTooSmall { total, least }),
        Some(_) | None => Ok(()),
    }
}

/// Whether a transaction may make the store larger.
pub(crate) fn grows(view: &StateView, txn: &Txn) -> Result<bool, EngineError> {
    for op in txn.success.iter().chain(&txn.failure) {
        let grows = match op {
            Op::Range(_) | Op::DeleteRange(_) => false,
            Op::Put(put) => put_grows(view, put)?,
            Op::Txn(nested) => grows(view, nested)?,
        };
        if grows {
            return Ok(true);
        }
    }
    Ok(false)
}

fn put_grows(view: &StateView, put: &PutRequest) -> Result<bool, EngineError> {
    let before = mvcc::newest(view.read(), &put.key, |visible| visible.value.len())?;
    Ok(before.is_none_or(|before| put.value.len() > before.max(SMALL_BYTES)))
}
