//! Mutants: known bugs that are built in on purpose, to prove that the tests find them.
//!
//! In: the name of one bug. Out: [`is`], which the place where that bug would live asks before it does the wrong
//! thing. The table below is the whole set; names, texts and the numbers of the command line derive from it.
//!
//! Without the feature `mutants` there are none: [`is`] is `false` at compile time and [`choose`] refuses. The
//! feature is for tests alone, and the profile `dist` does not build with it (see the build script).
//!
//! Deliberately absent: two mutants at once, and mutants whose only trace is a slower answer.

use std::{fmt, str::FromStr};

macro_rules! mutants {
    ($($variant:ident = $name:literal, $words:literal, after $precedent:literal, caught by $catcher:literal;)*) => {
        /// A bug that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $(#[doc = $words] $variant,)*
        }

        impl Mutant {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => &Row {
                        name: $name,
                        words: $words,
                        precedent: $precedent,
                        catcher: $catcher,
                    },)*
                }
            }
        }
    };
}

/// One line of the table.
struct Row {
    name: &'static str,
    words: &'static str,
    precedent: &'static str,
    catcher: &'static str,
}

mutants! {
    // What is durable.
    SkipFsync = "skip-fsync",
        "The log is acknowledged and never fsynced.",
        after "Jepsen's --unsafe-no-fsync; three rivals that acknowledge what they never synced",
        caught by "acknowledged writes survive; a disk never forgets what its peers have seen of it";
    ForgetVote = "forget-vote",
        "A vote is answered and never written to the disk.",
        after "Raft, figure 2: currentTerm and votedFor are persistent",
        caught by "one leader per term; a replica's term never goes back";
    KeepConflict = "keep-conflict",
        "Entries that contradict the leader's are dropped from memory and stay on the disk.",
        after "Raft, figure 2: delete the existing entry and all that follow it",
        caught by "log matching; terms never fall along a log";
    VoteAfterWipe = "vote-after-wipe",
        "A replica's id follows from its name, and nobody asks what its disk has forgotten: a wiped disk votes again.",
        after "etcd members that came back with an empty data folder",
        caught by "acknowledged writes survive; a log never shrinks below what is committed";
    // What is agreed on.
    AnswerBeforeCommit = "answer-before-commit",
        "The leader counts an append as replicated when it is sent.",
        after "etcd 14370: a write is acknowledged before it is committed",
        caught by "acknowledged writes survive; what is committed never changes";
    CommitOnReceipt = "commit-on-receipt",
        "A follower takes for committed what it has received.",
        after "Raft, section 5.3: commitIndex is at most leaderCommit",
        caught by "what is committed never changes; replicas that applied the same entries have the same hash";
    VoteForBehind = "vote-for-behind",
        "A vote is given to a candidate whose log is behind.",
        after "Raft, section 5.4.1: the election restriction",
        caught by "leader completeness; acknowledged writes survive";
    SkipJoint = "skip-joint",
        "Voters change in one step: a joint membership is written down as if only the new voters counted.",
        after "Raft, section 6: disjoint majorities while servers switch from one membership to another",
        caught by "voters change through a joint membership alone";
    // What was applied.
    AppliedApart = "applied-apart",
        "The position up to which the log was applied reaches the disk in a write of its own, after the data.",
        after "etcd 3.5.0 to 3.5.2: the consistent index was saved apart from the data",
        caught by "a revision changes a key at most once; replicas have the same hash";
    ApplyTwice = "apply-twice",
        "After a restart the last entry is applied a second time.",
        after "etcd 13766: revisions that differ after a crash under load",
        caught by "replicas that applied the same entries have the same hash and revision";
    ReuseRevision = "reuse-revision",
        "After a restart the newest revision is given out a second time.",
        after "etcd 17780: the revision goes back after a crash during compaction",
        caught by "the revision never goes back; replicas have the same hash";
    SurveyMisses = "survey-misses",
        "The survey of which keys there are leaves some out, and a write of one of those makes it anew.",
        after "a filter that denies what it was given: no error, and a wrong answer",
        caught by "replicas that applied the same entries have the same hash; a key's versions count up";
    SnapshotAhead = "snapshot-ahead",
        "A snapshot is named after one entry more than it holds.",
        after "a snapshot without the last batch: the position is read after the copy was made",
        caught by "an installed snapshot holds what its name says";
    SnapshotWithoutLeases = "snapshot-without-leases",
        "A replica that installs a snapshot loses the leases in it.",
        after "etcd's lessor, which is restored apart from the keys",
        caught by "replicas have the same hash; a lease lives until it ends";
    ApplyDifferently = "apply-differently",
        "Now and then a replica leaves out a write that all others apply.",
        after "etcd 3.5.0 to 3.5.2: members whose data differ, and nobody who notices",
        caught by "replicas that applied the same entries have the same hash";
    IgnoreDivergence = "ignore-divergence",
        "A replica whose state a majority contradicts goes on.",
        after "etcd without --experimental-initial-corrupt-check: divergence is found by whoever reads",
        caught by "after healing a damaged replica is whole again";
    CompareOutsideBatch = "compare-outside-batch",
        "Compares look at the state before the batch: two transactions of one batch see the same.",
        after "a rival that checked its conditions before proposing",
        caught by "linearizability; strict serializability; replicas have the same hash";
    // What is answered to writers.
    RetryUnknown = "retry-unknown",
        "A write whose leader was lost is sent again, though it may have happened.",
        after "jetcd 0.8.2: transactions that are not idempotent were retried",
        caught by "no write happens twice; strict serializability";
    UnknownAsFailed = "unknown-as-failed",
        "A write of unknown fate is reported as one that did not happen.",
        after "Jepsen: an aborted read, G1a",
        caught by "what failed is never seen";
    // What is answered to readers.
    SkipReadIndex = "skip-read-index",
        "A linearizable read is answered from what this replica has applied.",
        after "etcd 0.4.1 and Consul (Jepsen, 2014): stale reads by default",
        caught by "linearizability; revisions never go back for one client";
    BelieveToLead = "believe-to-lead",
        "Whoever takes itself for the leader answers reads without asking a quorum.",
        after "etcd 20418: stale linearizable reads after a process pause",
        caught by "linearizability";
    ReadWhatIsApplied = "read-what-is-applied",
        "The read index is what the leader has applied, though a new one may lag behind what is committed.",
        after "etcd 3.6.9: a race of the read index with a change of leader",
        caught by "linearizability";
    ReadBeforeApply = "read-before-apply",
        "A reader learns the read index and does not wait until it is applied.",
        after "Raft, section 6.4: step 4 of reading without a log entry",
        caught by "linearizability";
    ReadBelowCompacted = "read-below-compacted",
        "A read below the compacted revision is answered with what is left.",
        after "etcd 18667: a transaction that reads a compacted revision",
        caught by "a read at a revision sees that revision, or is refused";
    // What is told to watchers.
    WatchSkipsCompacted = "watch-skips-compacted",
        "A watch that needs compacted history goes on behind it without a word.",
        after "etcd 18089: an event around a compaction is dropped",
        caught by "watch: reliable";
    CompactionTakesItsRevision = "compaction-takes-its-revision",
        "Compaction drops the changes of the compacted revision itself.",
        after "etcd 19179: a watch opened at the revision of a compaction misses a delete",
        caught by "watch: reliable";
    ProgressAhead = "progress-ahead",
        "Progress names the revision after the last one that was delivered.",
        after "etcd 15220: progress is notified ahead of events",
        caught by "watch: bookmarkable; watch: progress is never ahead";
    WatchStartsEarly = "watch-starts-early",
        "A watch that goes on at a revision gets the one before it again.",
        after "etcd 17247: an event is delivered twice",
        caught by "watch: unique; watch: nothing from before the start";
    WatchStartsLate = "watch-starts-late",
        "A watch that goes on at a revision begins after it.",
        after "a client that resumes behind its last revision, and a server that does so as well",
        caught by "watch: resumable; watch: reliable";
    SplitRevision = "split-revision",
        "The changes of one revision come in two parts.",
        after "etcd's robustness suite: watch events are atomic",
        caught by "watch: atomic";
    PreviousOfNow = "previous-of-now",
        "The previous value is what the key has when the event is delivered.",
        after "etcd's robustness suite: PrevKV is what the event replaced",
        caught by "watch: previous value";
    CatchUpLosesDeletes = "catch-up-loses-deletes",
        "A watch that reads history from the disk is not told of deletions.",
        after "etcd 19179: the missing delete event",
        caught by "watch: reliable";
    WatchSleepsThroughSnapshot = "watch-sleeps-through-snapshot",
        "Watchers are not told of what a snapshot brought.",
        after "etcd 17529: watch events are lost",
        caught by "watch: reliable";
    // What leases promise.
    LeaseCutAtTakeover = "lease-cut-at-takeover",
        "A new leader lets a lease end though it was just renewed with the old one.",
        after "etcd: the remaining time of leases is not kept across leaders",
        caught by "a lease never ends early";
    RenewByBelief = "renew-by-belief",
        "Whoever takes itself for the leader renews leases without asking a quorum.",
        after "etcd 3.6.5: a renewal succeeds after the lease was revoked",
        caught by "a lease never ends early";
    RevokeKeepsKey = "revoke-keeps-key",
        "One key of a lease stays when the lease is revoked.",
        after "Jepsen, etcd 3.4.3: the holder of a lock outlives its lease",
        caught by "a lease's keys go with it";
}

