//! Any sequence of trees, seen by readers that come at any moment, and what crashes leave behind.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.5 UTC);

fn file(data: &str) -> File {
    File { data: data.as_bytes().to_vec(), mode: 0o640, owner: None }
}

fn tree(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, data)| ((*path).to_owned(), file(data))).collect()
}

fn put(volume: &Path, files: &Files) -> Written {
    write(volume, files, Ownership::default(), NOW).unwrap()
}

/// What a reader finds below `folder`, links followed: path and contents.
fn seen(folder: &Path) -> BTreeMap<String, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![(folder.to_owned(), String::new())]);
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("..") {
                continue;
            }
            let path = format!("{prefix}{name}");
            match fs::metadata(entry.path()).unwrap().is_dir() {
                true => folders.push((entry.path(), format!("{path}/"))),
                false => drop(found.insert(path, fs::read_to_string(entry.path()).unwrap())),
            }
        }
    }
    found
}

fn expected(files: &Files) -> BTreeMap<String, String> {
    files.iter().map(|(path, file)| (path.clone(), String::from_utf8(file.data.clone()).unwrap())).collect()
}

/// The writer's own entries, sorted.
fn hidden(volume: &Path) -> Vec<String> {
    let names = fs::read_dir(volume).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut hidden: Vec<String> = names.filter(|name| name.starts_with("..")).collect();
    hidden.sort_unstable();
    hidden
}

