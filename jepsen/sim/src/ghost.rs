//! The ghost: who sees everything, and compares it with what must be true.
//!
//! In: what every replica writes to its disk and makes durable there, the moment it does. Out: violations of the
//! invariants of Raft and of the state machine, and what really was committed. The ghost knows no replica's memory: it
//! believes disks.

mod log;
mod membership;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keelson_checkers::history::CommitLog;
use keelson_store_core::{
    engine::{Engine, Role},
    id::{LogIndex, ReplicaId, Term},
    schema::Header,
};

use crate::{
    Node,
    disk::{Config, LogFact, StateFact, scan_damaged_log, scan_log},
    invariant::{Invariant, Violation},
    trace::{Event, Trace},
};
use log::Logs;
use state::States;

/// Violations past this many are only counted: one cause often breaks an invariant at every step.
const KEPT_VIOLATIONS: usize = 20;

/// The ghost. Clones share it.
#[derive(Clone)]
pub(crate) struct Ghost {
    inner: Arc<Mutex<Inner>>,
    trace: Trace,
}

struct Inner {
    logs: Logs,
    states: States,
    found: Vec<Violation>,
}

/// Whose disk a replica has right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its own: it must be as the ghost knows it.
    #[default]
    Whole,
    /// Its own, with records that were damaged on purpose.
    Damaged,
    /// One that it must not have: it is expected to be refused, and nothing that is written there counts.
    Foreign,
}

/// Something that is not as it must be, still without its time.
pub(crate) struct Broken(pub(crate) Invariant, pub(crate) String);

type Checked = Result<(), Broken>;

impl Ghost {
    /// A ghost that watches so many replicas.
    pub(crate) fn new(replicas: usize, trace: Trace) -> Self {
        let inner = Inner { logs: Logs::new(replicas), states: States::default(), found: Vec::new() };
        Self { inner: Arc::new(Mutex::new(inner)), trace }
    }

    /// A replica has opened a store.
    pub(crate) fn opened(&self, replica: Node, role: Role, engine: &dyn Engine) {
        let mut inner = self.lock();
        match role {
            Role::Log => {
                let found = scan_log(engine)
                    .unwrap_or_else(|_| scan_damaged_log(engine, &inner.logs.indexes(replica)));
                let checked = inner.logs.reopened(replica, &found);
                inner.judge(&self.trace, checked);
            }
            Role::State => {
                if let Ok(header) = Header::load(engine)
                    && inner.logs.trust(replica) != Trust::Foreign
                {
                    if let Some(fact) = inner.states.take_late(replica, &header) {
                        inner.apply(&self.trace, replica, fact);
                    }
                    let checked = inner.states.reopened(replica, &header);
                    inner.judge(&self.trace, checked);
                }
            }
        }
    }

    /// A replica has written to its log store.
    pub(crate) fn logged(&self, replica: Node, changes: usize, facts: Vec<LogFact>) {
        self.trace.note(Event::Wrote { replica, changes });
        let mut inner = self.lock();
        if facts.contains(&LogFact::StateAnew) {
            inner.states.begins_anew(replica);
        }
        let checked = inner.logs.written(replica, facts);
        inner.judge(&self.trace, checked);
    }

    /// A write to a replica's log store has failed: it may have happened all the same.
    pub(crate) fn perhaps_logged(&self, replica: Node, facts: Vec<LogFact>) {
        self.lock().logs.perhaps_written(replica, facts);
    }

    /// A replica has synced its log store.
    pub(crate) fn synced(&self, replica: Node) {
        self.lock().logs.synced(replica);
    }

    /// A replica has written to its state store.
    pub(crate) fn applied(&self, replica: Node, changes: usize, fact: StateFact) {
        self.trace.note(Event::Wrote { replica, changes });
        let mut inner = self.lock();
        if inner.logs.trust(replica) != Trust::Foreign {
            inner.apply(&self.trace, replica, fact);
        }
    }

    /// A write to a replica's state store has failed: it may have happened all the same.
    pub(crate) fn perhaps_applied(&self, replica: Node, fact: StateFact) {
        self.lock().states.perhaps_applied(replica, fact);
    }

