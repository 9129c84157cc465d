//! What Linux says about this process, under the names that Prometheus' libraries give it. Left out where it says nothing.

use std::fs;

use super::metrics::{Kind, Page};

/// In how many parts of a second Linux tells programs of time; the kernel's own clock may be finer.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which field of `/proc/self/stat` is what, counted from the one behind the command's name.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;

pub(super) fn process(page: &mut Page) {
    let kinds = [
        ("process_resident_memory_bytes", Kind::Gauge, "Memory in use.", kibibytes("VmRSS:")),
        ("process_virtual_memory_bytes", Kind::Gauge, "Addresses in use.", kibibytes("VmSize:")),
        ("process_cpu_seconds_total", Kind::Counter, "Time on processors.", cpu_seconds()),
        ("process_start_time_seconds", Kind::Gauge, "When this process began, since 1970.", start_seconds()),
        ("process_max_fds", Kind::Gauge, "Files and sockets that it may open.", most_files()),
    ];
    for (name, kind, help, value) in kinds {
        if let Some(value) = value {
            page.one(name, kind, help, value);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.one("process_open_fds", Kind::Gauge, "Open files and sockets.", open.count());
    }
}

/// A line of the process's status, in bytes.
fn kibibytes(begins: &str) -> Option<f64> {
    let kibibytes = number_after(&fs::read_to_string("/proc/self/status").ok()?, begins)?;
    Some(kibibytes * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    Some((ticks(USER_TICKS)? + ticks(SYSTEM_TICKS)?) / TICKS_PER_SECOND)
}

fn start_seconds() -> Option<f64> {
    let booted = number_after(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
    Some(booted + ticks(START_TICKS)? / TICKS_PER_SECOND)
}

/// None where there is no limit.
fn most_files() -> Option<f64> {
    number_after(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

fn ticks(field: usize) -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name may hold anything, brackets and spaces, too.
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(field)?.parse().ok()
}

/// The first number behind the words with which a line begins.
fn number_after(text: &str, begins: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(begins))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_process_is_measured() {
        assert!(kibibytes("VmRSS:").is_some_and(|bytes| bytes > 1_048_576.0));
        assert!(kibibytes("VmSize:") >= kibibytes("VmRSS:"));
        assert!(cpu_seconds().is_some_and(|seconds| (0.0..86_400.0).contains(&seconds)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        // Linux tells when it was booted in whole seconds.
        assert!(start_seconds().is_some_and(|began| (now - 3600.0..now + 2.0).contains(&began)));
        assert!(most_files().is_none_or(|most| most >= 1.0));
        assert_eq!(number_after("a: 1\nMax open files  1024  4096 files\n", "Max open files"), Some(1024.0));
        assert_eq!(number_after("Max open files  unlimited\n", "Max open files"), None);
    }
}
