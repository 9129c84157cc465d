//! Streams in memory, by URL.

use std::{
    collections::{HashMap, HashSet},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use keelson_store::peer::{Accepted, Duplex, Pending, Transport};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
};

type Listeners = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Box<dyn Duplex>>>>>;

/// A network on which every replica reaches every other one that is alive, unless it is cut off.
#[derive(Clone, Default)]
pub(crate) struct Network {
    listeners: Listeners,
    cuts: Arc<Mutex<Cuts>>,
}

/// Which connections carry nothing.
#[derive(Default)]
struct Cuts {
    /// Whoever dials from or to here waits in vain.
    cut_off: HashSet<String>,
    /// Every connection, with both its ends.
    connections: Vec<([String; 2], Arc<AtomicBool>)>,
}

struct Endpoint {
    url: String,
    listeners: Listeners,
    cuts: Arc<Mutex<Cuts>>,
    incoming: tokio::sync::Mutex<mpsc::UnboundedReceiver<Box<dyn Duplex>>>,
}

impl Network {
    /// Listens at a URL, in place of whoever did before.
    pub(crate) fn listen(&self, url: &str) -> Arc<dyn Transport> {
        let (sender, incoming) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().insert(url.to_owned(), sender);
        let (listeners, cuts) = (self.listeners.clone(), self.cuts.clone());
        let incoming = tokio::sync::Mutex::new(incoming);
        Arc::new(Endpoint { url: url.to_owned(), listeners, cuts, incoming })
    }

    /// Loses everything from and to a replica, without a word to either side. Its connections stay dead for
    /// ever, as those do which TCP tries again only after minutes.
    pub(crate) fn cut(&self, url: &str) {
        let mut cuts = self.cuts.lock().unwrap();
        cuts.cut_off.insert(url.to_owned());
        let touched = cuts.connections.iter().filter(|(ends, _)| ends.iter().any(|end| end == url));
        touched.for_each(|(_, is_dead)| is_dead.store(true, Ordering::Relaxed));
    }

    /// New connections from and to a replica work again.
    pub(crate) fn heal(&self, url: &str) {
        self.cuts.lock().unwrap().cut_off.remove(url);
    }
}

impl Cuts {
    /// The switch of a new connection; `None` when one of its ends is cut off.
    fn connect(&mut self, from: &str, to: &str) -> Option<Arc<AtomicBool>> {
        if self.cut_off.contains(from) || self.cut_off.contains(to) {
            return None;
        }
        let is_dead = Arc::new(AtomicBool::new(false));
        self.connections.push(([from.to_owned(), to.to_owned()], is_dead.clone()));
        Some(is_dead)
    }
}

/// One end of a connection that may fall silent.
struct Line {
    stream: DuplexStream,
    is_dead: Arc<AtomicBool>,
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_dead.load(Ordering::Relaxed) {
            // The system's buffer takes it; it goes nowhere.
            return Poll::Ready(Ok(data.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Transport for Endpoint {
    fn dial<'a>(&'a self, url: &'a str) -> Pending<'a, io::Result<Box<dyn Duplex>>> {
        let listener = self.listeners.lock().unwrap().get(url).cloned();
        let line = self.cuts.lock().unwrap().connect(&self.url, url);
        Box::pin(async move {
            let Some(is_dead) = line else { return std::future::pending().await };
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens");
            let (near, far) = tokio::io::duplex(1 << 20);
            let [near, far] = [near, far].map(|stream| Line { stream, is_dead: is_dead.clone() });
            listener.ok_or_else(refused)?.send(Box::new(far)).map_err(|_| refused())?;
            Ok(Box::new(near) as Box<dyn Duplex>)
        })
    }

    fn accept(&self) -> Pending<'_, io::Result<Accepted>> {
        Box::pin(async move {
            match self.incoming.lock().await.recv().await {
                Some(stream) => {
                    Ok(Accepted { from: "memory".into(), stream: Box::pin(async { Ok(stream) }) })
                }
                None => std::future::pending().await,
            }
        })
    }
}
