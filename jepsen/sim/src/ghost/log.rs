//! What the logs on all disks hold, and what Raft says about that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keelson_store::record::VoteRecord;
use keelson_store_core::{
    id::{LogIndex, LogPosition, ReplicaId, Term},
    schema::Header,
};

use super::{Broken, Checked, Trust, membership::Memberships};
use crate::{
    Node,
    disk::{Config, LogFact},
    invariant::Invariant,
};

/// All replicas' logs.
pub(super) struct Logs {
    disks: Vec<OneDisk>,
    /// Every entry that was ever written anywhere.
    entries: HashMap<LogPosition, Entry>,
    leaders: BTreeMap<Term, ReplicaId>,
    /// Terms of committed entries, by index.
    committed: BTreeMap<LogIndex, Term>,
    memberships: Memberships,
    /// Who was in a committed membership, and is not in a later one.
    removed: BTreeSet<ReplicaId>,
}

/// What is known of an entry besides its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    digest: u64,
    /// The term of the entry before it; `None` where that was dropped already.
    before: Option<Term>,
}

/// One disk's log store.
#[derive(Default)]
struct OneDisk {
    trust: Trust,
    /// What the replica reads.
    now: Contents,
    /// What a crash leaves at least.
    durable: Contents,
    /// What was written since then.
    unsynced: Vec<Vec<LogFact>>,
}

/// A log store's contents at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    replica: Option<ReplicaId>,
    vote: Option<VoteRecord>,
    has_joined: bool,
    snapshot: Option<LogPosition>,
    terms: BTreeMap<LogIndex, Term>,
}

impl Contents {
    fn apply(&mut self, fact: &LogFact) {
        match fact {
            LogFact::Replica(replica) => self.replica = Some(*replica),
            LogFact::Joined => self.has_joined = true,
            LogFact::StateAnew => {}
            LogFact::Vote(vote) => self.vote = Some(*vote),
            LogFact::Snapshot(last) => self.snapshot = *last,
            LogFact::Entry { at, .. } => drop(self.terms.insert(at.index, at.term)),
            LogFact::Truncated { from } => drop(self.terms.split_off(from)),
            LogFact::Purged { upto } => self.terms = self.terms.split_off(&upto.next()),
        }
    }

    fn term(&self, index: LogIndex) -> Option<Term> {
        let in_snapshot = self.snapshot.filter(|last| last.index == index).map(|last| last.term);
        self.terms.get(&index).copied().or(in_snapshot)
    }

    /// Whether it has this entry, by itself or in a snapshot.
    fn holds(&self, index: LogIndex, term: Term) -> bool {
        self.terms.get(&index) == Some(&term) || self.snapshot.is_some_and(|last| last.index >= index)
    }
}

