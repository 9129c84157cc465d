//! What is known of keys, and when nothing is.

use super::*;
use crate::{
    command::KeyValue,
    engine::{Batch, Disk as _, Engine, Role, mem::MemDisk},
    id::{ChangeId, LeaseId, Revision},
    watch::Change,
};

/// A state with versions of these keys, as a writer leaves them.
fn engine(keys: &[&str], versions: u64) -> std::sync::Arc<dyn Engine> {
    let engine = MemDisk::new().open("state", Role::State).unwrap();
    let mut batch = Batch::default();
    for (key, number) in keys.iter().zip(0..) {
        for version in 1..=versions {
            let id = ChangeId { revision: Revision::new(number * versions + version + 1), sub: 0 };
            let record = schema::encode_version(id.revision, version, LeaseId::NONE, b"value");
            batch.put(Family::Keys, schema::record_key(schema::record_prefix(key.as_bytes()), id), record);
        }
    }
    engine.write(batch).unwrap();
    engine
}

fn made(key: &str, revision: u64, kind: ChangeKind) -> RevisionChanges {
    let kv = KeyValue { key: key.to_owned().into(), version: 1, ..KeyValue::default() };
    RevisionChanges {
        revision: Revision::new(revision),
        changes: [Change { kind, kv, previous: None }].into(),
    }
}

/// Surveys to the end; answers in how many steps.
fn survey(known: &mut Known, engine: &dyn Engine, records: usize) -> usize {
    (0..).find(|_| !known.survey(engine, records).unwrap()).unwrap()
}

#[test]
fn a_key_is_known_to_be_new_when_a_survey_has_passed_all_others() {
    let engine = engine(&["a", "b", "b\0", "c"], 3);
    for records in [1, 2, 5, 100] {
        let mut known = Known::default();
        assert_eq!(known.get(b"new"), None, "nothing is known yet");
        assert!(known.survey(&*engine, 1).unwrap());
        assert_eq!(known.get(b"new"), None, "nor in the middle of the survey");
        survey(&mut known, &*engine, records);
        assert_eq!(known.get(b"new"), Some(None));
        for old in ["a", "b", "b\0", "c"] {
            assert_eq!(
                known.get(old.as_bytes()),
                None,
                "{old} has to be looked up, {records} records a step"
            );
        }
        assert!(!known.survey(&*engine, 1).unwrap(), "it is not made again");
    }
}

#[test]
fn steps_are_short_and_versions_of_a_passed_key_are_not_looked_at_again() {
    let engine = engine(&["a", "b", "c"], 50);
    let mut known = Known::default();
    assert_eq!(survey(&mut known, &*engine, 10), 4, "one for each key, and one that finds the end");
}

#[test]
fn what_is_created_during_a_survey_and_after_it_is_held_to_exist() {
    let engine = engine(&["a", "z"], 1);
    let mut known = Known::default();
    assert!(known.survey(&*engine, 1).unwrap());
    // It lies before the place that the survey has reached.
    known.take_in(&made("Z", 10, ChangeKind::Put));
    survey(&mut known, &*engine, 1);
    known.take_in(&made("y", 11, ChangeKind::Put));
    known.forget_versions();
    assert_eq!(known.get(b"Z"), None);
    assert_eq!(known.get(b"y"), None);
    assert_eq!(known.get(b"x"), Some(None));
}

#[test]
fn a_survey_is_made_anew_when_much_was_deleted() {
    let engine = engine(&["a"], 1);
    let mut known = Known::default();
    survey(&mut known, &*engine, 1);
    known.take_in(&made("gone", 10, ChangeKind::Put));
    known.take_in(&made("gone", 11, ChangeKind::Delete));
    known.forget_versions();
    assert_eq!(known.get(b"gone"), None, "it is held to exist");
    assert!(!known.survey(&*engine, 1).unwrap(), "one key is no reason");
    known.deleted = FORGOTTEN_AT_LEAST;
    assert!(known.survey(&*engine, 1).unwrap());
    survey(&mut known, &*engine, 1);
    assert_eq!(known.get(b"gone"), Some(None));
}
