//! How puts fare while a member that was away gets a snapshot.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use crate::{
    cluster::Cluster,
    figures::{Aim, Figure, Table},
    load::{self, Operation},
};

/// Bytes of a value that the member misses. There must be more of them than the others keep in their logs.
const VALUE_BYTES: usize = 1024;
const CLIENTS: usize = 16;
/// Time in which a store that was just filled puts things in order.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);
/// One look at how puts fare.
const LOOK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(600);

static MISSED: Figure = Figure::new("values that a member missed, MiB", 0, Aim::Nothing);
static TOOK: Figure = Figure::new("  until it has all of them, s", 1, Aim::Nothing);
static BEFORE: Figure = Figure::new("  puts/s by 16 clients while it is away", 0, Aim::Nothing);
static MEANWHILE: Figure = Figure::new("  puts/s meanwhile", 0, Aim::Nothing);
static TIMES: Figure = Figure::new("  puts/s before, times those meanwhile", 2, Aim::AtMost(1.25));

/// Has a follower miss `mib` of values, and come back.
pub(crate) async fn measure(
    cluster: &mut Cluster,
    mib: u64,
    seconds: Duration,
    number: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let lagging = (cluster.leader().await? + 1) % cluster.size();
    let others: Vec<usize> = cluster.all().into_iter().filter(|member| *member != lagging).collect();
    cluster.kill(lagging)?;
    load::fill(cluster, &others, 0..mib * 1024, VALUE_BYTES, None).await?;
    tokio::time::sleep(SETTLE).await;
    let before = load::run(cluster, &others, Operation::Put, CLIENTS, seconds).await?.per_second;
    let missed = revision(cluster, others[0]).await.ok_or("a member does not say where it is")?;

    cluster.restart(lagging)?;
    let returned = Instant::now();
    let mut looks = Vec::new();
    while revision(cluster, lagging).await.is_none_or(|there| there < missed) {
        if returned.elapsed() > PATIENCE {
            return Err("the member that was away does not catch up".into());
        }
        let look = load::run(cluster, &others, Operation::Put, CLIENTS, LOOK).await?.per_second;
        eprintln!("bench: puts/s meanwhile: {look:.0}");
        looks.push(look);
    }
    let meanwhile = looks.iter().sum::<f64>() / looks.len().max(1) as f64;
    table.add(number, &MISSED, mib as f64);
    table.add(number, &TOOK, returned.elapsed().as_secs_f64());
    table.add(number, &BEFORE, before);
    table.add(number, &MEANWHILE, meanwhile);
    table.add(number, &TIMES, before / meanwhile);
    Ok(())
}

/// How far a member has come, if it says so.
async fn revision(cluster: &Cluster, member: usize) -> Option<i64> {
    Some(cluster.status(member).await.ok()?.header?.revision)
}
