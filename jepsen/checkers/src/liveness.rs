//! Promise: after healing, progress.
//!
//! > Within stated bounds after the last fault is healed, a leader is seen, a write succeeds, and every watch has
//! > delivered what had been committed by then; one that is opened later, what had been committed when it was opened.
//! > A watch that its watcher gives up before its time is up owes nothing more.
//!
//! Source: Alpern and Schneider, *Defining Liveness* (1985); TigerBeetle's VOPR (heal a core, demand progress). The
//! bounds are the run's own ([`crate::history::Bounds`]).
//!
//! In: the last [`FaultPhase::Healed`], operations, leaders seen, watches and the commit log. Deliberately absent:
//! sub-histories; what is left out of them would look like silence.

use crate::history::{
    CommitLog, FaultPhase, Freshness, History, Nanos, Revision, Watch, WatchEvent, WatchId, WatchResponse,
};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "liveness",
    words: "After healing a leader is seen, a write succeeds and watches catch up, each within its bound.",
    source: "Alpern and Schneider 1985; TigerBeetle: VOPR",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let healed = history.faults.iter().rev().find(|event| event.phase == FaultPhase::Healed);
    if let Some(healed) = healed.filter(|_| history.meta.whole) {
        let after = After { history, healed: healed.at, ended: end_of(history) };
        after.leader(&mut findings);
        after.first_write(&mut findings);
        after.watches(&mut findings);
    }
    findings.verdict()
}

/// The last moment that the history knows of.
fn end_of(history: &History) -> Nanos {
    let operations =
        history.operations.iter().map(|operation| operation.end.at().unwrap_or(operation.invoked));
    let responses =
        history.watches.iter().filter_map(|watch| watch.responses.last()).map(|response| response.at);
    let faults = history.faults.iter().map(|event| event.at);
    operations.chain(responses).chain(faults).max().unwrap_or_default()
}

struct After<'a> {
    history: &'a History,
    healed: Nanos,
    ended: Nanos,
}

impl After<'_> {
    fn leader(&self, findings: &mut Findings) {
        let Some(bound) = self.history.meta.bounds.leader else { return };
        let seen =
            self.history.faults.iter().filter(|event| matches!(event.phase, FaultPhase::LeaderSeen(_)));
        let mut seen = seen.map(|event| event.at);
        findings.checked += 1;
        let first = seen.find(|at| *at >= self.healed);
        self.judge("no leader in time", "a leader was seen", first, bound, findings);
    }

    fn first_write(&self, findings: &mut Findings) {
        let Some(bound) = self.history.meta.bounds.first_write else { return };
        let mut tried = false;
        let mut first: Option<Nanos> = None;
        for operation in &self.history.operations {
            let Some((at, returned)) = operation.answer() else {
                tried |= operation.invoked >= self.healed;
                continue;
            };
            if at >= self.healed && returned.freshness(&operation.call) == Freshness::Committed {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
        }
        findings.checked += 1;
        if first.is_none() && !tried {
            findings.give_up("nobody tried to write after healing: let the workload run on".to_owned());
        } else {
            self.judge("no write in time", "a write succeeded", first, bound, findings);
        }
    }

    fn judge(
        &self,
        class: &'static str,
        what: &str,
        first: Option<Nanos>,
        bound: Nanos,
        findings: &mut Findings,
    ) {
        let due = self.healed.0.saturating_add(bound.0);
        let (healed, ended) = (self.healed.0, self.ended.0);
        match first {
            Some(at) if at.0 <= due => {}
            Some(at) => {
                let text = format!(
                    "healed at {healed} ns, and {what} only at {} ns; the bound is {} ns",
                    at.0, bound.0
                );
                findings.add(Violation::of_operations(class, text, []));
            }
            None if ended >= due => {
                let text = format!("healed at {healed} ns, and until {ended} ns it never was that {what}");
                findings.add(Violation::of_operations(class, text, []));
            }
            None => findings.give_up(format!(
                "the run ended {} ns after healing, before the bound of {} ns: record longer",
                ended.saturating_sub(healed),
                bound.0
            )),
        }
    }

    fn watches(&self, findings: &mut Findings) {
        let (Some(bound), Some(log)) = (self.history.meta.bounds.watch_catch_up, &self.history.log) else {
            return;
        };
        let committed = Committed::of(self.history);
        let mut goes_on: Vec<Option<u32>> = vec![None; self.history.watches.len()];
        for (number, watch) in (0..).zip(&self.history.watches) {
            if let Some(WatchId(earlier)) = watch.resumed_from
                && let Some(place) = goes_on.get_mut(earlier as usize)
            {
                *place = Some(number);
            }
        }
        for (number, watch) in (0..).zip(&self.history.watches) {
            let since = self.healed.max(watch.opened);
            if self.closed_before(watch, since) {
                continue;
            }
            let owed = Owed { watch: number, since, due: Nanos(since.0.saturating_add(bound.0)) };
            self.caught_up(log, owed, &goes_on, committed.by(since), findings);
        }
    }

    fn closed_before(&self, watch: &Watch, moment: Nanos) -> bool {
        watch.responses.iter().any(|response| is_end(response) && response.at <= moment)
    }

    /// Follows a watch through those that go on from it, until it has told its watcher of everything committed.
    fn caught_up(
        &self,
        log: &CommitLog,
        owed: Owed,
        goes_on: &[Option<u32>],
        committed: Revision,
        findings: &mut Findings,
    ) {
        let root = &self.history.watches[owed.watch as usize];
        let from = root.first_owed().unwrap_or(committed);
        let Some((target, _)) = crate::watch::owed(root, log, from, committed).last() else { return };
        findings.checked += 1;
        let mut place = Some(owed.watch);
        let mut last = root;
        while let Some(number) = place {
            last = &self.history.watches[number as usize];
            match last.responses.iter().find(|response| told(response) >= target).map(|response| response.at)
            {
                Some(at) if at <= owed.due => return,
                Some(at) => return findings.add(owed.late(target, &format!("came at {} ns", at.0))),
                None => {}
            }
            place = goes_on.get(number as usize).copied().flatten();
        }
        let given_up = last.responses.iter().find(|response| is_end(response)).map(|response| response.at);
        if given_up.is_some_and(|at| at < owed.due) {
            // Nobody wanted it any more when it was due.
        } else if self.ended < owed.due {
            findings
                .give_up("the run ended before the bound of the watches' catch-up: record longer".to_owned());
        } else if !self.is_served(last, owed.since) {
            findings.give_up(format!(
                "watch {} has not caught up, and its replica answered nobody since: is it there?",
                owed.watch
            ));
        } else {
            findings.add(owed.late(target, "never came"));
        }
    }

    /// Whether the watch's replica has answered anybody since; one that is not known is taken to have.
    fn is_served(&self, watch: &Watch, since: Nanos) -> bool {
        let answered = |replica: &Option<String>| {
            let mut there = self.history.operations.iter().filter(|operation| operation.replica == *replica);
            there.any(|operation| operation.answer().is_some_and(|(at, _)| at >= since))
        };
        watch.replica.is_none() || answered(&watch.replica)
    }
}

