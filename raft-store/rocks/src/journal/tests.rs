//! The checks on files made by hand, where every byte is known.

use super::*;

/// Writes records as RocksDB lays them out.
#[derive(Default)]
struct Writer {
    file: Vec<u8>,
}

impl Writer {
    fn piece(&mut self, kind: u8, payload: &[u8]) {
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), payload);
        let masked = checksum.rotate_right(15).wrapping_add(0xa282_ead8);
        self.file.extend(masked.to_le_bytes());
        self.file.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
        self.file.push(kind);
        self.file.extend(payload);
    }

    fn record(&mut self, mut payload: &[u8]) {
        let mut is_first = true;
        loop {
            let mut left = BLOCK_BYTES - self.file.len() % BLOCK_BYTES;
            if left < HEADER_BYTES {
                self.file.resize(self.file.len() + left, 0);
                left = BLOCK_BYTES;
            }
            let (now, rest) = payload.split_at(payload.len().min(left - HEADER_BYTES));
            let kind = match (is_first, rest.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            self.piece(kind, now);
            if rest.is_empty() {
                return;
            }
            (is_first, payload) = (false, rest);
        }
    }
}

fn records(file: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut found = Vec::new();
    let scanned = scan(file, &mut |record| found.push(record.to_vec()));
    match scanned {
        Ok(()) => Ok(found),
        Err(Fault::Damage { detail, .. }) => Err(detail),
        Err(Fault::Io(error)) => panic!("{error}"),
    }
}

fn batch(sequence: u64, writes: u32, length: usize) -> Vec<u8> {
    let mut record = sequence.to_le_bytes().to_vec();
    record.extend(writes.to_le_bytes());
    record.resize(12 + length, 0x5a);
    record
}

/// Some small records, and one that spans four blocks.
fn sample() -> (Vec<Vec<u8>>, Vec<u8>) {
    let lengths = [10, 0, 300, 100_000, 5, 20_000, 7];
    let records: Vec<Vec<u8>> = (1..).zip(lengths).map(|(number, length)| batch(number, 1, length)).collect();
    let mut writer = Writer::default();
    records.iter().for_each(|record| writer.record(record));
    (records, writer.file)
}

#[test]
fn whole_files_give_all_records() {
    let (expected, file) = sample();
    assert_eq!(records(&file).unwrap(), expected);
    assert_eq!(records(&[]).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn padding_at_the_end_of_a_block_is_passed_over() {
    for left in 0..20 {
        let mut writer = Writer::default();
        let first = vec![1; BLOCK_BYTES - HEADER_BYTES - left];
        writer.record(&first);
        writer.record(b"second");
        assert_eq!(records(&writer.file).unwrap(), [first, b"second".to_vec()], "{left} bytes left");
    }
}

#[test]
fn file_cut_short_anywhere_gives_the_first_records() {
    let (expected, file) = sample();
    for length in (0..file.len()).step_by(7) {
        let found = records(&file[..length]).unwrap();
        assert_eq!(found, expected[..found.len()], "cut to {length} bytes");
    }
}

#[test]
fn zeros_up_to_the_end_are_an_unfinished_append() {
    let (expected, mut file) = sample();
    for zeros in [1, 7, 4096, 100_000] {
        let length = file.len();
        file.resize(length + zeros, 0);
        assert_eq!(records(&file).unwrap(), expected, "{zeros} zeros");
        file.push(1);
        assert!(records(&file).is_err() || zeros < HEADER_BYTES, "something behind {zeros} zeros");
        file.truncate(length);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let mut writer = Writer::default();
    (1..6).for_each(|number| writer.record(&batch(number, 1, 20)));
    for bit in 0..writer.file.len() * 8 {
        writer.file[bit / 8] ^= 1 << (bit % 8);
        assert!(records(&writer.file).is_err(), "bit {bit}");
        writer.file[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(records(&writer.file).unwrap().len(), 5);
}

#[test]
fn hole_of_zeros_is_found() {
    let (_, file) = sample();
    for start in (0..file.len() - 600).step_by(511) {
        let mut damaged = file.clone();
        damaged[start..start + 512].fill(0);
        assert!(records(&damaged).is_err(), "512 zeros from byte {start}");
    }
}

#[test]
fn types_that_do_not_occur_here_are_refused() {
    for kind in [0, 5, 8, 9, 10, 130, 255] {
        let mut writer = Writer::default();
        writer.piece(kind, b"payload");
        assert!(records(&writer.file).is_err(), "type {kind}");
    }
}

#[test]
fn pieces_must_fit_together() {
    for kinds in [&[3_u8][..], &[4], &[2, 1], &[2, 2], &[1, 3], &[2, 4, 4]] {
        let mut writer = Writer::default();
        kinds.iter().for_each(|kind| writer.piece(*kind, b"piece"));
        assert!(records(&writer.file).is_err(), "{kinds:?}");
    }
}
