//! What a container that runs has been given.
//!
//! In: the files of its control group. Out: [`Given`], which is held against what the spec asks for. It is read and not
//! remembered: an agent that was restarted knows as much.

use std::fs;
use std::path::Path;

use super::hierarchy::weight;
use crate::config::resources::Bounds;

/// Version 1 has numbers near the largest one where there is no limit.
const NO_LIMIT: i64 = 1 << 60;

/// The kernel counts memory in pages, of at least this size.
const PAGE: i64 = 4096;

/// The bounds of a container, as the kernel has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    cpu: Share,
    cpu_quota: Option<i64>,
    memory_bytes: Option<i64>,
}

/// How large a part of the CPU time is the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// Version 1.
    Shares(i64),
    /// Version 2.
    Weight(i64),
}

impl Given {
    /// Read from a group's folders of version 1; `None` if something is not there.
    pub(super) fn read_v1(cpu: &Path, memory: &Path) -> Option<Self> {
        Some(Self {
            cpu: Share::Shares(number(&cpu.join("cpu.shares"))?),
            cpu_quota: Some(number(&cpu.join("cpu.cfs_quota_us"))?).filter(|quota| *quota > 0),
            memory_bytes: Some(number(&memory.join("memory.limit_in_bytes"))?).filter(|it| *it < NO_LIMIT),
        })
    }

    /// Read from a group's folder of version 2; `None` if something is not there.
    pub(super) fn read_v2(folder: &Path) -> Option<Self> {
        let max = fs::read_to_string(folder.join("cpu.max")).ok()?;
        let memory = fs::read_to_string(folder.join("memory.max")).ok()?;
        Some(Self {
            cpu: Share::Weight(number(&folder.join("cpu.weight"))?),
            // `max` is no number.
            cpu_quota: max.split_whitespace().next()?.parse().ok(),
            memory_bytes: memory.trim().parse().ok(),
        })
    }

    /// Whether that is the CPU time that is asked for.
    pub(crate) fn has_cpu_of(&self, wanted: &Bounds) -> bool {
        let has_share = match self.cpu {
            Share::Shares(shares) => shares == wanted.cpu_shares,
            Share::Weight(own) => own == weight(wanted.cpu_shares),
        };
        has_share && self.cpu_quota == wanted.cpu_quota
    }

    /// Whether that is the memory that is asked for.
    pub(crate) fn has_memory_of(&self, wanted: &Bounds) -> bool {
        self.memory_bytes == wanted.memory_bytes.map(|bytes| bytes - bytes % PAGE)
    }

    /// Exactly this, for tests.
    #[cfg(test)]
    pub(crate) fn exactly(bounds: &Bounds) -> Self {
        let Bounds { cpu_shares, cpu_quota, memory_bytes } = *bounds;
        Self { cpu: Share::Shares(cpu_shares), cpu_quota, memory_bytes }
    }
}

fn number(file: &Path) -> Option<i64> {
    let text = fs::read_to_string(file).ok()?;
    let number: u64 = match text.trim() {
        "-1" => return Some(-1),
        other => other.parse().ok()?,
    };
    Some(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Bounds = Bounds { cpu_shares: 512, cpu_quota: Some(50_000), memory_bytes: Some(1_000_000) };
    const UNBOUNDED: Bounds = Bounds { cpu_shares: 2, cpu_quota: None, memory_bytes: None };

    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
        folder
    }

    fn is(given: Given, wanted: &Bounds) -> bool {
        given.has_cpu_of(wanted) && given.has_memory_of(wanted)
    }

    #[test]
    fn bounds_are_read_from_both_versions() {
        let bounded = group(&[
            ("cpu.shares", "512\n"),
            ("cpu.cfs_quota_us", "50000\n"),
            ("memory.limit_in_bytes", "999424\n"),
        ]);
        let given = Given::read_v1(bounded.path(), bounded.path()).unwrap();
        assert!(is(given, &WANTED) && !is(given, &UNBOUNDED));
        let free = group(&[
            ("cpu.shares", "2\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert!(is(Given::read_v1(free.path(), free.path()).unwrap(), &UNBOUNDED));
        let weighed =
            group(&[("cpu.weight", "20\n"), ("cpu.max", "50000 100000\n"), ("memory.max", "999424\n")]);
        assert!(is(Given::read_v2(weighed.path()).unwrap(), &WANTED));
        let free = group(&[("cpu.weight", "1\n"), ("cpu.max", "max 100000\n"), ("memory.max", "max\n")]);
        assert!(is(Given::read_v2(free.path()).unwrap(), &UNBOUNDED));
    }

    #[test]
    fn a_group_that_is_not_where_it_is_looked_for_says_nothing() {
        let empty = group(&[]);
        assert_eq!(Given::read_v1(empty.path(), empty.path()), None);
        assert_eq!(Given::read_v2(empty.path()), None);
    }
}
