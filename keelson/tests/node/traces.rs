//! What a lab leaves on this machine, and how all of it is removed again.
//!
//! Everything has a name that begins with the same words: a folder, two network namespaces, and a control group. So
//! whatever an earlier run could not remove, because it was killed, is found by its names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::machine;

const PREFIX: &str = "keelson-test-";

/// Where named network namespaces are.
const NAMESPACES: &str = "/run/netns";

/// Where control groups are: of version 2 in there, of version 1 in a folder for each controller.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// For processes to end, and for the kernel to let go of what they held.
const PATIENCE: Duration = Duration::from_secs(20);
const PACE: Duration = Duration::from_millis(20);

/// The names of one lab's traces. All but the folder vanishes with this value.
pub(crate) struct Traces {
    /// Unique on this machine while the process runs that is named in it.
    pub(crate) name: String,
}

impl Traces {
    /// Of a new lab. Removes first what processes left that run no more.
    pub(crate) fn new() -> Self {
        static SWEPT: Once = Once::new();
        static MADE: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(sweep);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("{PREFIX}{}-{number}", std::process::id()) }
    }

    /// The lab's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        std::env::temp_dir().join(&self.name)
    }

    /// The folder of its containerd.
    pub(crate) fn containerd(&self) -> PathBuf {
        self.folder().join("containerd")
    }

    /// The network namespace of the servers.
    pub(crate) fn servers(&self) -> String {
        format!("{}-servers", self.name)
    }

    /// The network namespace of the node.
    pub(crate) fn node(&self) -> String {
        format!("{}-node", self.name)
    }

    /// The folders of its control group that are there: several where each controller has a tree of its own.
    pub(crate) fn control_groups(&self) -> Vec<PathBuf> {
        let root = Path::new(CONTROL_GROUPS);
        let controllers = entries(root).into_iter().map(|name| root.join(name));
        let places = std::iter::once(root.to_owned()).chain(controllers);
        places.map(|place| place.join(&self.name)).filter(|folder| folder.is_dir()).collect()
    }

    /// Ends all processes and removes everything but the folder. Answers what could not be done.
    fn remove(&self) -> Result<(), String> {
        if self.containerd().exists() {
            run(Command::new(machine::checkout("deploy/dev/containerd.sh"))
                .arg("stop")
                .arg(self.containerd()))?;
        }
        repeat("processes run on", || {
            let pids = self.processes();
            pids.iter().for_each(|pid| kill(*pid));
            if pids.is_empty() { Ok(()) } else { Err(format!("{pids:?}")) }
        })?;
        unmount_below(&self.folder());
        repeat("control groups stay", || {
            let folders = self.control_groups();
            folders.iter().try_for_each(|folder| remove_group(folder))
        })?;
        for namespace in [self.servers(), self.node()] {
            if Path::new(NAMESPACES).join(&namespace).exists() {
                run(Command::new("ip").args(["netns", "delete", &namespace]))?;
            }
        }
        Ok(())
    }

    /// Those in its namespaces and in its control group.
    fn processes(&self) -> BTreeSet<i32> {
        let namespaces = [self.servers(), self.node()];
        let namespaces: Vec<_> =
            namespaces.iter().filter_map(|name| identity(&Path::new(NAMESPACES).join(name))).collect();
        let is_inside =
            |pid: &i32| identity(&proc(*pid, "ns/net")).is_some_and(|own| namespaces.contains(&own));
        let all = entries(Path::new("/proc")).into_iter().filter_map(|name| name.parse().ok());
        let mut found: BTreeSet<i32> = all.filter(is_inside).collect();
        self.control_groups().iter().for_each(|folder| collect_processes(folder, &mut found));
        found
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        match self.remove() {
            Ok(()) => {}
            Err(reason) if std::thread::panicking() => eprintln!("{} cannot be removed: {reason}", self.name),
            Err(reason) => panic!("{} cannot be removed: {reason}", self.name),
        }
    }
}

fn proc(pid: i32, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}

/// What tells namespaces apart.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder).into_iter().map(|name| folder.join(name)).filter(|path| path.is_dir())
}

fn collect_processes(folder: &Path, found: &mut BTreeSet<i32>) {
    let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(pids.lines().filter_map(|line| line.parse::<i32>().ok()));
    subfolders(folder).for_each(|inner| collect_processes(&inner, found));
}

fn remove_group(folder: &Path) -> Result<(), String> {
    subfolders(folder).try_for_each(|inner| remove_group(&inner))?;
    fs::remove_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn kill(pid: i32) {
    // It may have ended by itself.
    let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
}

/// Everything mounted below the folder, the deepest first.
fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    for target in below.filter(|target| Path::new(target).starts_with(folder)) {
        // What a lazy unmount cannot do stays visible: the folder cannot be removed.
        let _ = Command::new("umount").args(["--lazy", target]).output();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {output:?}")) }
}

fn repeat(what: &str, mut attempt: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(reason) = attempt() {
        if Instant::now() >= deadline {
            return Err(format!("{what}: {reason}"));
        }
        std::thread::sleep(PACE);
    }
    Ok(())
}

/// Removes what is left of labs whose process has ended without doing so. This process has none yet.
fn sweep() {
    let mut names: BTreeSet<String> = entries(&std::env::temp_dir()).into_iter().collect();
    let namespaces = entries(Path::new(NAMESPACES));
    names.extend(namespaces.iter().filter_map(|name| name.rsplit_once('-')).map(|(name, _)| name.to_owned()));
    for name in names {
        let owner: Option<u32> =
            name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse().ok());
        let Some(owner) = owner else { continue };
        if owner != std::process::id() && Path::new("/proc").join(owner.to_string()).exists() {
            continue;
        }
        let traces = Traces { name };
        let folder = traces.folder();
        drop(traces);
        // Another run may be at it, too.
        let _ = fs::remove_dir_all(folder);
    }
}