    /// A replica has crashed; what was not synced may be gone.
    pub(crate) fn crashed(&self, replica: Node) {
        let mut inner = self.lock();
        inner.states.begins_anew(replica);
        let checked = inner.logs.check_kept();
        inner.judge(&self.trace, checked);
    }

    /// A replica was seen to lead in a term.
    pub(crate) fn seen_leading(&self, term: Term, leader: ReplicaId) {
        let mut inner = self.lock();
        let checked = inner.logs.leads(term, leader);
        inner.judge(&self.trace, checked);
    }

    /// A replica has got a new disk, and is another one from now on.
    pub(crate) fn renewed(&self, replica: Node) {
        let mut inner = self.lock();
        inner.logs.renewed(replica);
        inner.states.begins_anew(replica);
    }

    /// The id of the disk that a replica has of its own, where it has got so far.
    pub(crate) fn id(&self, replica: Node) -> Option<ReplicaId> {
        self.lock().logs.id(replica)
    }

    /// Whether a replica belongs to the cluster, as far as that is committed.
    pub(crate) fn is_member(&self, replica: Node) -> bool {
        let inner = self.lock();
        let id = inner.logs.id(replica);
        id.is_some_and(|id| inner.logs.membership().is_some_and(|now| now.members.contains(&id)))
    }

    /// Whether a replica belonged to the cluster, and does no more.
    pub(crate) fn was_removed(&self, replica: Node) -> bool {
        self.lock().logs.was_removed(replica)
    }

    /// Whether a replica votes, and no change of voters is half done.
    pub(crate) fn votes_for_good(&self, replica: Node) -> bool {
        let inner = self.lock();
        let is_settled = |now: &Config, id| !now.is_joint() && now.has_voter(id);
        inner.logs.id(replica).zip(inner.logs.membership()).is_some_and(|(id, now)| is_settled(now, id))
    }

    /// A replica has another state than it should have, until it has got a whole one.
    pub(crate) fn diverged(&self, replica: Node) {
        self.lock().states.diverged(replica);
    }

    /// A replica that had diverged has a whole state, and is measured as all others are from now on.
    pub(crate) fn mended(&self, replica: Node) {
        self.lock().states.mended(replica);
    }

    /// Whether others have been seen with exactly this state.
    pub(crate) fn is_shared(&self, header: &Header) -> bool {
        self.lock().states.is_shared(header)
    }

    /// Whether a replica still counts as one that has another state than it should have.
    pub(crate) fn has_diverged(&self, replica: Node) -> bool {
        self.lock().states.has_diverged(replica)
    }

    /// From now on a replica's disk is to be trusted so far.
    pub(crate) fn set_trust(&self, replica: Node, trust: Trust) {
        self.lock().logs.set_trust(replica, trust);
    }

    /// How far a replica's disk is to be trusted.
    pub(crate) fn trust(&self, replica: Node) -> Trust {
        self.lock().logs.trust(replica)
    }

    /// The last entry that a replica's disk holds, synced or not.
    pub(crate) fn log_end(&self, replica: Node) -> Option<LogIndex> {
        self.lock().logs.end(replica)
    }

    /// What was committed.
    pub(crate) fn commits(&self) -> CommitLog {
        self.lock().states.commits()
    }

    /// Notes that something is not as it must be.
    pub(crate) fn report(&self, broken: Broken) {
        self.lock().judge(&self.trace, Err(broken));
    }

    /// What was not as it must be.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.lock().found.clone()
    }

    /// A panic elsewhere is reported by whoever notices it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn apply(&mut self, trace: &Trace, replica: Node, fact: StateFact) {
        let Some(header) = fact.header else { return };
        if let Some(at) = header.applied {
            trace.note(Event::Applied { replica, index: at.index.get(), hash: header.hash });
        }
        let committed = self.logs.applied(replica, &header);
        let applied = self.states.applied(replica, &header, fact.commits);
        self.judge(trace, committed);
        self.judge(trace, applied);
    }

    fn judge(&mut self, trace: &Trace, checked: Checked) {
        let Err(Broken(invariant, text)) = checked else { return };
        if self.found.len() < KEPT_VIOLATIONS {
            self.found.push(Violation { at: trace.now(), broken: invariant.name(), text });
        }
    }
}

#[cfg(test)]
mod tests;
