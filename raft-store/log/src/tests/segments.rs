//! Segments follow each other, and go when nothing in them counts any more.

use keelson_store_core::engine::Role;

use super::*;

fn delete_range(engine: &dyn Engine, end: usize) {
    let mut batch = Batch::default();
    batch.delete_range(Family::LogEntries, Vec::new(), key(end));
    engine.write(batch).unwrap();
}

#[test]
fn a_log_grows_and_shrinks_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    put(&*engine, Family::LogMeta, "vote", "7");
    let value = "x".repeat(100);
    for number in 0..2000 {
        put(&*engine, Family::LogEntries, &key(number), &value);
        if number % 20 == 19 {
            delete_range(&*engine, number - 10);
            engine.sync().unwrap();
        }
    }
    assert!(segments(dir.path()).len() <= 3, "{:?}", segments(dir.path()));
    assert!(engine.size() <= 3 * SMALL.segment_bytes);
    let before = keys(&*engine, Family::LogEntries);
    drop(engine);
    let engine = open_in(dir.path()).unwrap();
    assert_eq!(keys(&*engine, Family::LogEntries), before);
    assert_eq!(engine.get(Family::LogMeta, b"vote").unwrap().unwrap(), "7");
}

#[test]
fn a_segment_stays_until_the_deletion_of_its_entries_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    (0..100).for_each(|number| put(&*engine, Family::LogEntries, &key(number), &"x".repeat(100)));
    engine.sync().unwrap();
    let files = segments(dir.path()).len();
    assert!(files > 2);
    delete_range(&*engine, 100);
    assert!(segments(dir.path()).len() >= files);
    engine.sync().unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn readers_see_their_moment_when_the_segments_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    (0..100).for_each(|number| put(&*engine, Family::LogEntries, &key(number), &"x".repeat(100)));
    let view = engine.view();
    let mut cursor = engine.cursor(Family::LogEntries);
    delete_range(&*engine, 100);
    engine.sync().unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
    assert_eq!(keys(&*view, Family::LogEntries).len(), 100);
    cursor.seek_back(b"x").unwrap();
    assert_eq!(cursor.entry().unwrap().0, key(99).as_bytes());
    assert_eq!(keys(&*engine, Family::LogEntries), Vec::<String>::new());
}

#[test]
fn a_batch_longer_than_a_segment_gets_one_that_is_long_enough() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    let long = "y".repeat(3 * SMALL.segment_bytes as usize);
    put(&*engine, Family::LogEntries, "a", "x");
    put(&*engine, Family::LogEntries, "b", &long);
    put(&*engine, Family::LogEntries, "c", "z");
    engine.sync().unwrap();
    drop(engine);
    let engine = open_in(dir.path()).unwrap();
    assert_eq!(engine.get(Family::LogEntries, b"b").unwrap().unwrap(), long);
    assert_eq!(keys(&*engine, Family::LogEntries), ["a", "b", "c"]);
}

#[test]
fn what_was_written_over_or_deleted_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    for number in 0..300 {
        put(&*engine, Family::LogEntries, &key(number % 7), &number.to_string());
        put(&*engine, Family::LogMeta, "committed", &number.to_string());
    }
    let mut batch = Batch::default();
    batch.delete(Family::LogEntries, key(3));
    batch.delete(Family::LogMeta, "committed".to_owned());
    engine.write(batch).unwrap();
    engine.sync().unwrap();
    drop(engine);
    let engine = open_in(dir.path()).unwrap();
    assert_eq!(keys(&*engine, Family::LogEntries).len(), 6);
    assert_eq!(engine.get(Family::LogEntries, key(4).as_bytes()).unwrap().unwrap(), "298");
    assert_eq!(keys(&*engine, Family::LogMeta), Vec::<String>::new());
    assert!(segments(dir.path()).len() < 5, "segments without an entry go");
}

#[test]
fn families_of_the_state_are_refused_and_end_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    for family in Family::of(Role::State) {
        let mut batch = Batch::default();
        batch.put(Family::LogEntries, "a".to_owned(), "1".to_owned());
        batch.put(family, "a".to_owned(), "1".to_owned());
        assert!(matches!(engine.write(batch), Err(EngineError::Io { .. })));
        assert!(engine.get(family, b"a").is_err());
        assert!(engine.cursor(family).seek(b"a").is_err());
    }
    assert_eq!(engine.get(Family::LogEntries, b"a").unwrap(), None);
    put(&*engine, Family::LogEntries, "b", "2");
}

