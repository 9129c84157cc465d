//! What peers and clients send.

use bytes::BytesMut;
use keelson_proto::{
    etcd::rpc,
    frame::Codec,
    peer::{Frame, frame::Body},
};
use keelson_store::peer::wire;
use prost::Message;

/// Longer than any input here.
const MAX_FRAME: usize = 1 << 20;

/// However bytes arrive, the same frames come out, or the same refusal.
pub(crate) fn frame(input: &[u8]) {
    let whole = frames(&[input]);
    let pieces: Vec<&[u8]> = input.chunks(7).collect();
    assert_eq!(frames(&pieces), whole, "it depends on how the bytes came");
}

/// The frames in the pieces, and whether it went wrong behind them.
fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
    let (codec, mut buffer, mut frames) = (Codec::new(MAX_FRAME), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

/// A peer's message means something, or is refused.
pub(crate) fn message(input: &[u8]) {
    let Ok(frame) = Frame::decode(input) else { return };
    let again = Frame::decode(&frame.encode_to_vec()[..]).expect("what was read can be read again");
    assert_eq!(again, frame);
    match frame.body {
        Some(Body::AppendRequest(request)) => drop(wire::append(request)),
        Some(Body::AppendReply(reply)) => drop(wire::append_result(reply)),
        Some(Body::VoteRequest(request)) => drop(wire::vote_request(request)),
        Some(Body::VoteReply(reply)) => drop(wire::vote_reply(reply)),
        Some(Body::TransferLeader(request)) => drop(wire::transfer(request)),
        Some(Body::TransferLeaderReply(reply)) => drop(wire::transfer_reply(reply)),
        Some(Body::SnapshotBegin(begin)) => {
            drop(wire::vote(begin.vote));
            drop(begin.meta.map(wire::snapshot_meta));
        }
        // The others are plain words, or read where they are served.
        Some(_) | None => {}
    }
}

/// A client's request that is read is written as it is read.
pub(crate) fn request(input: &[u8]) {
    stable::<rpc::RangeRequest>(input);
    stable::<rpc::PutRequest>(input);
    stable::<rpc::DeleteRangeRequest>(input);
    stable::<rpc::TxnRequest>(input);
    stable::<rpc::WatchRequest>(input);
    stable::<rpc::LeaseGrantRequest>(input);
    stable::<rpc::MemberAddRequest>(input);
}

fn stable<M: Message + Default + PartialEq>(input: &[u8]) {
    let Ok(request) = M::decode(input) else { return };
    let again = M::decode(&request.encode_to_vec()[..]).expect("what was read can be read again");
    assert!(again == request, "it is written otherwise");
}