impl Logs {
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            disks: (0..replicas).map(|_| OneDisk::default()).collect(),
            entries: HashMap::new(),
            leaders: BTreeMap::new(),
            committed: BTreeMap::new(),
            memberships: Memberships::default(),
            removed: BTreeSet::new(),
        }
    }

    /// A replica has got a new disk.
    pub(super) fn renewed(&mut self, replica: Node) {
        self.disks[replica.index()] = OneDisk::default();
    }

    /// The id of a replica's own disk, once it has one.
    pub(super) fn id(&self, replica: Node) -> Option<ReplicaId> {
        self.disks[replica.index()].now.replica
    }

    /// The last membership that was committed.
    pub(super) fn membership(&self) -> Option<&Config> {
        let (last, _) = self.committed.last_key_value()?;
        self.in_force(*last)
    }

    /// Whether a replica's disk belonged to the cluster, and does no more.
    pub(super) fn was_removed(&self, replica: Node) -> bool {
        self.id(replica).is_some_and(|id| self.removed.contains(&id))
    }

    pub(super) fn trust(&self, replica: Node) -> Trust {
        self.disks[replica.index()].trust
    }

    /// Where a replica's log has, or may have, entries.
    pub(super) fn indexes(&self, replica: Node) -> BTreeMap<LogIndex, Term> {
        self.disks[replica.index()].now.terms.clone()
    }

    pub(super) fn set_trust(&mut self, replica: Node, trust: Trust) {
        self.disks[replica.index()].trust = trust;
    }

    pub(super) fn end(&self, replica: Node) -> Option<LogIndex> {
        let now = &self.disks[replica.index()].now;
        now.terms.keys().next_back().copied().max(now.snapshot.map(|last| last.index))
    }

    /// A replica finds its log store as it is after a crash.
    pub(super) fn reopened(&mut self, replica: Node, found: &[LogFact]) -> Checked {
        let disk = &mut self.disks[replica.index()];
        if disk.trust == Trust::Foreign {
            return Ok(());
        }
        let mut contents = Contents::default();
        found.iter().for_each(|fact| contents.apply(fact));
        let is_possible = disk.may_have_left(&contents);
        if disk.trust == Trust::Damaged {
            // Whose disk it is, is known, whatever has become of the record.
            contents.replica = contents.replica.or(disk.now.replica);
        }
        let durable = std::mem::replace(&mut disk.durable, contents.clone());
        disk.now = contents;
        disk.unsynced.clear();
        if disk.trust == Trust::Damaged {
            return Ok(());
        }
        if !is_possible {
            let text =
                format!("{replica}: {} was synced and {} is left", durable.summary(), disk.now.summary());
            return Err(Broken(Invariant::SyncedSurvives, text));
        }
        self.check_log(replica, found)
    }

    /// A whole log: each entry beside the one before it.
    fn check_log(&mut self, replica: Node, found: &[LogFact]) -> Checked {
        for fact in found {
            if let LogFact::Entry { at, digest, config } = fact {
                self.check_entry(replica, *at, *digest)?;
                self.check_membership(replica, *at, config.as_ref())?;
            }
        }
        Ok(())
    }

    pub(super) fn written(&mut self, replica: Node, facts: Vec<LogFact>) -> Checked {
        if self.trust(replica) == Trust::Foreign {
            return Ok(());
        }
        let mut checked = Ok(());
        for fact in &facts {
            let fits = self.check(replica, fact);
            checked = checked.and(fits);
            self.disks[replica.index()].now.apply(fact);
        }
        let appended = facts.iter().rev().find_map(|fact| match fact {
            LogFact::Entry { at, .. } => Some(*at),
            LogFact::Replica(_)
            | LogFact::Joined
            | LogFact::StateAnew
            | LogFact::Snapshot(_)
            | LogFact::Vote(_)
            | LogFact::Truncated { .. }
            | LogFact::Purged { .. } => None,
        });
        let followed = appended.map_or(Ok(()), |last| self.check_follower(replica, last));
        self.disks[replica.index()].unsynced.push(facts);
        checked.and(followed)
    }

    pub(super) fn perhaps_written(&mut self, replica: Node, facts: Vec<LogFact>) {
        if self.trust(replica) != Trust::Foreign {
            self.disks[replica.index()].unsynced.push(facts);
        }
    }

    pub(super) fn synced(&mut self, replica: Node) {
        let disk = &mut self.disks[replica.index()];
        if disk.trust == Trust::Foreign {
            return;
        }
        for fact in disk.unsynced.drain(..).flatten() {
            disk.durable.apply(&fact);
        }
    }

    fn check(&mut self, replica: Node, fact: &LogFact) -> Checked {
        match fact {
            LogFact::Replica(_) | LogFact::Joined | LogFact::StateAnew | LogFact::Snapshot(_) => Ok(()),
            LogFact::Vote(vote) => self.check_vote(replica, *vote),
            LogFact::Entry { at, digest, config } => {
                let joint = self.check_membership(replica, *at, config.as_ref());
                self.check_entry(replica, *at, *digest).and(joint)
            }
            LogFact::Truncated { from } => self.check_truncation(replica, *from),
            LogFact::Purged { upto } => self.check_purge(replica, *upto),
        }
    }

    fn check_vote(&mut self, replica: Node, vote: VoteRecord) -> Checked {
        let now = &self.disks[replica.index()].now;
        if let Some(before) = now.vote {
            // Who has voted for one candidate may learn that a majority has voted for another.
            let is_other = !vote.committed && (before.committed || before.voted_for != vote.voted_for);
            if vote.term < before.term || (vote.term == before.term && is_other) {
                return Err(Broken(
                    Invariant::OneVote,
                    format!("{replica} voted {before:?} and then {vote:?}"),
                ));
            }
        }
        if !vote.committed {
            return Ok(());
        }
        let begins_to_lead = now.replica == Some(vote.voted_for);
        self.leads(vote.term, vote.voted_for)?;
        if begins_to_lead { self.check_leader(replica, vote.term) } else { Ok(()) }
    }

    /// A replica leads in a term.
    pub(super) fn leads(&mut self, term: Term, leader: ReplicaId) -> Checked {
        let other = *self.leaders.entry(term).or_insert(leader);
        if other == leader {
            return Ok(());
        }
        Err(Broken(Invariant::OneLeader, format!("in term {term} both {other} and {leader} lead")))
    }

    fn check_leader(&self, replica: Node, term: Term) -> Checked {
        let before = self.committed.iter().rev().find(|(_, committed)| **committed < term);
        let Some((index, committed)) = before else { return Ok(()) };
        if self.disks[replica.index()].now.holds(*index, *committed) {
            return Ok(());
        }
        let text = format!("{replica} leads in term {term} without entry {index} of term {committed}");
        Err(Broken(Invariant::LeaderCompleteness, text))
    }

    fn check_entry(&mut self, replica: Node, at: LogPosition, digest: u64) -> Checked {
        let broken = |text: String| Err(Broken(Invariant::LogMatching, text));
        let now = &self.disks[replica.index()].now;
        let before = at.index.get().checked_sub(1).and_then(|index| now.term(LogIndex::new(index)));
        if before.is_some_and(|before| before > at.term) {
            return broken(format!(
                "{replica} has entry {} of term {} after term {before:?}",
                at.index, at.term
            ));
        }
        let known = self.entries.entry(at).or_insert(Entry { digest, before });
        if known.digest != digest {
            return broken(format!(
                "{replica} has another entry {} of term {} than others",
                at.index, at.term
            ));
        }
        match (known.before, before) {
            (Some(known), Some(found)) if known != found => broken(format!(
                "{replica} has entry {} of term {} after term {found}, others after term {known}",
                at.index, at.term
            )),
            (None, Some(_)) => {
                known.before = before;
                Ok(())
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Every membership follows from the one before it in the same log.
    fn check_membership(&mut self, replica: Node, at: LogPosition, config: Option<&Config>) -> Checked {
        let Some(config) = config else { return Ok(()) };
        self.memberships.add(at, config);
        let Some(before) = at.index.get().checked_sub(1).map(LogIndex::new) else { return Ok(()) };
        let terms = &self.disks[replica.index()].now.terms;
        // What is gone from the log is committed.
        let term = |index| terms.get(&index).or_else(|| self.committed.get(&index)).copied();
        match self.memberships.in_force(before, term) {
            Some(before) if !config.may_follow(before) => {
                let text = format!("{replica} has {config:?} at entry {} right after {before:?}", at.index);
                Err(Broken(Invariant::JointChanges, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The entry after the last one of an append: what contradicts it is truncated before.
    fn check_follower(&self, replica: Node, last: LogPosition) -> Checked {
        let after = self.disks[replica.index()].now.terms.get(&last.index.next());
        let Some(term) = after.filter(|term| **term < last.term) else { return Ok(()) };
        let text = format!(
            "{replica} has appended entry {} of term {} and keeps one of term {term} behind it",
            last.index, last.term
        );
        Err(Broken(Invariant::LogMatching, text))
    }

    /// A log that contradicts a snapshot is cut down to what is committed as far as its replica knows, which may be less
    /// than what is committed: then others must have the rest.
    fn check_truncation(&self, replica: Node, from: LogIndex) -> Checked {
        let now = &self.disks[replica.index()].now;
        let lost = self.committed.range(from..).find(|(index, term)| now.terms.get(index) == Some(*term));
        let Some((index, term)) = lost else { return Ok(()) };
        let contradicts = |(index, term): (&LogIndex, &Term)| {
            self.committed.get(index).is_some_and(|committed| committed != term)
        };
        let is_spare = self.has_quorum(*index, *term, now.replica);
        if now.terms.range(from..).any(contradicts) && is_spare {
            return Ok(());
        }
        let text = format!("{replica} drops entry {index} of term {term}, which is committed");
        Err(Broken(Invariant::CommittedIsKept, text))
    }

    fn check_purge(&self, replica: Node, upto: LogIndex) -> Checked {
        let snapshot = self.disks[replica.index()].now.snapshot;
        if snapshot.is_some_and(|last| last.index >= upto) {
            return Ok(());
        }
        let text = format!("{replica} drops its log up to {upto}, and its snapshot ends at {snapshot:?}");
        Err(Broken(Invariant::CommittedIsKept, text))
    }

    /// A replica has applied its log so far: that much is committed.
    pub(super) fn applied(&mut self, replica: Node, header: &Header) -> Checked {
        let Some(at) = header.applied else { return Ok(()) };
        let next = self.committed.keys().next_back().map_or(LogIndex::new(0), |last| last.next());
        let now = &self.disks[replica.index()].now;
        let news: Vec<_> = (next.get()..=at.index.get())
            .map(LogIndex::new)
            .filter_map(|index| Some((index, now.term(index)?)))
            .collect();
        let mut checked = Ok(());
        for (index, term) in news {
            let returned = self.check_return(index, term);
            self.committed.insert(index, term);
            let is_durable = self.check_durable(index, term, "is applied");
            checked = checked.and(is_durable).and(returned);
        }
        checked
    }

    /// An entry is about to be committed: who leaves by it is never in a membership again.
    fn check_return(&mut self, index: LogIndex, term: Term) -> Checked {
        let Some(config) = self.memberships.at(index, term).cloned() else { return Ok(()) };
        let left = self.membership().map(|before| before.members.difference(&config.members).copied());
        let left: Vec<_> = left.into_iter().flatten().collect();
        self.removed.extend(left);
        match self.removed.intersection(&config.members).next() {
            None => Ok(()),
            Some(replica) => {
                let text = format!("{replica} was removed, and is a member again since entry {index}");
                Err(Broken(Invariant::RemovedForGood, text))
            }
        }
    }

    /// After a crash, what is committed must still be on the disks of a majority.
    pub(super) fn check_kept(&self) -> Checked {
        let Some((index, term)) = self.committed.last_key_value() else { return Ok(()) };
        self.check_durable(*index, *term, "was committed")
    }

    fn check_durable(&self, index: LogIndex, term: Term, what: &str) -> Checked {
        if self.has_quorum(index, term, None) {
            return Ok(());
        }
        let (holders, in_force) = (self.holders(index, term), self.in_force(index));
        let text = format!("entry {index} of term {term} {what}, {holders:?} have it, and {in_force:?} vote");
        Err(Broken(Invariant::CommittedIsDurable, text))
    }

    /// Whether the disks of a majority have an entry, synced, also without the one that is left out. The majority is that of
    /// the membership in force, or of one behind the entry: which of them the leader went by when it committed the entry,
    /// no disk says.
    fn has_quorum(&self, index: LogIndex, term: Term, without: Option<ReplicaId>) -> bool {
        let mut holders = self.holders(index, term);
        holders.retain(|holder| Some(*holder) != without);
        let mut configs = self.in_force(index).into_iter().chain(self.memberships.behind(index));
        configs.any(|config| config.has_quorum(|voter| holders.contains(&voter)))
    }

    fn holders(&self, index: LogIndex, term: Term) -> BTreeSet<ReplicaId> {
        let holders = self.disks.iter().filter(|disk| disk.durable.holds(index, term));
        holders.filter_map(|disk| disk.durable.replica).collect()
    }

    fn in_force(&self, index: LogIndex) -> Option<&Config> {
        self.memberships.in_force(index, |index| self.committed.get(&index).copied())
    }
}

impl OneDisk {
    /// Whether a crash may have left this: what was synced, and the first part of what came after.
    fn may_have_left(&self, found: &Contents) -> bool {
        let mut left = self.durable.clone();
        if left == *found {
            return true;
        }
        self.unsynced.iter().any(|facts| {
            facts.iter().for_each(|fact| left.apply(fact));
            left == *found
        })
    }
}

impl Contents {
    fn summary(&self) -> String {
        let ends = [self.terms.first_key_value(), self.terms.last_key_value()];
        let [first, last] =
            ends.map(|end| end.map(|(index, term)| format!("{index}@{term}")).unwrap_or_default());
        format!("a log {first}..{last} with {:?} and {:?}", self.vote, self.snapshot)
    }
}
