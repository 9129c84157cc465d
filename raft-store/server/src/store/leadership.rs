//! Tells the log who leads: one line for each change that this replica notices, and none in between.
//!
//! In: the leader that this replica is in touch with, and the term. Out: lines at info; and, on the way, what those go by who
//! may not ask Raft each time: whether this replica is a learner, and whether snapshots are waited for. Whoever reads the logs of all
//! members finds every election there, and for how long there was no leader.
//!
//! Deliberately absent: candidates and votes. Those who stand ask first whether they could win, and most of what they
//! hear is of no use to an operator.

use std::{sync::Arc, time::Duration};

use keelson_store_core::id::{ReplicaId, Term};
use openraft::async_runtime::watch::WatchReceiver as _;

use crate::{
    membership::{self, Touch},
    options::Timing,
    peer::Sending,
    runtime::clock::{Instant, timeout},
    state::SharedState,
    types::Raft,
};

/// The leader that a replica is in touch with, if any, and the term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    term: Term,
    leader: Option<ReplicaId>,
}

/// What is to be said of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// This replica leads; `again` where it was elected before, and a majority had not answered it meanwhile.
    Leads { again: bool },
    /// Another one does; `lost` where this one did before.
    Follows { leader: ReplicaId, lost: bool },
    /// Nobody does; `lost` where this one did before.
    Leaderless { lost: bool },
}

/// What was said last.
#[derive(Default)]
struct Chronicle {
    said: Standing,
    /// Since when there has been no leader; `None` before the first, and while there is one.
    leaderless: Option<Instant>,
}

/// Follows who leads. Never completes.
pub(super) async fn run(raft: Raft, state: Arc<SharedState>, sending: Sending, timing: Timing) {
    let me = membership::id(&raft);
    let mut chronicle = Chronicle::default();
    let mut metrics = raft.server_metrics();
    loop {
        let Touch { term, leader, lost } = membership::in_touch(&raft, &state, timing);
        state.set_lost_leader(lost.map(|lost| (term, lost)));
        chronicle.note(&raft, me, Standing { term, leader });
        state.set_learner(membership::stays_learner(&raft, me));
        sending.hurry(membership::waits_for_snapshot(&raft, timing));
        // That a leader has fallen silent is no change of Raft's: it shows by looking.
        match timeout(timing.election_max, metrics.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            // Raft has stopped: nothing changes any more.
            Ok(Err(_)) => return,
        }
    }
}

impl Chronicle {
    fn note(&mut self, raft: &Raft, me: ReplicaId, now: Standing) {
        let Some(line) = line(me, self.said, now) else { return };
        let without = self.leaderless.take().map(Instant::elapsed);
        self.leaderless = matches!(line, Line::Leaderless { .. }).then(Instant::now);
        self.said = now;
        say(raft, line, now.term, without);
    }
}

/// What has changed that is worth a line. A term without a leader is not: those who stand again and again go through many.
fn line(me: ReplicaId, before: Standing, now: Standing) -> Option<Line> {
    let lost = before.leader == Some(me);
    match now.leader {
        None => before.leader.map(|_| Line::Leaderless { lost }),
        Some(_) if now == before => None,
        Some(leader) if leader == me => Some(Line::Leads { again: before.term == now.term }),
        Some(leader) => Some(Line::Follows { leader, lost }),
    }
}

/// `without` is how long there was no leader, where that was said.
fn say(raft: &Raft, line: Line, term: Term, without: Option<Duration>) {
    let without = without.map(|without| format!("{:.1} s", without.as_secs_f64()));
    let without = without.as_deref();
    match line {
        Line::Leads { again } => {
            let what = if again {
                "this member leads again: a majority answers"
            } else {
                "this member became leader"
            };
            tracing::info!(%term, without_leader_for = without, "{what}");
        }
        Line::Follows { leader, lost } => {
            let (name, id) = (membership::name_of(raft, leader), format!("{:x}", leader.get()));
            let what = if lost { "this member lost leadership, and follows" } else { "this member follows" };
            tracing::info!(%term, leader = name, id, without_leader_for = without, "{what}");
        }
        Line::Leaderless { lost: true } => {
            tracing::info!(%term, "this member lost leadership: a majority does not answer, and there is no leader");
        }
        Line::Leaderless { lost: false } => {
            tracing::info!(%term, "there is no leader any more, as far as this member can tell");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ReplicaId = ReplicaId::new(1);
    const OTHER: ReplicaId = ReplicaId::new(2);
    const THIRD: ReplicaId = ReplicaId::new(3);

    const fn leads(again: bool) -> Line {
        Line::Leads { again }
    }

    /// What is said on a way through several standings, each a term and a leader.
    fn said(way: &[(u64, Option<ReplicaId>)]) -> Vec<Line> {
        let mut before = Standing::default();
        let mut lines = Vec::new();
        for (term, leader) in way {
            let now = Standing { term: Term::new(*term), leader: *leader };
            if let Some(line) = line(ME, before, now) {
                lines.push(line);
                before = now;
            }
        }
        lines
    }

    #[test]
    fn a_leader_is_named_once_for_each_term() {
        let follows = |leader| Line::Follows { leader, lost: false };
        assert_eq!(said(&[(0, None), (1, None), (1, Some(OTHER)), (1, Some(OTHER))]), [follows(OTHER)]);
        assert_eq!(said(&[(1, Some(OTHER)), (2, Some(OTHER))]), [follows(OTHER), follows(OTHER)]);
        assert_eq!(said(&[(1, Some(OTHER)), (2, Some(THIRD))]), [follows(OTHER), follows(THIRD)]);
        assert_eq!(said(&[(1, Some(ME)), (1, Some(ME)), (2, Some(ME))]), [leads(false), leads(false)]);
    }

    #[test]
    fn that_leadership_is_lost_is_said_and_that_there_is_no_leader_once() {
        let lost = Line::Follows { leader: OTHER, lost: true };
        assert_eq!(said(&[(1, Some(ME)), (2, Some(OTHER))]), [leads(false), lost]);
        let alone = [(1, Some(ME)), (1, None), (2, None), (3, None), (3, Some(ME))];
        assert_eq!(said(&alone), [leads(false), Line::Leaderless { lost: true }, leads(false)]);
        let answered_again = [(1, Some(ME)), (1, None), (1, Some(ME))];
        assert_eq!(said(&answered_again), [leads(false), Line::Leaderless { lost: true }, leads(true)]);
        let silent = [(1, Some(OTHER)), (1, None), (1, None), (1, Some(OTHER))];
        let follows = Line::Follows { leader: OTHER, lost: false };
        assert_eq!(said(&silent), [follows, Line::Leaderless { lost: false }, follows]);
    }
}
