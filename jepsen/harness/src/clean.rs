//! What a run can leave on a machine: `keelson-jepsen clean`, and the janitor that every run with slow disks has.
//!
//! Processes, networks, mounts and loop devices go with the lab, whatever ends it. A control group stays. So a run that
//! makes one first starts a process that waits for its end, of whatever kind, and then removes the group.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::process::Child;

use crate::failure::{Doing as _, Failure, Result};
use crate::lab::throttle::{self, Removal};
use crate::machine::Machine;

/// How long the kernel may take to end the processes of a run whose first one is gone.
const PATIENCE: Duration = Duration::from_secs(20);
const PACE: Duration = Duration::from_millis(20);

/// Removes what is left of all runs that are over, and answers what there is to say about it.
pub(crate) fn clean(machine: &Machine) -> Result<Vec<String>> {
    let Ok(version) = machine.block_cgroups() else { return Ok(Vec::new()) };
    let (mut said, mut left) = (Vec::new(), Vec::new());
    for (group, removal) in throttle::clean(version) {
        match removal {
            Removal::Gone => said.push(format!("removed control group {group}")),
            Removal::InUse => said.push(format!("control group {group} belongs to a run that goes on")),
            Removal::Refused(why) => left.push(format!("{group} ({why})")),
        }
    }
    if left.is_empty() {
        return Ok(said);
    }
    Err(Failure::new(format!(
        "control groups are left that cannot be removed: {}; try as root",
        left.join(", ")
    )))
}

/// A process that cleans up after this one.
pub(crate) struct Janitor(Child);

impl Janitor {
    /// Starts it. What interrupts this process from a terminal does not reach it.
    pub(crate) fn hire(run: u64) -> Result<Self> {
        let own = std::env::current_exe().doing("finding this program's file")?;
        let mut command = Command::new(own);
        command.arg("clean").arg(format!("--after={run}")).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        tokio::process::Command::from(command).spawn().doing("starting who cleans up").map(Self)
    }

    /// Has it clean up now, and waits until it has.
    pub(crate) async fn finish(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait().await.doing("waiting for who cleans up")?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new("the run's control group is left: try `clean`"))
        }
    }
}

/// What the janitor does: its standard input ends when the run does.
pub(crate) fn clean_after(run: u64, machine: &Machine) -> Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).doing("waiting for the end of a run")?;
    let version = machine.block_cgroups().map_err(Failure::new)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match throttle::remove(version, run) {
            Removal::Gone => return Ok(()),
            Removal::InUse if Instant::now() < deadline => std::thread::sleep(PACE),
            Removal::InUse => return Err(Failure::new("the run's processes do not end")),
            Removal::Refused(why) => return Err(Failure::new(why)),
        }
    }
}