/// What a watch owes: everything that was committed at a moment, until another one.
#[derive(Clone, Copy)]
struct Owed {
    watch: u32,
    since: Nanos,
    due: Nanos,
}

impl Owed {
    fn late(self, target: Revision, when: &str) -> Violation {
        let Self { watch, since, due } = self;
        let text = format!(
            "watch {watch}: it was well since {} ns, and the commit of revision {target} {when}; the bound is {} ns",
            since.0,
            due.0 - since.0
        );
        Violation::of_watch("watch not caught up in time", text, watch)
    }
}

/// The newest revision that anybody had heard of, at every moment.
struct Committed(Vec<(Nanos, Revision)>);

impl Committed {
    fn of(history: &History) -> Self {
        let answers = history.operations.iter().filter_map(|operation| operation.answer());
        let mut heard: Vec<_> = answers.map(|(at, returned)| (at, returned.revision())).collect();
        heard.sort_unstable();
        let mut newest = Revision::ZERO;
        for (_, revision) in &mut heard {
            newest = newest.max(*revision);
            *revision = newest;
        }
        Self(heard)
    }

    fn by(&self, moment: Nanos) -> Revision {
        let until = self.0.partition_point(|(at, _)| *at <= moment);
        until.checked_sub(1).map_or(Revision::ZERO, |last| self.0[last].1)
    }
}

/// Up to where a response tells its watcher of everything, events and progress.
fn told(response: &WatchResponse) -> Revision {
    match &response.what {
        WatchEvent::Events(events) => events.iter().map(|event| event.revision).max().unwrap_or_default(),
        WatchEvent::Progress => response.header_revision,
        WatchEvent::Created | WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => Revision::ZERO,
    }
}

