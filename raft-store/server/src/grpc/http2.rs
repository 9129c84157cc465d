//! HTTP/2 on one connection.
//!
//! In: a connection, and what answers requests. Out: requests with their bodies, answers as fast as the client takes them.
//!
//! A connection and all that is under way on it are one task. Answers that become ready together, as those of one batch of
//! puts do, are written together, and no call costs a task of its own.
//!
//! Deliberately absent: pushes, upgrades, priorities.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, select},
    stream::FuturesUnordered,
};
use h2::{
    Ping, PingPong, Reason, RecvStream, SendStream,
    server::{Builder, Connection, SendResponse},
};
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

use super::{
    pulse::{Pulse, Pulsing},
    reply::{Reply, all_is_well},
};

/// Requests under way at once on one connection.
const MAX_STREAMS: u32 = 1 << 16;
/// What a client may send ahead: one request of the largest size per stream, several per connection.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// The longest head of a request.
const MAX_HEAD_BYTES: u32 = 16 << 10;
/// Calls that may be given up by their client before they were looked at: all those of one burst.
const MAX_GIVEN_UP: usize = 1 << 16;
/// A client that has said nothing for so long is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may say nothing then, and take nothing of what is sent to it.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// At most so many bytes are sent for the question.
const PING_BYTES: u64 = 64;

/// Serves a connection until its client ends it, or `stop` completes and what is under way then is answered.
pub(super) async fn serve<A, F, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: A,
    stop: impl Future<Output = ()>,
) -> Result<(), h2::Error>
where
    A: Fn(Request<Received>) -> F,
    F: Future<Output = Response<Reply<B>>> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    let pulse = Pulse::default();
    let mut connection = builder().handshake(Pulsing::new(stream, pulse.clone())).await?;
    let pings = connection.ping_pong().expect("a connection has pings, and nobody has taken them");
    let alarm = pin!(alarm(stop, silence(pings, pulse)));
    let mut talk = Talk { connection, under_way: FuturesUnordered::from_iter([Either::Left(alarm)]) };
    let begin = |request: Request<RecvStream>, respond| {
        Either::Right(call(answer(request.map(Received::new)), respond))
    };
    poll_fn(|cx| talk.poll(cx, &begin)).await
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_GIVEN_UP)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}

/// A connection, and what is under way on it.
struct Talk<S, T> {
    connection: Connection<S, Bytes>,
    under_way: FuturesUnordered<T>,
}

