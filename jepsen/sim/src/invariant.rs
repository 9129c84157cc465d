//! THE table of invariants: what must be true after every step of a run.
//!
//! In: nothing. Out: names and words. [`crate::ghost`] checks most of them at the disks' seam, the moment something is
//! written; [`crate::watchman`] those that only a live replica can tell; [`crate::progress`] those of the second phase.
//! Deliberately absent: what clients may see; those are the promises of `keelson-checkers`.

use serde::Serialize;

macro_rules! invariants {
    ($($variant:ident = $name:literal, $words:literal;)*) => {
        /// Something that must be true.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(#[doc = $words] $variant,)*
        }

        impl Invariant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its short name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What must be true.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

invariants! {
    // Raft.
    OneLeader = "one-leader", "In a term at most one replica leads.";
    OneVote = "one-vote", "In a term a replica votes for one candidate, and its term never goes back.";
    LogMatching = "log-matching",
        "Entries with the same index and term are the same, and so are those before them; terms never fall along a log.";
    LeaderCompleteness = "leader-completeness", "Who begins to lead has every entry that was committed before.";
    CommittedIsDurable = "committed-is-durable",
        "An entry that is applied anywhere lies on the disks of a majority, synced.";
    CommittedIsKept = "committed-is-kept",
        "A committed entry is never dropped from a log, but behind a snapshot that has it.";
    SyncedSurvives = "synced-survives",
        "After a crash a log is what was synced, and the first part of what was written after that.";
    JointChanges = "joint-changes",
        "Voters change through a joint membership alone, so that two majorities always have somebody in common.";
    RemovedForGood = "removed-for-good", "Who was removed is never a member again under the same id.";
    // The state machine.
    SameState = "same-state", "Replicas that have applied the same entries have the same hash, revision and term.";
    SameLeases = "same-leases",
        "Replicas that have applied the same entries have the same leases, and the same keys hang on them.";
    NeverBack = "never-back", "As long as a replica runs, neither its applied index nor its revision goes back.";
    WholeHistory = "whole-history", "Revisions come one after the other, none is left out and none used twice.";
    SameContents = "same-contents", "In the end all replicas hold the same keys: those that the commits made.";
    WatchersWake = "watchers-wake", "A watcher that has something new to see is told.";
    // Lives and disks.
    StrangersStayOut = "strangers-stay-out",
        "A disk that was wiped, or rolled back while its peers remember, is not let in.";
    StopsForDisks = "stops-for-disks", "A replica stops by itself only when its disk has failed.";
    NoPanic = "no-panic", "Nothing panics.";
    Ends = "ends", "A run comes to its end: nobody waits, or tries again, for ever.";
    // After healing.
    Leader = "leader", "After healing there is a leader soon.";
    FirstWrite = "first-write", "After healing a write through every sound replica succeeds soon.";
    Settled = "settled",
        "After healing, changes of the membership that are half done are completed soon, and who has caught up votes.";
    CatchUp = "catch-up", "After healing every sound replica catches up soon.";
    Refilled = "refilled",
        "After healing a replica whose disk was damaged is whole again soon, unless its vote or the log's own records are.";
}

/// Something that was not true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// When, in nanoseconds of true time since the run began.
    pub at: u64,
    /// The invariant's or promise's name.
    pub broken: &'static str,
    /// What was seen.
    pub text: String,
}
