//! Requests whose `:authority` is a whole URL.
//!
//! In: the bytes of a connection in plain text. Out: the same, except that an authority that begins with `http` and is a
//! URL becomes one that the HTTP library takes. etcd's Go client writes `http://host:port` there when it is given its endpoint
//! so (`etcdctl endpoint status`, `defrag`, `move-leader`, …), its server does not mind, and nothing here looks at it.
//!
//! Only the first headers of a connection are looked at: the client refers to that authority from then on by its number.
//! They are changed in place, byte for byte, so no length changes. Whatever is not understood passes as it is.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client's side of HTTP/2 begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// Longer headers are passed on as they are.
const MAX_FRAME: usize = 16 << 10;
/// The number of `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;
/// `http:/` in HPACK's Huffman code, but for its last bits.
const HTTP_CODED: [u8; 4] = [0x9d, 0x29, 0xae, 0xe3];

/// A connection whose first headers are looked at.
pub(super) struct Plain<S> {
    stream: S,
    seen: Seen,
    /// What was read and changed, and is still to be handed out.
    ready: Vec<u8>,
}

/// How far the connection was followed.
enum Seen {
    /// Somewhere in the preface or in a frame before the headers: the bytes of it so far.
    Part(Vec<u8>),
    /// The headers have passed, or there will be none that can be read.
    Enough,
}

impl<S> Plain<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, seen: Seen::Part(Vec::new()), ready: Vec::new() }
    }

    /// Takes bytes that were read, and makes those ready that can go on.
    fn take(&mut self, bytes: &[u8]) {
        let Seen::Part(part) = &mut self.seen else {
            self.ready.extend_from_slice(bytes);
            return;
        };
        part.extend_from_slice(bytes);
        loop {
            match next(part) {
                Next::More => return,
                Next::Pass(len) => self.ready.extend(part.drain(..len)),
                Next::Last(len) => {
                    correct(&mut part[..len]);
                    self.ready.append(part);
                    self.seen = Seen::Enough;
                    return;
                }
            }
        }
    }
}

/// What to do with the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Wait for more.
    More,
    /// So many pass as they are.
    Pass(usize),
    /// So many are headers, or nothing that is known here; what follows is not looked at.
    Last(usize),
}

fn next(bytes: &[u8]) -> Next {
    let begins = bytes.len().min(PREFACE.len());
    if bytes.starts_with(b"PRI") || (bytes.len() < 3 && PREFACE.starts_with(bytes)) {
        return match bytes[..begins] == PREFACE[..begins] {
            true if begins == PREFACE.len() => Next::Pass(begins),
            true => Next::More,
            false => Next::Last(0),
        };
    }
    let Some(head) = bytes.first_chunk::<FRAME_HEAD>() else { return Next::More };
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let is_known = head[3] <= 0x9 && length <= MAX_FRAME;
    match (head[3], bytes.len() >= FRAME_HEAD + length) {
        _ if !is_known => Next::Last(0),
        (HEADERS, true) => Next::Last(FRAME_HEAD + length),
        (_, true) => Next::Pass(FRAME_HEAD + length),
        (_, false) => Next::More,
    }
}

/// Puts another authority in the place of one that is a URL.
fn correct(frame: &mut [u8]) {
    if frame.len() < FRAME_HEAD {
        return;
    }
    let (head, mut block) = frame.split_at_mut(FRAME_HEAD);
    let skipped = usize::from(head[4] & PADDED != 0) + if head[4] & PRIORITY != 0 { 5 } else { 0 };
    block = block.get_mut(skipped..).unwrap_or_default();
    while let Some(field) = field(block) {
        let (this, rest) = block.split_at_mut(field.end);
        if field.name == AUTHORITY
            && let Some(value) = field.value
        {
            let is_coded = field.is_coded;
            return replace(&mut this[value..], is_coded);
        }
        block = rest;
    }
}

/// A field of headers: the number of its name (0: spelled out), where its value is, and where it ends.
struct Field {
    name: usize,
    value: Option<usize>,
    is_coded: bool,
    end: usize,
}

