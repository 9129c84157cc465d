//! What the whole machine uses, from `/proc` and its file system.

use std::{fs, io};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How many of the units in `/proc/stat` make a second, on every architecture that Linux still has.
const TICKS_PER_SECOND: u64 = 100;

/// The texts and numbers of a moment.
pub(super) struct Host {
    stat: String,
    meminfo: String,
    root: rustix::fs::StatVfs,
}

impl Host {
    /// Asks the system.
    pub(super) fn read() -> io::Result<Self> {
        Ok(Self {
            stat: fs::read_to_string("/proc/stat")?,
            meminfo: fs::read_to_string("/proc/meminfo")?,
            root: rustix::fs::statvfs("/")?,
        })
    }

    /// In upstream's words.
    pub(super) fn value(&self, now: OffsetDateTime) -> Value {
        let time = now.format(&Rfc3339).unwrap_or_default();
        let root = &self.root;
        let bytes = |blocks: u64| blocks.saturating_mul(root.f_frsize);
        let mut value = json!({
            "cpu": {"time": time, "usageCoreNanoSeconds": cpu_nanoseconds(&self.stat)},
            "fs": {
                "time": time,
                "availableBytes": bytes(root.f_bavail),
                "capacityBytes": bytes(root.f_blocks),
                "usedBytes": bytes(root.f_blocks.saturating_sub(root.f_bfree)),
                "inodes": root.f_files,
                "inodesFree": root.f_ffree,
                "inodesUsed": root.f_files.saturating_sub(root.f_ffree),
            },
        });
        if let Some(memory) = memory(&self.meminfo) {
            value["memory"] = json!({
                "time": time,
                "availableBytes": memory.total.saturating_sub(memory.working_set()),
                "usageBytes": memory.usage(),
                "workingSetBytes": memory.working_set(),
            });
        }
        value
    }
}

/// How long all processors have worked: everything of the first line but idling, and guests, which count as user.
fn cpu_nanoseconds(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let worked: u64 =
        ticks.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, t)| t).sum();
    worked.checked_mul(1_000_000_000 / TICKS_PER_SECOND)
}

struct Memory {
    total: u64,
    free: u64,
    inactive_file: u64,
}

impl Memory {
    fn usage(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// What cannot be had back easily.
    fn working_set(&self) -> u64 {
        self.usage().saturating_sub(self.inactive_file)
    }
}

fn memory(meminfo: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        kilobytes.checked_mul(1024)
    };
    Some(Memory {
        total: bytes("MemTotal")?,
        free: bytes("MemFree")?,
        inactive_file: bytes("Inactive(file)")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_texts_are_read() {
        let stat = "cpu  10 1 2 1000 500 3 4 5 99 99\ncpu0 1 1 1 1\n";
        assert_eq!(cpu_nanoseconds(stat), Some(250_000_000));
        let meminfo = "MemTotal: 100 kB\nMemFree: 20 kB\nInactive: 50 kB\nInactive(file): 30 kB\n";
        let memory = memory(meminfo).unwrap();
        assert_eq!((memory.usage(), memory.working_set()), (80 << 10, 50 << 10));
        assert_eq!(cpu_nanoseconds("garbage"), None);
        assert!(super::memory("MemTotal: x kB").is_none());
    }

    #[test]
    fn this_machine_uses_something() {
        let value = Host::read().unwrap().value(OffsetDateTime::UNIX_EPOCH);
        for path in ["/cpu/usageCoreNanoSeconds", "/memory/workingSetBytes", "/fs/usedBytes"] {
            assert!(value.pointer(path).unwrap().as_u64().unwrap() > 0, "{path} in {value}");
        }
    }
}
