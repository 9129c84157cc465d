//! Frames survive any split of the stream; damaged ones are refused.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::{Codec, FrameError, HEADER_LEN};
use crate::peer::frame::Body;
use crate::peer::{Failed, ForwardBatch, Frame, ReadIndex};

fn read_index(id: u64) -> Frame {
    Frame { id, body: Some(Body::ReadIndex(ReadIndex {})) }
}

fn batch(commands: Vec<Vec<u8>>) -> Frame {
    let commands = commands.into_iter().map(Bytes::from).collect();
    Frame { id: 7, body: Some(Body::ForwardBatch(ForwardBatch { commands })) }
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    Codec::default().encode(frame, &mut out).unwrap();
    out
}

fn frames() -> impl Strategy<Value = Frame> {
    let command = vec(any::<u8>(), 0..100);
    prop_oneof![
        any::<u64>().prop_map(read_index),
        vec(command, 0..5).prop_map(batch),
        any::<(u64, String)>()
            .prop_map(|(id, reason)| Frame { id, body: Some(Body::Failed(Failed { reason })) }),
    ]
}

#[test]
fn layout_is_length_then_checksum_then_body() {
    let out = encoded(&read_index(5));
    let body = [0x08, 5, 0x52, 0];
    assert_eq!(out[..4], [0, 0, 0, 4]);
    assert_eq!(out[4..8], crc32c::crc32c(&body).to_be_bytes());
    assert_eq!(out[8..], body);
}

#[test]
fn an_empty_frame_is_a_frame() {
    let mut wire = encoded(&Frame::default());
    assert_eq!(wire.len(), HEADER_LEN);
    assert_eq!(Codec::default().decode(&mut wire).unwrap(), Some(Frame::default()));
}

#[test]
fn the_longest_body_passes_and_one_byte_more_does_not() {
    let frame = batch(vec![vec![1; 50]]);
    let len = encoded(&frame).len() - HEADER_LEN;
    let mut out = BytesMut::from(&b"before"[..]);
    Codec::new(len).encode(&frame, &mut out).unwrap();
    assert_eq!(out.len(), 6 + HEADER_LEN + len);

    let mut out = BytesMut::from(&b"before"[..]);
    let refused = Codec::new(len - 1).encode(&frame, &mut out);
    assert!(matches!(refused, Err(FrameError::TooLong { len: l, max }) if l == len && max == len - 1));
    assert_eq!(out, b"before"[..]);
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_the_body_arrives() {
    let mut wire = encoded(&batch(vec![vec![1; 50]]));
    wire.truncate(HEADER_LEN);
    let capacity = wire.capacity();
    assert!(matches!(Codec::new(20).decode(&mut wire), Err(FrameError::TooLong { max: 20, .. })));
    assert_eq!(wire.capacity(), capacity, "memory was set aside for a frame that is refused");
}

#[test]
fn a_header_makes_room_for_its_body() {
    let mut wire = encoded(&batch(vec![vec![1; 100_000]]));
    let whole = wire.len();
    let mut received = BytesMut::from(&wire.split_to(HEADER_LEN)[..]);
    assert!(Codec::default().decode(&mut received).unwrap().is_none());
    assert!(received.capacity() >= whole);
}

#[test]
fn any_flipped_bit_of_the_body_is_noticed() {
    let clean = encoded(&batch(vec![b"one".to_vec(), b"two".to_vec()]));
    for bit in HEADER_LEN * 8..clean.len() * 8 {
        let mut wire = clean.clone();
        wire[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(Codec::default().decode(&mut wire), Err(FrameError::Checksum { .. })),
            "bit {bit} went unnoticed"
        );
    }
}

#[test]
fn bodies_that_are_no_frames_are_malformed() {
    // Each a mistake of its own: a cut-off varint, a length that leads out of the body, a wrong wire type,
    // bytes that are not UTF-8 in a string, the field number 0, a group that never ends.
    let corpus: [&[u8]; 6] = [
        &[0x08, 0xff],
        &[0x62, 0x7f, 1],
        &[0x0d, 1, 2, 3, 4],
        &[0xba, 0x01, 3, 0x0a, 1, 0xff],
        &[0x00, 0x00],
        &[0x0b],
    ];
    for body in corpus {
        let mut wire = BytesMut::new();
        wire.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
        wire.extend_from_slice(body);
        let decoded = Codec::default().decode(&mut wire);
        assert!(matches!(decoded, Err(FrameError::Malformed(_))), "{body:02x?} gave {decoded:?}");
    }
}

#[test]
fn a_message_from_a_newer_replica_is_a_frame_without_a_body() {
    let body = [0x08, 9, 0xc2, 0x3e, 2, 0x08, 1];
    let mut wire = BytesMut::new();
    wire.extend_from_slice(&7u32.to_be_bytes());
    wire.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    wire.extend_from_slice(&body);
    assert_eq!(Codec::default().decode(&mut wire).unwrap(), Some(Frame { id: 9, body: None }));
}

proptest! {
    #[test]
    fn frames_survive_any_splitting_of_the_stream(
        sent in vec(frames(), 1..6),
        pieces in vec(1usize..40, 1..20),
    ) {
        let codec = Codec::default();
        let mut wire = BytesMut::new();
        for frame in &sent {
            codec.encode(frame, &mut wire).unwrap();
        }
        let mut buffer = BytesMut::new();
        let mut received = Vec::new();
        let mut sizes = pieces.iter().cycle();
        while !wire.is_empty() {
            let size = sizes.next().copied().unwrap_or(1).min(wire.len());
            buffer.extend_from_slice(&wire.split_to(size));
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                received.push(frame);
            }
        }
        assert_eq!(received, sent);
        assert!(buffer.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let mut buffer = BytesMut::from(bytes.as_slice());
        while let Ok(Some(_)) = Codec::new(1000).decode(&mut buffer) {}
    }

    #[test]
    fn arbitrary_bodies_with_a_right_checksum_never_panic(body in vec(any::<u8>(), 0..300)) {
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        buffer.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
        buffer.extend_from_slice(&body);
        let decoded = Codec::default().decode(&mut buffer);
        assert!(matches!(decoded, Ok(Some(_)) | Err(FrameError::Malformed(_))));
    }
}
