//! Closed loops of clients, each with one put under way.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use keelson_proto::etcd::rpc::{PutRequest, kv_client::KvClient};
use tonic::transport::Channel;

use crate::{cluster::Cluster, processes::share_of};

/// Bytes per value.
const VALUE_BYTES: usize = 256;
/// Connections per member, shared by the clients as client libraries do.
const CONNECTIONS: usize = 4;
/// Load before the clock starts.
const WARM_UP: Duration = Duration::from_millis(500);

/// What one load achieved.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    /// Acknowledged puts per second.
    pub(crate) per_second: f64,
    /// Median latency.
    pub(crate) p50: Duration,
    /// 99th percentile.
    pub(crate) p99: Duration,
}

/// Puts from `clients` clients, spread over all members.
pub(crate) async fn puts(
    cluster: &Cluster,
    clients: usize,
    duration: Duration,
) -> Result<Point, Box<dyn Error>> {
    let channels = (0..cluster.size() * CONNECTIONS).map(|number| cluster.channel(number % cluster.size()));
    let channels = channels.collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now() + WARM_UP;
    let end = begin + duration;
    let loops: Vec<_> = (0..clients)
        .map(|client| tokio::spawn(put_until(channels[client % channels.len()].clone(), client, begin, end)))
        .collect();
    let mut latencies = Vec::new();
    for client in loops {
        latencies.extend(client.await??);
    }
    latencies.sort_unstable();
    let per_second = latencies.len() as f64 / duration.as_secs_f64();
    Ok(Point { per_second, p50: share_of(&latencies, 0.5), p99: share_of(&latencies, 0.99) })
}

async fn put_until(
    channel: Channel,
    client: usize,
    begin: Instant,
    end: Instant,
) -> Result<Vec<Duration>, tonic::Status> {
    let mut kv = KvClient::new(channel);
    let mut latencies = Vec::new();
    for write in 0_u64.. {
        let started = Instant::now();
        if started >= end {
            break;
        }
        let key = format!("/bench/client-{client:05}/key-{:010}", write % 1000).into();
        kv.put(PutRequest { key, value: vec![b'v'; VALUE_BYTES].into(), ..PutRequest::default() }).await?;
        if started >= begin {
            latencies.push(started.elapsed());
        }
    }
    Ok(latencies)
}
