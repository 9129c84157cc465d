//! Commands in containers: a client's WebSocket on one side, a runtime's SPDY on the other.

use futures_util::SinkExt;
use serde_json::{Value, json};

use crate::{
    client::Streams,
    node::Node,
    peer::{self, FLOOD},
};

const V5: &str = "v5.channel.k8s.io";

const V4: &str = "v4.channel.k8s.io";

async fn exec(node: &Node, query: &str, protocol: &str) -> Streams {
    let path = format!("/exec/shop/web/app?{query}");
    node.root().web_socket(&path, protocol).await.unwrap_or_else(|refused| panic!("{refused:?}"))
}

#[tokio::test]
async fn input_ends_and_the_command_says_how_it_ended() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls.clone()).await;
    let mut cat = exec(&node, "command=cat&command=-n&input=1&output=1", V5).await;
    assert_eq!(cat.next().await.unwrap(), "\u{1}", "an empty message says that the connection stands");
    cat.send(0, b"hello").await;
    cat.expect(1, "hello").await;
    cat.send(0, b" again").await;
    cat.send(255, &[0]).await;
    let (stdout, stderr, status) = cat.finish().await;
    assert_eq!((stdout.as_str(), stderr.as_str()), (" again", ""));
    assert_eq!(status, json!({"metadata": {}, "status": "Success"}));
    let asked = urls.asked.lock().unwrap()[0].clone();
    assert!(asked.contains(r#"container_id: "id", cmd: ["cat", "-n"], tty: false, stdin: true"#), "{asked}");
}

#[tokio::test]
async fn a_command_that_fails_has_a_code() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    for protocol in [V5, V4] {
        let fail = exec(&node, "command=fail&output=1&error=1", protocol).await;
        let (_, stderr, status) = fail.finish().await;
        assert_eq!(stderr, "no such thing\n");
        assert_eq!(status["reason"], "NonZeroExitCode");
        assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "3"}]));
    }
}

#[tokio::test]
async fn clients_of_the_first_protocol_hear_words_and_of_success_nothing() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    for protocol in ["", "channel.k8s.io"] {
        let mut fail = exec(&node, "command=fail&output=1&error=1", protocol).await;
        fail.expect(3, "command terminated with non-zero exit code: 3").await;
        let mut cat = exec(&node, "command=cat&input=1&output=1", protocol).await;
        cat.send(0, b"bye").await;
        let (stdout, _, status) = cat.finish().await;
        assert_eq!((stdout.as_str(), status), ("bye", Value::Null));
    }
}

#[tokio::test]
async fn a_terminal_changes_its_size() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    let mut size = exec(&node, "command=size&input=1&output=1&error=1&tty=1", V5).await;
    let wide = r#"{"Width":120,"Height":40}"#;
    size.send(4, wide.as_bytes()).await;
    size.expect(1, wide).await;
    size.send(4, b"bye").await;
    assert_eq!(size.finish().await.2["status"], "Success");
}

#[tokio::test]
async fn a_large_output_waits_for_a_slow_reader_and_comes_whole() {
    let (urls, mut ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    let flood = exec(&node, "command=flood&output=1", V5).await;
    // The command cannot end while nobody reads: what it writes is more than all buffers on the way hold.
    let early = tokio::time::timeout(std::time::Duration::from_millis(200), ended.recv()).await;
    assert!(early.is_err(), "the output was taken in before it was read");
    let (stdout, _, status) = flood.finish().await;
    assert_eq!((stdout.len(), &status["status"]), (FLOOD, &json!("Success")));
}

#[tokio::test]
async fn a_client_that_goes_takes_the_connection_to_the_runtime_with_it() {
    let (urls, mut ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    let mut closed = exec(&node, "command=cat&input=1&output=1", V5).await;
    closed.socket.close(None).await.unwrap();
    assert_eq!(ended.recv().await.unwrap(), "cat");
    drop(exec(&node, "command=cat&input=1&output=1", V5).await);
    assert_eq!(ended.recv().await.unwrap(), "cat");
    let kept = exec(&node, "command=cat&input=1&output=1", V5).await;
    node.stop.send(()).unwrap();
    assert_eq!(ended.recv().await.unwrap(), "cat");
    drop(kept);
}

#[tokio::test]
async fn a_runtime_that_breaks_off_is_told_as_a_failure() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    let (stdout, _, status) = exec(&node, "command=vanish&output=1", V4).await.finish().await;
    assert_eq!(stdout, "half a");
    assert_eq!((&status["status"], &status["reason"]), (&json!("Failure"), &json!("InternalError")));
}

#[tokio::test]
async fn a_container_is_joined() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    let path = "/attach/shop/web/app?input=1&output=1";
    let mut attached = node.root().web_socket(path, V5).await.ok().unwrap();
    attached.socket.send("\0bye".into()).await.unwrap();
    assert_eq!(attached.finish().await.0, "bye");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_before_the_protocol_changes() {
    let (urls, _ended) = peer::start().await.split();
    let node = Node::start(urls).await;
    for (path, code, text) in [
        ("/exec/shop/web/app?command=cat", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/shop/web/app?output=1", 400, "you must specify a command"),
        ("/exec/shop/none/app?command=cat&output=1", 404, "pod does not exist"),
        ("/exec/shop/web/none?command=cat&output=1", 500, "container not found (\"none\")"),
        ("/exec/shop/web/waiting?command=cat&output=1", 500, "container not found (\"waiting\")"),
        ("/exec/shop/web/app?command=x&output=1", 500, "there is no x"),
        (
            "/exec/shop/web/app?command=refuse&output=1",
            500,
            "the container runtime refuses the streams: 403 Forbidden: not today",
        ),
    ] {
        let refused = node.root().web_socket(path, V5).await.err().unwrap();
        assert_eq!(refused, (code, text.to_owned()), "{path}");
    }
    let unknown =
        node.root().web_socket("/exec/shop/web/app?command=cat&output=1", "v9").await.err().unwrap();
    assert_eq!(unknown.0, 400);
    let plain = node.root().get("/exec/shop/web/app?command=cat&output=1").await;
    assert_eq!(plain, (400, "unable to upgrade: missing upgrade headers in request".to_owned()));
}
