//! The numbers that travel through the store, each a type of its own.
//!
//! A revision is not a log index, a log index is not a term, and none of them is a `u64` by accident:
//! there is no `From` in either direction, only [`new`](Revision::new) and [`get`](Revision::get).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a raw number; the caller vouches for what it counts.
            pub const fn new(raw: $inner) -> Self {
                Self(raw)
            }

            /// The raw number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A revision of the whole store: every write transaction that changes a key takes the next one.
    ///
    /// A fresh store is at revision 1, as etcd's; 0 means "none" or "the newest" where a request says so.
    Revision(u64)
}

number! {
    /// A position in the Raft log.
    LogIndex(u64)
}

number! {
    /// A Raft term.
    Term(u64)
}

number! {
    /// A lease. 0 means "no lease"; negative numbers do not occur.
    LeaseId(i64)
}

number! {
    /// A state of users and roles: every change of them takes the next one, beginning with 1.
    AuthRevision(u64)
}

number! {
    /// A replica. Drawn at random with its disk and never used for another one.
    ReplicaId(u64)
}

number! {
    /// A cluster: two replicas with different ones refuse to talk.
    ClusterId(u64)
}

impl Revision {
    /// "None", and in requests "the newest".
    pub const ZERO: Self = Self(0);
    /// The revision of a store in which nothing has been written.
    pub const FIRST: Self = Self(1);

    /// Beyond every revision that is ever used.
    pub const MAX: Self = Self(u64::MAX);

    /// The revision after this one.
    ///
    /// # Panics
    /// When 2^64 revisions have been used, which takes half a million years at a million writes per second.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(raw) => Self(raw),
            None => panic!("revisions exhausted"),
        }
    }

    /// The revision before this one; 0 stays 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// True for [`Self::ZERO`].
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl AuthRevision {
    /// Where no user or role was ever changed.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    ///
    /// # Panics
    /// When 2^64 changes have been made.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(raw) => Self(raw),
            None => panic!("revisions of users and roles exhausted"),
        }
    }
}

/// A place in the Raft log that no two replicas ever fill differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    /// The term in which the entry was proposed.
    pub term: Term,
    /// Where it stands.
    pub index: LogIndex,
}

/// One change of one key: the revision that made it, and which of that revision's changes it is.
///
/// etcd calls the two numbers main and sub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeId {
    /// The revision.
    pub revision: Revision,
    /// Counts from 0 within the revision.
    pub sub: u32,
}

impl LogPosition {
    /// One entry earlier, in the same term; `None` before the first. Only mutants know so little of the log.
    pub(crate) const fn previous(self) -> Option<Self> {
        match self.index.0.checked_sub(1) {
            Some(index) => Some(Self { index: LogIndex(index), ..self }),
            None => None,
        }
    }
}

impl ChangeId {
    /// Where a revision's changes begin.
    pub const fn first_of(revision: Revision) -> Self {
        Self { revision, sub: 0 }
    }

    /// A place at or after every change of a revision.
    pub const fn last_of(revision: Revision) -> Self {
        Self { revision, sub: u32::MAX }
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.revision, self.sub)
    }
}

impl LogIndex {
    /// The index after this one.
    ///
    /// # Panics
    /// When 2^64 entries have been written.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(raw) => Self(raw),
            None => panic!("log indexes exhausted"),
        }
    }
}

impl LeaseId {
    /// "No lease".
    pub const NONE: Self = Self(0);

    /// True for [`Self::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}
