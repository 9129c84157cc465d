//! Keys and values of the state.

use bytes::Bytes;
use keelson_store_core::schema;

/// No row makes a decoder panic, and what is decoded is encoded as it was.
pub(crate) fn row(input: &[u8]) {
    if let Ok(id) = schema::decode_change_key(input) {
        assert_eq!(schema::change_key(id), input);
    }
    if let Ok(change) = schema::decode_change(input) {
        assert_eq!(schema::encode_change(change), input);
    }
    if let Ok((prefix, id)) = schema::split_record_key(input) {
        assert_eq!(schema::record_key(prefix.to_vec(), id), input);
        let shared = schema::shared_prefix(input).expect("a key of a record has an end mark");
        assert!(prefix.starts_with(shared));
        if let Ok(key) = schema::unescape(prefix) {
            assert_eq!(schema::record_prefix(&key), prefix);
        }
    }
    if let Ok(id) = schema::decode_lease_id(input) {
        assert_eq!(schema::lease_id_key(id), input);
    }
    if let Ok(ttl) = schema::decode_lease(input) {
        assert_eq!(schema::encode_lease(ttl), input);
    }
    if let Ok((id, key)) = schema::decode_lease_key(input) {
        assert_eq!(schema::lease_key(id, &key), input);
    }
    if let Ok(auth) = schema::decode_auth(input) {
        let written = schema::encode_auth(&auth);
        let again = schema::decode_auth(&written).expect("what was read can be read again");
        assert_eq!(schema::encode_auth(&again), written);
    }
    // What these hold is looked at by whoever asked.
    let _ = schema::decode_record(input);
    let _ = schema::decode_membership(&Bytes::copy_from_slice(input));
}
