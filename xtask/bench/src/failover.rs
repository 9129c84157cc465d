//! How long no write is acknowledged after the leader was killed.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use keelson_proto::etcd::rpc::{PutRequest, kv_client::KvClient};

use crate::cluster::Cluster;

/// How long one attempt may take before the client turns to the next member.
const ATTEMPT: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills the leader `kills` times and measures from each kill to the next acknowledged put, by a client that
/// tries the other members in turn.
pub(crate) async fn measure(cluster: &mut Cluster, kills: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
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
