//! Watches of browsers: over a WebSocket, with the token among its protocols.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use http::{Request, header};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::*;
use crate::testing::{
    listening::{Listening, Sent},
    with_server,
};

const SHOP: &str = "/api/v1/namespaces/shop";

/// Creates something; answers it.
async fn post(client: &mut http1::SendRequest<Sent>, path: &str, object: Value) -> Value {
    let request = Request::post(path).header(header::HOST, "localhost");
    let request = request.body(Full::from(object.to_string())).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 201, "{path}");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

/// A token of an account that may watch config maps.
async fn token(client: &mut http1::SendRequest<Sent>) -> String {
    post(client, "/api/v1/namespaces", json!({"metadata": {"name": "shop"}})).await;
    post(client, &format!("{SHOP}/serviceaccounts"), json!({"metadata": {"name": "till"}})).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["watch"]});
    post(client, &format!("{rbac}/roles"), json!({"metadata": {"name": "reader"}, "rules": [rule]})).await;
    let binding = json!({
        "metadata": {"name": "till"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "till"}],
    });
    post(client, &format!("{rbac}/rolebindings"), binding).await;
    let made = post(client, &format!("{SHOP}/serviceaccounts/till/token"), json!({"spec": {}})).await;
    made["status"]["token"].as_str().unwrap().to_owned()
}

async fn handshake(listening: &Listening, protocols: &str) -> http::Response<Incoming> {
    let request = Request::get(format!("{SHOP}/configmaps?watch=true&resourceVersion=0"))
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "keep-alive, Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
        .header(header::SEC_WEBSOCKET_PROTOCOL, protocols);
    let mut client = listening.connect_http1(None).await;
    client.send_request(request.body(Sent::default()).unwrap()).await.unwrap()
}

fn type_and_name(message: &Message) -> (Value, Value) {
    let mut line: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
    (line["type"].take(), line["object"]["metadata"]["name"].take())
}

#[test]
fn a_browser_sees_every_change_as_a_message_until_the_server_says_goodbye() {
    with_server(async |site| {
        let listening = Listening::start(site);
        let mut master = listening.connect_http1(Some(&listening.authority)).await;
        let token = URL_SAFE_NO_PAD.encode(token(&mut master).await);
        let token = format!("base64url.bearer.authorization.k8s.io.{token}");
        for useless in [token.clone(), format!("{token}x, base64.binary.k8s.io")] {
            assert_eq!(handshake(&listening, &useless).await.status(), 401);
        }
        let answer = handshake(&listening, &format!("base64.binary.k8s.io, {token}")).await;
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_PROTOCOL], "base64.binary.k8s.io");
        let connection = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(connection, Role::Client, None).await;
        for name in ["one", "two"] {
            post(&mut master, &format!("{SHOP}/configmaps"), json!({"metadata": {"name": name}})).await;
            let message = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(type_and_name(&message), ("ADDED".into(), name.into()));
        }
        drop(master);
        listening.stop.send(()).unwrap();
        let last = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert!(last.is_close(), "{last:?}");
    });
}
