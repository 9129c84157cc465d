//! What this machine can do: the programs, rights and kernel features that labs and faults stand on.
//!
//! In: a look at the machine. Out: facts, each asked for once; whoever needs one gets it, or the reason why not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs without which there is no lab, and Debian's package of each.
const TOOLS: [(&str, &str); 12] = [
    ("cp", "coreutils"),
    ("ip", "iproute2"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("mv", "coreutils"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("rm", "coreutils"),
    ("setpriv", "util-linux"),
    ("tc", "iproute2"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
];

/// What was found.
pub(crate) struct Machine {
    root: bool,
    missing: Vec<(&'static str, &'static str)>,
    /// What the kernel says to who asks for namespaces of its own, if it refuses.
    refused: Option<String>,
    perl: bool,
    delay: Option<DelayMeans>,
    faketime: Option<PathBuf>,
    block_cgroups: Option<BlockCgroups>,
}

/// How packets are delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DelayMeans {
    /// By the kernel.
    Netem,
    /// They wait in a queue of netfilter's until this process lets them go on.
    Queue,
}

/// How the kernel is told to slow a disk down for a group of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockCgroups {
    /// `blkio.throttle.*` of control groups version 1.
    V1,
    /// `io.max` of version 2.
    V2,
}

impl Machine {
    /// Looks around. Starts a few short programs; changes nothing.
    pub(crate) fn look() -> Self {
        let root = rustix::process::geteuid().is_root();
        Self {
            root,
            missing: TOOLS.into_iter().filter(|(tool, _)| !is_installed(tool)).collect(),
            refused: if root { refused_namespaces() } else { None },
            perl: is_installed("perl"),
            delay: if root { delay_means() } else { None },
            faketime: faketime(),
            block_cgroups: block_cgroups(Path::new("/sys/fs/cgroup")),
        }
    }

    /// Whether a lab can be built here at all.
    pub(crate) fn lab(&self) -> Result<(), String> {
        if !self.root {
            return Err(
                "this needs root: it makes network namespaces, mounts and processes of its own. Run it with sudo, \
                 or in a privileged container"
                    .to_owned(),
            );
        }
        if self.missing.is_empty() {
            return match &self.refused {
                None => Ok(()),
                Some(said) => Err(format!(
                    "this needs namespaces of its own, which are refused ({said}). In a container: make it privileged"
                )),
            };
        }
        let list = |of: fn(&(&'static str, &'static str)) -> &'static str| {
            let names: BTreeSet<_> = self.missing.iter().map(of).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        };
        Err(format!(
            "not installed: {}. On Debian: apt-get install {}",
            list(|tool| tool.0),
            list(|tool| tool.1)
        ))
    }

    /// How packets are delayed.
    pub(crate) fn delay(&self) -> Result<DelayMeans, String> {
        self.delay.ok_or_else(|| "the kernel has neither netem nor queues (or this is not root)".to_owned())
    }

    /// Whether perl is there, which makes the one system call that has no program of its own.
    pub(crate) fn perl(&self) -> Result<(), String> {
        if self.perl { Ok(()) } else { Err("perl is not installed".to_owned()) }
    }

    /// The library that shows a process another time.
    pub(crate) fn faketime(&self) -> Result<&Path, String> {
        self.faketime.as_deref().ok_or_else(|| "libfaketime is not installed (Debian: faketime)".to_owned())
    }

    /// How disks are slowed down.
    pub(crate) fn block_cgroups(&self) -> Result<BlockCgroups, String> {
        self.block_cgroups.ok_or_else(|| "the kernel has no control groups for disks".to_owned())
    }
}

/// The file of a program on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// Asks for those that a lab has. Where `unshare` is not installed that is told otherwise.
fn refused_namespaces() -> Option<String> {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--mount-proc",
        "mount",
        "-t",
        "tmpfs",
        "tmpfs",
        "/run",
    ]);
    let output = command.stdin(Stdio::null()).output().ok()?;
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn delay_means() -> Option<DelayMeans> {
    // In a network of its own, which is gone when the command ends.
    let works = |line: &str| {
        let mut command = Command::new("unshare");
        command.arg("--net").args(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let netem = works("tc qdisc add dev lo root netem delay 1ms").then_some(DelayMeans::Netem);
    netem.or_else(|| works("iptables -A FORWARD -j NFQUEUE --queue-num 7").then_some(DelayMeans::Queue))
}

fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let folders = folders.chain([PathBuf::from("/usr/lib")]);
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|file| file.is_file())
}

fn block_cgroups(root: &Path) -> Option<BlockCgroups> {
    if root.join("blkio").is_dir() {
        return Some(BlockCgroups::V1);
    }
    let controllers = std::fs::read_to_string(root.join("cgroup.controllers")).ok()?;
    controllers.split_whitespace().any(|controller| controller == "io").then_some(BlockCgroups::V2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            root: true,
            missing: vec![],
            refused: None,
            perl: true,
            delay: None,
            faketime: None,
            block_cgroups: None,
        }
    }

    #[test]
    fn what_a_lab_lacks_is_named_with_its_package() {
        assert_eq!(machine().lab(), Ok(()));
        let missing = vec![("ip", "iproute2"), ("nft", "nftables"), ("tc", "iproute2")];
        let said = Machine { missing, ..machine() }.lab().unwrap_err();
        assert_eq!(said, "not installed: ip nft tc. On Debian: apt-get install iproute2 nftables");
        let said = Machine { root: false, ..machine() }.lab().unwrap_err();
        assert!(said.starts_with("this needs root"), "{said}");
        let refused = Some("unshare failed: Operation not permitted".to_owned());
        let said = Machine { refused, ..machine() }.lab().unwrap_err();
        assert!(said.contains("refused (unshare failed: Operation not permitted)"), "{said}");
    }

    #[test]
    fn both_versions_of_control_groups_are_recognised() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(block_cgroups(folder.path()), None);
        std::fs::write(folder.path().join("cgroup.controllers"), "cpuset io memory\n").unwrap();
        assert_eq!(block_cgroups(folder.path()), Some(BlockCgroups::V2));
        std::fs::create_dir(folder.path().join("blkio")).unwrap();
        assert_eq!(block_cgroups(folder.path()), Some(BlockCgroups::V1));
    }
}