fn is_end(response: &WatchResponse) -> bool {
    match &response.what {
        WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => true,
        WatchEvent::Created | WatchEvent::Events(_) | WatchEvent::Progress => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Bounds, Operation};
    use crate::promise::Outcome;
    use crate::testing::{at, classes, fault, log, of, unknown, watch, watched, write};

    fn healed(mut history: History) -> History {
        history.meta.bounds = Bounds {
            leader: Some(at(10)),
            first_write: Some(at(20)),
            watch_catch_up: Some(at(30)),
            ..Bounds::default()
        };
        history.faults = vec![
            fault(50, FaultPhase::Began),
            fault(100, FaultPhase::Healed),
            fault(105, FaultPhase::LeaderSeen("n2".to_owned())),
            fault(200, FaultPhase::LeaderSeen("n2".to_owned())),
        ];
        history
    }

    fn found(operations: Vec<Operation>) -> Vec<&'static str> {
        classes(&PROMISE, &healed(of(operations)))
    }

    #[test]
    fn progress_within_the_bounds_passes() {
        assert_eq!(found(vec![unknown(write(0, 90..99, "a", 1, 0)), write(1, 101..119, "a", 2, 2)]), [""; 0]);
    }

    #[test]
    fn a_write_that_comes_late_or_never_is_found() {
        assert_eq!(found(vec![write(1, 101..121, "a", 2, 2)]), ["no write in time"]);
        assert_eq!(found(vec![unknown(write(1, 101..121, "a", 2, 0))]), ["no write in time"]);
    }

    #[test]
    fn a_leader_that_comes_late_is_found() {
        let mut history = healed(of(vec![write(1, 101..119, "a", 2, 2)]));
        history.faults.remove(2);
        assert_eq!(classes(&PROMISE, &history), ["no leader in time"]);
    }

    #[test]
    fn a_run_that_ends_too_soon_is_no_pass() {
        let mut history = healed(of(vec![unknown(write(1, 101..102, "a", 2, 0))]));
        history.faults.truncate(3);
        assert!(matches!((PROMISE.check)(&history).outcome, Outcome::Undecided(_)));
        history.operations.clear();
        assert!(matches!((PROMISE.check)(&history).outcome, Outcome::Undecided(_)));
    }

    #[test]
    fn a_watch_that_does_not_catch_up_is_found() {
        let log = log(&[(2, "a", Some(1)), (3, "a", Some(2)), (4, "a", Some(3))]);
        let writes =
            || vec![write(0, 0..1, "a", 1, 2), write(0, 2..60, "a", 2, 3), write(0, 101..110, "a", 3, 4)];
        let with = |watches| {
            let history = History { operations: writes(), ..watched(&log, watches) };
            classes(&PROMISE, &healed(history))
        };
        let broken =
            |time| watch("a", 1).sent(3, &log, &[2]).told(time, 0, WatchEvent::Broken("reset".to_owned()));
        assert_eq!(with(vec![watch("a", 1).sent(3, &log, &[2]).sent(120, &log, &[3])]), [""; 0]);
        assert_eq!(with(vec![watch("a", 1).sent(3, &log, &[2, 3])]), [""; 0]);
        let late = watch("a", 1).sent(3, &log, &[2]).sent(131, &log, &[3]);
        assert_eq!(with(vec![late]), ["watch not caught up in time"]);
        assert_eq!(with(vec![watch("a", 1).sent(3, &log, &[2])]), ["watch not caught up in time"]);
        // What a later watch delivers counts; what nobody wanted any more does not.
        assert_eq!(with(vec![broken(110), watch("a", 3).after(0).sent(125, &log, &[3, 4])]), [""; 0]);
        assert_eq!(with(vec![broken(110)]), [""; 0]);
        // That it is closed at the end of the run is no excuse, and neither is that it was tried again.
        assert_eq!(with(vec![broken(190)]), ["watch not caught up in time"]);
        let again = watch("a", 3).after(0).told(190, 0, WatchEvent::Broken("the run is over".to_owned()));
        assert_eq!(with(vec![broken(110), again]), ["watch not caught up in time"; 2]);
    }

    #[test]
    fn a_watch_that_is_opened_later_owes_what_was_committed_then() {
        let log = log(&[(2, "a", Some(1)), (3, "a", Some(2))]);
        let with = |sent| {
            let mut late = watch("a", 1).sent(sent, &log, &[2, 3]);
            late.opened = at(150);
            let operations = vec![write(0, 0..1, "a", 1, 2), write(0, 101..110, "a", 2, 3)];
            classes(&PROMISE, &healed(History { operations, ..watched(&log, vec![late]) }))
        };
        assert_eq!(with(180), [""; 0]);
        assert_eq!(with(181), ["watch not caught up in time"]);
    }

    #[test]
    fn a_watch_of_a_replica_that_answers_nobody_is_no_pass() {
        let log = log(&[(2, "a", Some(1))]);
        let with = |asked: &str| {
            let mut silent = watch("a", 1);
            silent.replica = Some("n1".to_owned());
            let mut operations = vec![write(0, 0..1, "a", 1, 2), write(0, 101..110, "b", 2, 3)];
            operations[1].replica = Some(asked.to_owned());
            (PROMISE.check)(&healed(History { operations, ..watched(&log, vec![silent]) })).outcome
        };
        assert!(matches!(with("n2"), Outcome::Undecided(_)));
        assert!(matches!(with("n1"), Outcome::Broken(_)));
    }

    #[test]
    fn that_no_leader_was_ever_seen_is_found() {
        let mut history = healed(of(vec![write(1, 101..119, "a", 2, 2), write(1, 130..140, "a", 3, 3)]));
        history.faults.retain(|event| !matches!(event.phase, FaultPhase::LeaderSeen(_)));
        assert_eq!(classes(&PROMISE, &history), ["no leader in time"]);
    }

    #[test]
    fn without_healing_nothing_is_demanded() {
        assert_eq!((PROMISE.check)(&of(vec![write(0, 0..1, "a", 1, 2)])).outcome, Outcome::NotApplicable);
    }
}
