//! The `FORMAT` file of a store: which version of this program it needs, and what it is.
//!
//! One line, whose shape is fixed for ever so that an old program can read a new one's number:
//!
//! ```text
//! keelson-store format=1 role=state crc32c=0123abcd
//! ```
//!
//! The checksum covers what stands before its own field: a flipped bit is damage and not "a newer version".

use std::cmp::Ordering;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use keelson_store_core::engine::{EngineError, Role};

use crate::folder;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "FORMAT";

/// The format that is known here. It counts changes of what lies in a store below what the bytes mean: column families and
/// their comparators, or the records of a log. The first format of a log was RocksDB, too.
pub(crate) const fn version(role: Role) -> u32 {
    match role {
        Role::Log => 2,
        Role::State => 1,
    }
}

/// Writes the file, durably.
pub(crate) fn write(store: &Path, role: Role) -> Result<(), EngineError> {
    folder::write_whole(store, FILE_NAME, line(version(role), role).as_bytes())
}

/// Refuses a store of another format, of another role, or without a readable `FORMAT`.
pub(crate) fn check(store: &Path, role: Role) -> Result<(), EngineError> {
    let path = store.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(EngineError::corrupt(
                store,
                "it has no FORMAT file, so it is no store, or parts of it are missing",
            ));
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(EngineError::corrupt(&path, "not text"));
        }
        Err(error) => return Err(EngineError::io("read", &path, &error)),
    };
    let (found, name) =
        parse(&text).ok_or_else(|| EngineError::corrupt(&path, "not a format line with its checksum"))?;
    if name != role_name(role) {
        return Err(EngineError::corrupt(
            store,
            format!("a {name} store was opened as a {} store", role_name(role)),
        ));
    }
    let (what, known) = (path.display().to_string(), version(role));
    match found.cmp(&known) {
        Ordering::Less => Err(EngineError::TooOld { what, found, oldest: known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(EngineError::TooNew { what, found, known }),
    }
}

/// The file's contents.
pub(crate) fn line(version: u32, role: Role) -> String {
    let facts = format!("keelson-store format={version} role={}", role_name(role));
    format!("{facts} crc32c={:08x}\n", crc32c::crc32c(facts.as_bytes()))
}

fn parse(text: &str) -> Option<(u32, &str)> {
    let (facts, checksum) = text.strip_suffix('\n')?.rsplit_once(" crc32c=")?;
    if checksum != format!("{:08x}", crc32c::crc32c(facts.as_bytes())) {
        return None;
    }
    let (version, role) = facts.strip_prefix("keelson-store format=")?.split_once(" role=")?;
    Some((version.parse().ok()?, role))
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Log => "log",
        Role::State => "state",
    }
}
