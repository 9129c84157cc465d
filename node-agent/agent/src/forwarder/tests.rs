//! What is promised of the forwarder, shown by example.

use super::*;

#[test]
fn servers_are_told_by_host_and_port() {
    let parsed = |url: &'static str| server(&Uri::from_static(url)).map(|it| it.to_string());
    assert_eq!(parsed("https://10.0.0.1:6443").unwrap(), "10.0.0.1:6443");
    assert_eq!(parsed("https://[fd00::1]:6443").unwrap(), "[fd00::1]:6443");
    assert_eq!(parsed("https://api.example.com").unwrap(), "api.example.com:443");
    assert!(parsed("/nowhere").is_err());
}

#[test]
fn all_others_get_their_turn() {
    assert_eq!(others(1, 3).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(others(0, 1).count(), 0);
}

/// A server that sends its name to whoever connects, and waits for the end.
async fn named(name: &'static str) -> (Server, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                tokio::io::AsyncWriteExt::write_all(&mut stream, name.as_bytes()).await.unwrap();
                let mut rest = Vec::new();
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
            });
        }
    });
    (Server { host: "127.0.0.1".into(), port }, task)
}

async fn read_name(stream: &mut TcpStream) -> String {
    let mut name = [0; 1];
    tokio::io::AsyncReadExt::read_exact(stream, &mut name).await.unwrap();
    String::from_utf8(name.into()).unwrap()
}

#[tokio::test]
async fn another_choice_cuts_the_connections_of_the_one_before() {
    let (a, _keep_a) = named("a").await;
    let (b, _keep_b) = named("b").await;
    let servers: Arc<[Server]> = [a, b].into();
    let chosen = watch::Sender::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let forwarding = tokio::spawn({
        let (servers, chosen) = (servers.clone(), chosen.clone());
        async move { accept(&listener, &servers, &chosen).await }
    });
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(read_name(&mut client).await, "a");
    chosen.send_replace(1);
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut rest).await;
    assert!(rest.is_empty(), "the connection has ended");
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(read_name(&mut client).await, "b");
    forwarding.abort();
}

#[tokio::test]
async fn a_server_that_takes_no_connections_is_left_at_once() {
    let (a, task) = named("a").await;
    let (b, _keep) = named("b").await;
    task.abort();
    let _ = task.await;
    let servers: Arc<[Server]> = [a, b].into();
    let chosen = watch::Sender::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let forwarding = tokio::spawn({
        let chosen = chosen.clone();
        async move { accept(&listener, &servers, &chosen).await }
    });
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(read_name(&mut client).await, "b");
    assert_eq!(*chosen.borrow(), 1);
    forwarding.abort();
}

#[tokio::test]
async fn without_servers_or_authorities_there_is_no_forwarder() {
    assert!(matches!(Forwarder::bind(&[], "").await, Err(ForwarderError::Server(_))));
    let servers = [Uri::from_static("https://127.0.0.1:1")];
    assert!(matches!(Forwarder::bind(&servers, "").await, Err(ForwarderError::Authorities(_))));
    assert!(matches!(Forwarder::bind(&servers, "garbage").await, Err(ForwarderError::Authorities(_))));
}
