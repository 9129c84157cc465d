//! What replicas have applied, compared with each other.

use std::collections::{BTreeMap, BTreeSet};

use keelson_checkers::history::{Commit, CommitLog, Revision};
use keelson_store_core::{
    id::{LogIndex, Term},
    schema::Header,
};

use super::{Broken, Checked};
use crate::{Node, disk::StateFact, invariant::Invariant};

/// All replicas' states.
#[derive(Default)]
pub(super) struct States {
    /// What every replica must have that has applied up to an index.
    known: BTreeMap<LogIndex, After>,
    /// How far each running replica is.
    lives: BTreeMap<Node, (LogIndex, u64)>,
    commits: Vec<Commit>,
    /// Who is expected to have another state.
    diverged: BTreeSet<Node>,
    /// The last write of each replica that failed.
    failed: BTreeMap<Node, StateFact>,
}

/// A state, as far as replicas must share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct After {
    term: Term,
    revision: u64,
    hash: u64,
}

impl After {
    /// What a header says, and after which entry; `None` where nothing has been applied.
    fn of(header: &Header) -> Option<(LogIndex, Self)> {
        let at = header.applied?;
        Some((at.index, Self { term: at.term, revision: header.revision.get(), hash: header.hash }))
    }
}

impl States {
    /// A replica has written a header; `commits` are the revisions that came with it.
    pub(super) fn applied(&mut self, replica: Node, header: &Header, commits: Vec<Commit>) -> Checked {
        let compared = self.compare(replica, header);
        let followed = self.follow(replica, header);
        for commit in commits {
            self.add(commit)?;
        }
        compared.and(followed)
    }

    /// A replica has opened a state store.
    pub(super) fn reopened(&mut self, replica: Node, header: &Header) -> Checked {
        self.compare(replica, header)
    }

    pub(super) fn diverged(&mut self, replica: Node) {
        self.diverged.insert(replica);
    }

    /// A replica that had diverged has what all others have.
    pub(super) fn mended(&mut self, replica: Node) {
        self.diverged.remove(&replica);
    }

    /// Whether others have been seen with exactly this state.
    pub(super) fn is_shared(&self, header: &Header) -> bool {
        After::of(header).is_some_and(|(index, after)| self.known.get(&index) == Some(&after))
    }

    pub(super) fn has_diverged(&self, replica: Node) -> bool {
        self.diverged.contains(&replica)
    }

    pub(super) fn perhaps_applied(&mut self, replica: Node, fact: StateFact) {
        self.failed.insert(replica, fact);
    }

    /// The write that failed and happened all the same, if a replica finds itself behind it.
    pub(super) fn take_late(&mut self, replica: Node, found: &Header) -> Option<StateFact> {
        self.failed.remove(&replica).filter(|fact| fact.header.as_ref() == Some(found))
    }

    /// What a replica had applied, it may apply again.
    pub(super) fn begins_anew(&mut self, replica: Node) {
        self.lives.remove(&replica);
    }

    pub(super) fn commits(&self) -> CommitLog {
        CommitLog { base: Revision(Header::FRESH.revision.get()), commits: self.commits.clone() }
    }

    fn compare(&mut self, replica: Node, header: &Header) -> Checked {
        let Some((index, found)) = After::of(header) else { return Ok(()) };
        // What it has differs, and nobody is to take it for what all should have.
        if self.diverged.contains(&replica) {
            return Ok(());
        }
        let known = *self.known.entry(index).or_insert(found);
        if known == found {
            return Ok(());
        }
        let text = format!("at entry {index} {replica} has {found:?}, and others {known:?}");
        Err(Broken(Invariant::SameState, text))
    }

    fn follow(&mut self, replica: Node, header: &Header) -> Checked {
        let Some(at) = header.applied else { return Ok(()) };
        let now = (at.index, header.revision.get());
        let before = self.lives.insert(replica, now).unwrap_or(now);
        if before.0 <= now.0 && before.1 <= now.1 {
            return Ok(());
        }
        let text = format!(
            "{replica} was at entry {} and revision {}, and is at {} and {}",
            before.0, before.1, now.0, now.1
        );
        Err(Broken(Invariant::NeverBack, text))
    }

    fn add(&mut self, commit: Commit) -> Checked {
        let last = self.commits.last().map_or(Header::FRESH.revision.get(), |commit| commit.revision.0);
        let revision = commit.revision.0;
        if revision == last + 1 {
            self.commits.push(commit);
            return Ok(());
        }
        if revision > last {
            let text = format!("revision {revision} comes after {last}");
            return Err(Broken(Invariant::WholeHistory, text));
        }
        let first = Header::FRESH.revision.get() + 1;
        let known =
            usize::try_from(revision - first.min(revision)).ok().and_then(|place| self.commits.get(place));
        if known == Some(&commit) {
            return Ok(());
        }
        Err(Broken(
            Invariant::WholeHistory,
            format!("revision {revision} is there twice, with other changes"),
        ))
    }
}
