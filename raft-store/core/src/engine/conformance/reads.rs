//! Promises about `get`, cursors and views (E2, E5).

use std::sync::Arc;

use super::{FAMILY, entries, get, keys, open, put, write};
use crate::{
    engine::{Cursor, Disk, Engine, Family, Role},
    id::{ChangeId, Revision},
    schema,
};

fn with_keys(disk: &dyn Disk, keys: &[&str]) -> Arc<dyn Engine> {
    let engine = open(disk, "store", Role::State);
    write(&*engine, |batch| {
        keys.iter().for_each(|key| batch.put(FAMILY, key.to_string(), format!("={key}")))
    });
    engine
}

fn at(cursor: &dyn Cursor) -> Option<String> {
    cursor.entry().map(|(key, value)| {
        let (key, value) = (super::text(key), super::text(value));
        assert_eq!(value, format!("={key}"), "a key stands beside its own value");
        key
    })
}

/// `get` of a key that is not there is none; neither a prefix of a key nor its extension counts.
pub fn absent_key_is_none(disk: &dyn Disk) {
    let engine = with_keys(disk, &["bb"]);
    assert_eq!(get(&*engine, FAMILY, "bb"), Some("=bb".into()));
    for absent in ["", "b", "bbb", "a", "c"] {
        assert_eq!(get(&*engine, FAMILY, absent), None, "{absent:?}");
    }
}

/// `seek` stands on the key itself, else on the next one, else nowhere.
pub fn seek_finds_first_at_or_after(disk: &dyn Disk) {
    let engine = with_keys(disk, &["b", "d", "f"]);
    let mut cursor = engine.cursor(FAMILY);
    for (key, found) in [("", Some("b")), ("b", Some("b")), ("c", Some("d")), ("f", Some("f")), ("g", None)] {
        cursor.seek(key.as_bytes()).expect("seek");
        assert_eq!(at(&*cursor).as_deref(), found, "seek {key:?}");
    }
    cursor.seek(b"a").expect("seek");
    assert_eq!(at(&*cursor).as_deref(), Some("b"), "a cursor past the end can be moved back");
}

/// `seek_back` stands on the key itself, else on the one before, else nowhere.
pub fn seek_back_finds_last_at_or_before(disk: &dyn Disk) {
    let engine = with_keys(disk, &["b", "d", "f"]);
    let mut cursor = engine.cursor(FAMILY);
    for (key, found) in [("a", None), ("", None), ("b", Some("b")), ("e", Some("d")), ("z", Some("f"))] {
        cursor.seek_back(key.as_bytes()).expect("seek_back");
        assert_eq!(at(&*cursor).as_deref(), found, "seek_back {key:?}");
    }
    cursor.seek_back(b"d").expect("seek_back");
    cursor.next().expect("next");
    assert_eq!(at(&*cursor).as_deref(), Some("f"), "next goes on from where seek_back stood");
}

/// `next` visits every key once; past the last one it is a no-op.
pub fn next_walks_to_the_end_and_stays(disk: &dyn Disk) {
    let engine = with_keys(disk, &["a", "b", "c"]);
    assert_eq!(keys(&*engine, FAMILY), ["a", "b", "c"]);
    let mut cursor = engine.cursor(FAMILY);
    cursor.seek(b"c").expect("seek");
    for _ in 0..3 {
        cursor.next().expect("next past the end");
        assert_eq!(at(&*cursor), None);
    }
}

/// A new cursor has no entry, `next` on it is a no-op, and a family without keys has none either.
pub fn fresh_cursor_stands_nowhere(disk: &dyn Disk) {
    let engine = with_keys(disk, &["a"]);
    let mut cursor = engine.cursor(FAMILY);
    assert_eq!(at(&*cursor), None);
    cursor.next().expect("next from nowhere");
    assert_eq!(at(&*cursor), None);
    let mut cursor = engine.cursor(Family::Leases);
    cursor.seek(b"").expect("seek in an empty family");
    assert_eq!(at(&*cursor), None);
    cursor.seek_back(b"z").expect("seek_back in an empty family");
    assert_eq!(at(&*cursor), None);
}

