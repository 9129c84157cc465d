//! One word for all: what may be called a pass, and what never.

use keelson_checkers::history::{FaultEvent, History, Meta, Nanos};
use keelson_checkers::promise::Violation;

use super::*;
use crate::cluster::Crash;
use crate::cluster::node::Ended;

fn promise(name: &'static str, check: fn(&History) -> Verdict) -> Promise {
    Promise { name, words: "", source: "", check }
}

fn kept(_: &History) -> Verdict {
    Verdict { outcome: Outcome::Kept, checked: 7 }
}

fn broken(_: &History) -> Verdict {
    let violation = Violation {
        class: "stale read",
        text: "it was old".to_owned(),
        operations: vec![keelson_checkers::history::OpId(3)],
        watches: Vec::new(),
    };
    Verdict { outcome: Outcome::Broken(vec![violation]), checked: 7 }
}

fn undecided(_: &History) -> Verdict {
    Verdict { outcome: Outcome::Undecided("too wide".to_owned()), checked: 7 }
}

fn nothing(_: &History) -> Verdict {
    Verdict { outcome: Outcome::NotApplicable, checked: 0 }
}

fn event(fault: &str, phase: FaultPhase) -> FaultEvent {
    FaultEvent { at: Nanos(1), fault: fault.to_owned(), targets: Vec::new(), phase }
}

/// A run that asked for three faults.
fn history(events: Vec<FaultEvent>) -> History {
    let faults = ["kill-one", "clock-skew", "pause-all"].map(str::to_owned).to_vec();
    History { meta: Meta { faults, ..Meta::default() }, faults: events, ..History::default() }
}

/// One that says something of itself.
fn with(events: Vec<FaultEvent>, remarks: Remarks) -> History {
    History { remarks, ..history(events) }
}

fn outcome_of(history: &History, checks: &[fn(&History) -> Verdict]) -> Exit {
    let promises: Vec<_> = checks.iter().map(|check| promise("p", *check)).collect();
    judge(history, &promises).outcome
}

#[test]
fn only_promises_that_were_checked_under_faults_that_were_injected_are_kept() {
    let injected = history(vec![event("kill-one", FaultPhase::Began)]);
    assert_eq!(outcome_of(&injected, &[kept, nothing]), Exit::Kept);
    assert_eq!(outcome_of(&injected, &[kept, broken]), Exit::Broken);
    assert_eq!(outcome_of(&injected, &[undecided, broken]), Exit::Broken);
    assert_eq!(outcome_of(&injected, &[kept, undecided]), Exit::NothingChecked);
    assert_eq!(outcome_of(&injected, &[nothing]), Exit::NothingChecked);
    assert_eq!(outcome_of(&injected, &[]), Exit::NothingChecked);
    let skipped = history(vec![event("kill-one", FaultPhase::Skipped("no".to_owned()))]);
    assert_eq!(outcome_of(&skipped, &[kept]), Exit::NothingChecked);
    assert_eq!(outcome_of(&History::default(), &[kept]), Exit::Kept, "no fault was asked for");
}

#[test]
fn a_fault_that_began_and_that_nobody_felt_does_not_count() {
    let unfelt = [FaultPhase::Began, FaultPhase::Skipped("all was written".to_owned()), FaultPhase::Ended];
    let unfelt: Vec<_> = unfelt.map(|phase| event("kill-one", phase)).to_vec();
    let judgement = judge(&history(unfelt.clone()), &[promise("p", kept)]);
    assert_eq!(judgement.outcome, Exit::NothingChecked);
    assert!(judgement.table().contains("kill-one               0 times  skipped: all was written"));
    let felt = [FaultPhase::Began, FaultPhase::Ended, FaultPhase::Skipped("not now".to_owned())];
    let both: Vec<_> = unfelt.into_iter().chain(felt.map(|phase| event("kill-one", phase))).collect();
    let judgement = judge(&history(both), &[promise("p", kept)]);
    let injected =
        judgement.faults.iter().find(|fault| fault.fault == "kill-one").map(|fault| fault.injected);
    assert_eq!((judgement.outcome, injected), (Exit::Kept, Some(1)));
}

#[test]
fn nobody_is_held_to_what_they_never_promised() {
    let mut history = history(vec![event("kill-one", FaultPhase::Began)]);
    history.meta.not_promised = vec!["never".to_owned()];
    let judgement = judge(&history, &[promise("p", kept), promise("never", broken)]);
    assert_eq!((judgement.outcome, judgement.promises.len()), (Exit::Kept, 1));
}

#[test]
fn a_record_that_cannot_be_is_the_harness_failure_and_nobody_elses() {
    let later = FaultEvent { at: Nanos(2), ..event("kill-one", FaultPhase::Began) };
    let flawed = history(vec![later, event("kill-one", FaultPhase::Ended)]);
    let judgement = judge(&flawed, &[promise("p", broken)]);
    assert_eq!((judgement.outcome, judgement.promises.len()), (Exit::HarnessFailed, 0));
    assert!(judgement.table().contains("fault event 1: it comes before"), "{}", judgement.table());
}

#[test]
fn a_crash_breaks_a_run_whatever_its_clients_saw() {
    let ended = Ended { how: "signal 6".to_owned(), said: "boom".to_owned() };
    let crash = Crash { node: "b".to_owned(), ended }.to_string();
    let history = with(Vec::new(), Remarks { crashes: vec![crash], ..Remarks::default() });
    let judgement = judge(&history, &[promise("p", kept)]);
    assert_eq!(judgement.outcome, Exit::Broken);
    assert!(judgement.table().contains("node b ended by itself with signal 6, saying: boom"));
}

#[test]
fn a_member_that_cannot_come_back_breaks_a_run() {
    let history = with(Vec::new(), Remarks { outcasts: vec!["c".to_owned()], ..Remarks::default() });
    let judgement = judge(&history, &[promise("p", kept)]);
    assert_eq!(judgement.outcome, Exit::Broken);
    assert!(judgement.table().contains("node c was removed"));
}

#[test]
fn a_run_that_fell_short_is_no_pass() {
    let remarks = Remarks { shortfalls: vec!["a watcher did not catch up".to_owned()], ..Remarks::default() };
    let injected = with(vec![event("kill-one", FaultPhase::Began)], remarks);
    assert_eq!(judge(&injected, &[promise("p", kept)]).outcome, Exit::NothingChecked);
    assert_eq!(judge(&injected, &[promise("p", broken)]).outcome, Exit::Broken);
}

#[test]
fn a_table_names_every_promise_every_fault_and_why_one_was_skipped() {
    let events = vec![
        event("kill-one", FaultPhase::Began),
        event("kill-one", FaultPhase::Ended),
        event("kill-one", FaultPhase::Began),
        event("clock-skew", FaultPhase::Skipped("libfaketime is not installed".to_owned())),
        event("", FaultPhase::Healed),
    ];
    let promises = [promise("linearizable", broken), promise("watch-ordered", kept)];
    let judgement = judge(&history(events), &promises);
    let table = judgement.table();
    for expected in [
        "BROKEN     linearizable ",
        "stale read: it was old",
        "kept       watch-ordered",
        "kill-one               2 times\n",
        "clock-skew             0 times  skipped: libfaketime is not installed",
        "no time    pause-all",
    ] {
        assert!(table.contains(expected), "{expected:?} is not in\n{table}");
    }
    let text = serde_json::to_string(&judgement).unwrap();
    assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap(), judgement);
}
