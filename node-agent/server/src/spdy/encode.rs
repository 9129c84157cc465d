//! Frames as bytes.

use super::{FIN, StreamId, VERSION, headers::HeaderWriter, kind};

/// The longest data frame; its length has three bytes.
const MAX_DATA: usize = 0xff_ffff;

/// Writes the frames of a client.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    headers: HeaderWriter,
}

impl Encoder {
    /// Opens a stream. Streams are opened in the order of their numbers.
    pub(crate) fn open(&mut self, stream: StreamId, headers: &[(&str, &str)]) -> Vec<u8> {
        let block = self.headers.pack(headers);
        let mut body = stream.0.to_be_bytes().to_vec();
        // No other stream belongs to it, the highest priority, no credential.
        body.extend_from_slice(&[0; 6]);
        body.extend_from_slice(&block);
        control(kind::SYN_STREAM, &body)
    }

    /// The contents of a stream; `is_last`: nothing more will come from this side.
    pub(crate) fn data(&self, stream: StreamId, contents: &[u8], is_last: bool) -> Vec<u8> {
        let mut frames = Vec::with_capacity(contents.len() + 16);
        let mut rest = contents;
        loop {
            let (piece, later) = rest.split_at(rest.len().min(MAX_DATA));
            rest = later;
            let ends = is_last && rest.is_empty();
            frames.extend_from_slice(&stream.0.to_be_bytes());
            frames.push(if ends { FIN } else { 0 });
            frames.extend_from_slice(&length(piece.len()));
            frames.extend_from_slice(piece);
            if rest.is_empty() {
                return frames;
            }
        }
    }

    /// Answers a ping, or sends one.
    pub(crate) fn ping(&self, id: u32) -> Vec<u8> {
        control(kind::PING, &id.to_be_bytes())
    }
}

fn control(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = (VERSION | 0x8000).to_be_bytes().to_vec();
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.push(0);
    frame.extend_from_slice(&length(body.len()));
    frame.extend_from_slice(body);
    frame
}

fn length(of: usize) -> [u8; 3] {
    let [_, length @ ..] = u32::try_from(of).expect("frames are taken apart before").to_be_bytes();
    length
}
