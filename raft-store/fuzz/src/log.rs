//! What lies in the log and beside it.

use bytes::Bytes;
use keelson_store::record::{
    self, MembershipRecord, Record, SnapshotRecord, VoteRecord, decode_entry, encode_entry,
};
use keelson_store_core::{
    apply::StateMachine,
    command::{Command, Outcome},
    engine::{Disk as _, Role, mem::MemDisk},
    id::{LogIndex, LogPosition, Term},
};
use keelson_store_log::{
    record::HEADER_BYTES,
    scan::{Position, scan},
};

/// The index under which entries are looked for.
const INDEX: LogIndex = LogIndex::new(5);

/// A command that is read is written as it was, and any state can apply it: what is wrong with it is an outcome.
pub(crate) fn command(input: &[u8]) {
    let Ok((caller, command)) = Command::decode(&Bytes::copy_from_slice(input)) else { return };
    let again = Command::decode(&command.encode_for(&caller)).expect("what was read can be read again");
    assert_eq!(again, (caller.clone(), command.clone()));
    let engine = MemDisk::new().open("state", Role::State).expect("an empty disk in memory opens");
    let mut machine = StateMachine::open(engine).expect("an empty state opens");
    for index in 0..2 {
        let mut batch = machine.begin();
        let at = LogPosition { term: Term::new(1), index: LogIndex::new(index) };
        let outcome = batch.command_for(at, &caller, command.clone());
        assert!(outcome.is_ok(), "a command must not stop a replica: {outcome:?}");
        batch.commit().expect("a disk in memory without faults is written");
    }
}

/// An entry that is read is written as it was.
pub(crate) fn entry(input: &[u8]) {
    let Ok(entry) = decode_entry(INDEX, &Bytes::copy_from_slice(input)) else { return };
    let again = decode_entry(INDEX, &encode_entry(&entry)).expect("what was read can be read again");
    assert_eq!(again, entry);
}

/// What is found in a segment lies in it, each record behind the one before it, and is what its bytes say.
pub(crate) fn segment(input: &[u8]) {
    for position in [Position::Last, Position::Sealed] {
        let Ok(found) = scan(input, position) else { continue };
        let mut end = 0;
        for pair in found.records.windows(2) {
            assert_eq!(pair[0].header.sequence.next(), pair[1].header.sequence);
        }
        for record in found.records {
            assert_eq!(record.offset, end);
            end += record.header.record_len();
            let body = &input[record.offset + HEADER_BYTES..end];
            assert_eq!(keelson_store_log::record::decode(&record.header, body), Some(record.ops));
        }
        assert_eq!(found.end, end);
        assert_eq!(found.opening.bytes, input.len() as u64);
    }
}

/// A record that is read is written so that it is read as the same one.
pub(crate) fn record(input: &[u8]) {
    round_trip::<MembershipRecord>(input);
    round_trip::<SnapshotRecord>(input);
    round_trip::<VoteRecord>(input);
    round_trip::<Outcome>(input);
}

fn round_trip<T: Record>(input: &[u8]) {
    let Ok(found) = record::decode::<T>("record", input) else { return };
    let written = record::encode(&found);
    let again: T = record::decode("record", &written).expect("what was read can be read again");
    assert_eq!(record::encode(&again), written);
}
