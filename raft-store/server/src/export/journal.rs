//! What follows a snapshot, revision by revision: the part of a backup that grows.
//!
//! ```text
//! "KEELJRNL" | format u32 | head record | frame …
//! frame: length u32 | CRC32C u32 | record … moment record
//! ```
//!
//! The head names the revision that the journal follows. A frame is written and fsynced at once; one that is
//! cut short at the end of a journal was never finished, and does not count. Any other damage does.

use std::io::{self, Read, Write};

use super::{
    format::{FORMAT, Head, MAX_RECORD, RECORD_HEAD, Record},
    read::{ImportError, check_format},
};

const MAGIC: &[u8; 8] = b"KEELJRNL";
/// Length and checksum.
const FRAME_HEAD: usize = 8;

/// The beginning of a journal.
pub(super) fn begin(head: Head, sink: &mut dyn Write) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_be_bytes());
    Record::Head(head).encode(&mut bytes);
    sink.write_all(&bytes)
}

/// One frame. The last record is a moment.
pub(super) fn frame(records: &[Record]) -> Vec<u8> {
    let mut bytes = vec![0; FRAME_HEAD];
    records.iter().for_each(|record| record.encode(&mut bytes));
    let body = &bytes[FRAME_HEAD..];
    let (length, checksum) = (body.len() as u32, crc32c::crc32c(body));
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..FRAME_HEAD].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// Reads a journal, frame by frame.
pub(super) struct Journal<R> {
    input: R,
}

impl<R: Read> Journal<R> {
    /// Reads the beginning.
    pub(super) fn open(mut input: R) -> Result<(Self, Head), ImportError> {
        let start = exactly(&mut input, MAGIC.len() + 4 + RECORD_HEAD)?.ok_or(ImportError::CutShort)?;
        let Some(rest) = start.strip_prefix(MAGIC) else { return Err(ImportError::Foreign) };
        let format = rest[..4].try_into().map_or(0, u32::from_be_bytes);
        check_format(format)?;
        let (kind, length) = (rest[4], rest[5..].try_into().map_or(0, u32::from_be_bytes));
        let body = exactly(&mut input, length.min(MAX_RECORD) as usize)?.ok_or(ImportError::CutShort)?;
        let Record::Head(head) = Record::decode(kind, &body)? else {
            return Err(ImportError::Damaged("it has no beginning".to_owned()));
        };
        Ok((Self { input }, head))
    }

    /// The records of the next frame; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Record>>, ImportError> {
        let Some(head) = exactly(&mut self.input, FRAME_HEAD)? else { return Ok(None) };
        let length = head[..4].try_into().map_or(0, u32::from_be_bytes);
        let checksum = head[4..].try_into().map_or(0, u32::from_be_bytes);
        let Some(body) = exactly(&mut self.input, length as usize)? else { return Ok(None) };
        if crc32c::crc32c(&body) != checksum {
            return Err(ImportError::Damaged("a frame's checksum does not fit".to_owned()));
        }
        let mut rest = &body[..];
        let mut records = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk::<RECORD_HEAD>() {
            let [kind, length @ ..] = *head;
            let length = u32::from_be_bytes(length) as usize;
            let (body, after) = after.split_at_checked(length).ok_or(ImportError::CutShort)?;
            records.push(Record::decode(kind, body)?);
            rest = after;
        }
        Ok(Some(records))
    }
}

/// So many bytes; `None` where the input ends before.
fn exactly(input: &mut impl Read, len: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    input.by_ref().take(len as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len() == len).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use keelson_store_core::id::{ClusterId, ReplicaId, Revision};
    use proptest::prelude::*;

    use super::*;

    fn head() -> Head {
        let revision = Revision::new(5);
        Head { cluster: ClusterId::new(1), replica: ReplicaId::new(2), revision, taken_ms: 3 }
    }

    fn records(revision: u64) -> Vec<Record> {
        let revision = Revision::new(revision);
        vec![Record::Deletion { revision, key: "k".into() }, Record::Moment { revision, written_ms: 9 }]
    }

    fn journal() -> Vec<u8> {
        let mut bytes = Vec::new();
        begin(head(), &mut bytes).unwrap();
        bytes.extend(frame(&records(6)));
        bytes.extend(frame(&records(7)));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<Record>>, ImportError> {
        let (mut journal, found) = Journal::open(bytes)?;
        assert_eq!(found, head());
        let mut frames = Vec::new();
        while let Some(frame) = journal.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_back_and_one_that_was_never_finished_does_not_count() {
        let whole = journal();
        assert_eq!(read(&whole).unwrap(), [records(6), records(7)]);
        for cut in 1..frame(&records(7)).len() {
            assert_eq!(read(&whole[..whole.len() - cut]).unwrap(), [records(6)]);
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_never_changes_a_record(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut damaged = journal();
            let start = damaged.len() - 2 * frame(&records(6)).len();
            let at = start + at.index(damaged.len() - start);
            damaged[at] ^= 1 << bit;
            // A damaged length may pass for the end.
            if let Ok(frames) = read(&damaged) {
                prop_assert!(frames.len() < 2);
                prop_assert!(frames.iter().all(|frame| *frame == records(6)));
            }
        }
    }
}
