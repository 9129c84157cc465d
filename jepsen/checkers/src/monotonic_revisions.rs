//! Promise: the revision never goes back.
//!
//! > An answer that must be current names at least the newest revision that any answer named before the operation
//! > began, and a write's own revision is newer than that. Each revision is one commit's, and the log has no gap. No
//! > answer names a revision that was never committed.
//!
//! Source: etcd's API guarantees (revisions); etcd issue 17780 (revision decreases after a crash); Jepsen.
//!
//! In: the revisions of answers, with times; the commit log. Deliberately absent: answers that promise only some
//! revision of one replica ([`Freshness::Local`]): those of serializable reads and of requests about leases.

use crate::edn;
use crate::history::{CommitLog, Freshness, History, Nanos, Revision};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "monotonic_revisions",
    words: "The revision never goes back, no two commits share one, and none is left out.",
    source: "etcd: API guarantees, issue 17780; Jepsen: etcd 3.4.3",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let answers = answers(history);
    findings.checked = answers.len() as u64;
    real_time(history, &answers, &mut findings);
    reused(history, &answers, &mut findings);
    if let Some(log) = &history.log {
        findings.checked += log.commits.len() as u64;
        if history.meta.whole {
            gapless(log, &mut findings);
        }
        committed(history, &answers, log.last(), &mut findings);
    }
    findings.verdict()
}

struct Answer {
    op: u32,
    invoked: Nanos,
    ended: Nanos,
    revision: Revision,
    freshness: Freshness,
}

/// Answers that tell a revision.
fn answers(history: &History) -> Vec<Answer> {
    let answered = (0..).zip(&history.operations).filter_map(|(op, operation)| {
        let (ended, returned) = operation.answer()?;
        let revision = returned.revision().told()?;
        let freshness = returned.freshness(&operation.call);
        Some(Answer { op, invoked: operation.invoked, ended, revision, freshness })
    });
    answered.collect()
}

fn real_time(history: &History, answers: &[Answer], findings: &mut Findings) {
    let mut begun: Vec<&Answer> =
        answers.iter().filter(|answer| answer.freshness != Freshness::Local).collect();
    let mut ended: Vec<&Answer> = answers.iter().collect();
    begun.sort_by_key(|answer| (answer.invoked, answer.op));
    ended.sort_by_key(|answer| (answer.ended, answer.op));
    let mut ended = ended.into_iter().peekable();
    let mut newest: Option<&Answer> = None;
    for answer in begun {
        while let Some(before) = ended.next_if(|before| before.ended < answer.invoked) {
            if newest.is_none_or(|newest| newest.revision < before.revision) {
                newest = Some(before);
            }
        }
        let Some(before) = newest else { continue };
        let words = |op: u32| edn::words(op, &history.operations[op as usize]);
        let class = match answer.freshness {
            Freshness::Committed if answer.revision <= before.revision => "write at an old revision",
            Freshness::Current if answer.revision < before.revision => "revision went back",
            Freshness::Committed | Freshness::Current | Freshness::Local => continue,
        };
        let text = format!("{} came after {}", words(answer.op), words(before.op));
        findings.add(Violation::of_operations(class, text, [before.op, answer.op]));
    }
}

fn reused(history: &History, answers: &[Answer], findings: &mut Findings) {
    let mut commits: Vec<&Answer> =
        answers.iter().filter(|answer| answer.freshness == Freshness::Committed).collect();
    commits.sort_by_key(|answer| (answer.revision, answer.op));
    for pair in commits.windows(2).filter(|pair| pair[0].revision == pair[1].revision) {
        let words = |op: u32| edn::words(op, &history.operations[op as usize]);
        let text = format!("{} and {} have one revision", words(pair[0].op), words(pair[1].op));
        findings.add(Violation::of_operations("revision reused", text, [pair[0].op, pair[1].op]));
    }
}

