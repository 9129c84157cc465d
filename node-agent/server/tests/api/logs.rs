//! Logs over HTTP and over WebSockets.

use std::{io::Write, sync::Arc};

use http_body_util::BodyExt;

use crate::node::{Node, Urls};

const LOG: &str = "2026-01-02T03:04:05Z stdout F one\n2026-01-02T03:04:06.5Z stderr F two\n";

const PATH: &str = "/containerLogs/shop/web/app";

fn runtime(file: &mut tempfile::NamedTempFile) -> Arc<Urls> {
    file.write_all(LOG.as_bytes()).unwrap();
    Arc::new(Urls { log: file.path().to_owned(), is_running: true.into(), ..Urls::default() })
}

#[tokio::test]
async fn a_log_is_sent_without_the_runtimes_marks() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let node = Node::start(runtime(&mut file)).await;
    let get = async |query: &str| node.root().get(&format!("{PATH}?{query}")).await;
    assert_eq!(get("").await, (200, "one\ntwo\n".to_owned()));
    assert_eq!(
        get("tailLines=1&timestamps=true").await,
        (200, "2026-01-02T03:04:06.500000000Z two\n".to_owned())
    );
    assert_eq!(get("stream=Stdout").await, (200, "one\n".to_owned()));
    assert_eq!(get("tailLines=x").await.0, 400);
    assert_eq!(get("limitBytes=0").await.0, 422);
}

#[tokio::test]
async fn what_has_no_log_is_told() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let node = Node::start(runtime(&mut file)).await;
    let text = "container \"waiting\" in pod \"web\" is waiting to start: ContainerCreating";
    assert_eq!(node.root().get("/containerLogs/shop/web/waiting").await, (400, text.to_owned()));
    let text = "previous terminated container \"app\" in pod \"web\" not found";
    assert_eq!(node.root().get(&format!("{PATH}?previous=true")).await, (400, text.to_owned()));
    assert_eq!(node.root().get("/containerLogs/shop/none/app").await, (404, "pod does not exist".to_owned()));
    std::fs::remove_file(file.path()).unwrap();
    let (code, text) = node.root().get(PATH).await;
    assert_eq!(code, 400);
    assert!(text.starts_with("unable to retrieve container logs for containerd://id: "), "{text}");
}

#[tokio::test]
async fn a_log_is_followed_until_the_container_ends() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let runtime = runtime(&mut file);
    let node = Node::start(runtime.clone()).await;
    let mut answer = node.root().send("GET", &format!("{PATH}?follow=true"), &[]).await;
    let mut piece = async || {
        let frame = answer.body_mut().frame().await?;
        Some(frame.unwrap().into_data().unwrap())
    };
    assert_eq!(piece().await.unwrap(), "one\ntwo\n");
    file.write_all(b"2026-01-02T03:04:07Z stdout F three\n").unwrap();
    assert_eq!(piece().await.unwrap(), "three\n");
    *runtime.is_running.lock().unwrap() = false;
    assert_eq!(piece().await, None);
}

#[tokio::test]
async fn a_log_comes_over_a_web_socket_and_a_server_that_stops_ends_it() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let node = Node::start(runtime(&mut file)).await;
    let mut streams = node.root().web_socket(PATH, "binary.k8s.io").await.ok().unwrap();
    assert_eq!(streams.next().await.unwrap(), "");
    assert_eq!(streams.next().await.unwrap(), "one\ntwo\n");
    assert_eq!(streams.next().await, None);
    let mut followed = node.root().web_socket(&format!("{PATH}?follow=1"), "").await.ok().unwrap();
    assert_eq!(followed.next().await.unwrap(), "");
    let answer = node.root().send("GET", &format!("{PATH}?follow=true"), &[]).await;
    node.stop.send(()).unwrap();
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut followed.socket).await {}
    let _ = answer.into_body().collect().await;
}
