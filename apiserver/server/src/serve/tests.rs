//! Whole connections over loopback: TLS, both versions of HTTP, and their end.

use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_rustls::{TlsConnector, client};

use super::*;
use crate::{
    authn::x509::ClientAuthorities,
    authz::MASTERS,
    testing::{self, Authority, Site, with_server},
};

type Sent = Full<Bytes>;

/// A server that listens.
struct Listening {
    address: SocketAddr,
    authority: Authority,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Listening {
    fn start(site: Site) -> Self {
        let Site { server, authority } = site;
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let authorities = ClientAuthorities::from_pem(&authority.pem()).unwrap();
        let tls = tls::server_config(&certificate.pem(), &key.serialize_pem(), &authorities).unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap(), Sharing::Exclusive).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(server, vec![listener], tls, async { drop(stopped.await) }));
        Self { address, authority, stop, serving }
    }

    /// Connects, showing a certificate that `signed_by` signed, or none.
    async fn connect(&self, signed_by: Option<&Authority>, alpn: &[u8]) -> client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match signed_by {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let (certificate, key) = testing::client_certificate(authority, "root", &[MASTERS]);
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    async fn connect_http1(&self, signed_by: Option<&Authority>) -> http1::SendRequest<Sent> {
        let stream = TokioIo::new(self.connect(signed_by, tls::HTTP_1_1).await);
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn connect_http2(&self, signed_by: Option<&Authority>) -> http2::SendRequest<Sent> {
        let stream = TokioIo::new(self.connect(signed_by, tls::H2).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

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

#[tokio::test]
async fn servers_can_share_an_address() {
    let one = listen("127.0.0.1:0".parse().unwrap(), Sharing::Shared).unwrap();
    let address = one.local_addr().unwrap();
    let _other = listen(address, Sharing::Shared).unwrap();
    assert!(listen(address, Sharing::Exclusive).is_err());
}
