//! Byte streams between replicas.

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use tokio::net::{TcpListener, TcpStream};

use super::{connection::Duplex, scheme, tls::PeerTls};

/// A future on the heap.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a replica reaches its peers and is reached by them. The simulation has its own.
pub trait Transport: Send + Sync + 'static {
    /// Opens a stream to a peer's URL, authenticated on both sides where the transport is TLS.
    fn dial<'a>(&'a self, url: &'a str) -> Pending<'a, io::Result<Box<dyn Duplex>>>;

    /// Waits for a peer to come.
    fn accept(&self) -> Pending<'_, io::Result<Accepted>>;
}

/// A peer that came. Its handshake has still to be driven, beside the next `accept`.
pub struct Accepted {
    /// Where it came from, for logs.
    pub from: String,
    /// The stream, once it is authenticated.
    pub stream: Pending<'static, io::Result<Box<dyn Duplex>>>,
}

/// TCP, with mutual TLS for `https` URLs.
pub struct TcpTransport {
    listener: TcpListener,
    tls: Option<Arc<PeerTls>>,
}

impl TcpTransport {
    /// Listens for peers.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: SocketAddr, tls: Option<PeerTls>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, tls: tls.map(Arc::new) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Transport for TcpTransport {
    fn dial<'a>(&'a self, url: &'a str) -> Pending<'a, io::Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            let target = Target::parse(url)?;
            let stream = TcpStream::connect((target.host, target.port)).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Duplex> = match (target.secure, &self.tls) {
                (false, _) => Box::new(stream),
                (true, Some(tls)) => {
                    Box::new(tls.connect(target.host, stream).await.map_err(scheme::dialled_securely)?)
                }
                (true, None) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("{url} needs --peer-cert-file, --peer-key-file and --peer-trusted-ca-file"),
                    ));
                }
            };
            Ok(stream)
        })
    }

    fn accept(&self) -> Pending<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (mut stream, from) = self.listener.accept().await?;
            let tls = self.tls.clone();
            let stream: Pending<'static, io::Result<Box<dyn Duplex>>> = Box::pin(async move {
                stream.set_nodelay(true)?;
                scheme::check(&mut stream, tls.is_some()).await?;
                Ok(match tls {
                    Some(tls) => Box::new(tls.accept(stream).await?) as Box<dyn Duplex>,
                    None => Box::new(stream),
                })
            });
            Ok(Accepted { from: from.to_string(), stream })
        })
    }
}

/// Whether a peer can be dialled at a URL.
pub(crate) fn is_peer_url(url: &str) -> bool {
    Target::parse(url).is_ok()
}

/// The parts of a peer URL.
struct Target<'a> {
    secure: bool,
    host: &'a str,
    port: u16,
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> io::Result<Self> {
        let wrong = || {
            let text = format!("{url:?} is no peer URL: http://HOST:PORT or https://HOST:PORT is expected");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(wrong)?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self { secure, host, port: port.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_urls_are_taken_apart() {
        let target = Target::parse("https://[::1]:2380/").unwrap();
        assert_eq!((target.secure, target.host, target.port), (true, "::1", 2380));
        for wrong in ["127.0.0.1:2380", "ftp://a:1", "http://a", "https://a:port", "https://a:70000"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
