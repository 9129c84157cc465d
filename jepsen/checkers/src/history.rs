//! What was asked, what was answered and when: the record of one run.
//!
//! In: what clients, watchers and the nemesis did. Out: one value that every checker reads. Deliberately absent:
//! opinions; what a history proves is decided by the promises.
//!
//! Times are of one clock (the harness's, or the simulation's true time). Values are unique within a run, so an
//! unknown write can be found in the commit log.

mod call;
mod key;
mod log;
mod returned;
mod validate;
mod watch;

pub use call::{Call, Consistency, MicroOp};
pub(crate) use key::agree;
pub use key::{Key, KeyRange, KeyVersion, LeaseId, Revision, Value};
pub(crate) use log::Step;
pub use log::{Change, Commit, CommitLog};
pub use returned::{Freshness, MicroResult, Returned};
pub use validate::{Flaw, Place};
pub use watch::{Event, Filters, Watch, WatchEvent, WatchResponse};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// A client with one operation at a time. After an unknown outcome it goes on as a new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u32);

/// A place in [`History::operations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpId(pub u32);

/// A place in [`History::watches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WatchId(pub u32);

/// One run, whole or reduced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What was run.
    pub meta: Meta,
    /// In the order in which they were invoked, as far as the recorder knows; checkers do not rely on it.
    pub operations: Vec<Operation>,
    /// Watches. One that goes on from another comes after it.
    pub watches: Vec<Watch>,
    /// What the nemesis did and what was seen of the cluster, in order of time.
    pub faults: Vec<FaultEvent>,
    /// What really was committed, where that is known.
    pub log: Option<CommitLog>,
    /// What the run says of itself, beside what clients saw.
    pub remarks: Remarks,
}

/// What the run says of itself, beside what clients saw. A verdict must not be better than it allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Remarks {
    /// Nodes that ended although nobody ended them, and what they said. Any of them: the store is at fault.
    pub crashes: Vec<String>,
    /// Nodes that were removed and could not become members again. Any of them: the store is at fault.
    pub outcasts: Vec<String>,
    /// What the run could not do. Any of them: nothing is a pass.
    pub shortfalls: Vec<String>,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// The workload's name.
    pub workload: String,
    /// The seed that all random choices came from.
    pub seed: u64,
    /// Names of the faults that were asked for.
    pub faults: Vec<String>,
    /// Names of the replicas. Empty: not known, and then any name is taken.
    pub nodes: Vec<String>,
    /// How long things may take.
    #[serde(default)]
    pub bounds: Bounds,
    /// Names of the promises that what was tested has never made; nobody holds it to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_promised: Vec<String>,
    /// False for a sub-history in which a write may lack whose effect is seen.
    #[serde(default = "yes")]
    pub whole: bool,
}

fn yes() -> bool {
    true
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            workload: String::new(),
            seed: 0,
            faults: Vec::new(),
            nodes: Vec::new(),
            bounds: Bounds::default(),
            not_promised: Vec::new(),
            whole: true,
        }
    }
}

/// How long things may take. What is `None` is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// From healing to the first report of a leader.
    pub leader: Option<Nanos>,
    /// From healing to the end of the first write that succeeded.
    pub first_write: Option<Nanos>,
    /// From healing until a watch has delivered what was committed before healing.
    pub watch_catch_up: Option<Nanos>,
    /// From a lease's last possible end until its keys are gone, in a cluster without faults.
    pub lease_expiry: Option<Nanos>,
    /// How much faster than true time a replica's clock may run, in parts per million. Leases may end earlier by as
    /// much.
    pub clock_drift_ppm: u32,
}

/// Something that a client asked of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Who asked.
    pub process: ProcessId,
    /// The replica that was asked, where the client was pinned or knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// What was asked.
    pub call: Call,
    /// When.
    pub invoked: Nanos,
    /// What came of it.
    pub end: End,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum End {
    /// It was answered.
    Ok {
        /// When the answer was here.
        at: Nanos,
        /// The answer.
        returned: Returned,
    },
    /// It certainly did not happen and will not.
    Failed {
        /// When that was known.
        at: Nanos,
        /// The store's words.
        why: String,
    },
    /// It may have happened, may happen later, or never.
    Unknown {
        /// When the client gave up; `None`: it still waits.
        at: Option<Nanos>,
        /// The client's words.
        why: String,
    },
}

impl End {
    /// When the client stopped waiting.
    pub fn at(&self) -> Option<Nanos> {
        match self {
            Self::Ok { at, .. } | Self::Failed { at, .. } => Some(*at),
            Self::Unknown { at, .. } => *at,
        }
    }
}

impl Operation {
    /// The answer, with its time.
    pub fn answer(&self) -> Option<(Nanos, &Returned)> {
        match &self.end {
            End::Ok { at, returned } => Some((*at, returned)),
            End::Failed { .. } | End::Unknown { .. } => None,
        }
    }
}

/// What the nemesis did, or what was seen of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultEvent {
    /// When it was done.
    pub at: Nanos,
    /// The fault's name; empty where the phase names none. Once `compaction` has begun any history may be gone; one that
    /// strikes must be recorded as an operation.
    #[serde(default)]
    pub fault: String,
    /// Whom it hit.
    #[serde(default)]
    pub targets: Vec<String>,
    /// What was done.
    pub phase: FaultPhase,
}

/// What was done at a [`FaultEvent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultPhase {
    /// The fault is active from here on.
    Began,
    /// The fault is over.
    Ended,
    /// The fault came and went in one moment (a kill, a jump of a clock).
    Struck,
    /// The fault could not be injected. It counts as nothing.
    Skipped(
        /// Why not.
        String,
    ),
    /// From here on no fault is active and none will come: progress is demanded.
    Healed,
    /// A replica was seen to lead.
    LeaderSeen(
        /// Its name.
        String,
    ),
}
