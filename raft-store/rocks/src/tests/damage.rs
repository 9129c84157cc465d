//! Damage on the disk: it is reported, and never read as something else or as nothing.

use super::*;
use rocksdb::{DB, DBRecoveryMode, Options};

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

/// A closed state store with so many keys, all synced.
fn state_of(dir: &Path, keys: u32) -> PathBuf {
    let disk = disk_in(dir);
    let engine = disk.open("state", Role::State).unwrap();
    (0..keys).for_each(|number| put(&*engine, Family::Keys, &key(number), &key(number)).unwrap());
    engine.sync().unwrap();
    dir.join("state")
}

/// How many keys there are, all with their values.
fn get_all(reader: &dyn Read) -> u32 {
    let has = |number: u32| {
        let value = reader.get(Family::Keys, key(number).as_bytes()).unwrap();
        value.is_some_and(|value| value == key(number))
    };
    (0..).take_while(|number| has(*number)).count() as u32
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
fn every_flipped_bit_of_the_manifest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = state_of(dir.path(), 10);
    let file = manifest_of(&store);
    for bit in 0..fs::read(&file).unwrap().len() * 8 {
        flip(&file, bit);
        assert_corrupt(&journal::verify(&store).unwrap_err(), &file);
        flip(&file, bit);
    }
    assert_eq!(get_all(&*disk_in(dir.path()).open("state", Role::State).unwrap()), 10);
}

fn manifest_of(store: &Path) -> PathBuf {
    store.join(fs::read_to_string(store.join("CURRENT")).unwrap().trim_end())
}

/// Why `journal.rs` exists: should RocksDB come to report this by itself, that module can go.
#[test]
fn rocksdb_alone_takes_a_damaged_length_for_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = state_of(dir.path(), 10);
    let manifest = manifest_of(&store);
    // The first record's length: its high byte is the sixth of the header.
    flip(&manifest, 5 * 8 + 7);
    assert_corrupt(&open_error(dir.path(), "state", Role::State), &manifest);

    let mut options = Options::default();
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    let families = DB::list_cf(&options, &store).unwrap();
    assert_eq!(families, ["default"], "all families are gone in silence");
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
fn another_format_is_refused_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    for role in [Role::Log, Role::State] {
        let name = format!("{role:?}");
        drop(disk_in(dir.path()).open(&name, role).unwrap());
        let written = |version| {
            fs::write(dir.path().join(&name).join(format::FILE_NAME), format::line(version, role)).unwrap();
            open_error(dir.path(), &name, role)
        };
        let known = format::version(role);
        let error = written(known + 1);
        assert!(matches!(error, EngineError::TooNew { found, .. } if found == known + 1), "{error}");
        assert!(error.to_string().contains(&format!("{name}/FORMAT")), "{error}");
        let error = written(known - 1);
        assert!(matches!(error, EngineError::TooOld { oldest, .. } if oldest == known), "{error}");
    }
}

#[test]
fn damaged_format_is_damage_and_not_a_newer_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = state_of(dir.path(), 1);
    let file = store.join(format::FILE_NAME);
    for bit in 0..fs::read(&file).unwrap().len() * 8 {
        flip(&file, bit);
        assert_corrupt(&format::check(&store, Role::State).unwrap_err(), &file);
        flip(&file, bit);
    }
    format::check(&store, Role::State).unwrap();
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
