//! A node that listens on loopback: TLS and HTTP in earnest, the pods are made up.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use super::{Authority, authority, client_certificate};
use crate::nodes::NodeClient;

/// A node, seen from the test.
pub(crate) struct NodeStub {
    /// Where it listens on loopback.
    pub(crate) port: u16,
    /// What it is asked, in order.
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    /// Says once per tunnel that its other end has gone.
    pub(crate) torn: mpsc::UnboundedReceiver<()>,
}

/// A request to the node.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// Where the body of a log comes from.
    pub(crate) body: mpsc::Sender<Bytes>,
}

/// The authority of servers' certificates for calls to nodes.
pub(crate) struct NodePki {
    clients: Authority,
    nodes: Authority,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl NodePki {
    pub(crate) fn new() -> Self {
        Self { clients: authority(), nodes: authority() }
    }

    /// What a server calls nodes with.
    pub(crate) fn client(&self) -> NodeClient {
        let (certificate, key) = client_certificate(&self.clients, "kube-apiserver-kubelet-client", &[]);
        NodeClient::from_pem(&certificate.pem(), &key.serialize_pem(), &self.nodes.pem()).unwrap()
    }

    fn tls(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.nodes).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.clients.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Starts a node of that name.
    pub(crate) async fn start(&self, name: &str) -> NodeStub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = self.tls(name);
        let (asked_sender, asked) = mpsc::unbounded_channel();
        let (torn_sender, torn) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, asked, torn) = (acceptor.clone(), asked_sender.clone(), torn_sender.clone());
                let service = service_fn(move |request| {
                    let response = answer(request, &asked, torn.clone());
                    async { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        NodeStub { port, asked, torn }
    }
}

/// Logs come from the test; connections echo; what is called `refused` is refused.
fn answer(
    mut request: Request<Incoming>,
    asked: &mpsc::UnboundedSender<Asked>,
    torn: mpsc::UnboundedSender<()>,
) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (body, pieces) = mpsc::channel(1);
    let path = request.uri().path_and_query().unwrap().to_string();
    let (head, _) = request.into_parts();
    let (method, headers) = (head.method, head.headers);
    let is_upgrade = headers.contains_key(header::UPGRADE);
    let version = headers.get("x-stream-protocol-version").cloned();
    let _ = asked.send(Asked { method, path: path.clone(), headers, body });
    if path.contains("/refused") {
        let text = r#"container "refused" in pod "web" is waiting to start: ContainerCreating"#;
        let mut response = Response::new(Full::from(text).boxed_unsync());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    if !is_upgrade {
        let frames = ReceiverStream::new(pieces).map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        return Response::new(StreamBody::new(frames).boxed_unsync());
    }
    tokio::spawn(async move {
        let mut socket = TokioIo::new(upgrade.await.unwrap());
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = socket.read(&mut buffer).await {
            socket.write_all(&buffer[..length]).await.unwrap();
        }
        let _ = torn.send(());
    });
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "SPDY/3.1");
    if let Some(version) = version {
        response = response.header("x-stream-protocol-version", version);
    }
    response.body(Full::default().boxed_unsync()).unwrap()
}
