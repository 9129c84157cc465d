//! Reads a store's manifest before RocksDB does, and refuses what it would pass over.
//!
//! In: the folder of a closed store. Out: nothing, or [`EngineError::Corrupt`] with file and offset.
//!
//! # Why
//!
//! RocksDB reads its manifest, and the write-ahead logs in which it notes things of its own, with
//! `TolerateCorruptedTailRecords`, by name, because the default (`PointInTime`) drops everything behind a damaged record and
//! says nothing. That mode refuses a record whose checksum does not fit. But it, too, ends or skips without a word
//! (RocksDB 11.8, `db/log_reader.cc`) when
//!
//! * the *length* of a record in a file's last 32 KiB block was damaged so that it reaches past the end: this
//!   is taken for an append that a crash cut short, and all that follows is gone;
//! * a record's *type* became one of the "recyclable" types: the first record of a file is then taken for one
//!   of a former file and the whole file is dropped; at a later one the reader never comes back;
//! * a record's header reads as zeros: the rest of its block is skipped, and reading goes on behind the hole.
//!
//! # What is accepted
//!
//! Every record is checked. The one irregularity that is let pass is what a crash leaves: a last record that is cut short
//! by the end of its file, or zeros up to that end. A cut record must really be one: if some shorter length
//! fits the checksum, then the length is what was damaged.
//!
//! Deliberately absent, because one replica alone cannot know it: a file that lost its end exactly between two
//! records.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use keelson_store_core::engine::EngineError;

use crate::folder;

/// Records lie in blocks of this size; none crosses a block's end in one piece.
const BLOCK_BYTES: usize = 32 * 1024;

/// A piece's header: masked crc32c u32, length u16, type u8, all little-endian.
const HEADER_BYTES: usize = 7;

/// Checks everything that RocksDB will replay when it opens `store`.
pub(crate) fn verify(store: &Path) -> Result<(), EngineError> {
    check_file(&manifest(store)?)?;
    logs(store)?.iter().try_for_each(|log| check_file(log))
}

/// The manifest that `CURRENT` names.
fn manifest(store: &Path) -> Result<PathBuf, EngineError> {
    let current = store.join("CURRENT");
    let text = fs::read(&current).map_err(|error| missing_or_unreadable(&current, &error))?;
    let name = str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n'));
    let name = name.filter(|name| name.starts_with("MANIFEST-") && folder::check_name(name).is_ok());
    Ok(store.join(name.ok_or_else(|| EngineError::corrupt(&current, "it names no manifest"))?))
}

/// The write-ahead logs, oldest first.
fn logs(store: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let numbered = |name: &String| name.strip_suffix(".log")?.parse::<u64>().ok();
    let mut names: Vec<(u64, String)> =
        folder::names(store)?.into_iter().filter_map(|name| Some((numbered(&name)?, name))).collect();
    names.sort();
    Ok(names.into_iter().map(|(_, name)| store.join(name)).collect())
}

fn check_file(path: &Path) -> Result<(), EngineError> {
    let file = File::open(path).map_err(|error| missing_or_unreadable(path, &error))?;
    match scan(file, &mut |_| {}) {
        Ok(()) => Ok(()),
        Err(Fault::Io(error)) => Err(EngineError::io("read", path, &error)),
        Err(Fault::Damage { offset, detail }) => {
            Err(EngineError::corrupt(path, format!("at byte {offset}: {detail}")))
        }
    }
}

fn missing_or_unreadable(path: &Path, error: &io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::corrupt(path, "it is gone"),
        _ => EngineError::io("read", path, error),
    }
}

/// Is shown every whole record.
type Visit<'a> = dyn FnMut(&[u8]) + 'a;

/// Why a file cannot be trusted.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Damage { offset: u64, detail: &'static str },
}

/// Reads one file block by block and checks all of it.
fn scan(mut file: impl Read, visit: &mut Visit<'_>) -> Result<(), Fault> {
    let mut reader = Reader { partial: None, is_over: false, visit };
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut start = 0;
    loop {
        block.clear();
        file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block).map_err(Fault::Io)?;
        reader
            .read_block(&block)
            .map_err(|(at, detail)| Fault::Damage { offset: start + at as u64, detail })?;
        if block.len() < BLOCK_BYTES {
            return Ok(());
        }
        start += block.len() as u64;
    }
}

