//! Whole connections over loopback: TLS, both versions of HTTP, and their end.

use http::{
    Request,
    header::{CONNECTION, HOST},
};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::Value;

use super::*;
use crate::testing::{
    self,
    listening::{Listening, Sent},
    with_server,
};

fn get(path: &str) -> Request<Sent> {
    let uri = format!("https://localhost{path}");
    Request::get(uri).header(HOST, "localhost").body(Sent::default()).unwrap()
}

async fn json(response: http::Response<hyper::body::Incoming>) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn both_versions_of_http_reach_the_chain() {
    with_server(async |site| {
        let listening = Listening::start(site);
        let mut http1 = listening.connect_http1(Some(&listening.authority)).await;
        let mut http2 = listening.connect_http2(Some(&listening.authority)).await;
        let list = "/api/v1/configmaps";
        let (status, body) = json(http1.send_request(get(list)).await.unwrap()).await;
        assert_eq!((status, &body["kind"]), (200, &"ConfigMapList".into()));
        let (status, body) = json(http2.send_request(get(list)).await.unwrap()).await;
        assert_eq!((status, &body["kind"]), (200, &"ConfigMapList".into()));
        // One connection, several requests.
        assert_eq!(json(http1.send_request(get("/version")).await.unwrap()).await.0, 200);
    });
}

#[test]
fn a_foreign_certificate_is_answered_and_not_torn() {
    with_server(async |site| {
        let listening = Listening::start(site);
        let foreign = testing::authority();
        let mut stranger = listening.connect_http1(Some(&foreign)).await;
        let (status, body) = json(stranger.send_request(get("/api/v1/configmaps")).await.unwrap()).await;
        assert_eq!((status, &body["reason"]), (401, &"Unauthorized".into()));
        let mut nobody = listening.connect_http2(None).await;
        assert_eq!(json(nobody.send_request(get("/api")).await.unwrap()).await.0, 401);
        assert_eq!(json(nobody.send_request(get("/version")).await.unwrap()).await.0, 200);
    });
}

/// `openssl x509 -req` without extensions makes such certificates. Ends in 2126.
const VERSION_1: &[u8] = include_bytes!("tests/version_1.pem");

#[test]
fn a_certificate_of_the_first_version_is_answered_and_not_torn() {
    with_server(async |site| {
        let listening = Listening::start(site);
        let certificate = CertificateDer::from_pem_slice(VERSION_1).unwrap();
        let key = PrivateKeyDer::from_pem_slice(VERSION_1).unwrap();
        let stream = listening.connect_showing(Some((certificate, key)), tls::HTTP_1_1).await;
        let (mut stranger, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (status, body) = json(stranger.send_request(get("/api/v1/configmaps")).await.unwrap()).await;
        assert_eq!((status, &body["reason"]), (401, &"Unauthorized".into()));
    });
}

#[test]
fn a_server_that_stops_ends_its_watches_and_then_its_connections() {
    with_server(async |site| {
        let listening = Listening::start(site);
        let mut watcher = listening.connect_http2(Some(&listening.authority)).await;
        let mut idle = listening.connect_http1(Some(&listening.authority)).await;
        assert_eq!(json(idle.send_request(get("/version")).await.unwrap()).await.0, 200);
        let watch = watcher.send_request(get("/api/v1/configmaps?watch=1")).await.unwrap();
        assert_eq!(watch.status(), 200);
        listening.stop.send(()).unwrap();
        // In order: the body ends as bodies do, not by a torn connection.
        assert!(watch.into_body().collect().await.is_ok());
        listening.serving.await.unwrap();
        assert!(TcpStream::connect(listening.address).await.is_err(), "nobody listens any more");
    });
}

#[test]
fn kept_connections_end_with_an_answer_before_the_listener_goes() {
    with_server(async |site| {
        let server = site.server.clone();
        let listening = Listening::start(site);
        let mut http1 = listening.connect_http1(Some(&listening.authority)).await;
        let mut http2 = listening.connect_http2(Some(&listening.authority)).await;
        assert_eq!(http1.send_request(get("/version")).await.unwrap().headers().get(CONNECTION), None);
        server.begin_leave();
        let mut late = listening.connect_http1(Some(&listening.authority)).await;
        for client in [&mut http1, &mut late] {
            client.ready().await.unwrap();
            let answer = client.send_request(get("/api/v1/configmaps")).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()[CONNECTION]),
                (200, &"close".parse().unwrap())
            );
            json(answer).await;
            assert!(client.ready().await.is_err(), "the server has closed it");
        }
        assert_eq!(http2.send_request(get("/readyz")).await.unwrap().status(), 500);
    });
}

#[test]
fn who_has_been_let_in_is_answered_although_the_server_stops() {
    with_server(async |site| {
        let listening = Listening::start(site);
        let Listening { ref authority, .. } = listening;
        let mut http1 = listening.connect_http1(Some(authority)).await;
        let mut http2 = listening.connect_http2(Some(authority)).await;
        listening.stop.send(()).unwrap();
        let list = "/api/v1/configmaps";
        assert_eq!(json(http2.send_request(get(list)).await.unwrap()).await.0, 200);
        assert_eq!(json(http1.send_request(get(list)).await.unwrap()).await.0, 200);
        listening.serving.await.unwrap();
    });
}

#[test]
fn connections_that_wait_are_taken_before_the_listener_goes() {
    with_server(async |site| {
        let listener = listen("127.0.0.1:0".parse().unwrap(), Sharing::Exclusive).unwrap();
        let waiting = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (closing, connection) = watch::channel(true);
        let tls = crate::testing::listening::tls_of(&site.authority);
        take_waiting(&site.server, &listener, &TlsAcceptor::from(tls), &connection);
        drop((listener, connection));
        assert_eq!(closing.receiver_count(), 1, "it is served");
        drop(waiting);
        closing.closed().await;
    });
}

#[tokio::test]
async fn servers_can_share_an_address() {
    let one = listen("127.0.0.1:0".parse().unwrap(), Sharing::Shared).unwrap();
    let address = one.local_addr().unwrap();
    let _other = listen(address, Sharing::Shared).unwrap();
    assert!(listen(address, Sharing::Exclusive).is_err());
}
