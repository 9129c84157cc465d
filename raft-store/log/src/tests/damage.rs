//! Damage is reported with the file's name, and never read as something else or as nothing.

use super::*;

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

#[track_caller]
fn assert_corrupt(error: &EngineError, file: &Path) {
    let EngineError::Corrupt { what, .. } = error else { panic!("{error}") };
    assert_eq!(what, &file.display().to_string(), "{error}");
}

/// A closed log with a vote and so many entries, all synced.
fn log_of(dir: &Path, entries: usize) {
    let engine = new_in(dir);
    put(&*engine, Family::LogMeta, "vote", "7");
    for number in 0..entries {
        put(&*engine, Family::LogEntries, &key(number), &format!("value {number}"));
        engine.sync().unwrap();
    }
}

fn written(path: &Path) -> usize {
    fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[test]
fn every_flipped_bit_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 5);
    let file = &segments(dir.path())[0];
    let mut values = 0;
    for bit in 0..written(file) * 8 {
        flip(file, bit);
        match open_in(dir.path()) {
            Err(error) => assert_corrupt(&error, file),
            Ok(engine) => {
                assert_eq!(engine.get(Family::LogMeta, b"vote").unwrap().unwrap(), "7");
                let read = |number| engine.get(Family::LogEntries, key(number).as_bytes());
                let bad: Vec<_> = (0..5).filter_map(|number| read(number).err()).collect();
                for number in 0..5 {
                    let value = read(number).ok().map(|value| value.expect("an entry is there or damaged"));
                    assert!(value.is_none_or(|value| value == format!("value {number}")));
                }
                // Padding has nothing to tell.
                assert!(bad.len() <= 1, "bit {bit}: one flip damages one value: {bad:?}");
                bad.iter().for_each(|error| assert_corrupt(error, file));
                values += bad.len();
            }
        }
        flip(file, bit);
    }
    assert_eq!(values, 5 * "value 0".len() * 8, "each bit of a value damages that value and nothing else");
    assert_eq!(keys(&*open_in(dir.path()).unwrap(), Family::LogEntries).len(), 5);
}

#[test]
fn a_flipped_bit_in_free_room_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 5);
    let file = &segments(dir.path())[0];
    for place in [written(file) + 3, SMALL.segment_bytes as usize - 1] {
        flip(file, place * 8);
        let engine = open_in(dir.path()).unwrap();
        put(&*engine, Family::LogEntries, "more", "x");
        drop(engine);
        assert!(keys(&*open_in(dir.path()).unwrap(), Family::LogEntries).len() > 5);
    }
}

#[test]
fn a_file_that_lost_its_end_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 30);
    let file = &segments(dir.path())[0];
    let whole = fs::read(file).unwrap();
    for length in [0, 10, written(file) - 1, whole.len() - 1] {
        fs::write(file, &whole[..length]).unwrap();
        assert_corrupt(&open_in(dir.path()).err().unwrap(), file);
    }
    // What ends with a sector is what a crash leaves, too.
    let mut zeroed = whole.clone();
    zeroed[1024..].fill(0);
    fs::write(file, &zeroed).unwrap();
    let engine = open_in(dir.path()).expect("one replica alone cannot know this");
    assert!(keys(&*engine, Family::LogEntries).len() < 30);
    drop(engine);

    fs::write(file, whole).unwrap();
    assert_eq!(keys(&*open_in(dir.path()).unwrap(), Family::LogEntries).len(), 30);
}

#[test]
fn a_hole_in_what_was_durable_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 30);
    let file = &segments(dir.path())[0];
    let whole = fs::read(file).unwrap();
    // The record that proves it has to be whole: the last one lies in the last two sectors.
    for sector in 0..written(file) / 512 - 1 {
        let mut holed = whole.clone();
        holed[sector * 512..(sector + 1) * 512].fill(0);
        fs::write(file, holed).unwrap();
        assert_corrupt(&open_in(dir.path()).err().unwrap(), file);
    }
}

#[test]
fn a_segment_that_is_missing_is_found() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 200);
    let files = segments(dir.path());
    assert!(files.len() >= 4, "{files:?}");
    let middle = fs::read(&files[1]).unwrap();

    for missing in [&files[0], &files[1]] {
        let whole = fs::read(missing).unwrap();
        fs::remove_file(missing).unwrap();
        assert_corrupt(&open_in(dir.path()).err().unwrap(), missing);
        fs::write(missing, whole).unwrap();
    }

    // Another one in its place.
    fs::copy(&files[2], &files[1]).unwrap();
    assert_corrupt(&open_in(dir.path()).err().unwrap(), &files[1]);

    // The end of one that others follow.
    let mut cut = middle.clone();
    let last = cut.iter().rposition(|byte| *byte != 0).unwrap();
    cut[last - 60..].fill(0);
    fs::write(&files[1], cut).unwrap();
    assert_corrupt(&open_in(dir.path()).err().unwrap(), &files[1]);

    fs::write(&files[1], middle).unwrap();
    assert_eq!(keys(&*open_in(dir.path()).unwrap(), Family::LogEntries).len(), 200);

    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    assert_corrupt(&open_in(dir.path()).err().unwrap(), dir.path());
}
