//! Connections: two pipes, one each way.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use xxhash_rust::xxh3::xxh3_64;

use super::{Network, Node, link::Turn};
use crate::{random::Random, trace::Event};

/// What the systems at both ends take before a writer has to wait.
const BUFFER_BYTES: usize = 256 << 10;
/// The most that TCP waits before it tries again what an outage has held up.
const LONGEST_RETRY: Duration = Duration::from_secs(3);

/// One direction of a connection.
pub(super) struct Pipe {
    pub(super) from: Node,
    pub(super) to: Node,
    segments: VecDeque<Segment>,
    bytes: usize,
    /// When the last segment arrives, at the earliest: none overtakes another.
    arrives: Instant,
    is_cut: bool,
    end: End,
    /// Whether somebody still reads.
    is_read: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Segment {
    at: Instant,
    bytes: Bytes,
}

/// How a pipe ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not yet.
    Open,
    /// After everything that was sent.
    Closed { at: Instant },
    /// Before what has not been read.
    Reset { at: Instant },
}

/// What there is to read.
enum Readable {
    Segment,
    Nothing,
    Later(Instant),
    Closed,
    Reset,
}

impl Pipe {
    pub(super) fn new(from: Node, to: Node, is_cut: bool) -> Self {
        let segments = VecDeque::new();
        let arrives = Instant::now();
        let (reader, writer) = (None, None);
        Self { from, to, segments, bytes: 0, arrives, is_cut, end: End::Open, is_read: true, reader, writer }
    }

    /// The link below has been cut or mended. What was under way is sent again some time after that.
    pub(super) fn on_link(&mut self, from: Node, to: Node, turn: Turn, now: Instant, random: &mut Random) {
        if (from, to) != (self.from, self.to) {
            return;
        }
        match turn {
            Turn::Cut => self.is_cut = true,
            Turn::Mended(outage) => {
                self.is_cut = false;
                let longest = outage.min(LONGEST_RETRY);
                let micros = random.below(u64::try_from(longest.as_micros()).unwrap_or(u64::MAX));
                self.stall(now + Duration::from_micros(micros));
            }
        }
    }

    /// Nothing arrives before that moment.
    pub(super) fn stall(&mut self, until: Instant) {
        self.arrives = self.arrives.max(until);
        self.segments.iter_mut().for_each(|segment| segment.at = segment.at.max(until));
        if let End::Closed { at } = &mut self.end {
            *at = (*at).max(until);
        }
        self.wake();
    }

    /// The reader finds the connection broken from that moment on.
    pub(super) fn reset(&mut self, at: Instant) {
        if !matches!(self.end, End::Reset { .. }) {
            self.end = End::Reset { at };
        }
        self.wake();
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    fn readable(&self, now: Instant) -> Readable {
        let end = match self.end {
            End::Reset { at } if at <= now => return Readable::Reset,
            End::Reset { at } | End::Closed { at } => Some(at),
            End::Open => None,
        };
        if self.is_cut {
            return Readable::Nothing;
        }
        match (self.segments.front(), end) {
            (Some(segment), _) if segment.at <= now => Readable::Segment,
            (Some(segment), None) => Readable::Later(segment.at),
            (Some(segment), Some(end)) => Readable::Later(segment.at.min(end)),
            (None, Some(at)) if at <= now => Readable::Closed,
            (None, Some(at)) => Readable::Later(at),
            (None, None) => Readable::Nothing,
        }
    }

    fn take(&mut self, to: &mut ReadBuf<'_>) -> Bytes {
        let Some(segment) = self.segments.front_mut() else { return Bytes::new() };
        let taken = segment.bytes.split_to(to.remaining().min(segment.bytes.len()));
        to.put_slice(&taken);
        if !segment.bytes.has_remaining() {
            self.segments.pop_front();
        }
        self.bytes -= taken.len();
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        taken
    }

    fn push(&mut self, bytes: Bytes, delay: Duration) {
        self.arrives = self.arrives.max(Instant::now() + delay);
        self.bytes += bytes.len();
        self.segments.push_back(Segment { at: self.arrives, bytes });
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// One end of a connection.
pub(super) struct Endpoint {
    network: Network,
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    timer: Pin<Box<Sleep>>,
}

impl Endpoint {
    pub(super) fn new(network: Network, incoming: Arc<Mutex<Pipe>>, outgoing: Arc<Mutex<Pipe>>) -> Self {
        Self { network, incoming, outgoing, timer: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }

    /// Says goodbye, as a system does for a process that has closed its end or died.
    fn close(&self) {
        let (from, to) = {
            let outgoing = lock(&self.outgoing);
            (outgoing.from, outgoing.to)
        };
        let (is_dark, delay) = {
            let mut inner = self.network.lock();
            let is_dark = inner.dark[from.index()];
            let weather = inner.link(from, to).weather;
            (is_dark, weather.delay(&mut inner.random))
        };
        lock(&self.incoming).is_read = false;
        let mut outgoing = lock(&self.outgoing);
        if !is_dark && outgoing.end == End::Open {
            outgoing.end = End::Closed { at: outgoing.arrives.max(Instant::now() + delay) };
            outgoing.wake();
        }
    }

    /// What was sent reaches a system that knows of no such connection, and says so.
    fn refuse(&self, from: Node, to: Node) {
        if self.network.is_open(from, to) && self.network.is_open(to, from) {
            let delay = self.network.delay(from, to) + self.network.delay(to, from);
            lock(&self.incoming).reset(Instant::now() + delay);
        }
    }
}

impl AsyncRead for Endpoint {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let incoming = self.incoming.clone();
            let mut pipe = lock(&incoming);
            match pipe.readable(Instant::now()) {
                Readable::Segment => {
                    let taken = pipe.take(to);
                    let (from, to) = (pipe.from, pipe.to);
                    self.network.trace.note(Event::Delivered { from, to, digest: xxh3_64(&taken) });
                    return Poll::Ready(Ok(()));
                }
                Readable::Closed => return Poll::Ready(Ok(())),
                Readable::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Readable::Nothing => {
                    pipe.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Readable::Later(at) => {
                    pipe.reader = Some(cx.waker().clone());
                    drop(pipe);
                    self.timer.as_mut().reset(at);
                    ready!(self.timer.as_mut().poll(cx));
                }
            }
        }
    }
}

impl AsyncWrite for Endpoint {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = lock(&self.outgoing);
        let (from, to) = (pipe.from, pipe.to);
        if matches!(lock(&self.incoming).end, End::Reset { at } if at <= Instant::now()) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !pipe.is_read {
            drop(pipe);
            self.refuse(from, to);
            return Poll::Ready(Ok(data.len()));
        }
        let room = BUFFER_BYTES.saturating_sub(pipe.bytes);
        if room == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let sent = data.len().min(room);
        let mut inner = self.network.lock();
        let weather = inner.link(from, to).weather;
        // Now and then one write arrives in two pieces.
        let cut_at = if inner.random.percent(10) { inner.random.below(sent as u64) } else { 0 };
        let cut_at = usize::try_from(cut_at).expect("below a length");
        for part in [&data[..cut_at], &data[cut_at..sent]].into_iter().filter(|part| !part.is_empty()) {
            pipe.push(Bytes::copy_from_slice(part), weather.delay(&mut inner.random));
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes a pipe's lock. Order: a pipe, then the network's; never two pipes of one connection but in [`Endpoint`].
pub(super) fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}
