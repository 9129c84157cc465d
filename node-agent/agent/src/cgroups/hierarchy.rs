//! The control groups themselves.
//!
//! In: pods, and the table of mounts. Out: folders and numbers below `/sys/fs/cgroup`. Making is idempotent; removing
//! kills what is left in a pod's group first: whatever a container left behind must not outlive its pod.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use k8s_openapi::api::core::v1::Pod;
use rustix::process::{Pid, Signal, kill_process};

use super::given::Given;
use super::{Version, paths};
use crate::config::resources::{self, Bounds, QUOTA_PERIOD};
use crate::pod::qos::Class;

/// How often, and how long apart, the removal of a group is tried: its last process may still be dying.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Controllers whose groups the agent makes and bounds on version 1. Others' are made by the runtime as it needs them.
const BOUNDED: [&str; 3] = ["cpu", "memory", "pids"];

/// The largest and the smallest weight of version 2.
const MAX_WEIGHT: i64 = 10_000;

/// The mounted hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hierarchies {
    /// Each with its controllers. Where version 2 is mounted beside them, it has none, and the runtime makes groups
    /// there nevertheless.
    V1(Vec<(Vec<String>, PathBuf)>),
    V2(PathBuf),
}

/// A control group that could not be made, bounded or removed.
#[derive(Debug, thiserror::Error)]
#[error("control group {}: {doing}: {error}", path.display())]
pub(crate) struct CgroupError {
    path: PathBuf,
    doing: &'static str,
    error: io::Error,
}

/// A file of a control group, and what is written into it.
type Number = (&'static str, String);

/// The control groups of a node's pods.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    root: String,
    hierarchies: Hierarchies,
}

impl Cgroups {
    /// Below `root` of the machine's hierarchies.
    ///
    /// # Errors
    ///
    /// If the machine has none.
    pub(crate) fn below(root: &str) -> io::Result<Self> {
        let hierarchies = hierarchies(&fs::read_to_string("/proc/self/mountinfo")?).ok_or_else(|| {
            io::Error::other("no control groups are mounted: mount cgroup2 at /sys/fs/cgroup")
        })?;
        Ok(Self { root: root.to_owned(), hierarchies })
    }

    /// Which kind the machine has.
    pub(crate) fn version(&self) -> Version {
        match self.hierarchies {
            Hierarchies::V1(_) => Version::V1,
            Hierarchies::V2(_) => Version::V2,
        }
    }

    /// The group of a pod, as the runtime is told.
    pub(crate) fn path_of(&self, pod: &Pod) -> String {
        paths::of_pod(&self.root, pod)
    }

    /// Makes the groups that pods' groups lie in, and bounds all pods together.
    pub(crate) fn set_up_classes(&self, milli_cpu: i64, memory_bytes: i64) -> Result<(), CgroupError> {
        let all = Bounds {
            cpu_shares: resources::shares(milli_cpu),
            cpu_quota: None,
            memory_bytes: Some(memory_bytes).filter(|it| *it > 0),
        };
        self.make(&paths::of_all_pods(&self.root), Some(all))?;
        self.make(&paths::of_class(&self.root, Class::Burstable), None)?;
        let least = Bounds { cpu_shares: resources::shares(0), cpu_quota: None, memory_bytes: None };
        self.make(&paths::of_class(&self.root, Class::BestEffort), Some(least))
    }

    /// Gives the pods of class Burstable together the weight of what they ask for.
    pub(crate) fn weigh_burstable(&self, milli_cpu: i64) -> Result<(), CgroupError> {
        let weight = Bounds { cpu_shares: resources::shares(milli_cpu), cpu_quota: None, memory_bytes: None };
        self.make(&paths::of_class(&self.root, Class::Burstable), Some(weight))
    }

    /// Makes a pod's group and bounds it.
    pub(crate) fn set_up_pod(&self, pod: &Pod) -> Result<(), CgroupError> {
        self.make(&self.path_of(pod), Some(resources::of_pod(pod)))
    }

    /// Gives a pod's group what can be given of its bounds before its containers have been changed: a group's bounds must
    /// not be above those of the group around it.
    pub(crate) fn loosen_pod(&self, pod: &Pod) {
        for (folder, numbers) in self.numbers(&self.path_of(pod), resources::of_pod(pod)) {
            for number in &numbers {
                // What is less than the containers have now is refused, and written when they have less.
                let _ = write_all(&folder, std::slice::from_ref(number));
            }
        }
    }