/// Whether this program has mutants at all.
pub const AVAILABLE: bool = cfg!(feature = "mutants");

/// A name that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no mutant {name:?}; there are: {}", names())]
pub struct UnknownMutant {
    name: String,
}

impl Mutant {
    /// The name by which it is chosen.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// What is wrong.
    pub const fn words(self) -> &'static str {
        self.row().words
    }

    /// The bug that it stands for: where it was met, or the rule that it breaks.
    pub const fn precedent(self) -> &'static str {
        self.row().precedent
    }

    /// Which promises or invariants should catch it.
    pub const fn catcher(self) -> &'static str {
        self.row().catcher
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(name: &str) -> Result<Self, UnknownMutant> {
        let found = Self::ALL.iter().copied().find(|mutant| mutant.name() == name);
        found.ok_or_else(|| UnknownMutant { name: name.to_owned() })
    }
}

fn names() -> String {
    let names: Vec<_> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
    names.join(", ")
}

pub use switch::{choose, is};

#[cfg(feature = "mutants")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Mutant;

    /// The place of the chosen one in the table, counted from 1; 0 is none.
    static CHOSEN: AtomicU8 = AtomicU8::new(0);

    /// Switches one mutant on in the whole process, and all others off.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.store(mutant.map_or(0, place), Ordering::Relaxed);
    }

    /// Whether a mutant is on.
    #[inline]
    pub fn is(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == place(mutant)
    }

    const fn place(mutant: Mutant) -> u8 {
        mutant as u8 + 1
    }
}

