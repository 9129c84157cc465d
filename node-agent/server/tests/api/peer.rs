//! A runtime's streaming server: SPDY by hand, a few made-up commands.

use std::{collections::HashMap, convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use crate::node::Urls;

/// How much `flood` writes.
pub(crate) const FLOOD: usize = 20 << 20;

/// A ping, and its answer.
const PING: &[u8] = &[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2];

const SUCCESS: &[u8] = br#"{"metadata":{},"status":"Success"}"#;

const FAILURE: &[u8] = br#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;

/// The peer, seen from the test.
pub(crate) struct Peer {
    /// Its URLs, by command.
    pub(crate) urls: Urls,
    /// The command of every connection that has ended.
    pub(crate) ended: mpsc::UnboundedReceiver<String>,
}

/// Starts a peer.
pub(crate) async fn start() -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let names = ["cat", "fail", "flood", "size", "vanish", "refuse", "attach", "ports"];
    let urls = names.map(|name| (name.to_owned(), format!("http://{address}/{name}")));
    let (ended_sender, ended) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let ended = ended_sender.clone();
            let service = service_fn(move |request| answer(request, ended.clone()));
            tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades(),
            );
        }
    });
    Peer { urls: Urls { urls: HashMap::from(urls), ..Urls::default() }, ended }
}

/// A node whose runtime is this peer.
impl Peer {
    pub(crate) fn split(self) -> (Arc<Urls>, mpsc::UnboundedReceiver<String>) {
        (Arc::new(self.urls), self.ended)
    }
}

async fn answer(
    mut request: Request<Incoming>,
    ended: mpsc::UnboundedSender<String>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let command = request.uri().path()[1..].to_owned();
    let mut response = Response::new(Full::default());
    if command == "refuse" {
        *response.status_mut() = StatusCode::FORBIDDEN;
        *response.body_mut() = Full::from("not today\n");
        return Ok(response);
    }
    assert_eq!(request.headers()["upgrade"], "SPDY/3.1");
    let version = request.headers()["x-stream-protocol-version"].clone();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let socket = TokioIo::new(upgrade.await.unwrap());
        let _ = serve(&command, socket).await;
        let _ = ended.send(command);
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", "Upgrade".parse().unwrap());
    headers.insert("upgrade", "SPDY/3.1".parse().unwrap());
    headers.insert("x-stream-protocol-version", version);
    Ok(response)
}

/// A connection of one command.
struct Spdy {
    socket: TokioIo<Upgraded>,
    /// The streams that the client has opened, by type.
    streams: HashMap<String, u32>,
}

async fn serve(command: &str, mut socket: TokioIo<Upgraded>) -> io::Result<()> {
    if command == "ports" {
        let mut buffer = [0; 1024];
        loop {
            match socket.read(&mut buffer).await? {
                0 => return Ok(()),
                length => socket.write_all(&buffer[..length]).await?,
            }
        }
    }
    let mut spdy = Spdy { socket, streams: HashMap::new() };
    match command {
        "cat" | "attach" => {
            spdy.open(&["error", "stdin", "stdout"]).await?;
            spdy.echo("stdin").await?;
            spdy.end(SUCCESS).await
        }
        "fail" => {
            spdy.open(&["error", "stdout", "stderr"]).await?;
            spdy.ping().await?;
            spdy.data("stderr", b"no such thing\n", 0).await?;
            spdy.end(FAILURE).await
        }
        "flood" => {
            spdy.open(&["error", "stdout"]).await?;
            for _ in 0..FLOOD / (32 << 10) {
                spdy.data("stdout", &[b'x'; 32 << 10], 0).await?;
            }
            spdy.end(SUCCESS).await
        }
        "size" => {
            spdy.open(&["error", "stdin", "stdout", "resize"]).await?;
            spdy.echo("resize").await?;
            spdy.end(SUCCESS).await
        }
        _ => {
            spdy.open(&["error", "stdout"]).await?;
            spdy.data("stdout", b"half a", 0).await
        }
    }
}

impl Spdy {
    /// Waits until the client has opened these streams, and no others.
    async fn open(&mut self, names: &[&str]) -> io::Result<()> {
        for expected in names {
            let (head, body) = self.frame().await?;
            assert_eq!(head[..4], [0x80, 3, 0, 1], "SYN_STREAM");
            let stream = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
            let text = String::from_utf8_lossy(&body).into_owned();
            // The headers are stored as they are: a length, then the value.
            let after = text.split("streamtype\0\0\0").nth(1).unwrap();
            let name = after[1..=usize::from(after.as_bytes()[0])].to_owned();
            assert_eq!(name, *expected);
            self.streams.insert(name, stream);
        }
        // The first block of headers begins the compression of all; each says that there are none.
        let mut start: &[u8] = &[0x78, 0x01];
        let mut streams: Vec<u32> = self.streams.values().copied().collect();
        streams.sort_unstable();
        for stream in streams {
            let block = [start, &[0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0]].concat();
            let length = u8::try_from(block.len() + 4).unwrap();
            let head = [0x80, 3, 0, 2, 0, 0, 0, length];
            self.socket.write_all(&[&head[..], &stream.to_be_bytes(), &block].concat()).await?;
            start = &[];
        }
        Ok(())
    }

    /// Asks whether the client is there, and waits for the answer.
    async fn ping(&mut self) -> io::Result<()> {
        self.socket.write_all(PING).await?;
        let (head, body) = self.frame().await?;
        assert_eq!([&head[..], &body].concat(), PING);
        Ok(())
    }

    /// Hands what comes on a stream back as output, until the stream ends, or is told to.
    async fn echo(&mut self, name: &str) -> io::Result<()> {
        let stream = self.streams[name];
        loop {
            let (head, body) = self.frame().await?;
            assert_eq!(head[..4], stream.to_be_bytes(), "data on {name}");
            if !body.is_empty() {
                self.data("stdout", &body, 0).await?;
            }
            if head[4] & 1 == 1 || body.ends_with(b"bye") {
                return Ok(());
            }
        }
    }

    async fn data(&mut self, name: &str, contents: &[u8], flags: u8) -> io::Result<()> {
        let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
        let stream = self.streams[name].to_be_bytes();
        self.socket.write_all(&[&stream[..], &[flags], &length[1..], contents].concat()).await
    }

    /// Says how the process ended and closes, as containerd does: a reset for every stream, a farewell.
    async fn end(&mut self, status: &[u8]) -> io::Result<()> {
        self.data("error", status, 0).await?;
        for stream in self.streams.values() {
            let reset = [&[0x80, 3, 0, 3, 0, 0, 0, 8][..], &stream.to_be_bytes(), &[0, 0, 0, 5]].concat();
            self.socket.write_all(&reset).await?;
        }
        self.socket.write_all(&[0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0]).await?;
        self.socket.shutdown().await
    }

    async fn frame(&mut self) -> io::Result<([u8; 8], Vec<u8>)> {
        let mut head = [0; 8];
        self.socket.read_exact(&mut head).await?;
        let length = usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]);
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).await?;
        Ok((head, body))
    }
}
