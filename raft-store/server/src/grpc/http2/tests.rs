//! A connection as its client sees it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, atomic::AtomicUsize};

use h2::client::{self, SendRequest};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::{Notify, oneshot},
};

use super::*;

type Parts = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Has a client talk to a connection that is served so.
async fn with_client<F: Future<Output = Response<Reply<Parts>>>>(
    answer: impl Fn(Request<Received>) -> F,
    stop: impl Future<Output = ()>,
    client: impl AsyncFnOnce(SendRequest<Bytes>),
) -> Result<(), h2::Error> {
    let (here, there) = tokio::io::duplex(1 << 20);
    let talking = async {
        let (requests, connection) =
            client::Builder::new().initial_window_size(WINDOW).handshake(there).await.unwrap();
        let connection: client::Connection<DuplexStream, Bytes> = connection;
        // It ends when the server ends it, or the last handle is gone.
        tokio::join!(client(requests), async { drop(connection.await) });
    };
    tokio::join!(serve(here, |request| Box::pin(answer(request)), stop), talking).0
}

/// What a client of these tests takes without saying that it takes more.
const WINDOW: u32 = 1 << 10;

fn request(path: &str) -> Request<()> {
    Request::post(format!("http://a{path}")).body(()).unwrap()
}

fn whole(body: &'static [u8]) -> Response<Reply<Parts>> {
    Response::new(Reply::Message { message: Bytes::from_static(body) })
}

fn never() -> std::future::Pending<()> {
    std::future::pending()
}

/// All of an answer, and its trailers.
async fn read(answer: Response<h2::RecvStream>) -> (Vec<u8>, Option<http::HeaderMap>) {
    let mut body = answer.into_body();
    let mut read = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        read.extend_from_slice(&part);
    }
    (read, body.trailers().await.unwrap())
}

#[tokio::test]
async fn a_request_has_its_body_and_an_answer_its_trailers() {
    let answer = async |request: Request<Received>| {
        let body = request.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["a"], "b");
        assert_eq!(body.to_bytes(), "onetwo");
        whole(b"three")
    };
    let ended = with_client(answer, never(), async |mut requests| {
        let (answer, mut stream) = requests.send_request(request("/"), false).unwrap();
        stream.send_data(Bytes::from_static(b"one"), false).unwrap();
        stream.send_data(Bytes::from_static(b"two"), false).unwrap();
        stream.send_trailers([("a".parse().unwrap(), "b".parse().unwrap())].into_iter().collect()).unwrap();
        let (body, trailers) = read(answer.await.unwrap()).await;
        assert_eq!(
            (body.as_slice(), &trailers.unwrap()["grpc-status"]),
            (&b"three"[..], &"0".parse().unwrap())
        );
    });
    ended.await.unwrap();
}

#[tokio::test]
async fn a_client_takes_an_answer_at_its_own_pace_whether_it_is_whole_or_in_parts() {
    const PARTS: usize = 50;
    let made = Arc::new(AtomicUsize::new(0));
    let answer = async |request: Request<Received>| {
        if request.uri().path() == "/whole" {
            return whole(&[7; PARTS * WINDOW as usize]);
        }
        let made = made.clone();
        let parts = futures_util::stream::iter(0..PARTS).map(move |_| {
            made.fetch_add(1, Relaxed);
            Ok(Frame::data(Bytes::from_static(&[7; WINDOW as usize])))
        });
        Response::new(Reply::Long { body: StreamBody::new(parts).boxed_unsync() })
    };
    let ended = with_client(answer, never(), async |mut requests| {
        let (slow, _) = requests.send_request(request("/parts"), true).unwrap();
        let slow = slow.await.unwrap();
        let (other, _) = requests.send_request(request("/whole"), true).unwrap();
        let (body, trailers) = read(other.await.unwrap()).await;
        assert_eq!(
            (body.len(), trailers.is_some()),
            (PARTS * WINDOW as usize, true),
            "nobody waits for the slow one"
        );
        assert!(made.load(Relaxed) < 5, "{} parts are made before the client takes them", made.load(Relaxed));
        assert_eq!(read(slow).await.0.len(), PARTS * WINDOW as usize);
    });
    ended.await.unwrap();
}

