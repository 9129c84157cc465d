//! The replies of a watch stream, built. Pure.

use keelson_proto::etcd::{
    kv::Event,
    rpc::{ResponseHeader, WatchResponse},
};
use keelson_store_core::{
    command::CommandError,
    id::Revision,
    mutant::{self, Mutant},
};
use prost::Message as _;
use tonic::Status;

use crate::grpc::{convert, error::MAX_REQUEST_BYTES};

/// The watch id of replies that are not about one watch.
pub(super) const WHOLE_STREAM: i64 = -1;

/// How many bytes of events one reply holds, unless a single revision has more.
const REPLY_BYTES: usize = 1 << 20;
/// From how many bytes on a reply is fragmented, where the client allows it: as etcd, its request limit and
/// some more.
const FRAGMENT_BYTES: usize = MAX_REQUEST_BYTES + (512 << 10);

/// A watch was created.
pub(super) fn created(header: ResponseHeader, id: i64) -> WatchResponse {
    WatchResponse { header: Some(header), watch_id: id, created: true, ..Default::default() }
}

/// A watch was not created.
pub(super) fn refused(header: ResponseHeader, reason: String) -> WatchResponse {
    WatchResponse { canceled: true, cancel_reason: reason, ..created(header, WHOLE_STREAM) }
}

/// A watch has ended because its client may not see what comes next.
pub(super) fn ended(header: ResponseHeader, id: i64, reason: String) -> WatchResponse {
    WatchResponse { cancel_reason: reason, ..canceled(header, id) }
}

/// Why a watch is denied, in etcd's words: those of its programming language for a status.
pub(super) fn denial(status: &Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}

/// The client has canceled a watch.
pub(super) fn canceled(header: ResponseHeader, id: i64) -> WatchResponse {
    WatchResponse { header: Some(header), watch_id: id, canceled: true, ..Default::default() }
}

/// A watch has ended because what it needs next is no longer there.
pub(super) fn compacted(header: ResponseHeader, id: i64, compacted: Revision) -> WatchResponse {
    WatchResponse {
        compact_revision: convert::signed(compacted.get()),
        cancel_reason: CommandError::Compacted { compacted }.to_string(),
        ..canceled(header, id)
    }
}

/// A watch, or every watch of the stream, is complete up to the header's revision.
pub(super) fn progress(header: ResponseHeader, id: i64) -> WatchResponse {
    WatchResponse { header: Some(header), watch_id: id, ..Default::default() }
}

/// The replies that carry events, still without headers; beside each the last revision in it.
///
/// That revision belongs into the header: a client that goes on behind it misses nothing, whatever else the
/// store has seen by then. No revision is split, but for one that is too large, and only where the client
/// allows it.
pub(super) fn events(
    id: i64,
    revisions: Vec<(Revision, Vec<Event>)>,
    fragment: bool,
) -> Vec<(Revision, WatchResponse)> {
    let reply = |events| WatchResponse { watch_id: id, events, ..Default::default() };
    let mut replies = Vec::new();
    for (revision, events) in gather(revisions) {
        match fragment {
            true => replies.extend(fragments(reply(events)).into_iter().map(|part| (revision, part))),
            false => replies.push((revision, reply(events))),
        }
    }
    replies
}

/// Joins consecutive revisions as long as they are small.
fn gather(revisions: Vec<(Revision, Vec<Event>)>) -> Vec<(Revision, Vec<Event>)> {
    let mut gathered: Vec<(Revision, Vec<Event>)> = Vec::new();
    let mut bytes = 0;
    for (revision, events) in revisions {
        let len = events.iter().map(event_len).sum::<usize>();
        match gathered.last_mut() {
            Some((last, joined)) if bytes + len <= REPLY_BYTES && !mutant::is(Mutant::SplitRevision) => {
                *last = revision;
                joined.extend(events);
                bytes += len;
            }
            Some(_) | None => {
                gathered.push((revision, events));
                bytes = len;
            }
        }
    }
    gathered
}

