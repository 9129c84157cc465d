//! Each invariant of logs and states, broken once.

use std::collections::BTreeSet;

use keelson_checkers::history::{self as checkers, Commit};
use keelson_store::record::VoteRecord;
use keelson_store_core::{
    engine::{Batch, Disk as _, Family, mem::MemDisk},
    id::{LogPosition, Revision},
};

use super::*;

const REPLICAS: usize = 3;

/// What replicas write, in short.
struct Story {
    ghost: Ghost,
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { term: Term::new(term), index: LogIndex::new(index) }
}

fn entry(index: u64, term: u64) -> LogFact {
    LogFact::Entry { at: at(index, term), digest: index << 8 | term, config: None }
}

/// Entry 0, which makes voters of so many.
fn founding(term: u64, voters: u64) -> LogFact {
    let voters: BTreeSet<_> = (0..voters).map(ReplicaId::new).collect();
    let config = Config { voters: vec![voters.clone()], members: voters };
    LogFact::Entry { at: at(0, term), digest: term, config: Some(config) }
}

fn vote(term: u64, voted_for: u64, committed: bool) -> LogFact {
    LogFact::Vote(VoteRecord { term: Term::new(term), voted_for: ReplicaId::new(voted_for), committed })
}

impl Story {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let story = Self { ghost: Ghost::new(REPLICAS, Trace::new(false)) };
        (0..3).for_each(|node| story.writes(node, [LogFact::Replica(ReplicaId::new(node.into()))]));
        story
    }

    fn writes(&self, node: u8, facts: impl IntoIterator<Item = LogFact>) {
        self.ghost.logged(Node(node), 1, facts.into_iter().collect());
    }

    fn syncs(&self, node: u8, facts: impl IntoIterator<Item = LogFact>) {
        self.writes(node, facts);
        self.ghost.synced(Node(node));
    }

    fn applies(&self, node: u8, at: LogPosition, hash: u64) {
        let header = Header { applied: Some(at), revision: Revision::new(7), hash, ..Header::FRESH };
        self.ghost.applied(Node(node), 1, StateFact { header: Some(header), commits: Vec::new() });
    }

    /// Entry 0 of term 1 is committed on replicas 0 and 1.
    fn commits_one() -> Self {
        let story = Self::new();
        (0..2).for_each(|node| story.syncs(node, [founding(1, 3)]));
        story.applies(0, at(0, 1), 1);
        story
    }

    fn broken(&self) -> Vec<&'static str> {
        self.ghost.violations().iter().map(|violation| violation.broken).collect()
    }

    #[track_caller]
    fn breaks(&self, invariant: Invariant) {
        assert_eq!(self.broken(), [invariant.name()], "{:?}", self.ghost.violations());
    }
}

#[test]
fn a_cluster_that_does_as_raft_says_breaks_nothing() {
    let story = Story::commits_one();
    story.syncs(2, [vote(2, 1, false)]);
    story.syncs(1, [vote(2, 1, true), entry(1, 2)]);
    story.syncs(2, [vote(2, 1, true), founding(1, 3), entry(1, 2)]);
    story.applies(1, at(1, 2), 5);
    story.applies(0, at(0, 1), 1);
    story.writes(0, [LogFact::Snapshot(Some(at(0, 1))), LogFact::Purged { upto: LogIndex::new(0) }]);
    assert_eq!(story.broken(), [""; 0]);
}

#[test]
fn two_leaders_of_one_term_are_one_too_many() {
    let story = Story::new();
    story.writes(0, [vote(3, 0, true)]);
    story.writes(1, [vote(3, 1, true)]);
    story.breaks(Invariant::OneLeader);
}

#[test]
fn a_leader_that_is_only_seen_counts() {
    let story = Story::new();
    story.writes(0, [vote(3, 0, true)]);
    story.ghost.seen_leading(Term::new(3), ReplicaId::new(2));
    story.breaks(Invariant::OneLeader);
}

