//! Keys and values of a command share its memory: neither is copied when the command is read.
//!
//! In: the bytes of a command, and a part of them. Out: that part as [`Bytes`] of the same allocation. On the wire and on the
//! disk it is what `bytes` itself makes of it.
//!
//! Deliberately absent: forms that lend no bytes. Commands are read from bincode alone ([`super::codec`]).

use std::{cell::RefCell, fmt};

use bytes::Bytes;
use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};

thread_local! {
    /// What is being read on this thread.
    static SOURCE: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// Forgets the source, also after a panic.
struct Reading;

impl Drop for Reading {
    fn drop(&mut self) {
        SOURCE.take();
    }
}

/// Reads with parts that share the memory of `source`.
pub(super) fn reading<T>(source: &Bytes, read: impl FnOnce() -> T) -> T {
    SOURCE.set(source.clone());
    let _reading = Reading;
    read()
}

pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_bytes(Part)
}

struct Part;

impl<'de> Visitor<'de> for Part {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, part: &'de [u8]) -> Result<Bytes, E> {
        Ok(SOURCE.with_borrow(|source| part_of(source, part)))
    }
}

fn part_of(source: &Bytes, part: &[u8]) -> Bytes {
    let lies_within = source.as_ptr_range().contains(&part.as_ptr());
    if lies_within && !part.is_empty() { source.slice_ref(part) } else { Bytes::copy_from_slice(part) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Op, PutRequest, Txn};

    #[test]
    fn what_is_read_shares_the_memory_of_its_command() {
        let value = "v".repeat(300);
        let put = PutRequest { key: "key".into(), value: value.into(), ..PutRequest::default() };
        let command = Command::Txn(Txn { success: vec![Op::Put(put)], ..Txn::default() });
        let bytes = command.encode();
        let (_, read) = Command::decode(&bytes).unwrap();
        assert_eq!(read, command);
        let Command::Txn(Txn { success, .. }) = read else { panic!("{read:?}") };
        let [Op::Put(put)] = &success[..] else { panic!("{success:?}") };
        assert!(bytes.as_ptr_range().contains(&put.key.as_ptr()));
        assert!(bytes.as_ptr_range().contains(&put.value.as_ptr()));
        assert!(SOURCE.take().is_empty(), "it holds nothing afterwards");
    }

    #[test]
    fn what_lies_elsewhere_is_copied() {
        let source = Bytes::from_static(b"source");
        let part = part_of(&source, b"elsewhere");
        assert_eq!(part, b"elsewhere"[..]);
        assert_eq!(part_of(&source, &source[6..]), b""[..]);
    }
}
