//! Closed loops of clients, each with one request under way.
//!
//! In: a cluster, what is asked of it and by how many. Out: how much was answered, how fast, and what it cost the members.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::Bytes;
use keelson_proto::etcd::rpc::{
    Compare, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse,
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
};

use crate::{
    call::{CallError, Connection},
    cluster::Cluster,
    processes::share_of,
};

/// Bytes per value.
pub(crate) const VALUE_BYTES: usize = 256;
/// Connections per member, shared by the clients as client libraries do.
const CONNECTIONS: usize = 4;
/// Load before the clock starts.
const WARM_UP: Duration = Duration::from_millis(500);
/// Keys that each client puts, in turn.
const KEYS: u64 = 1000;
/// Keys that [`Operation::Get`] reads: they must have been filled.
pub(crate) const KEYS_READ: u64 = 1000;

pub(crate) const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";

/// What the clients do.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    /// Put a key.
    Put,
    /// Read a key, linearizably.
    Get,
    /// Ask the nearest member alone for a key that is not there: about the least that can be asked.
    Look,
    /// What an API server does to update an object: put a key if it is still at the revision it was read at.
    Update,
}

/// What one load achieved.
pub(crate) struct Point {
    /// Answers per second.
    pub(crate) per_second: f64,
    /// Median latency.
    pub(crate) p50: Duration,
    /// 99th percentile.
    pub(crate) p99: Duration,
    /// Processor time of all members together for one answer.
    pub(crate) cpu: Duration,
    /// How long each answer took, shortest first.
    pub(crate) latencies: Vec<Duration>,
}

/// Load by `clients` clients, spread over these members.
pub(crate) async fn run(
    cluster: &Cluster,
    members: &[usize],
    operation: Operation,
    clients: usize,
    duration: Duration,
) -> Result<Point, Box<dyn Error>> {
    let connections = connect(cluster, members).await?;
    let begin = Instant::now() + WARM_UP;
    let end = begin + duration;
    let client = |number: usize| Client {
        connection: connections[number % connections.len()].clone(),
        number,
        keys: format!("/bench/client-{number:05}/key-").into(),
        value: vec![b'v'; VALUE_BYTES].into(),
        revision: None,
    };
    let loops: Vec<_> =
        (0..clients).map(|number| tokio::spawn(client(number).work(operation, begin, end))).collect();
    tokio::time::sleep_until(begin.into()).await;
    let before = cluster.cpu(members)?;
    tokio::time::sleep_until(end.into()).await;
    let used = cluster.cpu(members)?.saturating_sub(before);
    let mut latencies = Vec::new();
    for client in loops {
        latencies.extend(client.await?.map_err(|error| error.to_string())?);
    }
    latencies.sort_unstable();
    Ok(Point {
        per_second: latencies.len() as f64 / duration.as_secs_f64(),
        p50: share_of(&latencies, 0.5),
        p99: share_of(&latencies, 0.99),
        cpu: used.div_f64(latencies.len().max(1) as f64),
        latencies,
    })
}

