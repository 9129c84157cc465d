//! What is reached, and that nothing outside of the volume ever is.

use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;
use crate::testing::may_mount;

/// A volume beside a folder that holds a secret.
struct Ground {
    root: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("volume/in/deep")).unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        fs::write(root.path().join("outside/secret"), "secret").unwrap();
        fs::write(root.path().join("volume/in/file"), "text").unwrap();
        Self { root }
    }

    fn volume(&self) -> std::path::PathBuf {
        self.root.path().join("volume")
    }

    fn link(&self, name: &str, target: &str) {
        symlink(target, self.volume().join(name)).unwrap();
    }

    fn target(&self) -> std::path::PathBuf {
        self.root.path().join("pod/volume-subpaths/v/c/0")
    }

    fn outside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path().join("outside")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        while is_mounted(&self.target()).unwrap_or(false) {
            if release(&self.target(), UnmountFlags::empty()).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_part_is_read_through_links_that_stay_inside() {
    let ground = Ground::new();
    ground.link("..2026", "in");
    ground.link("..data", "..2026");
    ground.link("file", "..data/file");
    for inside in ["in/file", "file", "./in//deep/../file", "..data/file"] {
        let read = read(&ground.volume(), inside, 4);
        assert_eq!(read.unwrap(), "text", "{inside}");
    }
    assert!(read(&ground.volume(), "file", 3).unwrap_err().to_string().contains("longer than 3 bytes"));
    assert!(read(&ground.volume(), "in", 10).is_err(), "a folder has no text");
    assert_eq!(read(&ground.volume(), "in/gone", 10).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn no_link_leads_out() {
    let ground = Ground::new();
    ground.link("up", "..");
    ground.link("beside", "../outside");
    ground.link("absolute", ground.root.path().join("outside").to_str().unwrap());
    ground.link("proc", "/proc/self/root");
    for inside in
        ["up", "beside/secret", "absolute/secret", "../outside/secret", "proc/etc", "in/../../outside/secret"]
    {
        assert!(read(&ground.volume(), inside, 100).is_err(), "{inside}");
        assert!(bind(&ground.volume(), inside, &ground.target(), Outward::Hidden).is_err(), "{inside}");
    }
    for inside in ["beside/new", "absolute/new/er", "up/outside/new"] {
        assert!(bind(&ground.volume(), inside, &ground.target(), Outward::Hidden).is_err(), "{inside}");
    }
    assert_eq!(ground.outside(), ["secret"], "nothing was made out there");
}

#[test]
fn a_pipe_is_not_waited_for() {
    let ground = Ground::new();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, ground.volume().join("pipe"), FileType::Fifo, mode, 0).unwrap();
    assert!(read(&ground.volume(), "pipe", 10).is_err());
}

#[test]
fn missing_folders_are_made_with_the_volumes_mode() {
    let ground = Ground::new();
    fs::set_permissions(ground.volume(), fs::Permissions::from_mode(0o2777)).unwrap();
    let base = open_volume(&ground.volume()).unwrap();
    make_folders(&base, "in/new/er").unwrap();
    for made in ["in/new", "in/new/er"] {
        assert_eq!(fs::metadata(ground.volume().join(made)).unwrap().mode() & 0o7777, 0o2777, "{made}");
    }
    assert_ne!(fs::metadata(ground.volume().join("in")).unwrap().mode() & 0o7777, 0o2777);
    ground.link("nowhere", "gone");
    assert!(make_folders(&base, "nowhere/x").is_err());
    assert!(make_folders(&base, "in/file/x").is_err());
    assert!(make_folders(&base, "made/../../beside").is_err());
    assert!(!ground.root.path().join("beside").exists());
}

#[test]
fn a_part_is_bound_once_and_anew_when_it_has_changed() {
    if !may_mount("a_part_is_bound_once_and_anew_when_it_has_changed") {
        return;
    }
    let ground = Ground::new();
    let target = ground.target();
    let bind = |inside: &str| bind(&ground.volume(), inside, &target, Outward::Hidden).unwrap();
    bind("in/file");
    bind("in/file");
    assert_eq!(fs::read_to_string(&target).unwrap(), "text");
    fs::remove_file(ground.volume().join("in/file")).unwrap();
    fs::write(ground.volume().join("in/file"), "new").unwrap();
    bind("in/file");
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    bind("made/here");
    fs::write(target.join("f"), "").unwrap();
    assert!(ground.volume().join("made/here/f").exists());
    let real = target.canonicalize().unwrap();
    assert_eq!(MountTable::read().unwrap().below(&real).len(), 1, "never two on top of each other");
}

#[test]
fn a_bound_part_follows_the_host_and_the_host_loses_nothing_when_it_goes() {
    if !may_mount("a_bound_part_follows_the_host_and_the_host_loses_nothing_when_it_goes") {
        return;
    }
    let ground = Ground::new();
    let host = ground.volume();
    mount_bind(&host, &host).unwrap();
    mount_change(&host, MountPropagationFlags::SHARED).unwrap();
    let looks = [Outward::Hidden, Outward::Seen].map(|outward| look_at_bound_part(&ground, outward));
    release(&host, UnmountFlags::empty()).unwrap();
    let seen_on_host = [Outward::Hidden, Outward::Seen].map(|outward| outward == Outward::Seen);
    for (look, seen_on_host) in looks.into_iter().zip(seen_on_host) {
        let expected = Look { is_shared: true, follows: true, seen_on_host, host_keeps: true };
        assert_eq!(look, expected);
    }
}

#[derive(Debug, PartialEq)]
struct Look {
    is_shared: bool,
    /// What the host mounts is seen in the part.
    follows: bool,
    /// What is mounted in the part is seen on the host.
    seen_on_host: bool,
    /// The host keeps what it has mounted when the part goes.
    host_keeps: bool,
}

fn look_at_bound_part(ground: &Ground, outward: Outward) -> Look {
    let (host, target) = (ground.volume(), ground.target());
    fs::create_dir_all(host.join("in/other")).unwrap();
    bind(&host, "in", &target, outward).unwrap();
    let is_shared = MountTable::read().unwrap().at(&target.canonicalize().unwrap()).unwrap().is_shared;
    crate::tmpfs::mount(&host.join("in/deep"), Some(4096)).unwrap();
    let follows = is_mounted(&target.join("deep")).unwrap();
    crate::tmpfs::mount(&target.join("other"), Some(4096)).unwrap();
    let seen_on_host = is_mounted(&host.join("in/other")).unwrap();
    unmount(target.join("other"), UnmountFlags::empty()).unwrap();
    release(&target, UnmountFlags::DETACH).unwrap();
    let host_keeps = is_mounted(&host.join("in/deep")).unwrap();
    unmount(host.join("in/deep"), UnmountFlags::empty()).unwrap();
    Look { is_shared, follows, seen_on_host, host_keeps }
}

/// Paths of the names that there are, of links and of steps back.
fn odd_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("in"),
        Just("deep"),
        Just("file"),
        Just("up"),
        Just("beside"),
        Just("absolute"),
        Just("loop"),
        Just(".."),
        Just("."),
        Just(""),
        Just("new"),
        Just("secret"),
        Just("outside"),
    ];
    proptest::collection::vec(part, 0..7).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_the_path_nothing_outside_is_reached_or_made(inside in odd_path()) {
        let ground = Ground::new();
        ground.link("up", "..");
        ground.link("in/up", "..");
        ground.link("in/deep/up", "../../..");
        ground.link("beside", "../outside");
        ground.link("in/beside", "../../outside");
        ground.link("absolute", ground.root.path().join("outside").to_str().unwrap());
        ground.link("loop", "loop");
        if let Ok(text) = read(&ground.volume(), &inside, 100) {
            prop_assert_ne!(text, "secret");
        }
        let base = open_volume(&ground.volume()).unwrap();
        if open_beneath(&base, &inside, OFlags::empty()).is_err() {
            let _ = make_folders(&base, &inside);
        }
        prop_assert_eq!(ground.outside(), ["secret"]);
        let mut beside: Vec<_> = fs::read_dir(ground.root.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        beside.sort();
        prop_assert_eq!(beside, ["outside", "volume"]);
    }

    #[test]
    fn arbitrary_paths_never_panic(inside in any::<String>()) {
        let ground = Ground::new();
        let _ = read(&ground.volume(), &inside, 100);
    }
}
