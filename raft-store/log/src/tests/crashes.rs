//! Any part of what was not synced may be there after a crash, sector by sector: what is found is a beginning of what was
//! written, and all that was synced.

use keelson_store_core::engine::Batch;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    pattern::SECTOR,
    record::{self, Checked, Op, Opening, Place, Salt, Sequence},
    scan::{Position, Scan, scan},
};

const BYTES: u64 = 64 << 10;
const SECTORS: usize = BYTES as usize / SECTOR;
const SALT: Salt = Salt(0x1234_5678);

/// One segment as the system has it and as the disk has it.
struct Model {
    written: Vec<u8>,
    durable: Vec<u8>,
    end: usize,
    next: Sequence,
    synced: Sequence,
    /// What was written, by record, in words.
    ops: Vec<String>,
}

/// What happens to it.
#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Vec<u8>>),
    Sync,
    /// The process is killed, and goes on with what the system has.
    Kill,
    /// The machine goes down; which sectors survive.
    Crash(Vec<bool>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![
        2 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 500..1500),
        1 => (0..3000_usize).prop_map(|len| vec![0; len]),
    ];
    let step = prop_oneof![
        6 => vec(value, 1..4).prop_map(Step::Write),
        2 => Just(Step::Sync),
        1 => Just(Step::Kill),
        1 => vec(any::<bool>(), SECTORS).prop_map(Step::Crash),
    ];
    vec(step, 1..16)
}

impl Model {
    fn new() -> Self {
        let opening = Opening { number: 1, bytes: BYTES, oldest: 1, salt: SALT };
        let mut model = Self {
            written: vec![0; BYTES as usize],
            durable: Vec::new(),
            end: 0,
            next: Sequence(1),
            synced: Sequence(0),
            ops: Vec::new(),
        };
        model.append(Place::First(opening), &Batch::default());
        model.sync();
        model
    }

    fn of(steps: &[Step]) -> Self {
        let mut model = Self::new();
        for step in steps {
            match step {
                Step::Write(values) => {
                    let mut batch = Batch::default();
                    for (value, at) in values.iter().zip(0..) {
                        let family = if at == 2 { Family::LogMeta } else { Family::LogEntries };
                        batch.put(family, format!("{}-{at}", model.next.0), value.clone());
                    }
                    model.append(Place::Behind(SALT), &batch);
                }
                Step::Sync => model.sync(),
                Step::Kill => model.reopen(|_| true),
                Step::Crash(survives) => model.reopen(|sector| survives[sector]),
            }
        }
        model
    }

    fn append(&mut self, place: Place, batch: &Batch) {
        let mut bytes = Vec::new();
        let pending = (self.next.0 - 1 - self.synced.0) as u32;
        self.ops.push(format!(
            "{:?}",
            record::encode(place, self.next, pending, Checked::new(batch).unwrap(), &mut bytes)
        ));
        pattern::cover(self.end as u64, &mut bytes);
        self.written[self.end..self.end + bytes.len()].copy_from_slice(&bytes);
        self.end += bytes.len();
        self.next = self.next.next();
    }

    fn sync(&mut self) {
        self.durable = self.written.clone();
        self.synced = Sequence(self.next.0 - 1);
    }

    /// Goes on with what is left, as a log that is opened does.
    fn reopen(&mut self, survives: impl Fn(usize) -> bool) {
        let left = self.crashed(survives);
        let found = scan(&left, Position::Last).unwrap();
        self.assert_is_a_beginning(&found).unwrap();
        self.ops.truncate(found.records.len());
        self.end = found.end;
        self.next = Sequence(self.ops.len() as u64 + 1);
        let (settled, rest) = (found.settled, found.rest(&left));
        // Whatever was read before that is durable already, or it would not be proven to be.
        self.durable[settled..settled + rest.len()].copy_from_slice(&rest);
        self.written = self.durable.clone();
        self.synced = self.next.before();
    }

