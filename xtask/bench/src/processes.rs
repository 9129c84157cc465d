//! What processes under measurement have in common: certificates, ports, what they cost.

use std::{error::Error, net::TcpListener, path::Path, process::Command, time::Duration};

use crate::machine;

/// What idle processes cost.
#[derive(Clone, Copy)]
pub(crate) struct Idle {
    /// Resident memory of the largest, in bytes.
    pub(crate) resident_bytes: u64,
    /// Processor time of the busiest, in percent of one core.
    pub(crate) cpu_percent: f64,
}

impl Idle {
    /// Watches processes for a while.
    pub(crate) async fn watch(pids: &[u32], duration: Duration) -> Result<Self, Box<dyn Error>> {
        let ticks = |pid: &u32| machine::cpu_ticks(*pid).ok_or("a process is gone");
        let before = pids.iter().map(ticks).collect::<Result<Vec<_>, _>>()?;
        tokio::time::sleep(duration).await;
        let after = pids.iter().map(ticks).collect::<Result<Vec<_>, _>>()?;
        let busiest = before.iter().zip(&after).map(|(before, after)| after - before).max().unwrap_or(0);
        let resident_bytes = pids.iter().filter_map(|pid| machine::resident_bytes(*pid)).max().unwrap_or(0);
        Ok(Self { resident_bytes, cpu_percent: busiest as f64 / duration.as_secs_f64() })
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Runs `keelson pki init` with these flags.
pub(crate) fn make_certificates(keelson: &Path, dir: &Path, flags: &[String]) -> Result<(), Box<dyn Error>> {
    let output = Command::new(keelson).args(["pki", "init", "--dir"]).arg(dir).args(flags).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// The value below which this share of sorted values lies.
pub(crate) fn share_of(sorted: &[Duration], share: f64) -> Duration {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
