//! Logs on disk, as a runtime writes and moves them.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::BoxFuture;
use keelson_proto::cri::v1::{AttachRequest, ExecRequest, PodSandboxStats, PortForwardRequest};

use super::*;
use crate::containers::{Container, RuntimeFailure};

/// A container that runs until it is told to end.
struct OneContainer(AtomicBool);

impl OneContainer {
    fn running() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

type Answer<T> = Result<T, RuntimeFailure>;

impl Containers for OneContainer {
    fn container<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Answer<Option<Container>>> {
        let is_running = self.0.load(Ordering::Relaxed);
        Box::pin(async move { Ok(Some(Container { log_path: PathBuf::new(), is_running })) })
    }

    fn ready_sandbox<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Answer<Option<String>>> {
        Box::pin(async { Ok(None) })
    }

    fn stats(&self) -> BoxFuture<'_, Answer<Vec<PodSandboxStats>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn exec(&self, _: ExecRequest) -> BoxFuture<'_, Answer<String>> {
        Box::pin(async { Err(RuntimeFailure("not here".into())) })
    }

    fn attach(&self, _: AttachRequest) -> BoxFuture<'_, Answer<String>> {
        Box::pin(async { Err(RuntimeFailure("not here".into())) })
    }

    fn port_forward(&self, _: PortForwardRequest) -> BoxFuture<'_, Answer<String>> {
        Box::pin(async { Err(RuntimeFailure("not here".into())) })
    }
}

fn write(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn line(text: &str) -> String {
    format!("2026-01-02T03:04:05Z stdout F {text}\n")
}

async fn rest(reader: &mut LogReader) -> String {
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

async fn following(path: &Path, container: &Arc<OneContainer>, options: LogOptions) -> LogReader {
    let follow = Follow::new(container.clone(), "id".into());
    LogReader::open(path.to_owned(), &options, Some(follow)).await.unwrap()
}

/// Reads until everything in `expected` has come.
async fn expect(reader: &mut LogReader, expected: &str) {
    let mut got = String::new();
    while got.len() < expected.len() {
        got += std::str::from_utf8(&reader.next().await.expect("the log goes on")).unwrap();
    }
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_log_is_read_as_far_as_it_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.log");
    let many: String = (0..20_000).map(|number| line(&number.to_string())).collect();
    write(&path, &many);
    let mut reader = LogReader::open(path.clone(), &LogOptions::default(), None).await.unwrap();
    write(&path, &line("later"));
    let expected: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(rest(&mut reader).await, expected);
    let options = LogOptions { tail: Some(2), ..Default::default() };
    let mut reader = LogReader::open(path.clone(), &options, None).await.unwrap();
    assert_eq!(rest(&mut reader).await, "19999\nlater\n");
    let options = LogOptions { limit: Some(7), ..Default::default() };
    let mut reader = LogReader::open(path, &options, None).await.unwrap();
    assert_eq!(rest(&mut reader).await, "0\n1\n2\n3");
    let absent = folder.path().join("absent");
    assert!(LogReader::open(absent, &LogOptions::default(), None).await.is_err());
}

#[tokio::test]
async fn a_log_that_is_followed_ends_with_its_container_and_not_before_all_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.log");
    write(&path, &format!("{}{}", line("before"), line("one")));
    let container = OneContainer::running();
    let mut reader = following(&path, &container, LogOptions { tail: Some(1), ..Default::default() }).await;
    expect(&mut reader, "one\n").await;
    let (start, end) = ("2026-01-02T03:04:05Z stdout F t", "wo\n");
    write(&path, start);
    tokio::task::yield_now().await;
    write(&path, end);
    expect(&mut reader, "two\n").await;
    write(&path, &line("three"));
    container.end();
    assert_eq!(rest(&mut reader).await, "three\n");
}

#[tokio::test]
async fn a_log_that_is_moved_aside_is_followed_into_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.log");
    let aside = folder.path().join("0.log.20260102-030405");
    write(&path, &line("one"));
    let container = OneContainer::running();
    let mut reader = following(&path, &container, LogOptions::default()).await;
    expect(&mut reader, "one\n").await;
    fs::rename(&path, &aside).unwrap();
    // The runtime writes to the file that it has open until it is told to open another.
    write(&aside, &line("two"));
    expect(&mut reader, "two\n").await;
    write(&path, &line("four"));
    write(&aside, &line("three"));
    expect(&mut reader, "three\nfour\n").await;
    container.end();
    assert_eq!(rest(&mut reader).await, "");
}

#[tokio::test]
async fn nothing_is_waited_for_once_as_much_was_sent_as_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.log");
    write(&path, &line("one"));
    let options = LogOptions { limit: Some(2), ..Default::default() };
    let mut reader = following(&path, &OneContainer::running(), options).await;
    assert_eq!(rest(&mut reader).await, "on");
}
