//! Clients of a node: HTTP, and WebSockets that carry streams.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use crate::node::{Node, client_certificate};

/// Whoever calls.
pub(crate) struct Caller<'n> {
    node: &'n Node,
    /// The name in their certificate; none without one.
    name: Option<&'static str>,
    token: Option<&'static str>,
}

impl Node {
    pub(crate) fn caller(&self, name: &'static str) -> Caller<'_> {
        Caller { node: self, name: Some(name), token: None }
    }

    pub(crate) fn nobody(&self) -> Caller<'_> {
        Caller { node: self, name: None, token: None }
    }

    pub(crate) fn with_token(&self, token: &'static str) -> Caller<'_> {
        Caller { node: self, name: None, token: Some(token) }
    }

    /// Who may do everything.
    pub(crate) fn root(&self) -> Caller<'_> {
        self.caller("root")
    }
}

impl Caller<'_> {
    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.node.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match self.name {
            None => config.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = client_certificate(&self.node.clients, name);
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        let stream = TcpStream::connect(self.node.address).await.unwrap();
        let name = ServerName::try_from("n1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder().method(method).uri(path).header(HOST, "n1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        read(self.send("GET", path, &[]).await).await
    }

    /// Connects by WebSocket; the refusal, if there is one.
    pub(crate) async fn web_socket(&self, path: &str, protocol: &str) -> Result<Streams, (u16, String)> {
        let mut request = format!("wss://n1{path}").into_client_request().unwrap();
        if !protocol.is_empty() {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        match client_async(request, self.connect().await).await {
            Ok((socket, _)) => Ok(Streams { socket, channels: Default::default() }),
            Err(Error::Http(response)) => {
                let text = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(text).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn read(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A WebSocket whose messages begin with a channel.
pub(crate) struct Streams {
    pub(crate) socket: WebSocketStream<TlsStream<TcpStream>>,
    /// What has come on each channel.
    channels: [Vec<u8>; 5],
}

impl Streams {
    pub(crate) async fn send(&mut self, channel: u8, contents: &[u8]) {
        let message = [&[channel], contents].concat();
        self.socket.send(Message::Binary(message.into())).await.unwrap();
    }

    /// The next message; `None` at the end, which must be in order.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(message))) => return Some(message),
                Some(Ok(Message::Close(frame))) => {
                    assert_eq!(frame.map(|frame| frame.code), Some(CloseCode::Normal));
                    return None;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("the connection was torn: {error}"),
                None => return None,
            }
        }
    }

    /// Reads until a channel has brought so much.
    pub(crate) async fn expect(&mut self, channel: u8, expected: &str) {
        while self.channels[usize::from(channel)].len() < expected.len() {
            let [_, stdout, stderr, error, _] = &self.channels;
            let so_far = [stdout, stderr, error].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(self.take().await, "the connection ended early, after {so_far:?}");
        }
        let got = std::mem::take(&mut self.channels[usize::from(channel)]);
        assert_eq!(String::from_utf8(got).unwrap(), expected);
    }

    async fn take(&mut self) -> bool {
        let Some(message) = self.next().await else { return false };
        self.channels[usize::from(message[0])].extend_from_slice(&message[1..]);
        true
    }

    /// Reads to the end: what the process wrote, what it wrote as errors, and how it ended.
    pub(crate) async fn finish(mut self) -> (String, String, Value) {
        while self.take().await {}
        let [_, stdout, stderr, error, _] = self.channels;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(stdout), text(stderr), serde_json::from_slice(&error).unwrap_or_default())
    }
}
