//! One word for all: what may be called a pass, and what never.

use keelson_checkers::history::{FaultEvent, History, Meta, Nanos};
use keelson_checkers::promise::Violation;

use super::*;
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
    let faults = ["kill-one", "membership", "pause-all"].map(str::to_owned).to_vec();
    History { meta: Meta { faults, ..Meta::default() }, faults: events, ..History::default() }
}

fn outcome_of(history: &History, checks: &[fn(&History) -> Verdict]) -> Exit {
    let promises: Vec<_> = checks.iter().map(|check| promise("p", *check)).collect();
    judge(history, &promises, &Seen::default()).outcome
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
fn a_crash_breaks_a_run_whatever_its_clients_saw() {
    let ended = Ended { how: "signal 6".to_owned(), said: "boom".to_owned() };
    let crash = Crash { node: "b".to_owned(), ended };
    let judgement =
        judge(&history(Vec::new()), &[promise("p", kept)], &Seen { crashes: vec![crash], ..Seen::default() });
    assert_eq!(judgement.outcome, Exit::Broken);
    assert!(judgement.table().contains("node b ended by itself with signal 6, saying: boom"));
}

#[test]
fn a_run_that_fell_short_is_no_pass() {
    let seen = Seen { shortfalls: vec!["a watcher did not catch up".to_owned()], ..Seen::default() };
    let injected = history(vec![event("kill-one", FaultPhase::Began)]);
    assert_eq!(judge(&injected, &[promise("p", kept)], &seen).outcome, Exit::NothingChecked);
    assert_eq!(judge(&injected, &[promise("p", broken)], &seen).outcome, Exit::Broken);
}

#[test]
fn a_table_names_every_promise_every_fault_and_why_one_was_skipped() {
    let events = vec![
        event("kill-one", FaultPhase::Began),
        event("kill-one", FaultPhase::Ended),
        event("kill-one", FaultPhase::Began),
        event("membership", FaultPhase::Skipped("not supported by the target yet".to_owned())),
        event("", FaultPhase::Healed),
    ];
    let promises = [promise("linearizable", broken), promise("watch-ordered", kept)];
    let judgement = judge(&history(events), &promises, &Seen::default());
    let table = judgement.table();
    for expected in [
        "BROKEN     linearizable ",
        "stale read: it was old",
        "kept       watch-ordered",
        "kill-one               2 times\n",
        "membership             0 times  skipped: not supported by the target yet",
        "no time    pause-all",
    ] {
        assert!(table.contains(expected), "{expected:?} is not in\n{table}");
    }
    let text = serde_json::to_string(&judgement).unwrap();
    assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap(), judgement);
}
