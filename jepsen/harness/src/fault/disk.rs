//! Disks that lose what was not synced, take no more, answer with errors, or are slow.
//!
//! A node whose disk fails may end by itself: it is excused until the disk is well again.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::{Cluster, Whom};
use crate::failure::{Failure, Result};

/// About what a worn-out disk does.
const SLOW_WRITES_PER_SECOND: u32 = 20;
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
                cluster.excuse(*victim);
                cluster.nodes[*victim].pause().await?;
                cluster.nodes[*victim].disk.write_unsynced()?;
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
            all_well(cluster)?;
            Err(Obstacle::not_now("a file that was not synced is still there"))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { all_well(cluster).map(|()| Felt::AtOnce) }.boxed()
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
            all_well(cluster)?;
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
            for node in cluster.excused() {
                cluster.kill(node).await?;
                cluster.nodes[node].disk.mend_writes()?;
                cluster.nodes[node].disk.remount().await?;
            }
            let felt = cluster.felt_in_logs(since, &WRITE_ERRORS, "nobody met an error")?;
            all_well(cluster)?;
            Ok(felt)
        }
        .boxed()
    }
}

impl Fault for Slow {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await?;
            for victim in &victims {
                limit(cluster, *victim, Some(SLOW_WRITES_PER_SECOND))?;
            }
            Ok(Injected::Until(Hit::of(victims)))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            let writes = |node: &usize| cluster.writes(*node).saturating_sub(since.writes[*node]);
            let rates = since.nodes.iter().map(|node| writes(node) as f64 / since.at.elapsed().as_secs_f64());
            let felt = held_up(rates.fold(0.0, f64::max));
            (0..cluster.nodes.len()).try_for_each(|node| limit(cluster, node, None))?;
            Ok(felt)
        }
        .boxed()
    }
}

/// A disk that does about as many writes as it may is held up; one that does fewer was asked for no more, and one that
/// does many more was not slow.
fn held_up(writes_per_second: f64) -> Felt {
    let limit = f64::from(SLOW_WRITES_PER_SECOND);
    let said = format!("{writes_per_second:.0} writes a second where {limit} were allowed");
    if (limit / 2.0..limit * 2.0).contains(&writes_per_second) {
        Felt::Since(said)
    } else {
        Felt::Nothing(said)
    }
}

fn limit(cluster: &Cluster, node: usize, writes_per_second: Option<u32>) -> Result<()> {
    let missing = || Failure::new("a disk is to be slowed down, but the run has no control group");
    let throttle = cluster.throttle.as_ref().ok_or_else(missing)?;
    throttle.limit(cluster.nodes[node].disk.device()?, writes_per_second)
}

fn all_well(cluster: &mut Cluster) -> Result<()> {
    cluster.excused().into_iter().try_for_each(|node| cluster.expect_again(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_slow_if_it_does_about_what_it_may() {
        assert!(matches!(held_up(19.0), Felt::Since(_)));
        assert!(matches!(held_up(1.0), Felt::Nothing(_)), "nobody wrote");
        assert!(matches!(held_up(300.0), Felt::Nothing(_)), "nobody held it up");
    }
}
