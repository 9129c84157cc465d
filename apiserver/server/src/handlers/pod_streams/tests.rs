//! Through whole connections: a client, this server, and a node, each with TLS.

use http::{Request, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    handlers::handle,
    server::Server,
    testing::{
        self, body,
        listening::{Listening, Sent},
        node::{NodePki, NodeStub},
        with_server, with_server_of,
    },
};

use super::*;

const WEB: &str = "/api/v1/namespaces/shop/pods/web";

async fn create(server: &Server, plural: &str, object: Value) {
    let resource = resources::find("", "v1", plural).unwrap();
    server.objects.create(resource, &Object(object), &[]).await.unwrap();
}

async fn create_pod(server: &Server, name: &str, node: &str) {
    let containers = json!([{"name": "app"}, {"name": "refused"}]);
    let object = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"nodeName": node, "containers": containers},
    });
    create(server, "pods", object).await;
}

async fn create_node(server: &Server, name: &str, port: u16) {
    let object = json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": name, "uid": name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    });
    create(server, "nodes", object).await;
}

/// Runs a test against a listening server, with the pod `web` on the node `n1`.
fn with_node(test: impl AsyncFnOnce(Listening, NodeStub)) {
    let pki = NodePki::new();
    let client = pki.client();
    with_server_of(
        |options| options.node_client = Some(client),
        async |site| {
            let node = pki.start("n1").await;
            create_node(&site.server, "n1", node.port).await;
            // The same place under another name, which its certificate does not bear.
            create_node(&site.server, "n2", node.port).await;
            for (pod, node) in [("web", "n1"), ("imposed", "n2"), ("pending", "")] {
                create_pod(&site.server, pod, node).await;
            }
            test(Listening::start(site), node).await;
        },
    );
}

fn request(method: &str, path: &str, upgrade: Option<&str>) -> Request<Sent> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, "Bearer secret")
        .header("impersonate-user", "root")
        .header("impersonate-group", "system:masters");
    if let Some(protocol) = upgrade {
        request = request.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, protocol);
        request = request.header("x-stream-protocol-version", "v4.channel.k8s.io");
    }
    request.body(Sent::default()).unwrap()
}

async fn ask(listening: &Listening, request: Request<Sent>) -> http::Response<Incoming> {
    let mut client = listening.connect_http1(Some(&listening.authority)).await;
    client.send_request(request).await.unwrap()
}

