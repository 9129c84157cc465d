//! What many keys cost: memory of a member that holds them, and how long it takes to open them.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use crate::{
    cluster::Cluster,
    figures::{Aim, Figure, Table},
    load,
};

const VALUE_BYTES: usize = 1024;
/// Time in which a store that was just filled puts things in order.
const SETTLE: Duration = Duration::from_secs(5);

static KEYS: Figure = Figure::new("keys of 1 KiB", 0, Aim::Nothing);
static MEMORY: Figure = Figure::new("  memory of a member, MiB", 0, Aim::ShareOfEtcd(0.25));
static SIZE: Figure = Figure::new("values in a store that is opened, MiB", 0, Aim::Nothing);
static OPEN: Figure =
    Figure::new("  killed member to its first answer from its own state, s", 2, Aim::AtMost(2.0));

/// Puts `keys` keys; a new cluster has them and nothing else.
pub(crate) async fn memory(
    cluster: &Cluster,
    keys: u64,
    number: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    load::fill(cluster, &cluster.all(), 0..keys, VALUE_BYTES, None).await?;
    tokio::time::sleep(SETTLE).await;
    table.add(number, &KEYS, keys as f64);
    table.add(number, &MEMORY, cluster.resident_bytes() as f64 / f64::from(1 << 20));
    Ok(())
}

/// Puts keys until there are `mib` of values, of which `there` keys are there already; kills a follower and starts it again.
pub(crate) async fn open(
    cluster: &mut Cluster,
    there: u64,
    mib: u64,
    number: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let keys = there.max(mib * 1024 * 1024 / VALUE_BYTES as u64);
    load::fill(cluster, &cluster.all(), there..keys, VALUE_BYTES, None).await?;
    tokio::time::sleep(SETTLE).await;
    let follower = (cluster.leader().await? + 1) % cluster.size();
    cluster.kill(follower)?;
    let started = Instant::now();
    cluster.restart(follower)?;
    cluster.wait_until_open(follower).await?;
    table.add(number, &SIZE, keys as f64 * VALUE_BYTES as f64 / f64::from(1 << 20));
    table.add(number, &OPEN, started.elapsed().as_secs_f64());
    Ok(())
}