#[test]
fn a_second_vote_in_a_term_is_one_too_many() {
    let story = Story::new();
    story.writes(0, [vote(3, 1, false)]);
    story.writes(0, [vote(3, 2, false)]);
    story.breaks(Invariant::OneVote);
}

#[test]
fn a_term_does_not_go_back() {
    let story = Story::new();
    story.writes(0, [vote(3, 1, false), vote(2, 1, false)]);
    story.breaks(Invariant::OneVote);
}

#[test]
fn entries_of_one_place_and_term_are_the_same() {
    let story = Story::new();
    story.writes(0, [entry(0, 1)]);
    story.writes(1, [LogFact::Entry { at: at(0, 1), digest: 99, config: None }]);
    story.breaks(Invariant::LogMatching);
}

#[test]
fn entries_before_the_same_one_are_the_same() {
    let story = Story::new();
    story.writes(0, [entry(0, 1), entry(1, 3)]);
    story.writes(1, [entry(0, 2), entry(1, 3)]);
    story.breaks(Invariant::LogMatching);
}

#[test]
fn terms_do_not_fall_along_a_log() {
    let story = Story::new();
    story.writes(0, [entry(0, 2), entry(1, 1)]);
    story.breaks(Invariant::LogMatching);
}

#[test]
fn what_contradicts_an_append_does_not_stay_behind_it() {
    let story = Story::new();
    story.writes(0, [entry(0, 1), entry(1, 1), entry(2, 1)]);
    story.writes(0, [LogFact::Truncated { from: LogIndex::new(2) }]);
    story.writes(0, [entry(0, 1)]);
    assert_eq!(story.broken(), [""; 0], "it was written again, as it was");
    story.writes(0, [entry(0, 2)]);
    story.breaks(Invariant::LogMatching);
}

#[test]
fn a_leader_without_a_committed_entry_is_none() {
    let story = Story::commits_one();
    story.writes(2, [vote(2, 2, true)]);
    story.breaks(Invariant::LeaderCompleteness);
}

#[test]
fn what_a_minority_has_synced_is_not_committed() {
    let story = Story::new();
    story.syncs(0, [founding(1, 3)]);
    story.writes(1, [founding(1, 3)]);
    story.applies(0, at(0, 1), 1);
    story.breaks(Invariant::CommittedIsDurable);
}

#[test]
fn a_committed_entry_is_not_truncated() {
    let story = Story::commits_one();
    story.writes(1, [LogFact::Truncated { from: LogIndex::new(0) }]);
    story.breaks(Invariant::CommittedIsKept);
}

#[test]
fn what_is_committed_goes_from_a_log_that_contradicts_it_further_on_if_others_have_it() {
    let story = Story::commits_one();
    story.syncs(2, [founding(1, 3), entry(1, 1)]);
    (0..2).for_each(|node| story.syncs(node, [entry(1, 2)]));
    story.applies(0, at(1, 2), 2);
    story.writes(2, [LogFact::Truncated { from: LogIndex::new(0) }]);
    assert_eq!(story.broken(), [""; 0]);
}

#[test]
fn a_log_is_not_purged_beyond_its_snapshot() {
    let story = Story::commits_one();
    story.writes(0, [LogFact::Purged { upto: LogIndex::new(0) }]);
    story.breaks(Invariant::CommittedIsKept);
}

#[test]
fn states_after_the_same_entry_are_the_same() {
    let story = Story::commits_one();
    story.applies(1, at(0, 1), 2);
    story.breaks(Invariant::SameState);
}

#[test]
fn an_applied_index_does_not_go_back() {
    let story = Story::commits_one();
    (0..2).for_each(|node| story.syncs(node, [entry(1, 1)]));
    story.applies(0, at(1, 1), 2);
    story.applies(0, at(0, 1), 1);
    story.breaks(Invariant::NeverBack);
}

#[test]
fn a_state_that_was_made_anew_applies_again() {
    let story = Story::commits_one();
    (0..2).for_each(|node| story.syncs(node, [entry(1, 1)]));
    story.applies(0, at(1, 1), 2);
    story.writes(0, [LogFact::StateAnew]);
    story.applies(0, at(0, 1), 1);
    assert_eq!(story.broken(), [""; 0]);
    story.applies(0, at(1, 1), 2);
    story.applies(0, at(0, 1), 1);
    story.breaks(Invariant::NeverBack);
}

