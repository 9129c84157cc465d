//! Keys, values and the numbers that come with them.
//!
//! In: what clients wrote and read. Out: small types that are cheap to clone and compare. Deliberately absent:
//! bytes; workloads choose keys that are text, and values that are unique numbers or lists of such.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A revision of the store. 0 in an answer: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// Not told; of a key: absent.
    pub const ZERO: Self = Self(0);

    /// The revision after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Itself, unless it was not told.
    pub const fn told(self) -> Option<Self> {
        if self.0 == 0 { None } else { Some(self) }
    }

    pub(crate) const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease. 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub i64);

impl LeaseId {
    pub(crate) const fn is_none(&self) -> bool {
        self.0 == 0
    }
}

/// A key: text, shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Arc<str>);

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRange {
    /// One key.
    One(Key),
    /// All keys from the first on and below the second.
    Between(Key, Key),
    /// All keys from this one on.
    From(Key),
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self::From("".into())
    }

    /// Whether the key lies in it.
    pub fn contains(&self, key: &Key) -> bool {
        match self {
            Self::One(one) => one == key,
            Self::Between(from, below) => from <= key && key < below,
            Self::From(from) => from <= key,
        }
    }
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number that is written once in a run.
    Number(u64),
    /// A list that grows at its end.
    List(Arc<[u64]>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::List(list) => write!(f, "{list:?}"),
        }
    }
}

/// What a key was between two changes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyVersion {
    /// The value.
    pub value: Value,
    /// The revision that made the key.
    #[serde(default, skip_serializing_if = "Revision::is_zero")]
    pub create_revision: Revision,
    /// The revision that wrote the value.
    #[serde(default, skip_serializing_if = "Revision::is_zero")]
    pub mod_revision: Revision,
    /// How often the key was written since it was made. 0: not told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version: u64,
    /// The lease that the key lives by.
    #[serde(default, skip_serializing_if = "LeaseId::is_none")]
    pub lease: LeaseId,
}

impl KeyVersion {
    /// Whether both may be one version of a key, as far as they tell.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        self.value == other.value
            && self.lease == other.lease
            && agree(self.create_revision.0, other.create_revision.0)
            && agree(self.mod_revision.0, other.mod_revision.0)
            && agree(self.version, other.version)
    }
}

/// Whether two numbers are the same as far as they are told.
pub(crate) const fn agree(a: u64, b: u64) -> bool {
    a == b || a == 0 || b == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
