//! What is encoded comes back, keeps its order, and never changes; foreign bytes are errors, not panics.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    auth::Auth,
    command::{AuthCommand, Caller, Command, KeyRange, Op, PutRequest, Txn},
    id::{AuthRevision, ChangeId, LeaseId, LogIndex, LogPosition, Revision, Term},
};

fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => 0..3_u8, 1 => 254..=255_u8, 1 => any::<u8>()], 0..6)
}

fn change_id() -> impl Strategy<Value = ChangeId> {
    let number = prop_oneof![0..3_u64, any::<u64>()];
    (number, prop_oneof![0..3_u32, any::<u32>()])
        .prop_map(|(revision, sub)| ChangeId { revision: Revision::new(revision), sub })
}

fn full_key(key: &[u8], id: ChangeId) -> Vec<u8> {
    record_key(record_prefix(key), id)
}

proptest! {
    #[test]
    fn records_are_ordered_by_key_and_then_newest_first(a in key(), b in key(), x in change_id(), y in change_id()) {
        let expected = a.cmp(&b).then(y.cmp(&x));
        prop_assert_eq!(full_key(&a, x).cmp(&full_key(&b, y)), expected);
    }

    #[test]
    fn a_record_key_comes_apart_again(key in key(), id in change_id()) {
        let bytes = full_key(&key, id);
        let (prefix, found) = split_record_key(&bytes).unwrap();
        prop_assert_eq!(found, id);
        prop_assert_eq!(&unescape(prefix).unwrap()[..], &key[..]);
    }

    #[test]
    fn all_records_of_a_key_share_their_prefix_and_nothing_else_does(key in key(), id in change_id(), cut in 0..20_usize) {
        let prefix = record_prefix(&key);
        let full = full_key(&key, id);
        prop_assert_eq!(shared_prefix(&prefix), Some(&prefix[..]));
        prop_assert_eq!(shared_prefix(&full), Some(&prefix[..]));
        let cut = &prefix[..prefix.len().saturating_sub(cut + 1)];
        prop_assert_eq!(shared_prefix(cut), None);
    }

    #[test]
    fn no_key_lies_among_the_records_of_another(a in key(), b in key(), id in change_id()) {
        prop_assume!(a != b);
        let prefix = record_prefix(&a);
        let other = full_key(&b, id);
        prop_assert!(other < prefix || other >= first_past(&prefix));
        prop_assert!(!other.starts_with(&prefix));
        prop_assert!(full_key(&a, id) < first_past(&prefix));
    }

    #[test]
    fn bounds_hold_exactly_the_records_of_a_range(start in key(), end in key(), key in key(), id in change_id()) {
        let [first, last] = [start, end].map(Bytes::from);
        let ranges = [
            KeyRange::Single(first.clone()),
            KeyRange::Span { start: first.clone(), end: last },
            KeyRange::From(first),
        ];
        for range in ranges {
            let bounds = KeyBounds::of(&range);
            let record = full_key(&key, id);
            prop_assert_eq!(record >= bounds.start && !bounds.ends_before(&record), range.contains(&key));
            let (start, end) = range.span();
            let in_span = start <= key && end.is_none_or(|end| key < end);
            prop_assert_eq!(in_span, range.contains(&key));
        }
    }

    #[test]
    fn foreign_bytes_are_errors_and_not_panics(bytes in vec(any::<u8>(), 0..80)) {
        // What does decode must be what was encoded: no two encodings of one thing.
        if let Ok((prefix, id)) = split_record_key(&bytes)
            && let Ok(key) = unescape(prefix)
        {
            prop_assert_eq!(full_key(&key, id), &bytes[..]);
        }
        if let Ok(Record::Version { create_revision, version, lease, value }) = decode_record(&bytes) {
            prop_assert_eq!(encode_version(create_revision, version, lease, value), &bytes[..]);
        }
        if let Ok(id) = decode_change_key(&bytes) {
            prop_assert_eq!(&change_key(id)[..], &bytes[..]);
        }
        if let Ok(change) = decode_change(&bytes) {
            prop_assert_eq!(encode_change(change), &bytes[..]);
        }
        if let Ok(id) = decode_lease_id(&bytes) {
            prop_assert_eq!(&lease_id_key(id)[..], &bytes[..]);
        }
        if let Ok(ttl_seconds) = decode_lease(&bytes) {
            prop_assert_eq!(encode_lease(ttl_seconds), &bytes[..]);
        }
        if let Ok((id, key)) = decode_lease_key(&bytes) {
            prop_assert_eq!(lease_key(id, &key), &bytes[..]);
        }
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert_eq!(header.encode(), &bytes[..]);
        }
        let membership = Bytes::from(bytes.clone());
        if let Ok(inner) = decode_membership(&membership) {
            prop_assert_eq!(encode_membership(&inner), &bytes[..]);
        }
        // A command's numbers have more than one encoding; decoding must only not panic.
        Command::decode(&Bytes::copy_from_slice(&bytes)).ok();
        decode_auth(&bytes).ok();
        let with_caller = [&[2], &bytes[..]].concat();
        Command::decode(&with_caller.into()).ok();
    }

    #[test]
    fn a_damaged_command_is_an_error_and_not_a_panic(cut in 0..40_usize, at in 0..40_usize, bit in 0..8_u8) {
        let put = PutRequest { key: "key".into(), value: "value".into(), ..PutRequest::default() };
        let command = Command::Txn(Txn { success: vec![Op::Put(put)], ..Txn::default() });
        let mut bytes = command.encode().to_vec();
        prop_assert_eq!(Command::decode(&Bytes::copy_from_slice(&bytes)).unwrap(), (Caller::Anyone, command));
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len().saturating_sub(cut));
        Command::decode(&bytes.into()).ok();
    }
}

