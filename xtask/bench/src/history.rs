//! How puts fare while history is compacted away.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use keelson_proto::etcd::rpc::{CompactionRequest, PutResponse, kv_client::KvClient};

use crate::{
    cluster::Cluster,
    figures::{Aim, Figure, Table},
    lagging,
    load::{self, Operation},
    processes::share_of,
};

/// Bytes of a version, and keys that have all the versions.
const VALUE_BYTES: usize = 1024;
const KEYS: u64 = 1000;
/// Few, so that what a put waits for is the store and not other clients.
const CLIENTS: usize = 4;
/// At least so many looks are taken after the compaction was asked for.
const LOOKS: usize = 4;
/// It is over when every member holds this part of what it held.
const LEFT: f64 = 0.25;
const PATIENCE: Duration = Duration::from_secs(1800);

static SIZE: Figure = Figure::new("history compacted away, MiB", 0, Aim::Nothing);
static IDLE: Figure = Figure::new("  p99 of puts by 4 clients before, ms", 2, Aim::Nothing);
static MEANWHILE: Figure = Figure::new("  p99 of puts meanwhile, ms", 2, Aim::Nothing);
static WORST: Figure = Figure::new("  p99 of the worst seconds of it, ms", 2, Aim::Nothing);
static TOOK: Figure = Figure::new("  until three quarters of the store are gone, s", 0, Aim::Nothing);
static TIMES: Figure = Figure::new("  times the p99 before", 2, Aim::AtMost(2.0));

/// Makes `mib` of history, and drops it.
pub(crate) async fn measure(
    cluster: &Cluster,
    mib: u64,
    seconds: Duration,
    number: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    load::fill(cluster, &cluster.all(), 0..mib * 1024, VALUE_BYTES, Some(KEYS)).await?;
    tokio::time::sleep(lagging::SETTLE).await;
    let before = load::run(cluster, &cluster.all(), Operation::Put, CLIENTS, seconds).await?.p99;
    let full = bytes_in_use(cluster).await?;
    let began = Instant::now();
    let watching = watch(cluster, seconds, (full as f64 * LEFT) as i64);
    let ((), (meanwhile, worst)) = futures_util::future::try_join(compact(cluster), watching).await?;
    let took = began.elapsed();
    table.add(number, &SIZE, mib as f64);
    table.add(number, &IDLE, before.as_secs_f64() * 1e3);
    table.add(number, &MEANWHILE, meanwhile.as_secs_f64() * 1e3);
    table.add(number, &WORST, worst.as_secs_f64() * 1e3);
    table.add(number, &TOOK, took.as_secs_f64());
    table.add(number, &TIMES, meanwhile.as_secs_f64() / before.as_secs_f64());
    Ok(())
}

/// The p99 of puts until no member holds more than `left` bytes: of all of them, and of the worst look.
async fn watch(
    cluster: &Cluster,
    seconds: Duration,
    left: i64,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let began = Instant::now();
    let (mut looks, mut worst, mut all) = (0, Duration::ZERO, Vec::new());
    while looks < LOOKS || bytes_in_use(cluster).await? > left {
        if began.elapsed() > PATIENCE {
            return Err("the history that was compacted does not go".into());
        }
        let look = load::run(cluster, &cluster.all(), Operation::Put, CLIENTS, seconds).await?;
        looks += 1;
        worst = worst.max(look.p99);
        all.extend(look.latencies);
    }
    all.sort_unstable();
    Ok((share_of(&all, 0.99), worst))
}

/// What the member holds that holds the most.
async fn bytes_in_use(cluster: &Cluster) -> Result<i64, Box<dyn Error>> {
    let mut most = 0;
    for member in cluster.all() {
        most = most.max(cluster.status(member).await?.db_size_in_use);
    }
    Ok(most)
}

/// Compacts at the newest revision, and returns when the store says that it is done.
async fn compact(cluster: &Cluster) -> Result<(), Box<dyn Error>> {
    let connection = cluster.connect(0).await?;
    let put = load::put("/bench/last".into(), "x".into());
    let put = connection.unary::<_, PutResponse>(load::PUT, &put).await.map_err(|error| error.to_string())?;
    let revision = put.header.map_or(0, |header| header.revision);
    KvClient::new(cluster.channel(0)?).compact(CompactionRequest { revision, physical: true }).await?;
    Ok(())
}