/// What has come to its end.
enum Ended {
    /// A call, one way or another.
    Call,
    /// The time for new calls.
    Service,
    /// The patience with a client that says nothing.
    Patience,
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: Future<Output = Ended>> Talk<S, T> {
    /// Completes when the connection ends.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        begin: &impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> T,
    ) -> Poll<Result<(), h2::Error>> {
        loop {
            // Answers come first: what they write leaves with what the connection does next.
            while let Poll::Ready(Some(ended)) = self.under_way.poll_next_unpin(cx) {
                match ended {
                    Ended::Call => {}
                    Ended::Service => self.connection.graceful_shutdown(),
                    Ended::Patience => {
                        self.leave(cx);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            let before = self.under_way.len();
            while let Some((request, respond)) = match pin!(self.connection.accept()).poll(cx) {
                Poll::Ready(Some(accepted)) => Some(accepted?),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => None,
            } {
                self.under_way.push(begin(request, respond));
            }
            if self.under_way.len() == before {
                return Poll::Pending;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T> Talk<S, T> {
    /// Tells a client that nobody waits for it any more, if it takes that at once.
    fn leave(&mut self, cx: &mut Context<'_>) {
        self.connection.abrupt_shutdown(Reason::NO_ERROR);
        let _ = pin!(self.connection.accept()).poll(cx);
    }
}

/// Completes when service or patience ends.
async fn alarm(stop: impl Future<Output = ()>, silence: impl Future<Output = ()>) -> Ended {
    match select(pin!(stop), pin!(silence)).await {
        Either::Left(_) => Ended::Service,
        Either::Right(_) => Ended::Patience,
    }
}

/// Completes when there is no life on the other side any more. Whoever only takes what is sent lives: behind what waits
/// for a slow client, the question whether it is there waits, too.
async fn silence(mut pings: PingPong, pulse: Pulse) {
    loop {
        let received = pulse.received();
        sleep(KEEPALIVE_INTERVAL).await;
        if pulse.received() != received {
            continue;
        }
        // An answer that came is taken; where one is missing still, there is a question under way.
        let _ = poll_fn(|cx| pings.poll_pong(cx)).now_or_never();
        let _ = pings.send_ping(Ping::opaque());
        while pulse.received() == received {
            let sent = pulse.sent();
            sleep(KEEPALIVE_TIMEOUT).await;
            if pulse.received() == received && pulse.sent() - sent <= PING_BYTES {
                return;
            }
        }
    }
}

/// One call, until it is answered or its client does not want that any more.
async fn call<B: Body<Data = Bytes> + Unpin>(
    mut answering: impl Future<Output = Response<Reply<B>>> + Unpin,
    mut respond: SendResponse<Bytes>,
) -> Ended {
    let answered = poll_fn(|cx| match Pin::new(&mut answering).poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => {
            respond.poll_reset(cx).map(|reset| Err(reset.map_or_else(|error| error, Into::into)))
        }
    });
    let sent = match answered.await {
        Ok(answer) => send(answer, &mut respond).await,
        Err(reset) => Err(reset),
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "a call has ended without its answer");
    }
    Ended::Call
}

async fn send<B: Body<Data = Bytes> + Unpin>(
    answer: Response<Reply<B>>,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, body) = answer.into_parts();
    let ends = body.is_end_stream();
    let mut stream = respond.send_response(Response::from_parts(head, ()), ends)?;
    match body {
        _ if ends => Ok(()),
        // It is in memory, whether the client takes it soon or not.
        Reply::Message { message } => {
            stream.send_data(message, false)?;
            stream.send_trailers(all_is_well())
        }
        // Seldom: whole answers need no room for it.
        other => Box::pin(pipe(other, &mut stream)).await,
    }
}

/// Sends a body part by part, as fast as the client takes it.
async fn pipe<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    stream: &mut SendStream<Bytes>,
) -> Result<(), h2::Error> {
    loop {
        let next = poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => reset(stream, cx).map(Err),
        });
        match next.await?.map(|frame| frame.map(Frame::into_data)) {
            None => return stream.send_data(Bytes::new(), true),
            Some(Ok(Ok(data))) if data.is_empty() => {}
            Some(Ok(Ok(data))) => {
                has_room(stream).await?;
                stream.send_data(data, false)?;
            }
            Some(Ok(Err(no_data))) => {
                if let Ok(trailers) = no_data.into_trailers() {
                    return stream.send_trailers(trailers);
                }
            }
            Some(Err(_)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
}

/// Waits until the client takes more.
async fn has_room(stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    // What is given to the stream beyond that is kept by it; as much as a part of a body is.
    stream.reserve_capacity(1);
    poll_fn(|cx| {
        while stream.capacity() == 0 {
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(room)) => drop(room?),
                Poll::Ready(None) => return Poll::Ready(Err(Reason::CANCEL.into())),
                Poll::Pending => return reset(stream, cx).map(Err),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// Completes when the client does not want an answer any more.
fn reset(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<h2::Error> {
    stream.poll_reset(cx).map(|reset| reset.map_or_else(|error| error, Into::into))
}

/// The body of a request.
pub(super) struct Received {
    stream: RecvStream,
    has_more_data: bool,
}

impl Received {
    const fn new(stream: RecvStream) -> Self {
        Self { stream, has_more_data: true }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        while self.has_more_data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.stream.flow_control().release_capacity(data.len())?;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.has_more_data = false,
            }
        }
        self.stream.poll_trailers(cx).map_ok(|trailers| trailers.map(Frame::trailers)).map(Result::transpose)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
