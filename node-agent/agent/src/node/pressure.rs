//! Whether the machine runs short of something. Deliberately absent: doing something about it (eviction); the
//! conditions make the control plane send no more pods.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use rustix::fs::statvfs;
use tokio::time::Instant;

use super::facts::memory;

/// Less memory than this, in bytes, is too little: upstream's `memory.available<100Mi`.
pub(crate) const MIN_MEMORY: u64 = 100 << 20;

/// Less disk than these parts of 100 are too little: upstream's `nodefs.available<10%`, `nodefs.inodesFree<5%`.
pub(crate) const MIN_DISK_PERCENT: u64 = 10;
const MIN_INODES_PERCENT: u64 = 5;

/// How long pressure is told after it was last seen, so that the node does not flap.
const LINGERS: Duration = Duration::from_secs(300);

/// What there is too little of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
    /// Never by default, as upstream.
    pub(crate) pids: bool,
}

/// What there is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Supply {
    memory_bytes: u64,
    disk_available: u64,
    disk_total: u64,
    inodes_free: u64,
    inodes_total: u64,
}

impl Supply {
    fn pressure(self) -> Pressure {
        let below = |part: u64, whole: u64, percent: u64| {
            // File systems without a fixed number of inodes say 0.
            whole > 0 && u128::from(part) * 100 < u128::from(whole) * u128::from(percent)
        };
        Pressure {
            memory: self.memory_bytes < MIN_MEMORY,
            disk: below(self.disk_available, self.disk_total, MIN_DISK_PERCENT)
                || below(self.inodes_free, self.inodes_total, MIN_INODES_PERCENT),
            pids: false,
        }
    }
}

/// Remembers what there was too little of lately.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    memory: Option<Instant>,
    disk: Option<Instant>,
}

impl Gauge {
    /// Looks at the machine. `root`: the agent's folder.
    pub(crate) fn read(&mut self, root: &Path, now: Instant) -> io::Result<Pressure> {
        let disk = statvfs(root)?;
        let supply = Supply {
            memory_bytes: memory(&fs::read_to_string("/proc/meminfo")?, "MemAvailable"),
            disk_available: disk.f_bavail,
            disk_total: disk.f_blocks,
            inodes_free: disk.f_favail,
            inodes_total: disk.f_files,
        };
        Ok(self.take_in(supply.pressure(), now))
    }

    fn take_in(&mut self, seen: Pressure, now: Instant) -> Pressure {
        let linger = |since: &mut Option<Instant>, is_seen: bool| {
            if is_seen {
                *since = Some(now);
            }
            since.is_some_and(|since| now.duration_since(since) < LINGERS)
        };
        Pressure {
            memory: linger(&mut self.memory, seen.memory),
            disk: linger(&mut self.disk, seen.disk),
            pids: seen.pids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Supply = Supply {
        memory_bytes: 1 << 30,
        disk_available: 50,
        disk_total: 100,
        inodes_free: 50,
        inodes_total: 100,
    };

    #[test]
    fn too_little_is_too_little() {
        assert_eq!(PLENTY.pressure(), Pressure::default());
        let memory = Supply { memory_bytes: MIN_MEMORY - 1, ..PLENTY };
        assert_eq!(memory.pressure(), Pressure { memory: true, ..Pressure::default() });
        for disk in [Supply { disk_available: 9, ..PLENTY }, Supply { inodes_free: 4, ..PLENTY }] {
            assert_eq!(disk.pressure(), Pressure { disk: true, ..Pressure::default() });
        }
        assert!(!Supply { inodes_free: 0, inodes_total: 0, ..PLENTY }.pressure().disk);
    }

    #[test]
    fn pressure_lingers_for_five_minutes() {
        let mut gauge = Gauge::default();
        let start = Instant::now();
        let disk = Pressure { disk: true, ..Pressure::default() };
        assert_eq!(gauge.take_in(disk, start), disk);
        assert_eq!(gauge.take_in(Pressure::default(), start + Duration::from_secs(299)), disk);
        assert_eq!(gauge.take_in(Pressure::default(), start + Duration::from_secs(300)), Pressure::default());
    }
}