    /// What a crash leaves, which of the sectors that were not synced are there being chosen.
    fn crashed(&self, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        let sectors = self.written.chunks(SECTOR).zip(self.durable.chunks(SECTOR)).enumerate();
        let left = sectors.flat_map(|(at, (new, old))| if survives(at) { new } else { old });
        let mut left: Vec<u8> = left.copied().collect();
        pattern::cover(0, &mut left);
        left
    }

    /// That a scan has found a beginning of what was written, and all that was synced.
    fn assert_is_a_beginning(&self, found: &Scan<'_>) -> Result<(), TestCaseError> {
        let ops: Vec<_> = found.records.iter().map(|found| format!("{:?}", found.ops)).collect();
        prop_assert!(ops.len() as u64 >= self.synced.0, "{} of {} synced records", ops.len(), self.synced.0);
        prop_assert_eq!(&ops[..], &self.ops[..ops.len()]);
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_crash_leaves_a_beginning_with_all_that_was_synced(steps in steps(), survivors in vec(any::<bool>(), SECTORS)) {
        let model = Model::of(&steps);
        let left = model.crashed(|sector| survivors[sector]);
        let found = scan(&left, Position::Last);
        prop_assert!(found.is_ok(), "{found:?}");
        let found = found.unwrap();
        model.assert_is_a_beginning(&found)?;
        let values_fit = found.records.iter().all(|record| record.ops.iter().all(|op| match op {
            Op::Put { value, crc, .. } => {
                crc32c::crc32c(&left[record.offset + value.start..record.offset + value.end]) == *crc
            }
            Op::Delete { .. } | Op::DeleteRange { .. } | Op::Opening(_) | Op::Oldest(_) => true,
        }));
        prop_assert!(values_fit, "a record that was lost in a part counts as damaged");
    }

    #[test]
    fn all_is_there_when_nothing_was_lost(steps in steps()) {
        let model = Model::of(&steps);
        let left = model.crashed(|_| true);
        let found = scan(&left, Position::Last).unwrap();
        prop_assert_eq!(found.records.len(), model.ops.len());
        prop_assert_eq!(found.end, model.end);
        prop_assert_eq!(found.used, model.end);
    }

    /// E6: what changed on the disk is told, at the latest by whoever reads it, and takes nothing else along.
    #[test]
    fn flipped_bits_are_damage_and_never_the_end(steps in steps(), flips in vec(any::<prop::sample::Index>(), 1..4)) {
        let mut model = Model::of(&steps);
        model.sync();
        let mut left = model.crashed(|_| true);
        let mut flipped = std::collections::BTreeSet::new();
        for flip in flips {
            let bit = flip.index(model.end * 8);
            if flipped.insert(bit) {
                left[bit / 8] ^= 1 << (bit % 8);
            }
        }
        if let Ok(found) = scan(&left, Position::Last) {
            model.assert_is_a_beginning(&found)?;
        }
    }

    /// A sector that is gone is told, unless all that it may have had was written last.
    #[test]
    fn lost_sectors_are_damage_where_anything_proves_it(steps in steps(), lost in any::<prop::sample::Index>()) {
        let mut model = Model::of(&steps);
        model.sync();
        let behind = model.end;
        model.append(Place::Behind(SALT), &Batch::default());
        model.sync();
        let mut left = model.crashed(|_| true);
        let sector = lost.index(behind.div_ceil(SECTOR));
        let bytes = sector * SECTOR..((sector + 1) * SECTOR).min(behind);
        let mut hole = vec![0; bytes.len()];
        pattern::cover(bytes.start as u64, &mut hole);
        left[bytes].copy_from_slice(&hole);
        if let Ok(found) = scan(&left, Position::Last) {
            model.assert_is_a_beginning(&found)?;
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..4000), last in any::<bool>()) {
        let position = if last { Position::Last } else { Position::Sealed };
        prop_assert!(scan(&bytes, position).is_err());
    }
}
