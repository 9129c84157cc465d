//! HTTP requests to containers: probes and hooks.
//!
//! In: what an `httpGet` says, and the pod's address. Out: the status code and the beginning of the answer. A container's
//! certificate is not checked, as upstream: it is asked whether it serves, not who it is.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How the agent presents itself.
pub(crate) const AGENT: &str = concat!("kube-probe/", "1.37");

/// How much of an answer is read.
const MAX_BODY: usize = 10 * 1024;

/// How often a redirection is followed.
const MAX_REDIRECTIONS: usize = 10;

/// A request that is ready to be made.
#[derive(Clone, Debug)]
pub(crate) struct Get {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: HeaderMap,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Get {
    /// The request that `action` asks for, of `container` at `address`; the text says what is wrong with it.
    pub(crate) fn new(action: &HTTPGetAction, container: &Container, address: &str) -> Result<Self, String> {
        let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| address.to_owned());
        let mut headers = HeaderMap::new();
        for header in action.http_headers.iter().flatten() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| error.to_string())?;
            let value = HeaderValue::from_str(&header.value).map_err(|error| error.to_string())?;
            headers.append(name, value);
        }
        let path = action.path.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
        Ok(Self {
            is_tls: action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host,
            port: port(&action.port, container)?,
            path: if path.starts_with('/') { path } else { format!("/{path}") },
            headers,
        })
    }

    /// As upstream writes it in messages.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Makes the request. The text of a failure is Go's, as users know it.
    pub(crate) async fn send(&self, timeout: Duration) -> Result<Answer, String> {
        let failed = |what: &str| format!("Get {:?}: {what}", self.url());
        match tokio::time::timeout(timeout, self.follow()).await {
            Ok(answer) => answer.map_err(|what| failed(&what)),
            Err(_) => {
                Err(failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"))
            }
        }
    }

    async fn follow(&self) -> Result<Answer, String> {
        let mut request = self.clone();
        for _ in 0..MAX_REDIRECTIONS {
            let (answer, location) = request.once().await?;
            match location.and_then(|location| request.redirected(&location)) {
                Some(next) if answer.status.is_redirection() => request = next,
                Some(_) | None => return Ok(answer),
            }
        }
        Err("stopped after 10 redirects".to_owned())
    }

    /// The request that a redirection on the same host leads to.
    fn redirected(&self, location: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let path = uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let Some(host) = uri.host() else { return Some(Self { path, ..self.clone() }) };
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        (host == self.host).then(|| Self { is_tls, port, path, ..self.clone() })
    }

    async fn once(&self) -> Result<(Answer, Option<String>), String> {
        let stream = connect(&self.host, self.port).await?;
        if !self.is_tls {
            return self.over(stream).await;
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(ANY_CERTIFICATE.clone());
        let stream = connector.connect(name, stream).await.map_err(|error| go_text(&error))?;
        self.over(stream).await
    }

    async fn over<S>(&self, stream: S) -> Result<(Answer, Option<String>), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let exchange = async {
            let response = sender.send_request(self.request()?).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let location =
                response.headers().get(LOCATION).and_then(|it| it.to_str().ok()).map(str::to_owned);
            let body = beginning(response.into_body()).await;
            Ok((Answer { status, body }, location))
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            done = &mut exchange => done,
            // The connection may end with the last byte of an answer that is still to be read.
            _ = &mut connection => exchange.await,
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        let mut request =
            Request::get(self.path.as_str()).body(Empty::new()).map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        let host = HeaderValue::from_str(&self.authority()).map_err(|error| error.to_string())?;
        headers.entry(HOST).or_insert(host);
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }
}

/// The number of a port that is given by number or by the name that the container gives it.
pub(crate) fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some(name))
            .map(|port| port.container_port)
            .or_else(|| name.parse().ok()),
    };
    let shown = match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("invalid port number: {shown}"))
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A connection, or Go's words for why there is none.
pub(crate) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port))
        .await
        .map_err(|error| format!("dial tcp {}: {}", authority(host, port), go_text(&error)))
}

