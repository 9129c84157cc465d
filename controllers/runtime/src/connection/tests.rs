//! Clients against sockets of their own, without TLS.

use std::io::Write;
use std::net::SocketAddr;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// A server that answers every request with this status line, and gives back what it was asked when it is stopped.
struct Server {
    url: Uri,
    asked: JoinHandle<String>,
}

async fn server(status: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url_of(listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        let body = "{}";
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        head
    });
    Server { url, asked }
}

/// The URL of a port at which nobody listens.
async fn nobody() -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url_of(listener.local_addr().unwrap())
}

fn url_of(address: SocketAddr) -> Uri {
    format!("http://{address}").parse().unwrap()
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn connection(url: Uri) -> Connection {
    Connection::of(Config::new(url))
}

fn get() -> Request<Body> {
    Request::get("/version").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_kubeconfig_file_says_where_and_who() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "{{current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}], \
          clusters: [{{name: k, cluster: {{server: 'https://192.0.2.1:6443'}}}}], users: [{{name: u, user: {{}}}}]}}"
    )
    .unwrap();
    let connection = Connection::from_kubeconfig(file.path()).await.unwrap();
    assert_eq!(connection.config.cluster_url, "https://192.0.2.1:6443");
    let moved = connection.at("https://192.0.2.2:6443".parse().unwrap());
    assert_eq!(moved.config.cluster_url, "https://192.0.2.2:6443");
}

#[tokio::test]
async fn a_file_that_is_no_kubeconfig_is_named() {
    let error = Connection::from_kubeconfig(Path::new("/nowhere/at/all")).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[tokio::test]
async fn a_token_goes_with_every_request_and_a_refusal_is_noticed() {
    let server = server("401 Unauthorized").await;
    let source = TokenSource::new("old").unwrap();
    let client = connection(server.url).client_with_token("tester/1", &source).unwrap();
    assert!(source.replace("new"));
    assert!(!source.replace("two\nlines"));
    let response = client.send(get()).await.unwrap();
    assert_eq!(response.status(), 401);
    source.refused().await;
    let asked = server.asked.await.unwrap();
    assert!(asked.contains("authorization: bearer new\r\n"), "{asked}");
    assert!(asked.contains("user-agent: tester/1\r\n"), "{asked}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_costs_nothing() {
    let alive = server("200 OK").await;
    let client = connection(nobody().await).among([nobody().await, alive.url]).client("tester/1").unwrap();
    assert_eq!(client.send(get()).await.unwrap().status(), 200);
    assert!(alive.asked.await.unwrap().starts_with("get /version "));
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_repeated_but_the_next_goes_elsewhere() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = url_of(listener.local_addr().unwrap());
    let hangs_up = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await
    });
    let alive = server("200 OK").await;
    let client = connection(nobody().await).among([deaf, alive.url]).client("tester/1").unwrap();
    client.send(get()).await.unwrap_err();
    hangs_up.await.unwrap();
    assert_eq!(client.send(get()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_that_says_it_cannot_serve_is_left_with_its_answer() {
    let (lost, alive) = (server("503 Service Unavailable").await, server("200 OK").await);
    let client = connection(nobody().await).among([lost.url, alive.url]).client("tester/1").unwrap();
    assert_eq!(client.send(get()).await.unwrap().status(), 503);
    assert_eq!(client.send(get()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn when_no_server_can_be_reached_that_is_an_error() {
    let client = connection(nobody().await).among([nobody().await, nobody().await]).client("x").unwrap();
    client.send(get()).await.unwrap_err();
}
