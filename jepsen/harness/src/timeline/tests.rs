//! What is drawn, and where.

use keelson_checkers::history::{
    Call, FaultEvent, Filters, Key, KeyRange, ProcessId, Returned, Revision, WatchId,
};

use super::*;
use crate::exit::Exit;
use crate::verdict::{Breach, Counts, Judged};

fn write(process: u32, replica: &str, invoked: u64, ended: Option<u64>) -> Operation {
    let end = match ended {
        Some(at) => End::Ok { at: Nanos(at), returned: Returned::Write { revision: Revision(2) } },
        None => End::Unknown { at: None, why: "it was silent".to_owned() },
    };
    Operation {
        process: ProcessId(process),
        replica: Some(replica.to_owned()),
        call: Call::Write { key: Key::from("</script>"), value: 7 },
        invoked: Nanos(invoked),
        end,
    }
}

fn judgement(guilty: Vec<u32>) -> Judgement {
    let breach = Breach {
        class: "stale read".to_owned(),
        text: "old".to_owned(),
        operations: guilty,
        watches: vec![0],
    };
    Judgement {
        workload: "register".to_owned(),
        seed: 5,
        nodes: Vec::new(),
        outcome: Exit::Broken,
        operations: Counts::default(),
        watches: 0,
        promises: vec![Judged {
            promise: "linearizable".to_owned(),
            finding: Finding::Broken { violations: vec![breach] },
            checked: 1,
        }],
        faults: Vec::new(),
        crashes: Vec::new(),
        outcasts: Vec::new(),
        shortfalls: Vec::new(),
    }
}

#[test]
fn a_process_takes_over_the_row_of_one_that_was_never_answered() {
    let operations = [
        write(0, "a", 0, None),
        write(1, "b", 1, Some(9)),
        write(2, "a", 5, Some(6)),
        write(3, "b", 7, Some(8)),
    ];
    let (names, places) = rows(&operations, &[0, 1, 2, 3]);
    assert_eq!(places, [0, 1, 0, 2], "the second client at b still waits");
    assert_eq!(names, ["client at a", "client at b", "client at b"]);
}

#[test]
fn a_watch_that_goes_on_from_another_stands_in_its_row() {
    let watch = |resumed_from: Option<u32>| Watch {
        process: ProcessId(0),
        replica: None,
        range: KeyRange::all(),
        start: Revision(1),
        filters: Filters::default(),
        prev_kv: false,
        progress_asked: false,
        opened: Nanos(0),
        responses: Vec::new(),
        resumed_from: resumed_from.map(WatchId),
    };
    let mut names = vec!["client at a".to_owned()];
    let places = watch_rows(&[watch(None), watch(None), watch(Some(0)), watch(Some(2))], &mut names);
    assert_eq!(places, [1, 2, 1, 1]);
    assert_eq!(names, ["client at a", "watch 0 and on", "watch 1 and on"]);
}

#[test]
fn of_too_many_operations_those_around_the_first_guilty_one_are_shown() {
    let operations: Vec<_> = (0..100).map(|at| write(0, "a", at, Some(at))).collect();
    assert_eq!(choose(&operations, &[50], 5), [48, 49, 50, 51, 52]);
    assert!(choose(&operations, &[50, 90], 5).contains(&90));
    assert_eq!(choose(&operations, &[], 3), [0, 1, 2]);
    assert_eq!(choose(&operations, &[], 100).len(), 100);
}

#[test]
fn a_fault_is_a_band_until_it_ends_or_the_run_does() {
    let event =
        |at, phase| FaultEvent { at: Nanos(at), fault: "kill".into(), targets: vec!["a".into()], phase };
    let history = History {
        faults: vec![
            event(1_000, FaultPhase::Began),
            event(3_000, FaultPhase::Ended),
            event(5_000, FaultPhase::Began),
            event(9_000, FaultPhase::Healed),
        ],
        ..History::default()
    };
    let found: Vec<_> = bands(&history, 9).into_iter().map(|band| (band.begin, band.end)).collect();
    assert_eq!(found, [(1, 3), (5, 9), (9, 9)]);
}

#[test]
fn no_text_of_a_history_ends_the_script() {
    let history = History { operations: vec![write(0, "a", 0, Some(5_000))], ..History::default() };
    let page = page(&history, &judgement(vec![0]));
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("linearizable: stale read: old"));
}