#[tokio::test]
async fn a_call_that_its_client_gives_up_is_dropped_before_and_while_it_is_answered() {
    let dropped = Arc::new(Notify::new());
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let answer = async |request: Request<Received>| {
        let guard = OnDrop(dropped.clone());
        if request.uri().path() == "/before" {
            never().await;
        }
        let parts = futures_util::stream::pending().map(move |part: Result<_, _>| {
            let _ = &guard;
            part
        });
        Response::new(Reply::Long { body: StreamBody::new(parts).boxed_unsync() })
    };
    let ended = with_client(answer, never(), async |mut requests| {
        let (_answer, mut stream) = requests.send_request(request("/before"), false).unwrap();
        let (second, _) = requests.send_request(request("/while"), true).unwrap();
        let second = second.await.unwrap();
        stream.send_reset(Reason::CANCEL);
        dropped.notified().await;
        drop(second);
        dropped.notified().await;
    });
    ended.await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_when_the_server_stops_is_answered_and_nothing_is_begun() {
    let (stop, stopped) = oneshot::channel();
    let go_on = Notify::new();
    let answer = async |_| {
        go_on.notified().await;
        whole(b"late")
    };
    let ended = with_client(answer, async { stopped.await.unwrap() }, async |mut requests| {
        let (answer, _) = requests.send_request(request("/"), true).unwrap();
        stop.send(()).unwrap();
        // The server says that it goes before it refuses.
        while std::future::poll_fn(|cx| requests.poll_ready(cx)).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        assert_eq!(read(answer.await.unwrap()).await.0, b"late");
    });
    ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_pings_is_given_up_and_one_that_does_is_not() {
    let (here, there) = tokio::io::duplex(1 << 20);
    let begun = tokio::time::Instant::now();
    let served = serve(here, |_| Box::pin(async { whole(b"") }), never());
    let client = async {
        let (requests, connection) = client::handshake(there).await.unwrap();
        let mut connection = connection;
        // For three minutes it answers; then nobody looks at what comes.
        let answering = tokio::time::timeout(
            Duration::from_secs(180),
            std::future::poll_fn(|cx| Pin::new(&mut connection).poll(cx)),
        );
        assert!(answering.await.is_err(), "it is kept");
        (requests, connection)
    };
    let (served, _kept) = tokio::join!(served, client);
    served.unwrap();
    let patience = KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT;
    assert!(
        (180..=180 + 2 * patience.as_secs()).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_client_may_give_up_many_calls_at_once_and_keeps_its_connection() {
    let answer = async |request: Request<Received>| {
        if request.uri().path() == "/given-up" {
            never().await;
        }
        whole(b"here")
    };
    let ended = with_client(answer, never(), async |mut requests| {
        for _ in 0..500 {
            let (_answer, mut stream) = requests.send_request(request("/given-up"), false).unwrap();
            stream.send_reset(Reason::CANCEL);
        }
        let (answer, _) = requests.send_request(request("/"), true).unwrap();
        assert_eq!(read(answer.await.unwrap()).await.0, b"here");
    });
    ended.await.unwrap();
}

/// What a client says that asks for `/`, takes whatever comes, and says nothing else.
fn laconic() -> Vec<u8> {
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
    let window = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0];
    // POST, /, http, and an authority, by their numbers in HPACK's table; the request ends with its head.
    let head = [0, 0, 6, 1, 5, 0, 0, 0, 1, 0x83, 0x84, 0x86, 0x41, 1, b'a'];
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &window, &head].concat()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_an_answer_slowly_is_kept_and_one_that_takes_nothing_is_not() {
    const ROOM: usize = 4 << 10;
    let answer = async |_| {
        let part = || Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(&[7; ROOM])));
        Response::new(Reply::Long {
            body: StreamBody::new(futures_util::stream::repeat_with(part)).boxed_unsync(),
        })
    };
    let (here, mut there) = tokio::io::duplex(ROOM);
    let serving = serve(here, |request| Box::pin(answer(request)), never());
    let slow = async {
        there.write_all(&laconic()).await.unwrap();
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < 6 * (KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT) {
            sleep(KEEPALIVE_TIMEOUT / 2).await;
            assert!(there.read(&mut [0; ROOM / 2]).await.unwrap() > 0, "it lives");
        }
        // From here on it takes nothing.
        begun.elapsed()
    };
    let begun = tokio::time::Instant::now();
    let (served, lived) = tokio::join!(serving, slow);
    served.unwrap();
    let rest = begun.elapsed() - lived;
    assert!(rest <= KEEPALIVE_INTERVAL + 2 * KEEPALIVE_TIMEOUT, "{rest:?}");
}