#[test]
fn a_disk_that_must_not_be_there_is_not_believed() {
    let story = Story::commits_one();
    story.ghost.set_trust(Node(2), Trust::Foreign);
    story.syncs(2, [vote(9, 2, true), entry(0, 7)]);
    story.applies(2, at(0, 7), 3);
    assert_eq!(story.broken(), [""; 0]);
}

#[test]
fn a_majority_is_that_of_the_membership() {
    let story = Story::commits_one();
    story.syncs(0, [entry(1, 1)]);
    story.ghost.renewed(Node(1));
    story.syncs(1, [LogFact::Replica(ReplicaId::new(9)), founding(1, 3), entry(1, 1)]);
    story.applies(0, at(1, 1), 2);
    story.breaks(Invariant::CommittedIsDurable);
}

#[test]
fn a_disk_that_was_removed_is_known_as_such() {
    let story = Story::commits_one();
    assert!(story.ghost.is_member(Node(2)) && !story.ghost.was_removed(Node(2)));
    let [one, two] = [[0, 1, 2], [0, 1, 1]].map(|ids| ids.map(ReplicaId::new).into_iter().collect());
    let members: BTreeSet<_> = two;
    let joint = Config { voters: vec![one, members.clone()], members: members.clone() };
    let uniform = Config { voters: vec![members.clone()], members };
    for (index, config) in [(1, joint), (2, uniform)] {
        let entry = LogFact::Entry { at: at(index, 1), digest: index, config: Some(config) };
        (0..2).for_each(|node| story.syncs(node, [entry.clone()]));
        story.applies(0, at(index, 1), index + 1);
    }
    assert_eq!(story.broken(), [""; 0]);
    assert!(story.ghost.was_removed(Node(2)) && story.ghost.votes_for_good(Node(1)));
    // As a learner: whoever removed it is not asked.
    let voters = vec![[0, 1].map(ReplicaId::new).into_iter().collect()];
    let again = Config { voters, members: [0, 1, 2].map(ReplicaId::new).into_iter().collect() };
    let entry = LogFact::Entry { at: at(3, 1), digest: 3, config: Some(again) };
    (0..2).for_each(|node| story.syncs(node, [entry.clone()]));
    story.applies(0, at(3, 1), 4);
    story.breaks(Invariant::RemovedForGood);
}

#[test]
fn voters_do_not_change_at_one_blow() {
    let story = Story::commits_one();
    let voters: BTreeSet<_> = [0, 1].map(ReplicaId::new).into();
    let config = Config { voters: vec![voters.clone()], members: voters };
    story.writes(0, [LogFact::Entry { at: at(1, 1), digest: 1, config: Some(config) }]);
    story.breaks(Invariant::JointChanges);
}

#[test]
fn a_write_that_failed_counts_if_it_happened_all_the_same() {
    let story = Story::commits_one();
    let commit = |revision| Commit { revision: checkers::Revision(revision), changes: Vec::new() };
    let after = |index: u64, revision| {
        (0..2).for_each(|node| story.syncs(node, [entry(index, 1)]));
        let header =
            Header { applied: Some(at(index, 1)), revision: Revision::new(revision), ..Header::FRESH };
        StateFact { header: Some(header), commits: vec![commit(revision)] }
    };
    story.ghost.perhaps_applied(Node(1), after(1, 2));
    let disk = MemDisk::new();
    let engine = disk.open("state-0", Role::State).unwrap();
    let mut batch = Batch::default();
    batch.put(Family::Meta, Header::key().to_vec(), after(1, 2).header.unwrap().encode());
    engine.write(batch).unwrap();
    story.ghost.opened(Node(1), Role::State, &*engine);
    story.ghost.applied(Node(1), 1, after(2, 3));
    assert_eq!(story.broken(), [""; 0]);
}
