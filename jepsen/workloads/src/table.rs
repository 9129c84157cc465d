//! THE table of workloads.
//!
//! In: nothing. Out: what there is to run, in words, and which promises are then checked. Deliberately absent: what
//! clients do; each row names the file.

use crate::load::{append, counter, kubernetes, lease, lock, register, revisions, set, watch, wr};
use crate::run::Load;

/// What clients do in a run, and what the store must have promised for it to come out right.
pub struct Workload {
    /// Short, unique.
    pub name: &'static str,
    /// What clients do, in plain words.
    pub words: &'static str,
    /// Names of the promises that are checked besides those that every run is held to.
    promises: &'static [&'static str],
    pub(crate) watchers: Watchers,
    pub(crate) load: fn() -> Box<dyn Load>,
}

/// Which of the clients watch instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watchers {
    Nobody,
    /// Every so-manieth. Powers of two, since clients are dealt to three or five replicas in turn: so each replica has
    /// both.
    Every(u32),
}

/// Promises that are checked whatever clients do: every run has revisions, observers that watch everything, and an end.
const ALWAYS: &[&str] = &[
    "durability",
    "monotonic_revisions",
    "versions",
    "watch_ordered",
    "watch_unique",
    "watch_atomic",
    "watch_reliable",
    "watch_resumable",
    "watch_bookmarkable",
    "watch_filter",
    "watch_prev_value",
    "watch_progress_never_ahead",
    "watch_progress_never_behind",
    "liveness",
];

/// What there is to run.
pub static WORKLOADS: &[Workload] = &[
    Workload {
        name: "register",
        words: "Reads, writes, deletes and compare-and-sets of a few keys.",
        promises: &["linearizability"],
        watchers: Watchers::Nobody,
        load: register::Register::linearizable,
    },
    Workload {
        name: "register-serializable",
        words: "As register, but every other read may be old; it must still be of some revision's state.",
        promises: &["linearizability"],
        watchers: Watchers::Nobody,
        load: register::Register::half_serializable,
    },
    Workload {
        name: "append",
        words: "Transactions that read lists and append to them, guarded by the lists' mod revisions.",
        promises: &["strict_serializability"],
        watchers: Watchers::Nobody,
        load: append::Append::load,
    },
    Workload {
        name: "wr",
        words: "Transactions that read and write several registers in one request.",
        promises: &["linearizability", "strict_serializability"],
        watchers: Watchers::Nobody,
        load: wr::Wr::load,
    },
    Workload {
        name: "set",
        words: "Elements are added to a set that is the value of one key, by compare-and-set; the set is read whole.",
        promises: &["set"],
        watchers: Watchers::Nobody,
        load: set::Set::in_one_key,
    },
    Workload {
        name: "set-keys",
        words: "As set, but each element is a key of its own.",
        promises: &["set"],
        watchers: Watchers::Nobody,
        load: set::Set::with_a_key_per_element,
    },
    Workload {
        name: "counter",
        words: "A counter is added to by compare-and-set, and read.",
        promises: &["counter"],
        watchers: Watchers::Nobody,
        load: counter::Counter::load,
    },
    Workload {
        name: "lock",
        words: "Locks that live by leases are taken, held, overslept and released; what they guard is written with \
                their tokens.",
        promises: &["lock", "leases"],
        watchers: Watchers::Nobody,
        load: lock::Lock::load,
    },
    Workload {
        name: "lease",
        words: "Leases are granted, given keys to, renewed by some clients and left to end by others.",
        promises: &["leases"],
        watchers: Watchers::Nobody,
        load: lease::Lease::load,
    },
    Workload {
        name: "watch",
        words: "Overlapping ranges are watched from now, the past and the future, with filters, while keys change by \
                ones and several at a time; watches are closed and resumed, also on other replicas.",
        promises: &["linearizability", "strict_serializability"],
        watchers: Watchers::Every(2),
        load: watch::Watch::load,
    },
    Workload {
        name: "revisions",
        words: "Keys change in every way; old revisions are read and watched while they are compacted away.",
        promises: &["linearizability", "strict_serializability"],
        watchers: Watchers::Every(4),
        load: revisions::Revisions::load,
    },
    Workload {
        name: "kubernetes",
        words: "Informers list in pages, then watch and resume; writers update by mod revision, nine times of ten.",
        promises: &["linearizability"],
        watchers: Watchers::Every(2),
        load: kubernetes::Kubernetes::load,
    },
];

impl Workload {
    /// The row of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Names of the promises that a run of it is held to.
    pub fn promises(&self) -> impl Iterator<Item = &'static str> {
        ALWAYS.iter().chain(self.promises).copied()
    }
}

impl Watchers {
    /// Whether the client of this number watches. The first one never does, so somebody always works.
    pub(crate) const fn has(self, number: u32) -> bool {
        match self {
            Self::Nobody => false,
            Self::Every(count) => number % count == count - 1,
        }
    }
}
