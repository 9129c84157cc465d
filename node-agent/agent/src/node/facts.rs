//! What the machine is. Read once: it does not change while the agent runs.

use std::path::Path;
use std::{fs, io};

use rustix::fs::statvfs;
use rustix::system::uname;

/// Facts about the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) cpus: u32,
    pub(crate) memory_bytes: u64,
    /// Of the file system that the agent's root lies on.
    pub(crate) disk_bytes: u64,
    pub(crate) machine_id: String,
    pub(crate) system_uuid: String,
    pub(crate) boot_id: String,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    /// As Go names it.
    pub(crate) architecture: &'static str,
}

impl Facts {
    /// Looks at the machine. `root`: the agent's folder.
    ///
    /// # Errors
    ///
    /// If CPUs, memory or disk cannot be counted; what only describes is left out if it is not there.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let disk = statvfs(root)?;
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Ok(Self {
            cpus: cpus(&fs::read_to_string("/proc/cpuinfo")?),
            memory_bytes: memory(&fs::read_to_string("/proc/meminfo")?, "MemTotal"),
            disk_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
            machine_id: text("/etc/machine-id"),
            system_uuid: text("/sys/class/dmi/id/product_uuid"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            kernel: uname().release().to_string_lossy().into_owned(),
            os_image: os_name(&text("/etc/os-release")),
            architecture: go_architecture(std::env::consts::ARCH),
        })
    }
}

fn cpus(cpuinfo: &str) -> u32 {
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

/// The bytes that `/proc/meminfo` names so; 0 if it does not.
pub(crate) fn memory(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

fn os_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.map_or("Unknown", |value| value.trim_matches('"')).to_owned()
}

fn go_architecture(rust: &'static str) -> &'static str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(cpus("processor\t: 0\nmodel name : x\nprocessor\t: 1\n"), 2);
        let meminfo = "MemTotal:       24603136 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(memory(meminfo, "MemTotal"), 24_603_136 << 10);
        assert_eq!(memory(meminfo, "MemAvailable"), 2 << 20);
        assert_eq!(memory(meminfo, "Swap"), 0);
        assert_eq!(
            os_name("NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(os_name(""), "Unknown");
    }

    #[test]
    fn this_machine_has_cpus_memory_and_a_disk() {
        let facts = Facts::read(Path::new("/")).unwrap();
        assert!(facts.cpus > 0 && facts.memory_bytes > 0 && facts.disk_bytes > 0);
        assert!(!facts.kernel.is_empty() && !facts.boot_id.is_empty());
    }
}
