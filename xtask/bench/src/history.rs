//! How puts fare while history is compacted away.

use std::{error::Error, time::Duration};

use keelson_proto::etcd::rpc::{CompactionRequest, PutResponse, kv_client::KvClient};

use crate::{
    cluster::Cluster,
    figures::{Aim, Figure, Table},
    load::{self, Operation},
};

/// Bytes of a version, and keys that have all the versions.
const VALUE_BYTES: usize = 1024;
const KEYS: u64 = 1000;
/// Few, so that what a put waits for is the store and not other clients.
const CLIENTS: usize = 4;
/// At least so many looks are taken after the compaction was asked for; the worst one counts.
const LOOKS: usize = 4;

static SIZE: Figure = Figure::new("history compacted away, MiB", 0, Aim::Nothing);
static IDLE: Figure = Figure::new("  p99 of puts by 4 clients before, ms", 2, Aim::Nothing);
static WORST: Figure = Figure::new("  p99 of puts meanwhile, ms", 2, Aim::Nothing);
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
    let before = load::run(cluster, &cluster.all(), Operation::Put, CLIENTS, seconds).await?.p99;
    let compaction = compact(cluster);
    let watching = async {
        let mut worst = Duration::ZERO;
        for _ in 0..LOOKS {
            worst =
                worst.max(load::run(cluster, &cluster.all(), Operation::Put, CLIENTS, seconds).await?.p99);
        }
        Ok(worst)
    };
    let ((), worst) = futures_util::future::try_join(compaction, watching).await?;
    table.add(number, &SIZE, mib as f64);
    table.add(number, &IDLE, before.as_secs_f64() * 1e3);
    table.add(number, &WORST, worst.as_secs_f64() * 1e3);
    table.add(number, &TIMES, worst.as_secs_f64() / before.as_secs_f64());
    Ok(())
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
