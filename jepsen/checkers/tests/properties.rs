//! Every check against histories that are known to be right, and against the same ones with one thing wrong.
//!
//! In: a sequential model and its overlapping clients. Out: no false alarm, and no corruption that goes unnoticed.

mod corruption;
mod model;

use corruption::{CORRUPTIONS, Corruption};
use keelson_checkers::history::History;
use keelson_checkers::promise::{self, Outcome, PROMISES};
use keelson_checkers::{jsonl, minimize};
use model::{Kind, Random, Size};
use proptest::prelude::*;

const KINDS: [Kind; 7] =
    [Kind::Registers, Kind::Append, Kind::Wr, Kind::Set, Kind::Counter, Kind::Locks, Kind::Leases];

fn small(seed: u64, kind: Kind) -> History {
    let size = Size { clients: 6, operations: 400, keys: 4, watches: 5 };
    model::history(seed, kind, size)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(KINDS.to_vec())
}

fn without_log(history: &History) -> History {
    History { log: None, ..history.clone() }
}

fn assert_kept(history: &History) {
    assert_eq!(history.validate(), Ok(()));
    for promise in PROMISES {
        let verdict = (promise.check)(history);
        assert!(
            matches!(verdict.outcome, Outcome::Kept | Outcome::NotApplicable),
            "{} of {:?}, seed {}: {verdict:#?}",
            promise.name,
            history.meta.workload,
            history.meta.seed
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_correct_store_keeps_every_promise(seed in any::<u64>(), kind in kind()) {
        let history = small(seed, kind);
        assert_kept(&history);
        assert_kept(&without_log(&history));
    }

    #[test]
    fn a_generated_history_survives_the_file(seed in any::<u64>(), kind in kind()) {
        let history = small(seed, kind);
        let mut file = Vec::new();
        jsonl::write(&history, &mut file).expect("memory takes it");
        prop_assert_eq!(jsonl::read(file.as_slice()).expect("it is sound"), history);
    }
}

fn corrupted(seed: u64, corruption: &Corruption) -> Option<History> {
    let mut history = small(seed, corruption.kind);
    (corruption.corrupt)(&mut history, &mut Random::new(seed ^ 0xdead_beef))?;
    assert_eq!(history.validate(), Ok(()), "{}", corruption.name);
    Some(history)
}

#[test]
fn every_corruption_is_noticed() {
    for corruption in CORRUPTIONS {
        let promise = promise::named(corruption.promise).expect("it is in the table");
        let mut applied = 0;
        for seed in 0..40 {
            let Some(history) = corrupted(seed, corruption) else { continue };
            applied += 1;
            for history in [without_log(&history), history].iter().skip(usize::from(corruption.needs_log)) {
                let verdict = (promise.check)(history);
                assert!(
                    !verdict.violations().is_empty(),
                    "{} goes unnoticed, seed {seed}, log {}: {:?}",
                    corruption.name,
                    history.log.is_some(),
                    verdict.outcome
                );
            }
        }
        assert!(applied >= 10, "{} could be done {applied} times", corruption.name);
    }
}

#[test]
fn what_is_corrupted_comes_down_to_a_few_operations() {
    for corruption in CORRUPTIONS.iter().filter(|corruption| corruption.shrinks) {
        let promise = promise::named(corruption.promise).expect("it is in the table");
        for history in (0..10).filter_map(|seed| corrupted(seed, corruption)) {
            let small = minimize::minimize(promise, &history, 400).expect("it is broken");
            let kept = small.history.operations.len() + small.history.watches.len();
            let class = small.violation.class;
            assert!(kept <= 60, "{} ({class}): {kept} of {}", corruption.name, history.operations.len());
            assert!(!(promise.check)(&small.history).violations().is_empty());
        }
    }
}