#[test]
fn the_layout_is_upstreams() {
    let volume = tempfile::tempdir().unwrap();
    let volume = volume.path();
    let files = tree(&[("a", "1"), ("d/b", "2"), ("d/e/c", "3")]);
    assert_eq!(put(volume, &files), Written::Changed);
    assert_eq!(seen(volume), expected(&files));
    assert_eq!(hidden(volume), ["..2026_01_02_03_04_05.500000000", "..data"]);
    assert_eq!(fs::read_link(volume.join("..data")).unwrap(), Path::new("..2026_01_02_03_04_05.500000000"));
    assert_eq!(fs::read_link(volume.join("a")).unwrap(), Path::new("..data/a"));
    assert_eq!(fs::read_link(volume.join("d")).unwrap(), Path::new("..data/d"));
    assert_eq!(fs::metadata(volume.join("a")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(volume.join("d/e")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn the_same_again_touches_nothing() {
    let volume = tempfile::tempdir().unwrap();
    let volume = volume.path();
    let files = tree(&[("a", "1"), ("d/b", "2")]);
    put(volume, &files);
    // Other volumes are mounted on empty folders; they do not count.
    fs::create_dir(volume.join("..data/d/mounted")).unwrap();
    let before = (fs::read_link(volume.join(DATA)).unwrap(), fs::metadata(volume).unwrap().mtime_nsec());
    assert_eq!(put(volume, &files), Written::Unchanged);
    let after = (fs::read_link(volume.join(DATA)).unwrap(), fs::metadata(volume).unwrap().mtime_nsec());
    assert_eq!(before, after);
    assert_eq!(put(volume, &tree(&[("a", "1")])), Written::Changed, "a file less is a change");
    assert_eq!(put(volume, &Files::new()), Written::Changed);
    assert_eq!(put(volume, &Files::new()), Written::Unchanged);
    assert!(seen(volume).is_empty());
}

#[test]
fn what_a_crash_has_left_behind_goes_with_the_next_write() {
    let volume = tempfile::tempdir().unwrap();
    let volume = volume.path();
    let files = tree(&[("a", "1")]);
    put(volume, &files);
    for unfinished in [&tree(&[("a", "2"), ("b", "2")]), &files] {
        fs::create_dir_all(volume.join("..2025_01_01_00_00_00.1/d")).unwrap();
        fs::write(volume.join("..2025_01_01_00_00_00.1/d/x"), "x").unwrap();
        symlink("..2025_01_01_00_00_00.1", volume.join(NEXT)).unwrap();
        symlink("..data/stale", volume.join("stale")).unwrap();
        put(volume, unfinished);
        assert_eq!(seen(volume), expected(unfinished));
        assert_eq!(hidden(volume).len(), 2, "{:?}", hidden(volume));
        assert!(fs::symlink_metadata(volume.join("stale")).is_err());
    }
}

#[test]
fn a_crash_before_the_switch_leaves_the_former_tree() {
    let volume = tempfile::tempdir().unwrap();
    let volume = volume.path();
    put(volume, &tree(&[("a", "1")]));
    let next = new_folder(volume, NOW).unwrap();
    fill(&next, &tree(&[("a", "2"), ("b", "2")])).unwrap();
    show(volume, &tree(&[("a", "2"), ("b", "2")])).unwrap();
    assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "1");
    assert!(fs::read(volume.join("b")).is_err(), "a new name leads nowhere yet");
}

#[test]
fn a_data_link_that_is_not_ours_is_never_followed() {
    let (volume, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(elsewhere.path().join("a"), "1").unwrap();
    for target in [elsewhere.path(), Path::new(".."), Path::new("../x"), Path::new("..gone")] {
        remove_file_if_there(&volume.path().join(DATA)).unwrap();
        symlink(target, volume.path().join(DATA)).unwrap();
        assert_eq!(put(volume.path(), &tree(&[("a", "1")])), Written::Changed, "{target:?}");
        assert_eq!(hidden(volume.path()).len(), 2);
    }
    assert_eq!(fs::read_to_string(elsewhere.path().join("a")).unwrap(), "1");
}

#[test]
fn a_folder_where_another_volume_is_mounted_stays() {
    let volume = tempfile::tempdir().unwrap();
    fs::create_dir_all(volume.path().join("mounted/below")).unwrap();
    put(volume.path(), &tree(&[("a", "1"), ("mounted", "hidden by the folder")]));
    put(volume.path(), &tree(&[("b", "1")]));
    assert!(volume.path().join("mounted/below").is_dir());
    assert_eq!(seen(volume.path()), expected(&tree(&[("b", "1")])));
}

#[test]
fn what_cannot_be_written_leaves_the_former_tree_and_no_rest() {
    let volume = tempfile::tempdir().unwrap();
    let files = tree(&[("a", "1")]);
    put(volume.path(), &files);
    let impossible = tree(&[("a", "2"), ("x", "1"), ("x/y", "1")]);
    assert!(write(volume.path(), &impossible, Ownership::default(), NOW).is_err());
    assert_eq!(seen(volume.path()), expected(&files));
    assert_eq!(hidden(volume.path()).len(), 2);
}

/// Trees of few names, so that files become folders and back, and names come and go.
fn any_tree() -> impl Strategy<Value = Files> {
    let path = proptest::collection::vec("[abc]", 1..4).prop_map(|parts| parts.join("/"));
    proptest::collection::btree_map(path, "[xy]{0,2}", 0..5).prop_map(|files| {
        let mut taken = Files::new();
        for (path, data) in files {
            let clashes = taken.keys().any(|other| {
                path.starts_with(&format!("{other}/")) || other.starts_with(&format!("{path}/"))
            });
            if !clashes {
                taken.insert(path, file(&data));
            }
        }
        taken
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_any_sequence_the_last_tree_is_there_and_nothing_else(trees in proptest::collection::vec(any_tree(), 1..6)) {
        let volume = tempfile::tempdir().unwrap();
        for files in &trees {
            put(volume.path(), files);
            prop_assert_eq!(seen(volume.path()), expected(files));
            prop_assert_eq!(seen(&volume.path().join(DATA)), expected(files));
            prop_assert_eq!(hidden(volume.path()).len(), 2);
            prop_assert_eq!(put(volume.path(), files), Written::Unchanged);
        }
    }

    #[test]
    fn a_reader_through_the_data_link_sees_one_whole_tree(versions in proptest::collection::vec(1_usize..5, 2..8)) {
        let volume = tempfile::tempdir().unwrap();
        // Every file of a version holds its number and says how many there are.
        let version = |number: usize, files: usize| -> Files {
            (0..files).map(|file_number| {
                (format!("d{file_number}/f"), file(&format!("{number} of {files}")))
            }).collect()
        };
        put(volume.path(), &version(0, 3));
        let done = AtomicBool::new(false);
        let torn = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut torn = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    torn.extend(one_look(volume.path()));
                }
                torn
            });
            for (number, files) in versions.iter().enumerate() {
                put(volume.path(), &version(number + 1, *files));
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        prop_assert_eq!(torn, Vec::<String>::new());
    }
}

/// Opens the present folder once and reads all of it; a folder that went away meanwhile says nothing.
fn one_look(volume: &Path) -> Option<String> {
    use rustix::fs::{Dir, Mode, OFlags, open, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(volume.join(DATA), flags, Mode::empty()).ok()?;
    let mut contents = Vec::new();
    for entry in Dir::read_from(&folder).ok()? {
        let name = entry.ok()?.file_name().to_str().ok()?.to_owned();
        if !name.starts_with('.') {
            let opened = openat(&folder, format!("{name}/f"), OFlags::RDONLY, Mode::empty()).ok()?;
            contents.push(io::read_to_string(fs::File::from(opened)).ok()?);
        }
    }
    // The folder may have been removed while it was listed: then it is not the present one any more.
    open(volume.join(fs::read_link(volume.join(DATA)).ok()?), flags, Mode::empty()).ok()?;
    let same_folder = rustix::fs::fstat(&folder).ok()?.st_nlink > 0;
    let whole = contents.first().is_none_or(|first| {
        contents.iter().all(|it| it == first) && first.ends_with(&format!("of {}", contents.len()))
    });
    (same_folder && !whole && still_present(volume, &folder)).then(|| contents.join("; "))
}

fn still_present(volume: &Path, folder: &impl std::os::fd::AsFd) -> bool {
    let (Ok(now), Ok(then)) = (fs::metadata(volume.join(DATA)), rustix::fs::fstat(folder)) else {
        return false;
    };
    now.ino() == then.st_ino && now.dev() == then.st_dev
}

#[test]
fn ownership_is_right_before_anybody_can_look() {
    if !crate::testing::may_chown("ownership_is_right_before_anybody_can_look") {
        return;
    }
    let volume = tempfile::tempdir().unwrap();
    let mut files = tree(&[("d/a", "1")]);
    files.insert("t".into(), File { owner: Some(1234), mode: 0o600, ..file("token") });
    let ownership = Ownership { group: Some(4711), read_only: true };
    write(volume.path(), &files, ownership, NOW).unwrap();
    let look = |path: &str| {
        let metadata = fs::metadata(volume.path().join(path)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(look("t"), (1234, 4711, 0o640));
    assert_eq!(look("d/a"), (0, 4711, 0o640));
    assert_eq!(look("d"), (0, 4711, 0o2755));
    assert_eq!(look(DATA), (0, 4711, 0o2755));
    assert_eq!(write(volume.path(), &files, ownership, NOW).unwrap(), Written::Unchanged);
}
