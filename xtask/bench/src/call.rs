//! gRPC calls at the lowest price.
//!
//! In: requests. Out: their answers, one or a stream of them. On a machine that the load generator shares with the store, whatever a call costs here
//! counts against the faster store: so this speaks HTTP/2 itself, instead of through layers that clients like to have.
//!
//! Deliberately absent: deadlines, compression, reconnecting.

use std::{error::Error, path::Path, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, header,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use prost::Message;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// gRPC's frame of a message: a byte for compression, four for the length.
const PREFIX: usize = 5;
/// What a server may send ahead.
const WINDOW: u32 = 4 << 20;

/// A connection to a member, shared by clients.
#[derive(Clone)]
pub(crate) struct Connection {
    requests: SendRequest<Bytes>,
    authority: Authority,
}

/// A call that was not answered well.
pub(crate) type CallError = Box<dyn Error + Send + Sync>;

/// What a client shows, and whom it trusts.
pub(crate) fn tls(pki: &Path) -> Result<TlsConnector, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.join("client-ca.crt"))?)?;
    let chain =
        CertificateDer::pem_file_iter(pki.join("clients/root.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(pki.join("clients/root.key"))?;
    let mut config =
        ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Connection {
    /// Connects to a member on this machine.
    pub(crate) async fn open(port: u16, tls: &TlsConnector) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let stream = tls.connect(ServerName::try_from("127.0.0.1")?, stream).await?;
        let mut builder = h2::client::Builder::new();
        builder.enable_push(false).initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (requests, connection) = builder.handshake(stream).await?;
        // A connection that breaks is an error of every call on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { requests, authority: format!("127.0.0.1:{port}").parse()? })
    }

    /// Calls a method, `/package.Service/Name`.
    pub(crate) async fn unary<Q: Message, A: Message + Default>(
        &self,
        method: &'static str,
        request: &Q,
    ) -> Result<A, CallError> {
        let head = self.head(method)?;
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut sending) = requests.send_request(head, false)?;
        sending.send_data(frame(request), true)?;
        let (head, body) = answer.await?.into_parts();
        check(&head.headers)?;
        let message = read(body).await?;
        let message = message.get(PREFIX..).ok_or("an answer without a message")?;
        Ok(A::decode(message)?)
    }

    /// Calls a method with these requests, without saying that they were all.
    pub(crate) async fn stream<Q: Message>(
        &self,
        method: &'static str,
        requests: &[Q],
    ) -> Result<Answers, CallError> {
        let mut ready = self.requests.clone().ready().await?;
        let (answer, mut sending) = ready.send_request(self.head(method)?, false)?;
        for request in requests {
            sending.send_data(frame(request), false)?;
        }
        let (head, body) = answer.await?.into_parts();
        check(&head.headers)?;
        Ok(Answers { body, received: BytesMut::new(), _requests: sending })
    }

    /// Nothing of it is written out or read anew for each call.
    fn head(&self, method: &'static str) -> Result<Request<()>, CallError> {
        let mut parts = Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(method));
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = Uri::from_parts(parts)?;
        let headers = head.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        Ok(head)
    }
}

/// A stream of answers. It ends with this.
pub(crate) struct Answers {
    body: RecvStream,
    received: BytesMut,
    _requests: SendStream<Bytes>,
}

impl Answers {
    /// The next one.
    pub(crate) async fn next<A: Message + Default>(&mut self) -> Result<A, CallError> {
        loop {
            if let Some([_, length @ ..]) = self.received.first_chunk::<PREFIX>() {
                let end = PREFIX + u32::from_be_bytes(*length) as usize;
                if self.received.len() >= end {
                    return Ok(A::decode(&self.received.split_to(end).freeze()[PREFIX..])?);
                }
            }
            let part = self.body.data().await.ok_or("a stream ended")??;
            self.body.flow_control().release_capacity(part.len())?;
            self.received.extend_from_slice(&part);
        }
    }
}

fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("no message here is longer than 4 GiB"));
    message.encode(&mut frame).expect("the buffer has room for it");
    frame.freeze()
}

/// All of a body, whose trailers say that the call went well.
async fn read(mut body: RecvStream) -> Result<Bytes, CallError> {
    let mut whole = Bytes::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole = if whole.is_empty() { part } else { [whole, part].concat().into() };
    }
    if let Some(trailers) = body.trailers().await? {
        check(&trailers)?;
    }
    Ok(whole)
}

fn check(headers: &HeaderMap) -> Result<(), CallError> {
    match headers.get("grpc-status") {
        None => Ok(()),
        Some(code) if code == "0" => Ok(()),
        Some(code) => Err(format!(
            "code {}: {}",
            code.to_str().unwrap_or("?"),
            headers.get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or_default()
        )
        .into()),
    }
}
