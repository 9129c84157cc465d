//! One process of the binary under test, and its end.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// What goes to the log: also what is refused at the doors.
const LOG_FILTER: &str = "info,openraft=warn,keelson_store::peer=debug,keelson_store::grpc=debug";

/// The binary with a clean environment: what the developer's shell sets must not change a test.
pub(crate) fn keelson() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keelson"));
    command.env_clear().env("KEELSON_LOG", LOG_FILTER).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[String]) -> Output {
    keelson().args(arguments).output().unwrap()
}

/// A running process. It dies with this value.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the binary; everything that it prints goes to the new file `log`.
    pub(crate) fn spawn(arguments: &[String], environment: &[(&str, PathBuf)], log: PathBuf) -> Self {
        let file = File::create_new(&log).unwrap();
        let mut command = keelson();
        command
            .envs(environment.iter().cloned())
            .args(arguments)
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// Whether a library of that name is in it.
    pub(crate) fn has_loaded(&self, library: &str) -> bool {
        let maps = fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("maps"));
        maps.unwrap().contains(library)
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it at once, as `kill -9` does. It is gone when this returns.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it had ended before it was killed:\n{}", self.printed());
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself. Answers how, and what it had printed.
    pub(crate) async fn exit(mut self, patience: Duration) -> (ExitStatus, String) {
        let status = wait::until("the process ends", patience, async || self.ended()).await;
        (status, self.printed())
    }

    /// Memory in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status"));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let printed = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = printed.lines().collect();
            let tail = lines[lines.len().saturating_sub(25)..].join("\n");
            eprintln!("--- the last lines of {}:\n{tail}", self.log.display());
        }
    }
}