fn go_text(error: &io::Error) -> String {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::TimedOut => "i/o timeout".to_owned(),
        ErrorKind::ConnectionReset => "read: connection reset by peer".to_owned(),
        _ => error.to_string(),
    }
}

async fn beginning(mut body: Incoming) -> String {
    let mut read = Vec::new();
    while read.len() < MAX_BODY {
        match body.frame().await {
            Some(Ok(frame)) => read.extend(frame.into_data().into_iter().flatten()),
            Some(Err(_)) | None => break,
        }
    }
    read.truncate(MAX_BODY);
    String::from_utf8_lossy(&read).into_owned()
}

static ANY_CERTIFICATE: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what the default versions of TLS need")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate { algorithms }))
        .with_no_client_auth();
    Arc::new(config)
});

/// Believes every certificate, as long as its holder has the key.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn get(action: Value) -> Result<Get, String> {
        let container = json!({"name": "a", "ports": [{"name": "web", "containerPort": 8080}]});
        let container: Container = serde_json::from_value(container).unwrap();
        Get::new(&serde_json::from_value(action).unwrap(), &container, "10.0.0.7")
    }

    #[test]
    fn the_url_follows_from_the_action_and_the_containers_ports() {
        let url = |action| get(action).map(|get| get.url());
        assert_eq!(url(json!({"port": 80})), Ok("http://10.0.0.7:80/".into()));
        assert_eq!(url(json!({"port": "web", "path": "x?y=1"})), Ok("http://10.0.0.7:8080/x?y=1".into()));
        assert_eq!(
            url(json!({"port": "8443", "scheme": "HTTPS", "host": "h"})),
            Ok("https://h:8443/".into())
        );
        assert_eq!(url(json!({"port": 80, "host": "fd00::7"})), Ok("http://[fd00::7]:80/".into()));
        assert_eq!(url(json!({"port": "nobody"})), Err("invalid port number: nobody".into()));
        assert_eq!(url(json!({"port": 0})), Err("invalid port number: 0".into()));
    }

    /// A server that answers each connection with the next text; what it was asked comes back at the end.
    async fn server(answers: Vec<&'static str>) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                asked.push(String::from_utf8(request).unwrap());
            }
            asked
        });
        (port, task)
    }

    fn local(port: u16) -> Get {
        let headers = json!([{"name": "X-Who", "value": "me"}]);
        get(json!({"port": port, "host": "127.0.0.1", "path": "/a", "httpHeaders": headers})).unwrap()
    }

    #[tokio::test]
    async fn a_redirection_on_the_same_host_is_followed() {
        let redirect = "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n";
        let (port, task) = server(vec![redirect, "HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno"]).await;
        let answer = local(port).send(Duration::from_secs(5)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (500, "no"));
        let asked = task.await.unwrap();
        assert!(asked[0].starts_with("GET /a HTTP/1.1\r\n") && asked[1].starts_with("GET /b HTTP/1.1\r\n"));
        assert!(asked[0].contains("x-who: me\r\n") && asked[0].contains("user-agent: kube-probe/1.37\r\n"));
    }

    #[tokio::test]
    async fn a_redirection_elsewhere_is_an_answer() {
        let redirect = "HTTP/1.1 302 Found\r\nlocation: http://example.com/b\r\ncontent-length: 0\r\n\r\n";
        let (port, _task) = server(vec![redirect]).await;
        assert_eq!(local(port).send(Duration::from_secs(5)).await.unwrap().status.as_u16(), 302);
    }

    #[tokio::test]
    async fn who_does_not_listen_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let expected = format!(
            "Get \"http://127.0.0.1:{port}/a\": dial tcp 127.0.0.1:{port}: connect: connection refused"
        );
        assert_eq!(local(port).send(Duration::from_secs(5)).await, Err(expected));
    }

    #[tokio::test]
    async fn who_does_not_answer_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = local(port).send(Duration::from_millis(20)).await.unwrap_err();
        assert!(
            error.ends_with("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        );
    }
}
