//! Promise: a watch is resumable.
//!
//! > A watch from a revision delivers everything from that revision on and nothing older; so a watch that goes on where
//! > another one ended loses nothing. Only when the revision was compacted away is it refused.
//!
//! Source: etcd's watch API guarantees ("Resumable"); etcd issues 20221 (old events on a watch of the future), 18089;
//! etcd robustness.
//!
//! In: watches, which of them go on from which, compactions, and the commit log. That a client goes on at the right
//! revision is part of the promise: what it skips, nobody sends again. Deliberately absent: what is missing later
//! ([`super::reliable`]).

use super::Compactions;
use crate::history::{History, Revision, Watch, WatchEvent, WatchId};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_resumable",
    words: "A watch from a revision delivers everything from there on and nothing older; going on where another ended \
            loses nothing.",
    source: "etcd: watch API guarantees (resumable), issues 20221, 18089",
    check,
};

fn check(history: &History) -> Verdict {
    let compactions = Compactions::of(history);
    super::each(history, |number, watch, findings| {
        findings.checked += 1;
        older_than_start(number, watch, findings);
        missing_at_start(history, number, watch, findings);
        continues(history, number, watch, findings);
        refused(&compactions, number, watch, findings);
    })
}

fn older_than_start(number: u32, watch: &Watch, findings: &mut Findings) {
    let Some(start) = watch.first_owed() else { return };
    if let Some((_, event)) = watch.events().find(|(_, event)| event.revision < start) {
        let problem = format!("{} is older than the start {start}", super::words(event));
        findings.add(super::violation("event before the start", number, watch, &problem));
    }
}

fn missing_at_start(history: &History, number: u32, watch: &Watch, findings: &mut Findings) {
    let (Some(start), Some(log)) = (watch.first_owed(), &history.log) else { return };
    let Some(first) =
        watch.events().map(|(_, event)| event.revision).filter(|revision| *revision >= start).min()
    else {
        return;
    };
    let before = Revision(first.0.saturating_sub(1));
    if let Some((revision, change)) = super::owed(watch, log, start, before).next() {
        let problem = format!("{} of revision {revision} is missing at the start", change.key);
        findings.add(super::violation("event missing after resuming", number, watch, &problem));
    }
}

/// Where a watch goes on from another, it goes on from what that one has delivered.
fn continues(history: &History, number: u32, watch: &Watch, findings: &mut Findings) {
    let Some((other, earlier)) = super::parent(history, watch) else { return };
    if compacted(earlier).is_some() {
        // What was compacted away cannot be had; the watcher has to read the state again.
        return;
    }
    let (Some(start), next) = (watch.first_owed(), super::reached(earlier).next()) else { return };
    if next.0 > 1 && start > next {
        let problem =
            format!("it goes on from watch {other}, which ended before revision {next}, and skips that");
        let mut violation = super::violation("resumed with a gap", number, watch, &problem);
        violation.watches.insert(0, WatchId(other));
        findings.add(violation);
    }
}

fn compacted(watch: &Watch) -> Option<Revision> {
    watch.responses.iter().find_map(|response| match &response.what {
        WatchEvent::Canceled { compact_revision, .. } => compact_revision.told(),
        WatchEvent::Created | WatchEvent::Events(_) | WatchEvent::Progress | WatchEvent::Broken(_) => None,
    })
}

/// "Compacted" must be true.
fn refused(compactions: &Compactions, number: u32, watch: &Watch, findings: &mut Findings) {
    let Some(compacted) = compacted(watch) else { return };
    let wanted = super::reached(watch).next();
    let problem = if wanted > compacted {
        format!("it is refused for compaction at {compacted}, and wants revision {wanted}")
    } else if compactions.excludes(compacted) {
        format!("it is refused for compaction at {compacted}, which nobody asked for")
    } else {
        return;
    };
    findings.add(super::violation("refused without a reason", number, watch, &problem));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, CommitLog, Returned};
    use crate::testing::{classes, log, op, watch, watched};

    fn the_log() -> CommitLog {
        log(&[(2, "a", Some(1)), (3, "a", Some(2)), (4, "a", Some(3)), (5, "a", Some(4))])
    }

    fn found(watches: Vec<Watch>) -> Vec<&'static str> {
        classes(&PROMISE, &watched(&the_log(), watches))
    }

    fn broken(watch: Watch) -> Watch {
        watch.told(5, 0, WatchEvent::Broken("reset".to_owned()))
    }

    #[test]
    fn a_watch_that_goes_on_where_another_ended_passes() {
        let first = broken(watch("a", 1).sent(1, &the_log(), &[2, 3]));
        let second = watch("a", 4).after(0).sent(6, &the_log(), &[4, 5]);
        assert_eq!(found(vec![first, second]), [""; 0]);
        let idle = broken(watch("a", 1).sent(1, &the_log(), &[2]).told(2, 4, WatchEvent::Progress));
        assert_eq!(found(vec![idle, watch("a", 5).after(0).sent(6, &the_log(), &[5])]), [""; 0]);
    }

    #[test]
    fn a_revision_that_is_skipped_at_the_start_is_found() {
        let first = broken(watch("a", 1).sent(1, &the_log(), &[2]));
        let second = watch("a", 3).after(0).sent(6, &the_log(), &[4, 5]);
        assert_eq!(found(vec![first, second]), ["event missing after resuming"]);
    }

    #[test]
    fn a_watch_that_starts_now_owes_what_comes_after_its_creation() {
        let from_now = |sent: &[u64]| watch("a", 0).told(1, 3, WatchEvent::Created).sent(2, &the_log(), sent);
        assert_eq!(found(vec![from_now(&[4, 5])]), [""; 0]);
        assert_eq!(found(vec![from_now(&[5])]), ["event missing after resuming"]);
        assert_eq!(found(vec![from_now(&[3, 4])]), ["event before the start"]);
    }

    #[test]
    fn events_older_than_the_start_are_found() {
        assert_eq!(found(vec![watch("a", 4).sent(1, &the_log(), &[3, 4])]), ["event before the start"]);
    }

    #[test]
    fn a_client_that_skips_is_found() {
        let first = broken(watch("a", 1).sent(1, &the_log(), &[2]));
        assert_eq!(
            found(vec![first, watch("a", 5).after(0).sent(6, &the_log(), &[5])]),
            ["resumed with a gap"]
        );
    }

    #[test]
    fn compaction_excuses_a_gap_and_must_be_true() {
        let canceled = |compacted| WatchEvent::Canceled {
            compact_revision: Revision(compacted),
            reason: "compacted".to_owned(),
        };
        let refused = |compacted| watch("a", 1).sent(1, &the_log(), &[2]).told(2, 9, canceled(compacted));
        let later = watch("a", 5).after(0).sent(6, &the_log(), &[5]);
        let mut history = watched(&the_log(), vec![refused(4), later]);
        let compact = |revision| {
            let returned = Returned::Compact { revision: Revision(5) };
            op(0, 0..1, Call::Compact { revision: Revision(revision) }, returned)
        };
        history.operations = vec![compact(4)];
        assert_eq!(classes(&PROMISE, &history), [""; 0]);
        history.operations = vec![compact(3)];
        assert_eq!(classes(&PROMISE, &history), ["refused without a reason"]);
        assert_eq!(found(vec![refused(2)]), ["refused without a reason"]);
        // Nobody asked for any compaction.
        assert_eq!(found(vec![refused(4)]), ["refused without a reason"]);
    }
}
