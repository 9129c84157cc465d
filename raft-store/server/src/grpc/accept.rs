//! Clients that connect.
//!
//! In: listening sockets. Out: connections that are ready for HTTP, from all of them in one stream.
//!
//! TLS handshakes run beside each other, each with a deadline and all within a limit: whoever connects and
//! then says nothing holds up nobody else, and cannot use up memory without end.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    authority::{PREFACE, Plain},
    identity::CertificateName,
    tls::{self, ClientTls},
};
use crate::{meters::Traffic, peer::Duplex, runtime};

/// Handshakes under way at once, per listening socket.
const HANDSHAKES: usize = 2048;
/// How long one may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what was sent may wait for a client's system to take it; then the connection is gone.
const UNTAKEN: Duration = Duration::from_secs(60);
/// Connections that are ready but not taken up yet.
const READY: usize = 16;
/// Pause after the system could not hand over a connection: it has too few file descriptors or too little
/// memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A client's connection.
pub(super) struct Connection {
    /// What was read to see what it is, and is still to be handed out.
    seen: BytesMut,
    stream: Box<dyn Duplex>,
    certificate: CertificateName,
    traffic: Arc<Traffic>,
}

/// Accepts on all sockets, until the stream is dropped; with the names in certificates, if they mean something. Counts bytes.
pub(super) fn connections(
    doors: Vec<(Vec<TcpListener>, Option<&ClientTls>)>,
    knows_names: bool,
    traffic: &Arc<Traffic>,
) -> ReceiverStream<Connection> {
    let (ready, accepted) = mpsc::channel(READY);
    for (listeners, tls) in doors {
        for listener in listeners {
            let (tls, ready, traffic) = (tls.cloned(), ready.clone(), traffic.clone());
            let door = Door { tls, knows_names, ready, traffic };
            runtime::spawn(accept_until_dropped(listener, door));
        }
    }
    ReceiverStream::new(accepted)
}

/// What becomes of the connections of one socket.
#[derive(Clone)]
struct Door {
    tls: Option<ClientTls>,
    /// Whether the names in certificates are looked at.
    knows_names: bool,
    ready: mpsc::Sender<Connection>,
    traffic: Arc<Traffic>,
}

async fn accept_until_dropped(listener: TcpListener, door: Door) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    tokio::select! {
        () = door.ready.closed() => {}
        () = accept_forever(&listener, &door, &handshakes) => {}
    }
}

async fn accept_forever(listener: &TcpListener, door: &Door, handshakes: &Arc<Semaphore>) {
    while let Ok(permit) = handshakes.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                let greeting = greet(stream, door.clone(), permit);
                runtime::spawn(async move {
                    if let Err(error) = greeting.await {
                        tracing::debug!(%from, %error, "a client's connection was given up");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

async fn greet(stream: TcpStream, door: Door, permit: OwnedSemaphorePermit) -> io::Result<()> {
    let Door { tls, knows_names, ready, traffic } = door;
    stream.set_nodelay(true)?;
    set_tcp_user_timeout(&stream, UNTAKEN.as_millis() as u32)?;
    let connection = match tls {
        Some(tls) => {
            let stream = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
            let name = if knows_names { tls::client_name(&stream) } else { None };
            let certificate = CertificateName(name);
            Connection { seen: BytesMut::new(), stream: Box::new(stream), certificate, traffic }
        }
        None => {
            let certificate = CertificateName::default();
            Connection { seen: BytesMut::new(), stream: Box::new(Plain::new(stream)), certificate, traffic }
        }
    };
    drop(permit);
    // Nobody takes it up when the server has stopped.
    let _ = ready.send(connection).await;
    Ok(())
}

impl Connection {
    /// Whose certificate was shown there.
    pub(super) fn certificate(&self) -> CertificateName {
        self.certificate.clone()
    }

    /// Whether its client speaks HTTP/2. Waits until that is clear.
    pub(super) async fn begins_as_http2(&mut self) -> io::Result<bool> {
        while self.seen.len() < PREFACE.len() && PREFACE.starts_with(&self.seen) {
            let read = self.stream.read_buf(&mut self.seen).await?;
            self.traffic.received(read);
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.seen.starts_with(PREFACE))
    }

    fn count_sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.traffic.sent(*bytes);
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.seen.is_empty() {
            let length = self.seen.len().min(buffer.remaining());
            buffer.put_slice(&self.seen.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.traffic.received(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count_sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
