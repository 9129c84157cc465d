//! One operation on one key, as the search sees it.
//!
//! In: calls and answers. Out: what the key must be before, and what it is after. Deliberately absent: names of keys
//! and operations' texts.

/// The end of what has no end.
pub(super) const OPEN: u64 = u64::MAX;

/// The operation of a change that the log has and no recorded operation explains.
pub(super) const NOBODY: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The operation, or [`NOBODY`].
    pub(super) op: u32,
    pub(super) invoked: u64,
    /// [`OPEN`]: it may take effect at any later time.
    pub(super) returned: u64,
    /// False: it may also never take effect.
    pub(super) must: bool,
    /// Where the store's revisions place it among the steps of this key.
    pub(super) order: Option<Order>,
    pub(super) sees: Sees,
    pub(super) then: Then,
}

/// A place in the order of revisions: a revision's own write comes before those who read at it (true).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Order(u64, bool);

impl Order {
    pub(super) fn wrote(revision: u64) -> Option<Self> {
        (revision != 0).then_some(Self(revision, false))
    }

    pub(super) fn read(revision: u64) -> Option<Self> {
        (revision != 0).then_some(Self(revision, true))
    }
}

/// What the key must be for a step to take effect. Revisions of 0: not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    Anything,
    Absent,
    Present,
    Version {
        value: u64,
        revision: u64,
    },
    /// A version of which only the revision is known.
    Revision(u64),
}

/// What the key is afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Same,
    Put { value: u64, revision: u64 },
    Delete,
}

/// What the key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Absent,
    Version { value: u64, revision: u64 },
}

impl Sees {
    pub(super) fn allows(self, state: State) -> bool {
        match (self, state) {
            (Self::Anything, _) | (Self::Absent, State::Absent) | (Self::Present, State::Version { .. }) => {
                true
            }
            (Self::Version { value, revision }, State::Version { value: is, revision: at }) => {
                value == is && agree(revision, at)
            }
            (Self::Revision(revision), State::Version { revision: at, .. }) => agree(revision, at),
            (Self::Absent, State::Version { .. })
            | (Self::Present | Self::Version { .. } | Self::Revision(_), State::Absent) => false,
        }
    }
}

fn agree(a: u64, b: u64) -> bool {
    a == b || a == 0 || b == 0
}

impl Then {
    pub(super) fn after(self, state: State) -> State {
        match self {
            Self::Same => state,
            Self::Put { value, revision } => State::Version { value, revision },
            Self::Delete => State::Absent,
        }
    }
}

impl Step {
    /// Whether it only looks.
    pub(super) fn is_pure(&self) -> bool {
        self.then == Then::Same
    }
}
