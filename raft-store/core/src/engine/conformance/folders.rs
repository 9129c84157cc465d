//! Promises about folders of files and about checkpoints, on this disk and copied to another place.

use super::{FAMILY, entries, get, keys, open, put, sync, write};
use crate::engine::{Disk, Engine, EngineError, Family, Role};

/// Copies a folder file by file in small pieces, as a snapshot travels.
fn copy(disk: &dyn Disk, from: &str, to: &str) {
    const PIECE_BYTES: usize = 1000;
    for (file, length) in disk.files(from).expect("files") {
        let mut offset = 0;
        while offset < length {
            let piece = disk.read_file(from, &file, offset, PIECE_BYTES).expect("read_file");
            assert!(!piece.is_empty(), "{file} ends before its length");
            disk.write_file(to, &file, offset, &piece).expect("write_file");
            offset += piece.len() as u64;
        }
        if length == 0 {
            disk.write_file(to, &file, 0, b"").expect("an empty file");
        }
    }
    disk.sync_folder(to).expect("sync_folder");
}

/// Puts a key into every family.
fn put_everywhere(engine: &dyn Engine, role: Role, key: &'static str) {
    for family in Family::of(role) {
        write(engine, |batch| batch.put(family, key, "1"));
    }
}

/// `list` names stores, checkpoints and folders alike, sorted, and nothing else.
pub fn list_is_sorted_and_complete(disk: &dyn Disk) {
    assert_eq!(disk.list().expect("list"), Vec::<String>::new());
    let engine = open(disk, "m-store", Role::State);
    disk.write_file("z-folder", "file", 0, b"x").expect("write_file");
    engine.checkpoint("a-checkpoint").expect("checkpoint");
    assert_eq!(disk.list().expect("list"), ["a-checkpoint", "m-store", "z-folder"]);
    disk.remove("a-checkpoint").expect("remove");
    disk.remove("z-folder").expect("remove");
    assert_eq!(disk.list().expect("list"), ["m-store"]);
}

/// Files come back as written, whatever the order of their pieces; gaps are zeros.
pub fn files_are_read_as_written(disk: &dyn Disk) {
    disk.write_file("folder", "b", 4, b"5678").expect("write_file");
    disk.write_file("folder", "b", 0, b"12").expect("write_file");
    disk.write_file("folder", "a", 0, b"").expect("write_file");
    assert_eq!(disk.files("folder").expect("files"), [("a".to_owned(), 0), ("b".to_owned(), 8)]);
    let read = |offset, len| disk.read_file("folder", "b", offset, len).expect("read_file");
    assert_eq!(&read(0, 100)[..], b"12\0\x005678");
    assert_eq!(&read(5, 2)[..], b"67");
    assert_eq!(&read(7, 2)[..], b"8");
    assert_eq!(&read(8, 2)[..], b"");
    assert_eq!(&read(u64::MAX, 2)[..], b"");
    disk.write_file("folder", "b", 6, b"xyz").expect("write_file");
    assert_eq!(&read(4, 100)[..], b"56xyz");
}

/// Folders and files that are not there are errors, and looking for them makes none.
pub fn missing_is_an_error(disk: &dyn Disk) {
    assert!(disk.files("folder").is_err());
    assert!(disk.sync_folder("folder").is_err());
    assert!(disk.read_file("folder", "file", 0, 1).is_err());
    disk.write_file("folder", "file", 0, b"x").expect("write_file");
    assert!(disk.read_file("folder", "other", 0, 1).is_err());
    assert_eq!(disk.list().expect("list"), ["folder"]);
    assert_eq!(disk.files("folder").expect("files"), [("file".to_owned(), 1)]);
}

/// A folder of files that are no store is not taken for an empty store, and stays as it is.
pub fn foreign_folder_does_not_open(disk: &dyn Disk) {
    disk.write_file("folder", "file", 0, b"x").expect("write_file");
    disk.sync_folder("folder").expect("sync_folder");
    let Err(error) = disk.open("folder", Role::State) else { panic!("a foreign folder opened") };
    assert!(matches!(error, EngineError::Corrupt { .. }), "{error}");
    assert_eq!(disk.files("folder").expect("files"), [("file".to_owned(), 1)]);
}

/// A checkpoint has what was written before it, synced or not, and nothing from after it.
pub fn checkpoint_holds_its_moment(disk: &dyn Disk) {
    for role in [Role::Log, Role::State] {
        let engine = open(disk, &format!("{role:?}"), role);
        let name = format!("{role:?}-checkpoint");
        put_everywhere(&*engine, role, "before");
        engine.checkpoint(&name).expect("checkpoint");
        put_everywhere(&*engine, role, "after");
        let copy = open(disk, &name, role);
        for family in Family::of(role) {
            assert_eq!(keys(&*copy, family), ["before"]);
            assert_eq!(keys(&*engine, family), ["after", "before"]);
            write(&*copy, |batch| batch.put(family, "own", "1"));
        }
        sync(&*copy);
        assert!(Family::of(role).all(|family| get(&*engine, family, "own").is_none()));
    }
}

/// What was captured stays as it was until it is kept, whatever happens to the store meanwhile. Not kept, it is nothing.
pub fn captured_moment_stays(disk: &dyn Disk) {
    for role in [Role::Log, Role::State] {
        let engine = open(disk, &format!("{role:?}"), role);
        let name = format!("{role:?}-checkpoint");
        put_everywhere(&*engine, role, "before");
        drop(engine.capture(&name).expect("capture"));
        assert!(!disk.list().expect("list").contains(&name));
        let captured = engine.capture(&name).expect("capture");
        for family in Family::of(role) {
            write(&*engine, |batch| batch.delete_range(family, "a", "c"));
        }
        put_everywhere(&*engine, role, "after");
        sync(&*engine);
        engine.reclaim().expect("reclaim");
        captured.keep().expect("keep");
        let copy = open(disk, &name, role);
        for family in Family::of(role) {
            assert_eq!(
                (keys(&*copy, family), keys(&*engine, family)),
                (vec!["before".into()], vec!["after".into()])
            );
        }
    }
}

/// A name that is taken, by a folder or by the store itself, is refused and left as it was.
pub fn checkpoint_never_replaces(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    put(&*engine, "a", "1");
    disk.write_file("folder", "file", 0, b"x").expect("write_file");
    assert!(engine.checkpoint("folder").is_err());
    assert!(engine.checkpoint("store").is_err());
    assert_eq!(disk.files("folder").expect("files"), [("file".to_owned(), 1)]);
    put(&*engine, "b", "1");
    assert_eq!(keys(&*engine, FAMILY), ["a", "b"]);
}

/// A checkpoint that was copied file by file while the store went on opens as the store of that moment.
pub fn copied_checkpoint_opens(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    for number in 0..200 {
        put(&*engine, &format!("k{number:03}"), &"v".repeat(number));
    }
    write(&*engine, |batch| batch.delete_range(FAMILY, "k010", "k020"));
    let expected = entries(&*engine, FAMILY);
    engine.checkpoint("checkpoint").expect("checkpoint");
    write(&*engine, |batch| batch.delete_range(FAMILY, "", "z"));
    copy(disk, "checkpoint", "copy");
    disk.remove("checkpoint").expect("remove");

    let copied = open(disk, "copy", Role::State);
    assert_eq!(entries(&*copied, FAMILY), expected);
    put(&*copied, "more", "1");
    sync(&*copied);
    drop(copied);
    assert_eq!(get(&*open(disk, "copy", Role::State), FAMILY, "more"), Some("1".into()));
    assert_eq!(keys(&*engine, FAMILY), Vec::<String>::new());
}
