//! Damage on the disk: it is reported, and never read as something else or as nothing.

use super::*;
use rocksdb::{ColumnFamilyDescriptor, DB, DBRecoveryMode, Options};

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

fn files_ending(dir: &Path, end: &str) -> Vec<PathBuf> {
    let files = folder::files(dir).unwrap().into_iter();
    files
        .filter(|(name, length)| name.ends_with(end) && *length > 0)
        .map(|(name, _)| dir.join(name))
        .collect()
}

fn key(number: u32) -> String {
    format!("k{number:05}")
}

/// A closed log store with so many entries, all synced.
fn log_of(dir: &Path, entries: u32, value_bytes: usize) -> PathBuf {
    let disk = disk_in(dir);
    let engine = disk.open("log", Role::Log).unwrap();
    put(&*engine, Family::LogMeta, "vote", "1").unwrap();
    let value = "v".repeat(value_bytes);
    (0..entries).for_each(|number| put(&*engine, Family::LogEntries, &key(number), &value).unwrap());
    engine.sync().unwrap();
    dir.join("log")
}

fn entries(reader: &dyn Read) -> Vec<String> {
    let mut cursor = reader.cursor(Family::LogEntries);
    cursor.seek(b"").unwrap();
    let mut found = Vec::new();
    while let Some((key, _)) = cursor.entry() {
        found.push(String::from_utf8(key.to_vec()).unwrap());
        cursor.next().unwrap();
    }
    found
}

fn open_error(dir: &Path, name: &str, role: Role) -> EngineError {
    disk_in(dir).open(name, role).err().expect("it must not open")
}

#[track_caller]
fn assert_corrupt(error: &EngineError, file: &Path) {
    let EngineError::Corrupt { what, .. } = error else { panic!("{error}") };
    assert_eq!(what, &file.display().to_string(), "{error}");
}

#[test]
fn every_flipped_bit_of_the_log_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 10, 8);
    for file in files_ending(&store, ".log").into_iter().chain([manifest_of(&store)]) {
        for bit in 0..fs::read(&file).unwrap().len() * 8 {
            flip(&file, bit);
            let error = journal::verify(&store, Role::Log).unwrap_err();
            assert_corrupt(&error, &file);
            flip(&file, bit);
        }
    }
    assert_eq!(entries(&*disk_in(dir.path()).open("log", Role::Log).unwrap()).len(), 10);
}

fn manifest_of(store: &Path) -> PathBuf {
    store.join(fs::read_to_string(store.join("CURRENT")).unwrap().trim_end())
}

#[test]
fn damaged_log_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 1000, 100);
    let log = files_ending(&store, ".log").remove(0);
    let middle = fs::read(&log).unwrap().len() / 2;
    flip(&log, middle * 8);
    assert_corrupt(&open_error(dir.path(), "log", Role::Log), &log);
    flip(&log, middle * 8);
    assert_eq!(entries(&*disk_in(dir.path()).open("log", Role::Log).unwrap()).len(), 1000);
}

/// Why `journal.rs` exists: should RocksDB come to report this by itself, that module can shrink.
#[test]
fn rocksdb_alone_takes_a_damaged_length_for_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 10, 8);
    let log = files_ending(&store, ".log").remove(0);
    // The first record's length: its high byte is the sixth of the header.
    flip(&log, 5 * 8 + 7);
    assert_corrupt(&open_error(dir.path(), "log", Role::Log), &log);

    let mut options = Options::default();
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    let families = Family::of(Role::Log).map(|it| ColumnFamilyDescriptor::new(it.name(), Options::default()));
    let database = DB::open_cf_descriptors(&options, &store, families).unwrap();
    let family = database.cf_handle(Family::LogEntries.name()).unwrap();
    assert_eq!(database.get_cf(family, key(0)).unwrap(), None, "eleven synced batches are gone in silence");
}

#[test]
fn log_cut_short_by_a_crash_opens_with_what_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 20, 8);
    let log = files_ending(&store, ".log").remove(0);
    let whole = fs::read(&log).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, whole.len() / 3, 5] {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(dir.path(), copy.path()).unwrap();
        let cut = copy.path().join("log").join(log.file_name().unwrap());
        fs::write(&cut, &whole[..length]).unwrap();
        let engine = disk_in(copy.path()).open("log", Role::Log).unwrap();
        let found = entries(&*engine);
        assert!(found.len() < 20);
        assert_eq!(found, (0..20).map(key).take(found.len()).collect::<Vec<_>>());
    }
}