#[cfg(not(feature = "mutants"))]
mod switch {
    use super::Mutant;

    /// Switches all mutants off: there are none in this program.
    ///
    /// # Panics
    /// When one is asked for. Whoever lets users choose asks [`AVAILABLE`](super::AVAILABLE) first.
    pub fn choose(mutant: Option<Mutant>) {
        assert!(mutant.is_none(), "this program was built without the feature `mutants`");
    }

    /// Whether a mutant is on: never.
    #[inline]
    pub const fn is(_mutant: Mutant) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_found_by_its_own_name_only() {
        for (place, mutant) in Mutant::ALL.iter().enumerate() {
            let others = Mutant::ALL[..place].iter();
            assert!(others.clone().all(|other| other.name() != mutant.name()), "{mutant} is there twice");
            assert_eq!(mutant.name().parse(), Ok(*mutant));
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(mutant.name().chars().all(plain), "{mutant} is not written as flags are");
        }
    }

    #[test]
    fn every_mutant_says_what_is_wrong_and_where_that_was_met() {
        for mutant in Mutant::ALL {
            assert!(mutant.words().ends_with('.'), "{mutant}");
            assert!(!mutant.precedent().is_empty() && !mutant.catcher().is_empty(), "{mutant}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let error = "skip-sync".parse::<Mutant>().unwrap_err().to_string();
        assert!(error.contains("\"skip-sync\"") && error.contains("skip-fsync"), "{error}");
    }

    /// The other tests of this crate run beside this one, so it chooses a mutant that nothing here asks for.
    #[test]
    fn only_the_chosen_mutant_is_on_and_without_a_choice_none_is() {
        let on = || Mutant::ALL.iter().copied().filter(|mutant| is(*mutant)).collect::<Vec<_>>();
        assert_eq!(on(), []);
        if !AVAILABLE {
            return;
        }
        choose(Some(Mutant::SkipFsync));
        assert_eq!(on(), [Mutant::SkipFsync]);
        choose(None);
        assert_eq!(on(), []);
    }
}
