//! A connection that carries many requests at once and comes back by itself.
//!
//! One task owns the connection and matches answers to requests by id. The caller learns whether a request
//! that failed was ever sent: only then is its fate unknown.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use keelson_proto::peer::{Failed, Purpose};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{
    connection::{Connection, FrameReader, FrameWriter},
    directory::Dialer,
    handshake::Target,
    wire::Body,
};
use crate::{options::Member, runtime};

/// How long dialling and the handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// After a failed dial, requests fail at once for this long instead of queueing up behind the next one.
const REDIAL_PAUSE: Duration = Duration::from_millis(50);

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
    session: Mutex<Session>,
}

enum Session {
    /// Nothing was tried yet, or the last connection was lost.
    Down,
    /// The last dial failed.
    Failed { at: Instant, reason: String },
    /// Requests go to the task that owns the connection.
    Up(mpsc::UnboundedSender<Request>),
}

impl Link {
    pub(super) fn new(dialer: Arc<Dialer>, target: Target, member: Member, purpose: Purpose) -> Self {
        Self { dialer, target, member, purpose, session: Mutex::new(Session::Down) }
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

    async fn exchange(&self, body: Body) -> Reply {
        let (answer, answered) = oneshot::channel();
        self.enqueue((body, answer)).await?;
        answered.await.unwrap_or(Err(LinkError::Lost))
    }

    async fn enqueue(&self, request: Request) -> Result<(), LinkError> {
        let mut session = self.session.lock().await;
        let request = match &*session {
            Session::Up(queue) => match queue.send(request) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(request)) => request,
            },
            Session::Failed { at, reason } if at.elapsed() < REDIAL_PAUSE => {
                return Err(LinkError::NotSent(reason.clone()));
            }
            Session::Failed { .. } | Session::Down => request,
        };
        *session = Session::Down;
        let queue = match self.connect().await {
            Ok(connection) => start(connection),
            Err(error) => {
                let reason = format!("{}: {error}", self.member.name);
                *session = Session::Failed { at: Instant::now(), reason: reason.clone() };
                return Err(LinkError::NotSent(reason));
            }
        };
        let sent = queue.send(request);
        *session = Session::Up(queue);
        sent.map_err(|_| LinkError::Lost)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let dial = self.dialer.dial(self.target, &self.member, self.purpose);
        match timeout(CONNECT_TIMEOUT, dial).await {
            Ok(connected) => connected.map(|(connection, _)| connection),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long")),
        }
    }
}

fn start(connection: Connection) -> mpsc::UnboundedSender<Request> {
    let (queue, requests) = mpsc::unbounded_channel();
    runtime::spawn(async move {
        let mut driver = Driver { requests, waiting: HashMap::new(), next: 1 };
        let ended = driver.run(connection).await;
        tracing::debug!(?ended, "a link to a peer ended");
        driver.fail_all();
    });
    queue
}

/// Owns one connection.
struct Driver {
    requests: mpsc::UnboundedReceiver<Request>,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    next: u64,
}

enum Event {
    Request(Option<Request>),
    Answer(io::Result<Option<(u64, Body)>>),
}

impl Driver {
    /// Runs until the connection breaks or the link is dropped.
    async fn run(&mut self, connection: Connection) -> io::Result<()> {
        let Connection { mut reader, mut writer } = connection;
        loop {
            match self.event(&mut reader).await {
                Event::Request(Some(request)) => self.send(request, &mut writer).await?,
                Event::Request(None) => return Ok(()),
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
        }
    }

    /// Sends a request and everything else that is queued, in one go.
    async fn send(&mut self, first: Request, writer: &mut FrameWriter) -> io::Result<()> {
        let mut request = Some(first);
        while let Some((body, answer)) = request {
            // Whoever has given up waiting before the request was sent does not want it sent.
            if !answer.is_closed() {
                self.feed(body, answer, writer);
            }
            request = self.requests.try_recv().ok();
        }
        writer.flush().await
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
        if let Some(answer) = self.waiting.remove(&id) {
            // The caller may have stopped waiting; the answer is then of no use.
            let _ = answer.send(Ok(body));
        }
    }

    /// What was sent is lost, what still queues was not sent.
    fn fail_all(&mut self) {
        self.waiting.drain().for_each(|(_, answer)| drop(answer.send(Err(LinkError::Lost))));
        self.requests.close();
        while let Ok((_, answer)) = self.requests.try_recv() {
            let _ = answer.send(Err(LinkError::NotSent("the connection broke".to_owned())));
        }
    }
}