    /// What a container of a pod has been given, if its group is where runtimes put it: inside the pod's, with its id for
    /// a name.
    pub(crate) fn given(&self, pod: &Pod, id: &str) -> Option<Given> {
        let path = format!("{}/{id}", self.path_of(pod));
        match &self.hierarchies {
            Hierarchies::V1(all) => {
                let of = |name: &str| {
                    let (_, mount) = all.iter().find(|(all, _)| all.iter().any(|it| it == name))?;
                    Some(below(mount, &path))
                };
                Given::read_v1(&of("cpu")?, &of("memory")?)
            }
            Hierarchies::V2(mount) => Given::read_v2(&below(mount, &path)),
        }
    }

    /// The uids of the pods that have groups.
    pub(crate) fn pods(&self) -> HashSet<String> {
        let classes = [Class::Guaranteed, Class::Burstable, Class::BestEffort];
        let folders = classes.iter().flat_map(|class| self.everywhere(&paths::of_class(&self.root, *class)));
        let names = folders
            .flat_map(|folder| entries(&folder))
            .filter_map(|path| paths::uid_of(path.file_name()?.to_str()?).map(str::to_owned));
        names.collect()
    }

    /// Removes a pod's group and all in it, after killing what is left there. What is not there is removed already.
    pub(crate) async fn remove_pod(&self, uid: &str) -> Result<(), CgroupError> {
        let folders: Vec<PathBuf> =
            paths::candidates(&self.root, uid).iter().flat_map(|path| self.everywhere(path)).collect();
        for _ in 0..TRIES {
            let left: Vec<&PathBuf> = folders.iter().filter(|folder| folder.exists()).collect();
            if left.is_empty() {
                return Ok(());
            }
            for folder in &left {
                kill_all(folder);
            }
            if left.iter().all(|folder| remove_tree(folder).is_ok()) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        folders
            .iter()
            .filter(|folder| folder.exists())
            .try_for_each(|folder| remove_tree(folder).map_err(|error| failed(folder, "removing it", error)))
    }

    fn make(&self, path: &str, bounds: Option<Bounds>) -> Result<(), CgroupError> {
        for folder in self.bounded(path).map(|(folder, _)| folder) {
            fs::create_dir_all(&folder).map_err(|error| failed(&folder, "making it", error))?;
            if let Hierarchies::V2(mount) = &self.hierarchies {
                delegate(mount, &folder);
            }
        }
        let numbers = bounds.map(|bounds| self.numbers(path, bounds)).unwrap_or_default();
        numbers.iter().try_for_each(|(folder, numbers)| write_all(folder, numbers))
    }

    /// The folders of a group that the agent bounds, each with what controls it; nothing on version 2.
    fn bounded(&self, path: &str) -> impl Iterator<Item = (PathBuf, &[String])> {
        let is_bounded = |controllers: &[String]| {
            BOUNDED.iter().any(|it| controllers.iter().any(|controller| controller == it))
        };
        let all: Vec<(PathBuf, &[String])> = match &self.hierarchies {
            Hierarchies::V1(all) => {
                let bounded = all.iter().filter(|(controllers, _)| is_bounded(controllers));
                bounded.map(|(controllers, mount)| (below(mount, path), controllers.as_slice())).collect()
            }
            Hierarchies::V2(mount) => vec![(below(mount, path), &[])],
        };
        all.into_iter()
    }

    /// What is written into which folders to bound a group.
    fn numbers(&self, path: &str, bounds: Bounds) -> Vec<(PathBuf, Vec<Number>)> {
        let numbers = |controllers: &[String]| match &self.hierarchies {
            Hierarchies::V1(_) => numbers_v1(controllers, bounds),
            Hierarchies::V2(_) => numbers_v2(bounds),
        };
        self.bounded(path).map(|(folder, controllers)| (folder, numbers(controllers))).collect()
    }

    /// The folders of this group in all hierarchies.
    fn everywhere(&self, path: &str) -> Vec<PathBuf> {
        match &self.hierarchies {
            Hierarchies::V1(all) => all.iter().map(|(_, mount)| below(mount, path)).collect(),
            Hierarchies::V2(mount) => vec![below(mount, path)],
        }
    }
}

/// What of a mount table are control groups: version 2 alone, or the hierarchies of version 1.
fn hierarchies(mountinfo: &str) -> Option<Hierarchies> {
    let mut v1 = Vec::new();
    let mut v2 = None;
    for line in mountinfo.lines() {
        let Some((place, kind)) = line.split_once(" - ") else { continue };
        let Some(point) = place.split(' ').nth(4).map(PathBuf::from) else { continue };
        let mut kind = kind.split(' ');
        match (kind.next(), kind.nth(1)) {
            (Some("cgroup"), Some(options)) => {
                v1.push((options.split(',').map(str::to_owned).collect::<Vec<_>>(), point));
            }
            (Some("cgroup2"), _) => v2 = v2.or(Some(point)),
            _ => {}
        }
    }
    let has_controllers =
        v1.iter().any(|(options, _)| options.iter().any(|it| BOUNDED.contains(&it.as_str())));
    if !has_controllers {
        return v2.map(Hierarchies::V2);
    }
    v1.extend(v2.map(|point| (Vec::new(), point)));
    Some(Hierarchies::V1(v1))
}

fn numbers_v1(controllers: &[String], limits: Bounds) -> Vec<Number> {
    let has = |name: &str| controllers.iter().any(|it| it == name);
    let mut numbers = Vec::new();
    if has("cpu") {
        numbers.push(("cpu.shares", limits.cpu_shares.to_string()));
        if let Some(quota) = limits.cpu_quota {
            numbers.push(("cpu.cfs_period_us", QUOTA_PERIOD.to_string()));
            numbers.push(("cpu.cfs_quota_us", quota.to_string()));
        }
    }
    if has("memory")
        && let Some(bytes) = limits.memory_bytes
    {
        numbers.push(("memory.limit_in_bytes", bytes.to_string()));
    }
    numbers
}

fn numbers_v2(limits: Bounds) -> Vec<Number> {
    let mut numbers = vec![("cpu.weight", weight(limits.cpu_shares).to_string())];
    if let Some(quota) = limits.cpu_quota {
        numbers.push(("cpu.max", format!("{quota} {QUOTA_PERIOD}")));
    }
    if let Some(bytes) = limits.memory_bytes {
        numbers.push(("memory.max", bytes.to_string()));
    }
    numbers
}

/// Shares of version 1 (2 to 262144) as a weight of version 2 (1 to 10000), the way runtimes convert them.
pub(super) fn weight(shares: i64) -> i64 {
    (1 + (shares - 2) * (MAX_WEIGHT - 1) / 262_142).clamp(1, MAX_WEIGHT)
}

/// On version 2 a group has the controllers that all groups above it hand on. One that cannot be handed on is missing
/// in the machine, and its numbers are then refused where they are written.
fn delegate(mount: &Path, folder: &Path) {
    let mut above: Vec<&Path> = folder.ancestors().skip(1).take_while(|it| it.starts_with(mount)).collect();
    above.reverse();
    for group in above {
        for controller in ["cpu", "cpuset", "io", "memory", "pids"] {
            if let Err(error) = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}")) {
                tracing::debug!(group = %group.display(), controller, %error, "a controller is not handed on");
            }
        }
    }
}