/// Puts `count` keys of `bytes` each, as fast as it goes; with `again`, the same few keys over and over.
pub(crate) async fn fill(
    cluster: &Cluster,
    members: &[usize],
    keys: std::ops::Range<u64>,
    bytes: usize,
    again: Option<u64>,
) -> Result<(), Box<dyn Error>> {
    const FILLERS: u64 = 256;
    let connections = connect(cluster, members).await?;
    let value = Bytes::from(vec![b'v'; bytes]);
    let fillers: Vec<_> = (0..FILLERS)
        .map(|filler| {
            let connection = connections[filler as usize % connections.len()].clone();
            let (keys, value) = (keys.clone(), value.clone());
            tokio::spawn(async move {
                for number in keys.skip(filler as usize).step_by(FILLERS as usize) {
                    let number = again.map_or(number, |again| number % again);
                    let put = put(filled(number), value.clone());
                    connection.unary::<_, PutResponse>(PUT, &put).await?;
                }
                Ok::<_, CallError>(())
            })
        })
        .collect();
    for filler in fillers {
        filler.await?.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn filled(number: u64) -> Bytes {
    format!("/registry/fill/key-{number:010}").into()
}

/// A put of this key.
pub(crate) fn put(key: Bytes, value: Bytes) -> PutRequest {
    PutRequest { key, value, ..PutRequest::default() }
}

async fn connect(cluster: &Cluster, members: &[usize]) -> Result<Vec<Connection>, Box<dyn Error>> {
    let mut connections = Vec::new();
    for number in members.iter().cycle().take(members.len() * CONNECTIONS) {
        connections.push(cluster.connect(*number).await?);
    }
    Ok(connections)
}

struct Client {
    connection: Connection,
    number: usize,
    /// What the keys that it puts begin with.
    keys: Bytes,
    value: Bytes,
    /// Where the one key that it updates was last changed, once it has read that.
    revision: Option<i64>,
}

impl Client {
    async fn work(
        mut self,
        operation: Operation,
        begin: Instant,
        end: Instant,
    ) -> Result<Vec<Duration>, CallError> {
        let mut latencies = Vec::new();
        for turn in 0_u64.. {
            let started = Instant::now();
            if started >= end {
                break;
            }
            match operation {
                Operation::Put => self.put(turn).await?,
                Operation::Get => self.get(turn).await?,
                Operation::Look => self.look().await?,
                Operation::Update => self.update().await?,
            }
            if started >= begin {
                latencies.push(started.elapsed());
            }
        }
        Ok(latencies)
    }

    /// Its keys end in ten digits. They are written here, since formatting costs more than what else a client does for a call.
    fn key(&self, turn: u64) -> Bytes {
        let mut digits = [b'0'; 10];
        let mut left = turn % KEYS;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        [&self.keys[..], &digits].concat().into()
    }

    async fn put(&self, turn: u64) -> Result<(), CallError> {
        let put = put(self.key(turn), self.value.clone());
        self.connection.unary::<_, PutResponse>(PUT, &put).await.map(drop)
    }

    async fn get(&self, turn: u64) -> Result<(), CallError> {
        let key = filled((self.number as u64 * 7 + turn) % KEYS_READ);
        let get = RangeRequest { key, ..RangeRequest::default() };
        let found: RangeResponse = self.connection.unary(RANGE, &get).await?;
        if found.kvs.len() == 1 { Ok(()) } else { Err("a key that was put is not there".into()) }
    }

    async fn look(&self) -> Result<(), CallError> {
        let key = Bytes::from_static(b"/bench/nothing");
        let get = RangeRequest { key, serializable: true, ..RangeRequest::default() };
        self.connection.unary::<_, RangeResponse>(RANGE, &get).await.map(drop)
    }

    async fn update(&mut self) -> Result<(), CallError> {
        let key: Bytes = format!("/bench/updated/{:05}", self.number).into();
        let revision = match self.revision {
            Some(revision) => revision,
            None => {
                let get = RangeRequest { key: key.clone(), ..RangeRequest::default() };
                let found: RangeResponse = self.connection.unary(RANGE, &get).await?;
                found.kvs.first().map_or(0, |kv| kv.mod_revision)
            }
        };
        let txn = compare_and_put(key, revision, self.value.clone());
        let answer: TxnResponse = self.connection.unary(TXN, &txn).await?;
        if !answer.succeeded {
            return Err("a key has changed that nobody else writes".into());
        }
        self.revision = answer.header.map(|header| header.revision);
        Ok(())
    }
}

/// An API server's update: if somebody was faster, the answer holds what there is now.
fn compare_and_put(key: Bytes, revision: i64, value: Bytes) -> TxnRequest {
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::ModRevision(revision)),
        ..Compare::default()
    };
    let get = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    let op = |request| vec![RequestOp { request: Some(request) }];
    TxnRequest {
        compare: vec![compare],
        success: op(Request::RequestPut(put(key, value))),
        failure: op(Request::RequestRange(get)),
    }
}
