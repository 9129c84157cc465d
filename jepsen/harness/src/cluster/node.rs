//! One node: its process, its disk, and whether it runs.
//!
//! A node that ended by itself is noticed here ([`Node::look`]); whether it was allowed to is for others to say.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::failure::{Doing as _, Failure, Result};
use crate::lab::disk::Disk;
use crate::target::{Beginning, Program};

/// How long a node that was asked to stop may take, on a machine that is busy with other things; then it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How long the kernel may take to stop all threads of a process, and between two looks.
const PAUSE_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE_PACE: Duration = Duration::from_millis(1);

/// A node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) disk: Disk,
    beginning: Beginning,
    state: State,
    log: PathBuf,
}

enum State {
    /// It was never started, was ended by the harness, or ended by itself and that was told.
    Down,
    Running(Child),
    /// It exists, and gets no processor time.
    Paused(Child),
}

/// Why a node is not there any more although nobody ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// How the process ended.
    pub(crate) how: String,
    /// The last line of its log.
    pub(crate) said: String,
}

impl Node {
    /// A node that was never started.
    pub(crate) async fn new(name: &str, results: &Path) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            disk: Disk::make(name).await?,
            beginning: Beginning::Founding,
            state: State::Down,
            log: results.join(format!("{name}.log")),
        })
    }

    /// From now on it joins a cluster that is there when its disk is empty.
    pub(crate) fn joins(&mut self) {
        self.beginning = Beginning::Joining;
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self, program: &Program, nodes: &[String], number: usize) -> Result<()> {
        match &self.state {
            State::Running(_) | State::Paused(_) => return Ok(()),
            State::Down => {}
        }
        let log = File::options().create(true).append(true).open(&self.log).doing(self.log.display())?;
        let mut command = program.command(nodes, number, &self.disk.data_dir(), self.beginning);
        command.stdin(Stdio::null()).stdout(log.try_clone().doing("sharing a log file")?).stderr(log);
        let child = command.kill_on_drop(true).spawn().doing(program.file.display())?;
        self.state = State::Running(child);
        Ok(())
    }

    /// Ends it at once, as `kill -9` does; it is gone when this returns. Answers how it has ended if it did so by itself,
    /// just before.
    pub(crate) async fn kill(&mut self) -> Result<Option<Ended>> {
        match std::mem::replace(&mut self.state, State::Down) {
            State::Down => Ok(None),
            State::Running(mut child) | State::Paused(mut child) => {
                signal(&child, Signal::KILL)?;
                let status = child.wait().await.doing(format!("killing {}", self.name))?;
                let is_killed = status.signal() == Some(Signal::KILL.as_raw());
                if is_killed { Ok(None) } else { self.ended(how(status)).map(Some) }
            }
        }
    }

    /// Asks it to stop, and waits until it has. Answers how it has ended if not as it should.
    pub(crate) async fn stop(&mut self) -> Result<Option<Ended>> {
        match std::mem::replace(&mut self.state, State::Down) {
            State::Down => Ok(None),
            State::Running(mut child) | State::Paused(mut child) => {
                signal(&child, Signal::TERM)?;
                signal(&child, Signal::CONT)?;
                let Ok(status) = timeout(STOP_PATIENCE, child.wait()).await else {
                    child.kill().await.doing(format!("killing {}", self.name))?;
                    let patience = STOP_PATIENCE.as_secs();
                    return self.ended(format!("kill -9, {patience} s after it was asked to stop")).map(Some);
                };
                let status = status.doing(format!("stopping {}", self.name))?;
                if has_obeyed(status) { Ok(None) } else { self.ended(how(status)).map(Some) }
            }
        }
    }

    /// Takes all processor time from it; it gets none any more when this returns.
    pub(crate) async fn pause(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Down) {
            State::Running(child) => {
                signal(&child, Signal::STOP)?;
                let pid = child.id();
                self.state = State::Paused(child);
                let deadline = Instant::now() + PAUSE_PATIENCE;
                while pid.is_some_and(has_moving_threads) && Instant::now() < deadline {
                    sleep(PAUSE_PACE).await;
                }
            }
            other @ (State::Down | State::Paused(_)) => self.state = other,
        }
        Ok(())
    }

    /// Gives it back.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Down) {
            State::Paused(child) => {
                signal(&child, Signal::CONT)?;
                State::Running(child)
            }
            other @ (State::Down | State::Running(_)) => other,
        };
        Ok(())
    }

    /// Whether it runs and gets processor time.
    pub(crate) fn runs(&self) -> bool {
        match self.state {
            State::Running(_) => true,
            State::Paused(_) | State::Down => false,
        }
    }

    /// Tells once if it has ended by itself; from then on it is down.
    pub(crate) fn look(&mut self) -> Result<Option<Ended>> {
        let ended = match &mut self.state {
            State::Down => None,
            State::Running(child) | State::Paused(child) => child.try_wait().doing("waiting for a node")?,
        };
        let Some(status) = ended else { return Ok(None) };
        self.state = State::Down;
        self.ended(how(status)).map(Some)
    }

    fn ended(&self, how: String) -> Result<Ended> {
        let said = self.printed(0)?.lines().last().unwrap_or("nothing").to_owned();
        Ok(Ended { how, said })
    }

    /// Whether its process has loaded a library, by a part of the path.
    pub(crate) fn has_loaded(&self, library: &str) -> bool {
        let (State::Running(child) | State::Paused(child)) = &self.state else { return false };
        let maps =
            child.id().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default());
        maps.is_some_and(|maps| maps.contains(library))
    }

    /// How much it has told of so far. Bytes.
    pub(crate) fn told(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |log| log.len())
    }

    /// The first line, of those that it has told since then, that has one of these words.
    pub(crate) fn said_since(&self, told: u64, words: &[&str]) -> Result<Option<String>> {
        Ok(self
            .printed(told)?
            .lines()
            .find(|line| words.iter().any(|word| line.contains(word)))
            .map(str::to_owned))
    }

    /// How many lines, of those that it has told since then, have a word.
    pub(crate) fn count_since(&self, told: u64, word: &str) -> Result<usize> {
        Ok(self.printed(told)?.lines().filter(|line| line.contains(word)).count())
    }

    /// Every panic that it has told of, whether or not it has ended with it.
    pub(crate) fn panics(&self) -> Result<Vec<String>> {
        Ok(self.printed(0)?.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect())
    }

    /// Its log, but for the first so many bytes.
    fn printed(&self, told: u64) -> Result<String> {
        let mut printed = Vec::new();
        let mut log = File::open(&self.log).doing(self.log.display())?;
        log.seek(SeekFrom::Start(told)).doing(self.log.display())?;
        log.read_to_end(&mut printed).doing(self.log.display())?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

/// Some programs end themselves with the signal that they were sent, when they have done everything else.
fn has_obeyed(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(Signal::TERM.as_raw())
}

/// Whether any thread of a process is not stopped yet: a call to the system goes on until it is done.
fn has_moving_threads(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()).any(|stat| {
        // The name before it is in parentheses, and may hold anything.
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        !matches!(state, Some('T' | 't' | 'Z' | 'X'))
    })
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let pid = pid.ok_or_else(|| Failure::new("a node's process is gone"))?;
    match kill_process(pid, signal) {
        // It has ended, and is not waited for yet.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).doing("sending a signal to a node"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_asked_to_stop_may_end_well_or_by_that_signal_and_no_other_way() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        assert!(has_obeyed(exited(0)) && has_obeyed(ExitStatus::from_raw(Signal::TERM.as_raw())));
        assert!(!has_obeyed(exited(1)) && !has_obeyed(ExitStatus::from_raw(Signal::ABORT.as_raw())));
    }
}