fn write_all(folder: &Path, numbers: &[Number]) -> Result<(), CgroupError> {
    for (file, number) in numbers {
        fs::write(folder.join(file), number)
            .map_err(|error| failed(&folder.join(file), "writing it", error))?;
    }
    Ok(())
}

fn kill_all(folder: &Path) {
    for child in entries(folder) {
        kill_all(&child);
    }
    let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        // One that has just ended is as good as killed.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Control groups are removed from the bottom; the files in them go along.
fn remove_tree(folder: &Path) -> io::Result<()> {
    for child in entries(folder) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The folders in a folder; none if it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    all.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn below(mount: &Path, path: &str) -> PathBuf {
    mount.join(path.trim_start_matches('/'))
}

fn failed(path: &Path, doing: &'static str, error: io::Error) -> CgroupError {
    CgroupError { path: path.to_owned(), doing, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
25 20 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    const V2: &str = "25 20 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_mounted_version_is_found() {
        assert_eq!(hierarchies(V2), Some(Hierarchies::V2("/sys/fs/cgroup".into())));
        match hierarchies(V1) {
            Some(Hierarchies::V1(all)) => {
                let points: Vec<_> = all.iter().map(|(_, point)| point.to_str().unwrap()).collect();
                let beside = "/sys/fs/cgroup/unified";
                assert_eq!(points, ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory", beside]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(hierarchies("25 20 0:22 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn numbers_are_written_as_each_version_wants_them() {
        let limits = Bounds { cpu_shares: 1024, cpu_quota: Some(50_000), memory_bytes: Some(1 << 20) };
        let of =
            |names: &[&str]| numbers_v1(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), limits);
        assert_eq!(
            of(&["rw", "cpu", "cpuacct"]),
            [
                ("cpu.shares", "1024".to_owned()),
                ("cpu.cfs_period_us", "100000".to_owned()),
                ("cpu.cfs_quota_us", "50000".to_owned())
            ]
        );
        assert_eq!(of(&["memory"]), [("memory.limit_in_bytes", "1048576".to_owned())]);
        assert_eq!(of(&["pids"]), []);
        assert_eq!(
            numbers_v2(limits),
            [
                ("cpu.weight", "39".to_owned()),
                ("cpu.max", "50000 100000".to_owned()),
                ("memory.max", "1048576".to_owned())
            ]
        );
    }

    #[test]
    fn weights_span_the_range_of_version_2() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    }
}
