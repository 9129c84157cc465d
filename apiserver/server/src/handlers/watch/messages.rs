//! What a watch sends as the messages of a WebSocket: one for each change.

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::codec::Media;

/// The messages of a stream's pieces, each of which holds whole lines or whole frames.
pub(super) fn of<P>(media: Media, pieces: P) -> impl Stream<Item = Message> + Send + 'static
where
    P: Stream<Item = Bytes> + Send + 'static,
{
    pieces.flat_map(move |piece| {
        stream::iter(match media {
            Media::Protobuf => framed(piece),
            Media::Json | Media::Yaml => lines(&piece),
        })
    })
}

/// A line each, with its end, as upstream's encoder leaves it.
fn lines(piece: &Bytes) -> Vec<Message> {
    let lines = piece.split_inclusive(|byte| *byte == b'\n').map(|line| piece.slice_ref(line));
    let message = |line: Bytes| match Utf8Bytes::try_from(line.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(line),
    };
    lines.map(message).collect()
}

/// What is in a frame each: a message says itself how long it is.
fn framed(mut piece: Bytes) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Ok(length) = piece.try_get_u32() {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(piece.len());
        messages.push(Message::Binary(piece.split_to(length)));
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf;

    #[test]
    fn every_change_is_a_message() {
        let piece = Bytes::from_static(b"{\"type\":\"ADDED\"}\n{\"type\":\"DELETED\"}\n");
        let text = |text: &'static str| Message::Text(text.into());
        assert_eq!(lines(&piece), [text("{\"type\":\"ADDED\"}\n"), text("{\"type\":\"DELETED\"}\n")]);
        let frames = [protobuf::watch_frame("ADDED", b"one"), protobuf::watch_frame("DELETED", b"two")];
        let bare = frames.clone().map(|frame| Message::Binary(Bytes::from(frame).slice(4..)));
        assert_eq!(framed(frames.concat().into()), bare);
        assert!(framed(Bytes::new()).is_empty());
    }
}