#[test]
fn layouts_are_as_they_have_always_been() {
    let id = ChangeId { revision: Revision::new(2), sub: 1 };
    let key = full_key(b"a\0", id);
    assert_eq!(key, b"a\0\xff\0\x01\xff\xff\xff\xff\xff\xff\xff\xfd\xff\xff\xff\xfe");
    let version = encode_version(Revision::new(2), 3, LeaseId::new(4), b"v");
    assert_eq!(version, b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04v");
    let change = ChangeRecord { kind: ChangeKind::Delete, previous: Some(id), key: b"k" };
    assert_eq!(encode_change(change), b"\x02\0\0\0\0\0\0\0\x02\0\0\0\x01k");
    assert_eq!(encode_lease(60), b"\x01\0\0\0\x3c");
    assert_eq!(lease_key(LeaseId::new(1), b"k"), b"\0\0\0\0\0\0\0\x01k");
    let at = LogPosition { term: Term::new(1), index: LogIndex::new(2) };
    let header = Header {
        applied: Some(at),
        revision: Revision::new(5),
        compacted: Revision::new(4),
        swept: ChangeId { revision: Revision::new(3), sub: 6 },
        hash: 7,
    };
    assert_eq!(encode_auth(&Auth::default()), b"\x01\0\x01\0\0\0");
    assert_eq!(Command::LeaseRevoke(LeaseId::new(1)).encode(), &b"\x01\x03\x02"[..]);
    let caller = Caller::User { name: "u".to_owned(), revision: AuthRevision::new(3) };
    let by_user = Command::LeaseRevoke(LeaseId::new(1)).encode_for(&caller);
    assert_eq!(by_user, &b"\x02\x02\x01u\x03\x03\x02"[..]);
    assert_eq!(Command::Auth(AuthCommand::Disable).encode(), &b"\x02\0\x04\x01"[..]);
    let numbers = [1_u64, 2, 5, 4, 3].map(u64::to_be_bytes).concat();
    let expected = [&[1, 1][..], &numbers, &6_u32.to_be_bytes(), &7_u64.to_be_bytes()].concat();
    assert_eq!(header.encode(), expected);
}

#[test]
fn a_layout_from_the_future_is_too_new_and_not_damaged() {
    let too_new = |error: EngineError| matches!(error, EngineError::TooNew { found: 9, .. });
    assert!(decode_record(&[9]).is_err_and(too_new));
    assert!(decode_change(&[9]).is_err_and(too_new));
    assert!(decode_lease(&[9]).is_err_and(too_new));
    assert!(Header::decode(&[9]).is_err_and(too_new));
    assert!(decode_membership(&Bytes::from_static(&[9])).is_err_and(too_new));
    assert!(Command::decode(&Bytes::from_static(&[9])).is_err_and(too_new));
    assert!(decode_auth(&[9]).is_err_and(too_new));
    assert!(decode_record(&[0]).is_err_and(|error| matches!(error, EngineError::Corrupt { .. })));
}

#[test]
fn a_header_that_contradicts_itself_is_damaged() {
    let swept = ChangeId::last_of(Revision::ZERO);
    let ahead = Header { compacted: Revision::new(9), revision: Revision::new(8), swept, ..Header::FRESH };
    assert!(Header::decode(&ahead.encode()).is_err());
    let unswept = Header { swept: ChangeId::first_of(Revision::new(1)), ..Header::FRESH };
    assert!(Header::decode(&unswept.encode()).is_err());
    assert_eq!(Header::decode(&Header::FRESH.encode()).unwrap(), Header::FRESH);
}