/// The field at the beginning.
fn field(block: &[u8]) -> Option<Field> {
    let first = *block.first()?;
    let (bits, is_literal) = match first {
        0x80.. => (7, false),
        0x40.. => (6, true),
        0x20.. => (5, false),
        _ => (4, true),
    };
    let (name, mut at) = integer(block, 0, bits)?;
    if !is_literal {
        return Some(Field { name: 0, value: None, is_coded: false, end: at });
    }
    if name == 0 {
        let (length, after) = integer(block, at, 7)?;
        at = after.checked_add(length)?;
    }
    let is_coded = block.get(at)? & 0x80 != 0;
    let (length, value) = integer(block, at, 7)?;
    let end = value.checked_add(length).filter(|end| *end <= block.len())?;
    Some(Field { name, value: Some(value), is_coded, end })
}

/// An integer with a prefix of so many bits, and where it ends.
fn integer(bytes: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(*bytes.get(at)?) & mask;
    if value < mask {
        return Some((value, at + 1));
    }
    // Three further bytes are more than any frame that is looked at has.
    for step in 0..3 {
        let byte = *bytes.get(at + 1 + step)?;
        value += usize::from(byte & 0x7f) << (7 * step);
        if byte & 0x80 == 0 {
            return Some((value, at + 2 + step));
        }
    }
    None
}

/// Overwrites a URL with zeros, as they are written.
fn replace(value: &mut [u8], is_coded: bool) {
    if !is_coded {
        if value.starts_with(b"http") && value.windows(3).any(|part| part == b"://") {
            value.fill(b'0');
        }
        return;
    }
    if value.starts_with(&HTTP_CODED) {
        // The code of `0` is five zero bits; what is left of the last byte is ones.
        value.fill(0);
        let left = (value.len() * 8) % 5;
        if let Some(last) = value.last_mut() {
            *last = (1_u8 << left) - 1;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let len = this.ready.len().min(buffer.remaining());
                buffer.put_slice(&this.ready[..len]);
                this.ready.drain(..len);
                return Poll::Ready(Ok(()));
            }
            if matches!(this.seen, Seen::Enough) {
                return Pin::new(&mut this.stream).poll_read(cx, buffer);
            }
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                this.seen = Seen::Enough;
                return Poll::Ready(Ok(()));
            }
            this.take(read.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, 4, 0, 0, 0, 1]);
        frame.extend_from_slice(payload);
        frame
    }

    /// `POST`, a path that is spelled out, and an authority.
    fn block(authority: &[u8], coded: u8) -> Vec<u8> {
        let mut block = vec![0x83, 0x44, 2, b'/', b'x', 0x41, authority.len() as u8 | coded];
        block.extend_from_slice(authority);
        block.extend([0x86, 0x00, 1, b'a', 1, b'b']);
        block
    }

    fn connection(headers: &[u8]) -> Vec<u8> {
        [PREFACE, &frame(4, &[0; 6]), &frame(HEADERS, headers), &frame(0, b"http://data")].concat()
    }

    /// What comes out when it arrives in pieces.
    fn passed(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut plain = Plain::new(());
        bytes.chunks(piece).for_each(|bytes| plain.take(bytes));
        plain.ready
    }

    #[test]
    fn a_url_becomes_an_authority_of_the_same_length_and_nothing_else_changes() {
        // `http://127.0.0.1:23990`, as the Go client writes it.
        let coded = b"\x9d\x29\xae\xe3\x0c\x04\x4e\xae\x05\xc0\xb8\x6e\x09\x97\xdf\x07";
        for (authority, is_coded) in [(&b"http://127.0.0.1:23990"[..], 0), (&coded[..], 0x80)] {
            let before = connection(&block(authority, is_coded));
            for piece in [1, 7, 24, before.len()] {
                let after = passed(&before, piece);
                let at = before.windows(authority.len()).position(|part| part == authority).unwrap();
                let changed = at..at + authority.len();
                assert_ne!(after[changed.clone()], before[changed.clone()]);
                assert_eq!((&after[..at], &after[changed.end..]), (&before[..at], &before[changed.end..]));
            }
        }
    }

    #[test]
    fn what_is_no_url_or_no_http2_passes_as_it_is() {
        for bytes in [connection(&block(b"127.0.0.1:23990", 0)), b"GET /health HTTP/1.1\r\n\r\n".to_vec()] {
            for piece in [1, 5, bytes.len()] {
                assert_eq!(passed(&bytes, piece), bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_lost_or_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..50_usize) {
            let whole = connection(&bytes);
            let after = passed(&whole, piece);
            prop_assert_eq!(after.len(), whole.len());
            prop_assert!(passed(&bytes, piece).len() <= bytes.len());
        }
    }
}