#[test]
fn missing_piece_in_the_middle_of_the_log_is_found() {
    // More than one buffer of entries: the log goes on in another file, and the vote keeps the first one alive.
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 300, 1000);
    let logs = files_ending(&store, ".log");
    assert!(logs.len() >= 3, "the test needs several files: {logs:?}");
    let middle = &logs[1];
    let whole = fs::read(middle).unwrap();

    fs::write(middle, &whole[..whole.len() / 2]).unwrap();
    let error = open_error(dir.path(), "log", Role::Log);
    assert_corrupt(&error, &logs[2]);
    assert!(error.to_string().contains("missing"), "{error}");

    fs::remove_file(middle).unwrap();
    assert_corrupt(&open_error(dir.path(), "log", Role::Log), &logs[2]);

    fs::write(middle, whole).unwrap();
    assert_eq!(entries(&*disk_in(dir.path()).open("log", Role::Log).unwrap()).len(), 300);
}

#[test]
fn damaged_table_is_found_when_read() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk_in(dir.path());
    let engine = disk.open("state", Role::State).unwrap();
    (0..2000).for_each(|number| put(&*engine, Family::Keys, &key(number), &key(number)).unwrap());
    engine.sync().unwrap();
    drop(engine);
    drop(disk);
    let table = files_ending(&dir.path().join("state"), ".sst").remove(0);
    flip(&table, fs::read(&table).unwrap().len() / 2 * 8);

    let engine = disk_in(dir.path()).open("state", Role::State).unwrap();
    let mut damaged = 0;
    for number in 0..2000 {
        match engine.get(Family::Keys, key(number).as_bytes()) {
            Ok(value) => assert_eq!(value.as_deref(), Some(key(number).as_bytes())),
            Err(error) => {
                assert_corrupt(&error, &table);
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "a block of keys cannot be read");
    assert_cursor_stops_at_damage(&*engine.view(), &table);
}

fn assert_cursor_stops_at_damage(reader: &dyn Read, table: &Path) {
    let mut cursor = reader.cursor(Family::Keys);
    let mut moved = cursor.seek(b"");
    while moved.is_ok() {
        assert!(cursor.entry().is_some(), "the cursor passed over the damage");
        moved = cursor.next();
    }
    assert_corrupt(&moved.unwrap_err(), table);
    assert_eq!(cursor.entry(), None);
}

#[test]
fn newer_format_is_refused_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 1, 1);
    fs::write(store.join(format::FILE_NAME), format::line(format::VERSION + 1, Role::Log)).unwrap();
    let error = open_error(dir.path(), "log", Role::Log);
    assert!(matches!(error, EngineError::TooNew { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("log/FORMAT"), "{error}");
}

#[test]
fn damaged_format_is_damage_and_not_a_newer_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_of(dir.path(), 1, 1);
    let file = store.join(format::FILE_NAME);
    for bit in 0..fs::read(&file).unwrap().len() * 8 {
        flip(&file, bit);
        assert_corrupt(&format::check(&store, Role::Log).unwrap_err(), &file);
        flip(&file, bit);
    }
    format::check(&store, Role::Log).unwrap();
}

#[test]
fn store_with_parts_missing_is_not_taken_for_an_empty_one() {
    let missing = |remove: fn(&Path) -> PathBuf| {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk_in(dir.path());
        let engine = disk.open("state", Role::State).unwrap();
        put(&*engine, Family::Keys, "a", "1").unwrap();
        engine.sync().unwrap();
        drop(engine);
        drop(disk);
        fs::remove_file(remove(&dir.path().join("state"))).unwrap();
        open_error(dir.path(), "state", Role::State)
    };
    let parts: [fn(&Path) -> PathBuf; 4] = [
        |store| store.join("CURRENT"),
        |store| store.join(format::FILE_NAME),
        manifest_of,
        |store| files_ending(store, ".sst").remove(0),
    ];
    for part in parts {
        let error = missing(part);
        assert!(matches!(error, EngineError::Corrupt { .. }), "{error}");
    }
}
