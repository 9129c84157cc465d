//! Many watchers and many leases, over real connections.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keelson_proto::etcd::rpc::lease_client::LeaseClient;
use keelson_proto::etcd::rpc::watch_client::WatchClient;
use keelson_proto::etcd::rpc::watch_request::RequestUnion;
use keelson_proto::etcd::rpc::{
    LeaseGrantRequest, LeaseKeepAliveRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};
use tokio::time::timeout;
use tokio_stream::{StreamExt as _, iter, pending};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::certificates::Shown;
use crate::client::Client;
use crate::cluster::{Cluster, Member};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn ten_thousand_watchers_over_a_hundred_connections_get_what_is_theirs_and_nothing_else() {
    const CONNECTIONS: usize = 100;
    const WATCHES: usize = 100;
    let cluster = Cluster::start().await;
    let connect = async |number: usize| {
        let channel = connection(&cluster, &cluster.members[number % 3]).await;
        watch_many(&channel, number * WATCHES, WATCHES).await
    };
    let mut streams = join_all((0..CONNECTIONS).map(connect)).await;
    // Whoever never takes anything holds up nobody else.
    let silent = streams.pop().unwrap();
    let client = &cluster.members[0].client;

    let began = Instant::now();
    client.put("common", "x").await.unwrap();
    join_all(streams.iter_mut().map(async |stream| events(stream, WATCHES / 2).await)).await;
    println!("one put to {} of 10,000 watchers: {:?}", streams.len() * WATCHES / 2, began.elapsed());

    let began = Instant::now();
    client.put("own-4277", "x").await.unwrap();
    assert_eq!(events(&mut streams[42], 1).await, [77]);
    println!("one put to one of 10,000 watchers: {:?}", began.elapsed());
    // The next thing that each of the others hears of is the next thing that concerns it.
    client.put("common", "x").await.unwrap();
    for stream in &mut streams {
        assert!(events(stream, WATCHES / 2).await.iter().all(|watch| *watch < 50));
    }
    drop(silent);
}

#[tokio::test]
async fn a_hundred_streams_renew_a_hundred_leases_each_and_the_log_does_not_grow() {
    const STREAMS: i64 = 100;
    const LEASES: i64 = 100;
    let cluster = Cluster::start().await;
    let channel = |number: i64| {
        let member = &cluster.members[usize::try_from(number % 3).unwrap()];
        connection(&cluster, member)
    };
    let channels = join_all((0..STREAMS).map(channel)).await;
    let grant = async |(number, channel): (i64, &Channel)| {
        let mut leases = LeaseClient::new(channel.clone());
        for id in 1..=LEASES {
            let request = LeaseGrantRequest { ttl: 600, id: number * LEASES + id };
            leases.lease_grant(request).await.unwrap();
        }
    };
    join_all((0..).zip(&channels).map(grant)).await;
    let before = cluster.members[0].client.status().await.unwrap().raft_index;
    let renew = async |(number, channel): (i64, &Channel)| {
        let requests = iter((1..=LEASES).map(move |id| LeaseKeepAliveRequest { id: number * LEASES + id }));
        let mut leases = LeaseClient::new(channel.clone());
        let mut answers = leases.lease_keep_alive(requests).await.unwrap().into_inner();
        for id in 1..=LEASES {
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!((answer.id, answer.ttl), (number * LEASES + id, 600));
        }
    };
    let began = Instant::now();
    join_all((0..).zip(&channels).map(renew)).await;
    println!("{} renewals over {STREAMS} streams: {:?}", STREAMS * LEASES, began.elapsed());
    assert_eq!(cluster.members[0].client.status().await.unwrap().raft_index, before);
}

async fn connection(cluster: &Cluster, member: &Member) -> Channel {
    let url = format!("https://{}:{}", member.address, member.client_port);
    Client::new(url, cluster.pki.client_tls(Shown::Client)).channel().clone()
}

/// One stream with many watches. The first half of them have one key in common with those of all streams, each of
/// the others has one of its own. Returns when all are there.
async fn watch_many(channel: &Channel, first: usize, count: usize) -> Streaming<WatchResponse> {
    let create = move |number: usize| {
        let key = if number < count / 2 { "common".to_owned() } else { format!("own-{}", first + number) };
        let create = WatchCreateRequest { key: key.into(), ..WatchCreateRequest::default() };
        WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
    };
    let requests = iter((0..count).map(create)).chain(pending());
    let mut stream = WatchClient::new(channel.clone()).watch(requests).await.unwrap().into_inner();
    for _ in 0..count {
        assert!(stream.message().await.unwrap().unwrap().created);
    }
    stream
}

/// The watches that the next so many events belong to.
async fn events(stream: &mut Streaming<WatchResponse>, count: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let answer = timeout(PATIENCE, stream.message()).await.expect("events come").unwrap().unwrap();
        seen.extend(answer.events.iter().map(|_| answer.watch_id));
    }
    seen
}