async fn text(response: http::Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn message(response: http::Response<Incoming>) -> String {
    let text = text(response).await;
    let status: Value = serde_json::from_str(&text).unwrap();
    status["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_log_comes_piece_by_piece_and_its_end_is_the_nodes() {
    with_node(async |listening, mut node| {
        let path = format!("{WEB}/log?container=app&follow=true&tailLines=1");
        let mut answer = ask(&listening, request("GET", &path, None)).await;
        assert_eq!(answer.status(), 200);
        let asked = node.asked.recv().await.unwrap();
        assert_eq!(asked.path, "/containerLogs/shop/web/app?follow=true&tailLines=1");
        for secret in ["authorization", "impersonate-user"] {
            assert_eq!(asked.headers.get(secret), None, "{secret}");
        }
        for line in ["one\n", "two\n"] {
            asked.body.send(Bytes::from(line)).await.unwrap();
            let frame = answer.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), line);
        }
        drop(asked.body);
        assert!(answer.body_mut().frame().await.is_none());
    });
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_at_the_node() {
    with_node(async |listening, mut node| {
        let path = format!("{WEB}/log?container=app&follow=true");
        let answer = ask(&listening, request("GET", &path, None)).await;
        let asked = node.asked.recv().await.unwrap();
        drop(answer);
        asked.body.closed().await;
    });
}

#[test]
fn what_a_node_has_against_it_is_told_as_a_status() {
    with_node(async |listening, node| {
        let refused = ask(&listening, request("GET", &format!("{WEB}/log?container=refused"), None)).await;
        assert_eq!(refused.status(), 400);
        assert_eq!(
            message(refused).await,
            r#"container "refused" in pod "web" is waiting to start: ContainerCreating"#
        );
        let path = format!("{WEB}/exec?container=refused&command=true&stdout=1");
        let refused = ask(&listening, request("POST", &path, Some("SPDY/3.1"))).await;
        assert_eq!(refused.status(), 400);
        assert!(text(refused).await.starts_with("container \"refused\" in pod"));
        let imposed = "/api/v1/namespaces/shop/pods/imposed/log?container=app";
        let imposed = ask(&listening, request("GET", imposed, None)).await;
        assert_eq!(imposed.status(), 500);
        let message = message(imposed).await;
        let start = format!("error dialing backend: dial tcp 127.0.0.1:{}: ", node.port);
        assert!(message.starts_with(&start) && message.contains("certificate"), "{message}");
    });
}

#[test]
fn a_connection_carries_bytes_both_ways_until_the_client_goes() {
    with_node(async |listening, mut node| {
        let path = format!("{WEB}/exec?container=app&command=cat&command=a%20b&stdin=1&stdout=1");
        let answer = ask(&listening, request("POST", &path, Some("SPDY/3.1"))).await;
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
        let asked = node.asked.recv().await.unwrap();
        assert_eq!(asked.method, Method::POST);
        assert_eq!(asked.path, "/exec/shop/web/app?input=1&output=1&command=cat&command=a%20b");
        assert_eq!(asked.headers.get("authorization"), None);
        let mut socket = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        for word in [&b"hello"[..], b"again"] {
            socket.write_all(word).await.unwrap();
            let mut echo = [0; 5];
            socket.read_exact(&mut echo).await.unwrap();
            assert_eq!(echo, word);
        }
        drop(socket);
        node.torn.recv().await.unwrap();
    });
}

#[test]
fn a_server_that_stops_ends_logs_and_connections() {
    with_node(async |listening, mut node| {
        let log = ask(&listening, request("GET", &format!("{WEB}/log?container=app&follow=1"), None)).await;
        let asked = node.asked.recv().await.unwrap();
        let path = format!("{WEB}/portforward");
        let connection = ask(&listening, request("GET", &path, Some("SPDY/3.1"))).await;
        let mut socket = TokioIo::new(hyper::upgrade::on(connection).await.unwrap());
        listening.stop.send(()).unwrap();
        assert!(log.into_body().collect().await.is_ok(), "the body ends as bodies do");
        assert_eq!(socket.read(&mut [0; 8]).await.unwrap_or(0), 0);
        asked.body.closed().await;
        node.torn.recv().await.unwrap();
        listening.serving.await.unwrap();
    });
}

#[test]
fn requests_that_make_no_sense_are_refused_before_a_node_is_asked() {
    with_node(async |listening, _node| {
        let cases = [
            (
                "GET",
                format!("{WEB}/log"),
                400,
                "a container name must be specified for pod web, choose one of: [app refused]",
            ),
            ("GET", format!("{WEB}/log?container=x"), 400, "container x is not valid for pod web"),
            ("GET", format!("{WEB}/exec?container=app"), 400, "Upgrade request required"),
            ("GET", "/api/v1/namespaces/shop/pods/none/log".to_owned(), 404, "pods \"none\" not found"),
            (
                "PUT",
                format!("{WEB}/log"),
                405,
                "the server does not allow this method on the requested resource",
            ),
        ];
        for (method, path, code, text) in cases {
            let answer = ask(&listening, request(method, &path, None)).await;
            assert_eq!((answer.status().as_u16(), message(answer).await.as_str()), (code, text), "{path}");
        }
        let pending = "/api/v1/namespaces/shop/pods/pending";
        let empty = ask(&listening, request("GET", &format!("{pending}/log?container=app"), None)).await;
        assert_eq!(empty.status(), 204);
        let path = format!("{pending}/attach?container=app");
        let refused = ask(&listening, request("POST", &path, Some("SPDY/3.1"))).await;
        assert_eq!(message(refused).await, "pod pending does not have a host assigned");
    });
}

/// The chain has let a GET pass as `get`, which is all that it can see.
#[test]
fn who_may_not_create_must_not_run_anything_by_way_of_a_get() {
    with_server(async |site| {
        for below in ["exec", "attach", "portforward"] {
            let path = format!("{WEB}/{below}?container=app");
            let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
            let call = testing::call(&site.server, "GET", &path, &headers, "");
            let refused = handle(&site.server, call).await.unwrap_err();
            assert_eq!(
                refused.message,
                format!(
                    "pods \"web\" is forbidden: User \"admin\" cannot create resource \"pods/{below}\" in API group \
                     \"\" in the namespace \"shop\""
                )
            );
        }
    });
}

#[test]
fn a_server_without_a_certificate_for_nodes_says_so() {
    with_server(async |site| {
        create_node(&site.server, "n1", 1).await;
        create_pod(&site.server, "web", "n1").await;
        let call = testing::call(&site.server, "GET", &format!("{WEB}/log?container=app"), &[], "");
        let refused = handle(&site.server, call).await.unwrap_err();
        assert!(refused.message.ends_with("this server has no certificate for calls to nodes"));
        let version = testing::call(&site.server, "GET", WEB, &[], "");
        assert!(body(handle(&site.server, version).await.unwrap()).await.contains("\"web\""));
    });
}
