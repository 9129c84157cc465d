//! Disks that lose what was not synced, take no more, answer with errors, or are slow.
//!
//! A node whose disk fails may end by itself: it is excused until the disk is well again.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::{Cluster, Whom};
use crate::failure::{Doing as _, Failure, Result};
use crate::lab::disk::synced_writes;

/// About what a worn-out disk does.
const SLOW_WRITES_PER_SECOND: u32 = 20;
/// How many writes show that.
const PROBES: u32 = 10;
/// What the system says where there is no room,
const NO_SPACE: &str = "space left on device";
/// and where writes fail; after that, ext4 takes no more.
const WRITE_ERRORS: [&str; 2] = ["nput/output error", "Read-only file system"];

/// The power of the disk fails, and the node with it.
pub(super) struct PowerCut(pub(super) Whom);

/// No space is left.
pub(super) struct Full;

/// Writes fail.
pub(super) struct Errors;

/// Few writes a second.
pub(super) struct Slow;

impl Fault for PowerCut {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(self.0, random).await?;
            for victim in &victims {
                // It sees no error: to a machine without power nothing happens any more.
                cluster.nodes[*victim].pause().await?;
            }
            if let Err(why) =
                victims.iter().try_for_each(|victim| cluster.nodes[*victim].disk.write_unsynced())
            {
                victims.iter().try_for_each(|victim| cluster.nodes[*victim].resume())?;
                return Err(Obstacle::not_now(format!("a disk is broken already: {why}")));
            }
            for victim in &victims {
                cluster.excuse(*victim);
                cluster.nodes[*victim].disk.cut_power().await?;
            }
            let mut have_lost = true;
            for victim in &victims {
                cluster.kill(*victim).await?;
                cluster.nodes[*victim].disk.remount().await?;
                have_lost &= cluster.nodes[*victim].disk.take_unsynced()?;
            }
            if have_lost {
                return Ok(Injected::Until(Hit::seen(victims, "a file that was not synced is gone")));
            }
            all_well(cluster, &victims)?;
            Err(Obstacle::not_now("a file that was not synced is still there"))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { all_well(cluster, &since.nodes).map(|()| Felt::AtOnce) }.boxed()
    }
}

impl Fault for Full {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await?;
            for victim in &victims {
                cluster.excuse(*victim);
                // Whoever writes while a file's reserve is taken would lose what it writes.
                cluster.nodes[*victim].pause().await?;
                cluster.nodes[*victim].disk.fill()?;
                cluster.nodes[*victim].resume()?;
            }
            Ok(Injected::Until(Hit::of(victims)))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            for node in &since.nodes {
                // One that met the error is about to end, and would do so when it is not excused any more.
                cluster.kill(*node).await?;
                cluster.nodes[*node].disk.empty()?;
            }
            let felt = cluster.felt_in_logs(since, &[NO_SPACE], "nobody had to write what had no room")?;
            all_well(cluster, &since.nodes)?;
            Ok(felt)
        }
        .boxed()
    }
}

impl Fault for Errors {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await?;
            for victim in &victims {
                cluster.excuse(*victim);
                cluster.nodes[*victim].disk.break_writes()?;
            }
            Ok(Injected::Until(Hit::of(victims)))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            for node in &since.nodes {
                cluster.kill(*node).await?;
                cluster.nodes[*node].disk.mend_writes()?;
                cluster.nodes[*node].disk.remount().await?;
            }
            let felt = cluster.felt_in_logs(since, &WRITE_ERRORS, "nobody met an error")?;
            all_well(cluster, &since.nodes)?;
            Ok(felt)
        }
        .boxed()
    }
}

impl Fault for Slow {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await?;
            let mut seen = Vec::new();
            for victim in &victims {
                let before = probe(cluster, *victim).await?;
                limit(cluster, *victim, Some(SLOW_WRITES_PER_SECOND))?;
                let now = probe(cluster, *victim).await?;
                if !is_held_up(before, now) {
                    all_fast(cluster)?;
                    return Err(Obstacle::not_now(format!("{PROBES} writes take {now:?}, after {before:?}")));
                }
                let name = &cluster.names[*victim];
                seen.push(format!("{PROBES} writes of {name} take {now:?}, after {before:?}"));
            }
            Ok(Injected::Until(Hit::seen(victims, seen.join(", "))))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { all_fast(cluster).map(|()| Felt::AtOnce) }.boxed()
    }
}

/// How long some writes take, of which each is synced.
async fn probe(cluster: &Cluster, node: usize) -> Result<Duration> {
    let file = cluster.nodes[node].disk.probe();
    let probed =
        tokio::task::spawn_blocking(move || synced_writes(&file, PROBES).doing(file.display())).await;
    probed.doing("writing to a disk")?
}

/// The kernel lets a few pass at first.
fn is_held_up(before: Duration, now: Duration) -> bool {
    now > before * 2 && now * SLOW_WRITES_PER_SECOND > Duration::from_secs(1) * PROBES / 2
}

fn all_fast(cluster: &Cluster) -> Result<()> {
    (0..cluster.nodes.len()).try_for_each(|node| limit(cluster, node, None))
}

fn limit(cluster: &Cluster, node: usize, writes_per_second: Option<u32>) -> Result<()> {
    let missing = || Failure::new("a disk is to be slowed down, but the run has no control group");
    let throttle = cluster.throttle.as_ref().ok_or_else(missing)?;
    throttle.limit(cluster.nodes[node].disk.device()?, writes_per_second)
}

fn all_well(cluster: &mut Cluster, nodes: &[usize]) -> Result<()> {
    nodes.iter().try_for_each(|node| cluster.expect_again(*node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_slow_if_writes_take_as_long_as_they_must_and_did_not_before() {
        let is_held_up = |before, now| is_held_up(Duration::from_millis(before), Duration::from_millis(now));
        assert!(is_held_up(5, 500));
        assert!(!is_held_up(5, 40), "there is no limit");
        assert!(!is_held_up(400, 500), "it was slow before");
    }
}
