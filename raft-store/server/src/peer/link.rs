//! A connection that carries many requests at once and comes back by itself.
//!
//! One task dials, owns the connection and matches answers to requests by id; a caller that gives up takes
//! neither with it. The caller learns whether a request that failed was ever sent: only then is its fate
//! unknown.
//!
//! A connection on which a peer owes answers and says nothing is given up: a network that lost packets for a
//! while is tried again by TCP only after about as long a pause, by a new connection at once.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keelson_proto::peer::{Failed, Purpose};
use tokio::sync::{mpsc, oneshot};

use super::{
    connection::{Connection, FrameReader, FrameWriter},
    directory::Dialer,
    handshake::Target,
    wire::Body,
};
use crate::{
    options::Member,
    runtime::{
        self,
        clock::{Instant, sleep, sleep_until, timeout},
    },
};

/// How long dialling and the handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// After a failed dial, requests fail at once for this long instead of queueing up behind the next one.
const REDIAL_PAUSE: Duration = Duration::from_millis(50);
/// How long the system may take to accept what is sent: it does so at once unless the peer stopped reading.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);
/// The longest silence while answers are owed, where a peer in order answers most requests at once.
const CONTROL_SILENCE: Duration = Duration::from_secs(2);
/// The same where a request may wait for a quorum for as long as its deadline allows.
const FORWARD_SILENCE: Duration = Duration::from_secs(10);

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not sent: it cannot have had an effect.
    #[error("the peer cannot be reached: {0}")]
    NotSent(String),
    /// It was, or may have been, sent; the connection broke before the answer.
    #[error("the connection broke before the answer")]
    Lost,
    /// The answer did not come in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer took the request and could not serve it.
    #[error("the peer failed: {0}")]
    Failed(String),
}

type Reply = Result<Body, LinkError>;
type Request = (Body, oneshot::Sender<Reply>);

/// Requests to one peer, for one purpose.
pub struct Link {
    dialer: Arc<Dialer>,
    target: Target,
    member: Member,
    purpose: Purpose,
    /// Where the task that owns the connection takes requests; closed once that has ended.
    queue: Mutex<Option<mpsc::UnboundedSender<Request>>>,
}

impl Link {
    pub(super) fn new(dialer: Arc<Dialer>, target: Target, member: Member, purpose: Purpose) -> Self {
        Self { dialer, target, member, purpose, queue: Mutex::new(None) }
    }

    /// Whom this link was made for.
    pub(super) fn member(&self) -> &Member {
        &self.member
    }

    /// Sends a request and waits for its answer, dialling first where needed.
    pub async fn request(&self, body: Body, patience: Duration) -> Reply {
        match timeout(patience, self.exchange(body)).await {
            Ok(Ok(Body::Failed(Failed { reason }))) => Err(LinkError::Failed(reason)),
            Ok(reply) => reply,
            Err(_) => Err(LinkError::Timeout),
        }
    }

    /// Gives up the connection, which seems dead; the next request dials anew. What was sent is lost.
    pub(crate) fn reset(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn exchange(&self, body: Body) -> Reply {
        let (answer, answered) = oneshot::channel();
        self.enqueue((body, answer));
        answered.await.unwrap_or(Err(LinkError::Lost))
    }

    fn enqueue(&self, request: Request) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let request = match &*queue {
            None => request,
            Some(queue) => match queue.send(request) {
                Ok(()) => return,
                Err(mpsc::error::SendError(request)) => request,
            },
        };
        let fresh = self.start();
        // It fails only when the runtime is going away; the caller then finds its answer lost.
        let _ = fresh.send(request);
        *queue = Some(fresh);
    }

    fn start(&self) -> mpsc::UnboundedSender<Request> {
        let (queue, requests) = mpsc::unbounded_channel();
        let silence = match self.purpose {
            Purpose::Forward => FORWARD_SILENCE,
            Purpose::Control | Purpose::Append | Purpose::Snapshot | Purpose::Join | Purpose::Unspecified => {
                CONTROL_SILENCE
            }
        };
        let mut driver =
            Driver { requests, waiting: BTreeMap::new(), next: 1, heard: Instant::now(), silence };
        let (dialer, target) = (self.dialer.clone(), self.target);
        let (member, purpose) = (self.member.clone(), self.purpose);
        runtime::spawn(async move {
            let dial = timeout(CONNECT_TIMEOUT, dialer.dial(target, &member, purpose));
            let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"));
            match dial.await.unwrap_or_else(late) {
                Ok((connection, _)) => {
                    let ended = driver.run(connection).await;
                    tracing::debug!(?ended, "a link to a peer ended");
                    driver.fail_all("the connection broke");
                }
                Err(error) => driver.refuse(&format!("{}: {error}", member.name)).await,
            }
        });
        queue
    }
}

