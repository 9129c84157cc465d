//! Between a client's WebSocket and a runtime's SPDY: channels on one side are streams on the other.
//!
//! Each direction waits for its own receiver only, and what waits holds back its sender: a slow reader slows the process
//! down, and nothing is kept here but a piece.

use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::OnUpgrade;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{
    channels::{self, Protocol, Wanted},
    websocket::{self, WebSocket},
};
use crate::spdy::{Encoder, StreamId};

mod input;

mod output;

use self::{input::Input, output::Output};

/// How many pings of a runtime may wait for their answers while the process does not read its input.
const MAX_PINGS: usize = 16;

/// The streams of a process, by their numbers on the runtime's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Streams {
    error: StreamId,
    stdin: Option<StreamId>,
    stdout: Option<StreamId>,
    stderr: Option<StreamId>,
    resize: Option<StreamId>,
}

impl Streams {
    /// Numbers the streams that are wanted, in the order in which they are opened.
    fn of(wanted: Wanted) -> Self {
        let mut numbers = (1..).step_by(2).map(StreamId);
        let mut number = |is_wanted: bool| if is_wanted { numbers.next() } else { None };
        Self {
            error: number(true).expect("there are more numbers than streams"),
            stdin: number(wanted.stdin),
            stdout: number(wanted.stdout),
            stderr: number(wanted.stderr),
            resize: number(wanted.tty),
        }
    }

    /// The frames that open them.
    fn open(&self, encoder: &mut Encoder) -> Vec<u8> {
        let streams = [
            (Some(self.error), "error"),
            (self.stdin, "stdin"),
            (self.stdout, "stdout"),
            (self.stderr, "stderr"),
            (self.resize, "resize"),
        ];
        let open = streams.into_iter().filter_map(|(stream, name)| Some((stream?, name)));
        open.flat_map(|(stream, name)| encoder.open(stream, &[("streamtype", name)])).collect()
    }

    /// The channel of an output, unless it is how the process ended.
    fn output(&self, stream: StreamId) -> Option<u8> {
        let outputs = [(self.stdout, channels::STDOUT), (self.stderr, channels::STDERR)];
        outputs.into_iter().find(|(own, _)| *own == Some(stream)).map(|(_, channel)| channel)
    }
}

/// Carries the streams until the process has ended or the client has gone.
pub(super) async fn run(
    client: OnUpgrade,
    runtime: impl AsyncRead + AsyncWrite + Send,
    wanted: Wanted,
    protocol: Protocol,
) {
    let Some(socket) = websocket::open(client).await else { return };
    let streams = Streams::of(wanted);
    let (reader, mut writer) = tokio::io::split(runtime);
    let mut encoder = Encoder::default();
    // A runtime that has gone already says so when it is read from.
    let _ = writer.write_all(&streams.open(&mut encoder)).await;
    let (mut to_client, mut from_client) = socket.split();
    let (pings, asked) = mpsc::channel(MAX_PINGS);
    let output = Output::new(streams, pings);
    let input = Input { streams, protocol, encoder, asked };
    let ended = tokio::select! {
        ended = output.carry(reader, &mut to_client) => ended,
        () = input.carry(&mut from_client, writer) => return,
    };
    let said = match ended {
        Ok(status) => say_goodbye(protocol.end(&status), &mut to_client, &mut from_client).await,
        Err(error) => Err(error),
    };
    if let Err(error) = said {
        tracing::debug!(%error, "a client has gone before it heard how its process ended");
    }
}

/// Tells how the process ended, and closes.
async fn say_goodbye(
    end: Option<Bytes>,
    to_client: &mut SplitSink<WebSocket, Message>,
    from_client: &mut SplitStream<WebSocket>,
) -> tungstenite::Result<()> {
    if let Some(end) = end {
        to_client.send(Message::Binary(end)).await?;
    }
    websocket::close(to_client, from_client).await
}
