//! How long no write is acknowledged after the leader was killed.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use keelson_proto::etcd::rpc::{PutRequest, kv_client::KvClient};

use crate::{
    cluster::Cluster,
    figures::{Aim, Figure, Table},
    processes::share_of,
};

/// How long one attempt may take before the client turns to the next member.
const ATTEMPT: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

static MEDIAN: Figure = Figure::new("leader killed to next acknowledged put, median, s", 2, Aim::Nothing);
static P99: Figure = Figure::new("  p99, s", 2, Aim::AtMost(1.0));

/// Kills the leader `kills` times.
pub(crate) async fn measure(
    cluster: &mut Cluster,
    kills: usize,
    number: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let mut gaps = gaps(cluster, kills).await?;
    gaps.sort_unstable();
    table.add(number, &MEDIAN, share_of(&gaps, 0.5).as_secs_f64());
    table.add(number, &P99, share_of(&gaps, 0.99).as_secs_f64());
    Ok(())
}

/// From each kill to the next acknowledged put, by a client that tries the other members in turn.
async fn gaps(cluster: &mut Cluster, kills: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut gaps = Vec::new();
    for _ in 0..kills {
        let leader = cluster.leader().await?;
        let others: Vec<_> = (0..cluster.size()).filter(|number| *number != leader).collect();
        let mut clients = Vec::new();
        for number in others {
            clients.push(KvClient::new(cluster.channel(number)?));
            put(&mut clients, PATIENCE).await?;
        }
        cluster.kill(leader)?;
        let killed = Instant::now();
        put(&mut clients, PATIENCE).await?;
        gaps.push(killed.elapsed());
        cluster.restart(leader)?;
        let mut returned = vec![KvClient::new(cluster.channel(leader)?)];
        put(&mut returned, PATIENCE).await?;
    }
    Ok(gaps)
}

async fn put(
    clients: &mut [KvClient<tonic::transport::Channel>],
    patience: Duration,
) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + patience;
    loop {
        for client in &mut *clients {
            let put = PutRequest { key: "failover".into(), value: "x".into(), ..PutRequest::default() };
            if let Ok(Ok(_)) = tokio::time::timeout(ATTEMPT, client.put(put)).await {
                return Ok(());
            }
        }
        if Instant::now() > deadline {
            return Err("no put is acknowledged".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
