//! What can be read of the store, as one number: replicas that answer alike have the same.
//!
//! In: a view and a revision. Out: a hash over every version that a read at or above the compacted revision
//! may see. How far the sweep has come does not show in it.
//!
//! Deliberately absent: leases, and versions above the revision. For all that was ever applied there is the
//! rolling hash of the [`Header`].

use xxhash_rust::xxh3::Xxh3;

use super::range::check_revision;
use crate::{
    command::CommandError,
    engine::{EngineError, Family, Read},
    id::Revision,
    schema::{self, Header, Record},
};

/// The number, and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentsHash {
    /// The hash.
    pub hash: u64,
    /// The oldest revision that can be read.
    pub compacted: Revision,
    /// The newest revision in it.
    pub at: Revision,
}

/// Hashes what can be read at revisions up to `at`; 0 means the newest. `header` and `read` are from the same
/// moment.
///
/// The outer error is the engine's; the inner one answers the client.
pub fn contents_hash(
    read: &dyn Read,
    header: &Header,
    at: Revision,
) -> Result<Result<ContentsHash, CommandError>, EngineError> {
    if let Err(refused) = check_revision(header, at) {
        return Ok(Err(refused));
    }
    let at = if at.is_zero() { header.revision } else { at };
    let mut hash = Xxh3::new();
    let mut key = KeyInHand::default();
    let mut cursor = read.cursor(Family::Keys);
    cursor.seek(&[])?;
    while let Some((record_key, value)) = cursor.entry() {
        let (prefix, id) = schema::split_record_key(record_key)?;
        key.turn_to(prefix);
        if id.revision <= at && key.shows(id.revision, header.compacted, value)? {
            hash.update(&(record_key.len() as u64).to_be_bytes());
            hash.update(record_key);
            hash.update(&(value.len() as u64).to_be_bytes());
            hash.update(value);
        }
        cursor.next()?;
    }
    Ok(Ok(ContentsHash { hash: hash.digest(), compacted: header.compacted, at }))
}

/// The key whose versions are being walked, newest first.
#[derive(Default)]
struct KeyInHand {
    prefix: Vec<u8>,
    /// The version that a read at the compacted revision sees has passed: older ones cannot be read.
    done: bool,
}

impl KeyInHand {
    fn turn_to(&mut self, prefix: &[u8]) {
        if self.prefix != prefix {
            self.prefix.clear();
            self.prefix.extend_from_slice(prefix);
            self.done = false;
        }
    }

    /// Whether this version may be read. A deletion at or below the compacted revision may have been swept
    /// away, and reads like a key that never was.
    fn shows(&mut self, made: Revision, compacted: Revision, value: &[u8]) -> Result<bool, EngineError> {
        if self.done {
            return Ok(false);
        }
        if made > compacted {
            return Ok(true);
        }
        self.done = true;
        Ok(schema::decode_record(value)? != Record::Deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apply::StateMachine,
        command::{Command, DeleteRangeRequest, KeyRange, Op, PutRequest, Txn},
        compact,
        engine::{Disk as _, Role, mem::MemDisk},
        id::{LogPosition, Term},
    };

    fn machine() -> StateMachine {
        StateMachine::open(MemDisk::new().open("state", Role::State).unwrap()).unwrap()
    }

    fn run(machine: &mut StateMachine, commands: Vec<Command>) {
        for command in commands {
            let index = machine.header().next_index();
            let mut batch = machine.begin();
            batch.command(LogPosition { term: Term::new(1), index }, command).unwrap().unwrap();
            batch.commit().unwrap();
        }
    }

    fn one(op: Op) -> Command {
        Command::Txn(Txn { success: vec![op], ..Txn::default() })
    }

    fn put(key: &'static str, value: &'static str) -> Command {
        one(Op::Put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() }))
    }

    fn delete(key: &'static str) -> Command {
        one(Op::DeleteRange(DeleteRangeRequest { range: KeyRange::Single(key.into()), prev_kv: false }))
    }

    fn hash(machine: &StateMachine, at: u64) -> ContentsHash {
        let (read, header) = machine.view();
        contents_hash(&*read, &header, Revision::new(at)).unwrap().unwrap()
    }

    #[test]
    fn the_sweep_does_not_show_and_everything_that_can_be_read_does() {
        let mut swept = machine();
        let mut lagging = machine();
        for machine in [&mut swept, &mut lagging] {
            run(machine, vec![put("a", "1"), put("a", "2"), put("b", "1"), delete("b"), put("a", "3")]);
            run(machine, vec![Command::Compact(Revision::new(5))]);
        }
        while let Some(step) = {
            let (read, header) = swept.view();
            compact::sweep(&*read, &header, 1).unwrap()
        } {
            swept.sweep(step).unwrap();
        }
        assert_eq!(hash(&swept, 0), hash(&lagging, 0));
        assert_eq!(hash(&swept, 5), hash(&lagging, 5));
        assert_ne!(hash(&swept, 5).hash, hash(&swept, 0).hash, "the last put is above revision 5");
        run(&mut swept, vec![put("c", "x")]);
        run(&mut lagging, vec![put("c", "y")]);
        assert_ne!(hash(&swept, 0).hash, hash(&lagging, 0).hash);
        assert_eq!(hash(&swept, 6), hash(&lagging, 6), "up to there they agree");
    }

    #[test]
    fn a_revision_that_cannot_be_read_is_refused() {
        let mut machine = machine();
        run(&mut machine, vec![put("a", "1"), put("a", "2"), Command::Compact(Revision::new(3))]);
        let (read, header) = machine.view();
        let refused = |at| contents_hash(&*read, &header, Revision::new(at)).unwrap().unwrap_err();
        assert_eq!(refused(2), CommandError::Compacted { compacted: Revision::new(3) });
        assert_eq!(refused(4), CommandError::FutureRevision { current: Revision::new(3) });
    }
}