/// Owns one connection.
struct Driver {
    requests: mpsc::UnboundedReceiver<Request>,
    waiting: BTreeMap<u64, oneshot::Sender<Reply>>,
    next: u64,
    /// When the peer last spoke, or began to owe an answer.
    heard: Instant,
    /// How long it may owe answers and say nothing.
    silence: Duration,
}

enum Event {
    Request(Option<Request>),
    Answer(io::Result<Option<(u64, Body)>>),
    Silence,
}

impl Driver {
    /// Runs until the connection breaks or the link is dropped.
    async fn run(&mut self, connection: Connection) -> io::Result<()> {
        let Connection { mut reader, mut writer } = connection;
        loop {
            match self.event(&mut reader).await {
                Event::Request(Some(request)) => self.send(request, &mut writer).await?,
                Event::Request(None) => return Ok(()),
                Event::Silence => return Err(fallen_silent()),
                Event::Answer(answer) => match answer? {
                    Some((id, body)) => self.answer(id, body),
                    None => return Ok(()),
                },
            }
        }
    }

    async fn event(&mut self, reader: &mut FrameReader) -> Event {
        tokio::select! {
            biased;
            answer = reader.next() => Event::Answer(answer),
            request = self.requests.recv() => Event::Request(request),
            () = sleep_until(self.heard + self.silence), if !self.waiting.is_empty() => Event::Silence,
        }
    }

    /// Sends a request and everything else that is queued, in one go.
    async fn send(&mut self, first: Request, writer: &mut FrameWriter) -> io::Result<()> {
        if self.waiting.is_empty() {
            self.heard = Instant::now();
        }
        let mut request = Some(first);
        while let Some((body, answer)) = request {
            // Whoever has given up waiting before the request was sent does not want it sent.
            if !answer.is_closed() {
                self.feed(body, answer, writer);
            }
            request = self.requests.try_recv().ok();
        }
        timeout(FLUSH_PATIENCE, writer.flush()).await.unwrap_or_else(|_| Err(fallen_silent()))
    }

    fn feed(&mut self, body: Body, answer: oneshot::Sender<Reply>, writer: &mut FrameWriter) {
        match writer.feed(self.next, body) {
            Ok(()) => {
                self.waiting.insert(self.next, answer);
                self.next += 1;
            }
            // Too long for a frame: this request alone fails, nothing of it was written.
            Err(error) => drop(answer.send(Err(LinkError::NotSent(error.to_string())))),
        }
    }

    fn answer(&mut self, id: u64, body: Body) {
        self.heard = Instant::now();
        if let Some(answer) = self.waiting.remove(&id) {
            // The caller may have stopped waiting; the answer is then of no use.
            let _ = answer.send(Ok(body));
        }
    }

    /// Nobody answered the dial: turns away who comes, for a while, and then lets the next one dial again.
    async fn refuse(&mut self, reason: &str) {
        let mut pause = std::pin::pin!(sleep(REDIAL_PAUSE));
        loop {
            tokio::select! {
                biased;
                () = &mut pause => break,
                request = self.requests.recv() => match request {
                    Some((_, answer)) => drop(answer.send(Err(LinkError::NotSent(reason.to_owned())))),
                    None => return,
                },
            }
        }
        self.fail_all(reason);
    }

    /// What was sent is lost, what still queues was not sent.
    fn fail_all(&mut self, reason: &str) {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_values().for_each(|answer| drop(answer.send(Err(LinkError::Lost))));
        self.requests.close();
        while let Ok((_, answer)) = self.requests.try_recv() {
            let _ = answer.send(Err(LinkError::NotSent(reason.to_owned())));
        }
    }
}

fn fallen_silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer has fallen silent")
}
