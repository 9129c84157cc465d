//! One put, and when the last of many watchers hears of it.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use keelson_proto::etcd::rpc::{
    PutResponse, WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion,
};

use crate::{
    call::Answers,
    cluster::Cluster,
    figures::{Aim, Figure, Table},
    load,
    processes::share_of,
};

/// Streams over all members, and watches on each.
const STREAMS: usize = 10;
const WATCHES: usize = 100;
const PUTS: usize = 50;
const KEY: &str = "/bench/watched";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
/// How long a delivery may take.
const PATIENCE: Duration = Duration::from_secs(30);

static LAST: Figure =
    Figure::new("put to the last of 1,000 watchers, median, ms", 2, Aim::ShareOfEtcd(1.0 / 3.0));
static SLOWEST: Figure = Figure::new("  p99, ms", 2, Aim::Nothing);
static CPU: Figure = Figure::new("  CPU of the three members a put, us", 0, Aim::Nothing);

/// Puts the watched key again and again.
pub(crate) async fn measure(
    cluster: &Cluster,
    number: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let mut streams = Vec::new();
    for stream in 0..STREAMS {
        streams.push(watch(cluster, stream % cluster.size()).await?);
    }
    let connection = cluster.connect(0).await?;
    let before = cluster.cpu(&cluster.all())?;
    let mut took = Vec::new();
    for turn in 0..PUTS {
        let put = load::put(KEY.into(), format!("{turn:0256}").into());
        let started = Instant::now();
        let putting = async {
            let put = connection.unary::<_, PutResponse>(load::PUT, &put).await;
            put.map(drop).map_err(|error| error.to_string())
        };
        let hearing = futures_util::future::try_join_all(streams.iter_mut().map(hear));
        let both = async { futures_util::future::try_join(putting, hearing).await };
        tokio::time::timeout(PATIENCE, both).await??;
        took.push(started.elapsed());
    }
    let cpu = cluster.cpu(&cluster.all())?.saturating_sub(before);
    took.sort_unstable();
    table.add(number, &LAST, share_of(&took, 0.5).as_secs_f64() * 1e3);
    table.add(number, &SLOWEST, share_of(&took, 0.99).as_secs_f64() * 1e3);
    table.add(number, &CPU, cpu.as_secs_f64() * 1e6 / PUTS as f64);
    Ok(())
}

/// Opens a stream whose watches have all begun.
async fn watch(cluster: &Cluster, member: usize) -> Result<Answers, Box<dyn Error>> {
    let create = WatchCreateRequest { key: KEY.into(), ..WatchCreateRequest::default() };
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let connection = cluster.connect(member).await?;
    let opened = connection.stream(WATCH, &vec![create; WATCHES]).await;
    let mut events = opened.map_err(|error| error.to_string())?;
    let mut created = 0;
    while created < WATCHES {
        let said: WatchResponse = events.next().await.map_err(|error| error.to_string())?;
        created += usize::from(said.created);
    }
    Ok(events)
}

/// Waits until each watch of a stream has had one event.
async fn hear(events: &mut Answers) -> Result<(), String> {
    let mut heard = 0;
    while heard < WATCHES {
        let said: WatchResponse = events.next().await.map_err(|error| error.to_string())?;
        heard += said.events.len();
    }
    Ok(())
}
