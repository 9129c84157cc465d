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

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::{
    authority::Plain,
    identity::CertificateName,
    tls::{self, ClientTls},
};
use crate::{peer::Duplex, runtime};

/// Handshakes under way at once, per listening socket.
const HANDSHAKES: usize = 256;
/// How long one may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are ready but not taken up yet.
const READY: usize = 16;
/// Pause after the system could not hand over a connection: it has too few file descriptors or too little
/// memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A client's connection.
pub(super) struct Connection {
    stream: Box<dyn Duplex>,
    certificate: CertificateName,
}

/// Accepts on all sockets, until the stream is dropped.
pub(super) fn connections(
    doors: Vec<(Vec<TcpListener>, Option<&ClientTls>)>,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, accepted) = mpsc::channel(READY);
    for (listeners, tls) in doors {
        for listener in listeners {
            runtime::spawn(accept_until_dropped(listener, tls.cloned(), ready.clone()));
        }
    }
    ReceiverStream::new(accepted)
}

async fn accept_until_dropped(
    listener: TcpListener,
    tls: Option<ClientTls>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    tokio::select! {
        () = ready.closed() => {}
        () = accept_forever(&listener, tls, &ready, &handshakes) => {}
    }
}

async fn accept_forever(
    listener: &TcpListener,
    tls: Option<ClientTls>,
    ready: &mpsc::Sender<io::Result<Connection>>,
    handshakes: &Arc<Semaphore>,
) {
    while let Ok(permit) = handshakes.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                let greeting = greet(stream, tls.clone(), ready.clone(), permit);
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

async fn greet(
    stream: TcpStream,
    tls: Option<ClientTls>,
    ready: mpsc::Sender<io::Result<Connection>>,
    permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = match tls {
        Some(tls) => {
            let stream = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
            let certificate = CertificateName(tls::client_name(&stream));
            Connection { stream: Box::new(stream), certificate }
        }
        None => Connection { stream: Box::new(Plain::new(stream)), certificate: CertificateName::default() },
    };
    drop(permit);
    // Nobody takes it up when the server has stopped.
    let _ = ready.send(Ok(connection)).await;
    Ok(())
}

impl Connected for Connection {
    type ConnectInfo = CertificateName;

    fn connect_info(&self) -> CertificateName {
        self.certificate.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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
