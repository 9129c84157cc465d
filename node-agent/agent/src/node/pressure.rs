//! Whether the machine runs short of something. Deliberately absent: doing something about it (eviction); the
//! conditions make the control plane send no more pods.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use rustix::fs::statvfs;
use tokio::time::Instant;

use super::facts::memory;
use super::thresholds::{EvictionThresholds, Threshold};

/// How long pressure is told after it was last seen, so that the node does not flap.
const LINGERS: Duration = Duration::from_secs(300);

/// What there is too little of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
    pub(crate) pids: bool,
}

/// How much there is of something, in bytes or pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stock {
    left: u64,
    total: u64,
}

/// What there is of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Supply {
    memory: Stock,
    disk: Stock,
    inodes: Stock,
    pids: Stock,
}

impl Supply {
    fn pressure(self, thresholds: &EvictionThresholds) -> Pressure {
        // File systems without a fixed number of inodes say 0.
        let is_short =
            |stock: Stock, threshold: Threshold| stock.total > 0 && stock.left < threshold.of(stock.total);
        Pressure {
            memory: is_short(self.memory, thresholds.memory),
            disk: is_short(self.disk, thresholds.disk) || is_short(self.inodes, thresholds.inodes),
            pids: is_short(self.pids, thresholds.pids),
        }
    }
}

/// Remembers what there was too little of lately.
#[derive(Debug)]
pub(crate) struct Gauge {
    thresholds: EvictionThresholds,
    memory: Option<Instant>,
    disk: Option<Instant>,
    pids: Option<Instant>,
}

impl Gauge {
    /// Has seen nothing yet.
    pub(crate) fn new(thresholds: EvictionThresholds) -> Self {
        Self { thresholds, memory: None, disk: None, pids: None }
    }

    /// Looks at the machine. `root`: the agent's folder.
    pub(crate) fn read(&mut self, root: &Path, now: Instant) -> io::Result<Pressure> {
        let disk = statvfs(root)?;
        let memory_info = fs::read_to_string("/proc/meminfo")?;
        let supply = Supply {
            memory: Stock {
                left: memory(&memory_info, "MemAvailable"),
                total: memory(&memory_info, "MemTotal"),
            },
            disk: Stock { left: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize },
            inodes: Stock { left: disk.f_favail, total: disk.f_files },
            pids: pids(
                &fs::read_to_string("/proc/loadavg")?,
                &fs::read_to_string("/proc/sys/kernel/pid_max")?,
            ),
        };
        Ok(self.take_in(supply.pressure(&self.thresholds), now))
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
            pids: linger(&mut self.pids, seen.pids),
        }
    }
}

/// Process ids: what `/proc/loadavg` (its fourth word is `RUNNING/ALL`) and the kernel's limit say.
fn pids(loadavg: &str, limit: &str) -> Stock {
    let words = loadavg.split_whitespace();
    let used = words.skip(3).find_map(|word| word.split_once('/')?.1.parse().ok()).unwrap_or(0);
    let total: u64 = limit.trim().parse().unwrap_or(0);
    Stock { left: total.saturating_sub(used), total }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Stock = Stock { left: 1 << 30, total: 2 << 30 };
    const PLENTY: Supply = Supply { memory: HALF, disk: HALF, inodes: HALF, pids: HALF };

    #[test]
    fn too_little_is_too_little() {
        let of = |supply: Supply| supply.pressure(&EvictionThresholds::default());
        assert_eq!(of(PLENTY), Pressure::default());
        let memory = Stock { left: (100 << 20) - 1, ..HALF };
        assert_eq!(of(Supply { memory, ..PLENTY }), Pressure { memory: true, ..Pressure::default() });
        let (disk, inodes) = (Stock { left: 9, total: 100 }, Stock { left: 4, total: 100 });
        for supply in [Supply { disk, ..PLENTY }, Supply { inodes, ..PLENTY }] {
            assert_eq!(of(supply), Pressure { disk: true, ..Pressure::default() });
        }
        assert!(!of(Supply { inodes: Stock::default(), ..PLENTY }).disk, "no inodes are no shortage of them");
        let pids = Stock { left: 0, total: 100 };
        assert!(!of(Supply { pids, ..PLENTY }).pids, "nothing is demanded of them by default");
        let demanding: EvictionThresholds = "pid.available<1".parse().unwrap();
        assert!(Supply { pids, disk, ..PLENTY }.pressure(&demanding).pids);
        assert!(!Supply { pids, disk, ..PLENTY }.pressure(&demanding).disk, "and only that");
    }

    #[test]
    fn process_ids_are_counted_from_what_the_kernel_says() {
        assert_eq!(
            pids("0.20 0.18 0.12 1/80 11206\n", "4194304\n"),
            Stock { left: 4_194_224, total: 4_194_304 }
        );
        assert_eq!(pids("", ""), Stock::default());
    }

    #[test]
    fn pressure_lingers_for_five_minutes() {
        let mut gauge = Gauge::new(EvictionThresholds::default());
        let start = Instant::now();
        let disk = Pressure { disk: true, ..Pressure::default() };
        assert_eq!(gauge.take_in(disk, start), disk);
        assert_eq!(gauge.take_in(Pressure::default(), start + Duration::from_secs(299)), disk);
        assert_eq!(gauge.take_in(Pressure::default(), start + Duration::from_secs(300)), Pressure::default());
    }
}
