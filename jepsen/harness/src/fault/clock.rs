//! Wall clocks that are wrong. Only of the node: the machine's own clock is never touched.
//!
//! Monotonic clocks stay right: the kernel shows every process the same.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::{Cluster, Whom};
use crate::failure::{Doing as _, Result};
use crate::target::clock_file;

const HOUR: i64 = 3600;
/// A part of the library's path.
const FAKETIME: &str = "libfaketime";
const SHOWN: &str = "the process has the library that shows it another time";
const JUMPS: usize = 8;
const BETWEEN_JUMPS: Duration = Duration::from_millis(250);

/// Wrong by a constant.
pub(super) struct Skew;

/// Wrong by another amount every moment.
pub(super) struct Jumps;

/// Shows the node a time that is wrong by so many seconds; before its first start, too.
pub(crate) fn set(node: &str, seconds: i64) -> Result<()> {
    let file = clock_file(node);
    let new = file.with_extension("new");
    // The node looks at any moment, and must never find half a number.
    std::fs::write(&new, format!("{seconds:+}s\n")).doing(new.display())?;
    std::fs::rename(&new, &file).doing(file.display())
}

/// A minority or the leader, all of whom look at the clock that they are shown.
async fn drawn(cluster: &Cluster, random: &mut StdRng) -> std::result::Result<Vec<usize>, Obstacle> {
    let whom = if random.random_bool(0.5) { Whom::Minority } else { Whom::Leader };
    let drawn = cluster.pick(whom, random).await?;
    if drawn.iter().all(|node| cluster.nodes[*node].has_loaded(FAKETIME)) {
        return Ok(drawn);
    }
    Err(Obstacle::not_now("the library that shows another time is not in the process"))
}

impl Fault for Skew {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = drawn(cluster, random).await?;
            for victim in &victims {
                set(&cluster.names[*victim], random.random_range(-HOUR..=HOUR))?;
            }
            Ok(Injected::Until(Hit::seen(victims, SHOWN)))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { all_right(cluster).map(|()| Felt::AtOnce) }.boxed()
    }
}

impl Fault for Jumps {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = drawn(cluster, random).await?;
            for _ in 0..JUMPS {
                for victim in &victims {
                    set(&cluster.names[*victim], random.random_range(-HOUR..=HOUR))?;
                }
                sleep(BETWEEN_JUMPS).await;
            }
            Ok(Injected::Until(Hit::seen(victims, SHOWN)))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { all_right(cluster).map(|()| Felt::AtOnce) }.boxed()
    }
}

fn all_right(cluster: &Cluster) -> Result<()> {
    cluster.names.iter().try_for_each(|node| set(node, 0))
}