/// The log is complete, so there is no revision after its last one.
fn committed(history: &History, answers: &[Answer], last: Revision, findings: &mut Findings) {
    for answer in answers.iter().filter(|answer| last < answer.revision) {
        let words = edn::words(answer.op, &history.operations[answer.op as usize]);
        let text = format!("{words}, and the last commit was that of revision {last}");
        findings.add(Violation::of_operations("revision of the future", text, [answer.op]));
    }
}

fn gapless(log: &CommitLog, findings: &mut Findings) {
    let mut last = log.base;
    for commit in &log.commits {
        let class = match commit.revision {
            revision if revision == last.next() => None,
            revision if revision <= last => Some("revision reused"),
            _ => Some("gap in the commit log"),
        };
        if let Some(class) = class {
            let text = format!("in the commit log revision {} follows {last}", commit.revision);
            findings.add(Violation::of_operations(class, text, []));
        }
        last = last.max(commit.revision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Operation;
    use crate::testing::{classes, delete, log, of, read, serializable, unknown, write};

    fn found(operations: Vec<Operation>) -> Vec<&'static str> {
        classes(&PROMISE, &of(operations))
    }

    #[test]
    fn revisions_that_grow_in_real_time_pass() {
        let operations = vec![
            write(0, 0..2, "a", 1, 3),
            write(1, 1..3, "b", 2, 2),
            read(0, 4..5, "a", Some((1, 3)), 3),
            delete(0, 6..7, "z", false, 3),
            unknown(write(0, 8..9, "a", 3, 0)),
        ];
        assert_eq!(found(operations), [""; 0]);
    }

    #[test]
    fn a_read_that_goes_back_is_found_across_processes() {
        let operations = vec![write(0, 0..1, "a", 1, 5), read(1, 2..3, "b", None, 4)];
        assert_eq!(found(operations), ["revision went back"]);
    }

    #[test]
    fn a_serializable_read_may_go_back() {
        let operations = vec![write(0, 0..1, "a", 1, 5), serializable(read(1, 2..3, "b", None, 4))];
        assert_eq!(found(operations), [""; 0]);
    }

    #[test]
    fn what_a_serializable_read_has_seen_binds_those_who_come_later() {
        let operations = vec![serializable(read(1, 2..3, "b", None, 4)), read(1, 4..5, "b", None, 3)];
        assert_eq!(found(operations), ["revision went back"]);
    }

    #[test]
    fn a_write_at_a_revision_that_was_already_seen_is_found() {
        let operations = vec![read(1, 0..1, "b", None, 5), write(0, 2..3, "a", 1, 5)];
        assert_eq!(found(operations), ["write at an old revision"]);
    }

    #[test]
    fn two_writes_of_one_revision_are_found() {
        let operations = vec![write(0, 0..9, "a", 1, 5), write(1, 0..9, "b", 2, 5)];
        assert_eq!(found(operations), ["revision reused"]);
    }

    #[test]
    fn a_log_with_a_gap_or_a_revision_twice_is_found() {
        let with =
            |changes: &[_]| classes(&PROMISE, &History { log: Some(log(changes)), ..History::default() });
        assert_eq!(with(&[(2, "a", Some(1)), (3, "a", Some(2))]), [""; 0]);
        assert_eq!(with(&[(2, "a", Some(1)), (4, "a", Some(2))]), ["gap in the commit log"]);
        assert_eq!(with(&[(2, "a", Some(1)), (3, "a", Some(2)), (2, "b", Some(3))]), ["revision reused"]);
    }

    #[test]
    fn an_answer_at_a_revision_that_was_never_committed_is_found() {
        let with = |revision| {
            let log = Some(log(&[(2, "a", Some(1))]));
            classes(&PROMISE, &History { log, ..of(vec![serializable(read(0, 0..1, "a", None, revision))]) })
        };
        assert_eq!(with(2), [""; 0]);
        assert_eq!(with(1000), ["revision of the future"]);
    }
}
