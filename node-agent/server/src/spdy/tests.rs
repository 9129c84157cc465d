//! Bytes on the wire, and whatever else may come.

use proptest::prelude::*;

use super::*;

fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Frame>, SpdyError> {
    decoder.buffer().extend_from_slice(bytes);
    std::iter::from_fn(|| decoder.next().transpose()).collect()
}

fn all(bytes: &[u8]) -> Result<Vec<Frame>, SpdyError> {
    decode(&mut Decoder::new(), bytes)
}

#[test]
fn frames_of_a_client_are_these_bytes() {
    let mut encoder = Encoder::default();
    assert_eq!(
        encoder.open(StreamId(1), &[("streamtype", "error")]),
        b"\x80\x03\x00\x01\0\0\0\x31\0\0\0\x01\0\0\0\0\0\0\x78\x01\x00\x1b\x00\xe4\xff\0\0\0\x01\0\0\0\x0astreamtype\
          \0\0\0\x05error\0\0\0\xff\xff"
    );
    assert_eq!(encoder.data(StreamId(3), b"hi", false), b"\0\0\0\x03\0\0\0\x02hi");
    assert_eq!(encoder.data(StreamId(3), b"", true), b"\0\0\0\x03\x01\0\0\0");
    assert_eq!(encoder.ping(2), b"\x80\x03\x00\x06\0\0\0\x04\0\0\0\x02");
}

#[test]
fn contents_longer_than_a_frame_go_in_several() {
    let contents = vec![7; 0x100_0001];
    let bytes = Encoder::default().data(StreamId(1), &contents, true);
    assert_eq!(bytes.len(), contents.len() + 2 * HEAD);
    let frames = all(&bytes).unwrap();
    let Frame::Data { is_last, contents: last, .. } = frames.last().unwrap() else { panic!("{frames:?}") };
    assert_eq!((*is_last, last.len()), (true, 2));
}

#[test]
fn frames_of_a_server_are_understood() {
    let bytes = b"\x80\x03\x00\x02\0\0\0\x14\0\0\0\x05\x78\xf9\xe3\xc6\xa7\xc2\x02\xa6\x23\x06\x00\x00\x00\x00\xff\xff\
        \0\0\0\x05\x00\0\0\x02ok\
        \0\0\0\x05\x01\0\0\x00\
        \x80\x03\x00\x03\0\0\0\x08\0\0\0\x01\0\0\0\x05\
        \x80\x03\x00\x06\0\0\0\x04\0\0\0\x04\
        \x80\x03\x00\x09\0\0\0\x08\0\0\0\x05\0\0\0\x01\
        \x80\x03\x00\x07\0\0\0\x08\0\0\0\x05\0\0\0\x00";
    let stream = StreamId(5);
    let expected = [
        Frame::Reply { stream, is_last: false },
        Frame::Data { stream, contents: (&b"ok"[..]).into(), is_last: false },
        Frame::Data { stream, contents: (&b""[..]).into(), is_last: true },
        Frame::Reset { stream: StreamId(1) },
        Frame::Ping(4),
        Frame::Other,
        Frame::GoAway,
    ];
    assert_eq!(all(bytes).unwrap(), expected);
}

#[test]
fn contents_are_handed_on_before_the_frame_is_whole() {
    let mut decoder = Decoder::new();
    let frames = decode(&mut decoder, b"\0\0\0\x05\x01\xff\xff\xffabc").unwrap();
    let stream = StreamId(5);
    assert_eq!(frames, [Frame::Data { stream, contents: (&b"abc"[..]).into(), is_last: false }]);
    assert_eq!(decode(&mut decoder, b"").unwrap(), []);
}

#[test]
fn what_is_out_of_bounds_is_refused_at_its_head() {
    assert_eq!(all(b"\x80\x02\x00\x01\0\0\0\0"), Err(SpdyError::Version(2)));
    assert_eq!(all(b"\x80\x03\x00\x02\0\xff\xff\xff"), Err(SpdyError::TooLong(0xff_ffff)));
    assert_eq!(all(b"\x80\x03\x00\x06\0\0\0\0"), Err(SpdyError::TooShort(6)));
    assert_eq!(
        all(b"HTTP/1.1 400 Bad Request\r\n\r\n").map(|_| ()),
        Ok(()),
        "it looks like a long data frame"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm_and_are_not_held(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32),
    ) {
        let mut decoder = Decoder::new();
        for piece in pieces {
            if decode(&mut decoder, &piece).is_err() {
                return Ok(());
            }
            prop_assert!(decoder.buffer().len() <= decode::MAX_CONTROL + HEAD);
        }
    }

    #[test]
    fn frames_are_the_same_however_their_bytes_are_cut(
        contents in prop::collection::vec((1..8_u32, prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..6),
        cut in 1..20_usize,
    ) {
        let encoder = Encoder::default();
        let frame = |(stream, contents, is_last): &(u32, Vec<u8>, bool)| {
            encoder.data(StreamId(*stream), contents, *is_last)
        };
        let bytes: Vec<u8> = contents.iter().flat_map(frame).chain(encoder.ping(9)).collect();
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for piece in bytes.chunks(cut) {
            frames.extend(decode(&mut decoder, piece).unwrap());
        }
        prop_assert_eq!(frames.pop(), Some(Frame::Ping(9)));
        // Pieces of one frame are put together again: a piece begins another frame when the last one is whole.
        let lengths: Vec<usize> = contents.iter().map(|(_, contents, _)| contents.len()).collect();
        let mut got: Vec<(u32, Vec<u8>, bool)> = Vec::new();
        for frame in frames {
            let Frame::Data { stream, contents, is_last } = frame else { panic!("{frame:?}") };
            let is_whole = got.last().is_none_or(|(_, got_so_far, _)| got_so_far.len() == lengths[got.len() - 1]);
            if is_whole {
                got.push((stream.0, Vec::new(), false));
            }
            let last = got.last_mut().unwrap();
            last.1.extend_from_slice(&contents);
            last.2 |= is_last;
        }
        prop_assert_eq!(got, contents);
    }
}