/// What is wrong, and where in the block.
type Damage = (usize, &'static str);

/// Puts records together from their pieces.
struct Reader<'a, 'v> {
    /// The pieces so far of a record that goes on in the next block.
    partial: Option<Vec<u8>>,
    /// True when the last whole record was read: zeros may follow, but nothing else.
    is_over: bool,
    visit: &'a mut Visit<'v>,
}

impl Reader<'_, '_> {
    fn read_block(&mut self, block: &[u8]) -> Result<(), Damage> {
        let mut at = 0;
        // Fewer bytes than a header takes are padding, or at the end of the file a header cut short.
        while !self.is_over && block.len() - at >= HEADER_BYTES {
            match Piece::parse(&block[at..], block.len() < BLOCK_BYTES).map_err(|detail| (at, detail))? {
                Some(piece) => {
                    self.add(&piece).map_err(|detail| (at, detail))?;
                    at += HEADER_BYTES + piece.payload.len();
                }
                None if block.len() < BLOCK_BYTES => return Ok(()),
                None => self.is_over = true,
            }
        }
        if self.is_over && block[at..].iter().any(|byte| *byte != 0) {
            return Err((at, "records go on behind zeros"));
        }
        Ok(())
    }

    fn add(&mut self, piece: &Piece<'_>) -> Result<(), &'static str> {
        match (piece.kind, self.partial.take()) {
            (Kind::Full, None) => {
                (self.visit)(piece.payload);
                Ok(())
            }
            (Kind::First, None) => {
                self.partial = Some(piece.payload.to_vec());
                Ok(())
            }
            (Kind::Middle | Kind::Last, Some(mut record)) => {
                record.extend_from_slice(piece.payload);
                match piece.kind {
                    Kind::Last => (self.visit)(&record),
                    Kind::Full | Kind::First | Kind::Middle => self.partial = Some(record),
                }
                Ok(())
            }
            (Kind::Full | Kind::First, Some(_)) => Err("a record begins inside another one"),
            (Kind::Middle | Kind::Last, None) => Err("a record has no beginning"),
        }
    }
}

/// Which part of a record a piece is. Other types exist, but these stores do not ask for what they serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Full,
    First,
    Middle,
    Last,
}

/// A checked piece of a record.
struct Piece<'a> {
    kind: Kind,
    payload: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Reads the piece at the start of `bytes`, which go to the end of the block. `None` when only an unfinished
    /// append stands there, which `at_end` of the file allows, or zeros.
    fn parse(bytes: &'a [u8], at_end: bool) -> Result<Option<Self>, &'static str> {
        let (header, rest) = bytes.split_at(HEADER_BYTES);
        if header.iter().all(|byte| *byte == 0) {
            let is_empty = rest.iter().all(|byte| *byte == 0);
            return if is_empty { Ok(None) } else { Err("zeros stand in place of a record's header") };
        }
        let checksum = unmask(u32::from_le_bytes([header[0], header[1], header[2], header[3]]));
        let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
        let Some(payload) = rest.get(..length) else {
            let is_cut_short = at_end && !some_prefix_fits(checksum, header[6], rest);
            return if is_cut_short { Ok(None) } else { Err("a record's length is damaged") };
        };
        if crc32c::crc32c_append(crc32c::crc32c(&header[6..]), payload) != checksum {
            return Err("a record's checksum does not fit");
        }
        let kind = match header[6] {
            1 => Kind::Full,
            2 => Kind::First,
            3 => Kind::Middle,
            4 => Kind::Last,
            _ => return Err("a record is of a type that does not occur here"),
        };
        Ok(Some(Self { kind, payload }))
    }
}

/// True when the checksum is that of a record which ends within `rest`: then its length was damaged.
fn some_prefix_fits(checksum: u32, kind: u8, rest: &[u8]) -> bool {
    let mut running = crc32c::crc32c(&[kind]);
    running == checksum
        || rest.iter().any(|byte| {
            running = crc32c::crc32c_append(running, &[*byte]);
            running == checksum
        })
}

/// Undoes what RocksDB does to checksums that it stores.
const fn unmask(masked: u32) -> u32 {
    masked.wrapping_sub(0xa282_ead8).rotate_left(15)
}

#[cfg(test)]
mod tests;