/// 0x80 comes after 0x7f, and a key before its extensions.
pub fn keys_are_ordered_as_unsigned_bytes(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    let sorted: [&[u8]; 6] = [b"", b"\x00", b"\x00\x00", b"\x7f", b"\x80", b"\xff\xff"];
    for key in sorted.iter().rev() {
        write(&*engine, |batch| batch.put(FAMILY, key.to_vec(), "v"));
    }
    let mut cursor = engine.cursor(FAMILY);
    cursor.seek(b"").expect("seek");
    for key in sorted {
        assert_eq!(cursor.entry().map(|(key, _)| key), Some(key));
        cursor.next().expect("next");
    }
    assert_eq!(cursor.entry(), None);
}

/// A cursor of the engine itself does not see writes made after it was taken.
pub fn cursor_shows_the_moment_it_was_made(disk: &dyn Disk) {
    let engine = with_keys(disk, &["a", "c"]);
    let mut cursor = engine.cursor(FAMILY);
    write(&*engine, |batch| {
        batch.put(FAMILY, "b", "=b");
        batch.delete(FAMILY, "c");
    });
    let mut seen = Vec::new();
    cursor.seek(b"").expect("seek");
    while let Some(key) = at(&*cursor) {
        seen.push(key);
        cursor.next().expect("next");
    }
    assert_eq!(seen, ["a", "c"]);
    assert_eq!(keys(&*engine, FAMILY), ["a", "b"]);
}

/// A view shows its moment whatever is put, deleted, deleted by range or synced afterwards.
pub fn views_stand_still(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    let empty = engine.view();
    ["a", "b", "c"].iter().for_each(|key| put(&*engine, key, "1"));
    let full = engine.view();
    let before = entries(&*full, FAMILY);
    put(&*engine, "a", "2");
    write(&*engine, |batch| batch.delete(FAMILY, "b"));
    engine.sync().expect("sync");
    let changed = engine.view();
    write(&*engine, |batch| batch.delete_range(FAMILY, "", "zz"));
    engine.sync().expect("sync");

    assert_eq!(entries(&*empty, FAMILY), []);
    assert_eq!(entries(&*full, FAMILY), before);
    assert_eq!(get(&*full, FAMILY, "b"), Some("1".into()));
    let expected = [("a".to_owned(), "2".to_owned()), ("c".to_owned(), "1".to_owned())];
    assert_eq!(entries(&*changed, FAMILY), expected);
    assert_eq!(entries(&*engine, FAMILY), []);
}

/// A view works when the engine handle that it came from is gone.
pub fn views_outlive_their_handle(disk: &dyn Disk) {
    let engine = with_keys(disk, &["a"]);
    let view = engine.view();
    drop(engine);
    assert_eq!(keys(&*view, FAMILY), ["a"]);
}

/// A prefix cursor, sought at or within the prefix of a key's versions, shows the first of them that follows, and walks on
/// over the others; what it shows of an absent key does not begin so.
pub fn prefix_cursor_finds_what_begins_so(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    let version = |key: &str, revision| {
        let id = ChangeId { revision: Revision::new(revision), sub: 0 };
        schema::record_key(schema::record_prefix(key.as_bytes()), id)
    };
    let key = |number: u64| format!("key-{number:03}");
    for number in (0..100).step_by(2) {
        write(&*engine, |batch| {
            [3, 5]
                .iter()
                .for_each(|revision| batch.put(Family::Keys, version(&key(number), *revision), key(number)));
        });
        // Both what is written out and what is not is to be searched.
        if number == 60 {
            super::sync(&*engine);
        }
    }
    let mut cursor = engine.prefix_cursor(Family::Keys);
    for number in [98, 0, 61, 60, 59, 2, 1, 50] {
        let prefix = schema::record_prefix(key(number).as_bytes());
        let mut sees = |target: &[u8]| {
            cursor.seek(target).expect("seek");
            let mut seen = Vec::new();
            while let Some((found, _)) = cursor.entry().filter(|(found, _)| found.starts_with(&prefix)) {
                seen.push(found.to_vec());
                cursor.next().expect("next");
            }
            seen
        };
        let all = if number % 2 == 0 {
            vec![version(&key(number), 5), version(&key(number), 3)]
        } else {
            Vec::new()
        };
        assert_eq!(sees(&prefix), all, "key {number}");
        assert_eq!(sees(&version(&key(number), 4)), all.get(1..).unwrap_or_default(), "key {number} as of 4");
    }
}
