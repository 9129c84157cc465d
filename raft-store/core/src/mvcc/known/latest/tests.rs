//! What is remembered, forgotten, and never wrong.

use super::*;
use crate::command::KeyValue;

fn put(key: &str, revision: u64, version: u64) -> RevisionChanges {
    let revision = Revision::new(revision);
    let kv = KeyValue {
        key: key.to_owned().into(),
        create_revision: Revision::new(2),
        mod_revision: revision,
        version,
        ..KeyValue::default()
    };
    RevisionChanges { revision, changes: [Change { kind: ChangeKind::Put, kv, previous: None }].into() }
}

fn deletion(key: &str, revision: u64) -> RevisionChanges {
    let mut made = put(key, revision, 0);
    made.changes[0].kind = ChangeKind::Delete;
    made
}

fn version(latest: &Latest, key: &str) -> Option<Option<u64>> {
    latest.get(key.as_bytes()).map(|head| head.map(|head| head.version))
}

#[test]
fn the_last_change_of_a_key_counts() {
    let mut latest = Latest::default();
    assert_eq!(version(&latest, "a"), None);
    latest.take_in(&put("a", 5, 1));
    latest.take_in(&put("a", 6, 2));
    assert_eq!(version(&latest, "a"), Some(Some(2)));
    latest.take_in(&deletion("a", 7));
    assert_eq!(version(&latest, "a"), Some(None), "that it is gone is known, too");
    assert_eq!(version(&latest, "b"), None);
}

#[test]
fn a_change_is_named_by_its_place_in_the_revision() {
    let mut latest = Latest::default();
    let mut made = put("a", 5, 1);
    made.changes.extend(put("b", 5, 1).changes);
    latest.take_in(&made);
    let id = |key: &str| latest.get(key.as_bytes()).unwrap().unwrap().id;
    assert_eq!(id("a"), ChangeId { revision: Revision::new(5), sub: 0 });
    assert_eq!(id("b"), ChangeId { revision: Revision::new(5), sub: 1 });
}

#[test]
fn what_was_changed_long_ago_is_forgotten_and_what_comes_back_is_new() {
    let room = 10 * Generation::bytes_of(2);
    let mut latest = Latest::of(room);
    for number in 0..30_u64 {
        latest.take_in(&put(&format!("{number:02}"), number + 2, 1));
        assert!(latest.young.bytes() + latest.old.bytes() <= room);
        // An old generation must not answer for a key that has changed since.
        latest.take_in(&put("00", number + 2, number + 1));
        assert_eq!(version(&latest, "00"), Some(Some(number + 1)));
    }
    assert_eq!(version(&latest, "01"), None);
    assert_eq!(version(&latest, "29"), Some(Some(1)));
}