#[test]
fn a_failed_write_ends_the_handle() {
    let dir = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (dir.path().join("log"), dir.path().join("elsewhere"));
    fs::create_dir(&here).unwrap();
    let engine = new_in(&here);
    put(&*engine, Family::LogEntries, "a", "1");
    fs::rename(&here, &elsewhere).unwrap();
    let mut batch = Batch::default();
    batch.put(Family::LogEntries, "b".to_owned(), "x".repeat(SMALL.segment_bytes as usize));
    let error = engine.write(batch).unwrap_err();
    assert!(error.to_string().contains("create"), "{error}");
    let mut batch = Batch::default();
    batch.put(Family::LogEntries, "c".to_owned(), "1".to_owned());
    let error = engine.write(batch).unwrap_err();
    assert!(error.to_string().contains("open the store anew"), "{error}");
    engine.sync().unwrap_err();
    assert_eq!(keys(&*engine, Family::LogEntries), ["a"], "what was there can be read");
    drop(engine);
    fs::rename(&elsewhere, &here).unwrap();
    assert_eq!(keys(&*open_in(&here).unwrap(), Family::LogEntries), ["a"]);
}

#[test]
fn a_copy_holds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    put(&*engine, Family::LogMeta, "vote", "7");
    (0..100).for_each(|number| put(&*engine, Family::LogEntries, &key(number), &"x".repeat(100)));
    delete_range(&*engine, 30);
    engine.checkpoint("copy").unwrap();
    put(&*engine, Family::LogEntries, "later", "x");
    let copy = open_in(&dir.path().join("copy")).unwrap();
    assert_eq!(keys(&*copy, Family::LogEntries), (30..100).map(key).collect::<Vec<_>>());
    assert_eq!(keys(&*copy, Family::LogMeta), ["vote"]);
}

#[test]
fn what_was_deleted_but_came_back_with_a_crash_goes_when_the_log_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    (0..100).for_each(|number| put(&*engine, Family::LogEntries, &key(number), &"x".repeat(100)));
    engine.sync().unwrap();
    let oldest = segments(dir.path()).remove(0);
    let bytes = fs::read(&oldest).unwrap();
    delete_range(&*engine, 90);
    engine.reclaim().unwrap();
    assert!(!oldest.exists());
    drop(engine);
    fs::write(&oldest, bytes).unwrap();
    fs::write(dir.path().join(".new"), "unfinished").unwrap();
    let engine = open_in(dir.path()).unwrap();
    assert_eq!(keys(&*engine, Family::LogEntries).len(), 10);
    assert!(!oldest.exists() && !dir.path().join(".new").exists());
}

#[test]
fn segments_that_became_empty_before_a_kill_go_with_the_next_sync() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    (0..100).for_each(|number| put(&*engine, Family::LogEntries, &key(number), &"x".repeat(100)));
    delete_range(&*engine, 100);
    drop(engine);
    assert!(segments(dir.path()).len() > 2);
    let engine = open_in(dir.path()).unwrap();
    engine.reclaim().unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn writers_and_syncers_of_many_threads_leave_a_whole_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = new_in(dir.path());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                for number in 0..200 {
                    put(&**engine, Family::LogEntries, &format!("{writer}-{number:05}"), &"x".repeat(60));
                    engine.sync().unwrap();
                    if number >= 10 {
                        let mut batch = Batch::default();
                        batch.delete(Family::LogEntries, format!("{writer}-{:05}", number - 10));
                        engine.write(batch).unwrap();
                    }
                }
            });
        }
    });
    let before = keys(&*engine, Family::LogEntries);
    assert_eq!(before.len(), 40);
    drop(engine);
    let engine = open_in(dir.path()).unwrap();
    assert_eq!(keys(&*engine, Family::LogEntries), before);
    delete_range(&*engine, 99_999);
    engine.sync().unwrap();
    // Where the last one has no room to say so, those before it go with the next record.
    put(&*engine, Family::LogEntries, "last", "x");
    engine.sync().unwrap();
    assert!(segments(dir.path()).len() <= 2, "no segment stays without an entry: {:?}", segments(dir.path()));
}
