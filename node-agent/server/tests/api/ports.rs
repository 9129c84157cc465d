//! Ports of pods, and clients that speak SPDY themselves: bytes are handed on as they are.

use futures_util::SinkExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::{client::read, node::Node, peer};

const PATH: &str = "/portForward/shop/web";

#[tokio::test]
async fn spdy_in_a_web_socket_is_unwrapped_for_the_runtime() {
    let (urls, mut ended) = peer::start().await.split();
    let node = Node::start(urls.clone()).await;
    let mut tunnel = node.root().web_socket(PATH, "SPDY/3.1+portforward.k8s.io").await.ok().unwrap();
    for word in ["one", "two"] {
        tunnel.socket.send(Message::Binary(word.into())).await.unwrap();
        assert_eq!(tunnel.next().await.unwrap(), word);
    }
    tunnel.socket.close(None).await.unwrap();
    assert_eq!(ended.recv().await.unwrap(), "ports");
    let asked = urls.asked.lock().unwrap()[0].clone();
    assert_eq!(asked, "PortForwardRequest { pod_sandbox_id: \"sandbox\", port: [] }");
    let other = node.root().web_socket(PATH, "v4.channel.k8s.io").await.err().unwrap();
    assert_eq!(other.0, 400);
}

#[tokio::test]
async fn spdy_is_handed_on_as_it_is() {
    let (urls, mut ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "portforward.k8s.io"),
    ];
    let answer = node.root().send("POST", &format!("{PATH}?port=80"), &headers).await;
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.headers()["x-stream-protocol-version"], "portforward.k8s.io");
    let mut socket = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    socket.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    socket.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    drop(socket);
    assert_eq!(ended.recv().await.unwrap(), "ports");
    let refused = node.root().send("POST", "/portForward/shop/web?port=http", &headers).await;
    assert_eq!(read(refused).await.0, 400);
}