/// Splits a reply that is too large between its events; all parts but the last one say that more follows.
fn fragments(whole: WatchResponse) -> Vec<WatchResponse> {
    if whole.encoded_len() < FRAGMENT_BYTES {
        return vec![whole];
    }
    let watch_id = whole.watch_id;
    let part = |events| WatchResponse { watch_id, fragment: true, events, ..Default::default() };
    let mut parts = vec![part(Vec::new())];
    let mut bytes = 0;
    for event in whole.events {
        let len = event_len(&event);
        if bytes > 0 && bytes + len >= FRAGMENT_BYTES {
            parts.push(part(Vec::new()));
            bytes = 0;
        }
        bytes += len;
        parts.last_mut().expect("there is always a part").events.push(event);
    }
    parts.last_mut().expect("there is always a part").fragment = false;
    parts
}

/// What an event takes in a reply: its bytes, its field number and its length.
fn event_len(event: &Event) -> usize {
    let len = event.encoded_len();
    1 + prost::length_delimiter_len(len) + len
}

#[cfg(test)]
mod tests {
    use keelson_proto::etcd::kv::KeyValue;

    use super::*;

    fn event(bytes: usize) -> Event {
        let kv = KeyValue { key: "k".into(), value: vec![7; bytes].into(), ..Default::default() };
        Event { kv: Some(kv), ..Default::default() }
    }

    fn revision(number: u64, events: Vec<Event>) -> (Revision, Vec<Event>) {
        (Revision::new(number), events)
    }

    /// The last revision, number of events and fragment mark of each reply.
    fn shape(replies: &[(Revision, WatchResponse)]) -> Vec<(u64, usize, bool)> {
        replies.iter().map(|(revision, r)| (revision.get(), r.events.len(), r.fragment)).collect()
    }

    #[test]
    fn small_revisions_share_a_reply() {
        let revisions = vec![revision(5, vec![event(10)]), revision(6, vec![event(10), event(20)])];
        assert_eq!(shape(&events(3, revisions, false)), [(6, 3, false)]);
    }

    #[test]
    fn replies_are_cut_between_revisions() {
        let revisions = vec![
            revision(5, vec![event(600 << 10)]),
            revision(6, vec![event(600 << 10), event(10)]),
            revision(7, vec![event(10)]),
            revision(8, vec![event(900 << 10)]),
        ];
        let replies = events(3, revisions, false);
        assert_eq!(shape(&replies), [(5, 1, false), (7, 3, false), (8, 1, false)]);
        assert!(replies.iter().all(|(_, reply)| reply.watch_id == 3));
    }

    #[test]
    fn a_large_revision_stays_whole_unless_the_client_takes_fragments() {
        let large =
            || vec![revision(5, (0..5).map(|_| event(1 << 20)).collect()), revision(6, vec![event(1)])];
        assert_eq!(shape(&events(3, large(), false)), [(5, 5, false), (6, 1, false)]);

        let replies = events(3, large(), true);
        let expected = [(5, 1, true), (5, 1, true), (5, 1, true), (5, 1, true), (5, 1, false), (6, 1, false)];
        assert_eq!(shape(&replies), expected);
        assert!(replies.iter().all(|(_, reply)| reply.encoded_len() < FRAGMENT_BYTES));
    }

    #[test]
    fn an_event_that_is_too_large_by_itself_is_a_fragment_of_its_own() {
        let huge = vec![revision(5, vec![event(10), event(3 << 20), event(10)])];
        assert_eq!(shape(&events(3, huge, true)), [(5, 1, true), (5, 1, true), (5, 1, false)]);
    }

    #[test]
    fn event_lengths_add_up() {
        let reply = WatchResponse { events: vec![event(100), event(20_000)], ..Default::default() };
        let lengths: usize = reply.events.iter().map(event_len).sum();
        assert_eq!(reply.encoded_len(), lengths);
    }
}
