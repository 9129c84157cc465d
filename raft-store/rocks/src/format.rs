//! The `FORMAT` file of a store: which version of this program it needs, and what it is.
//!
//! One line, whose shape is fixed for ever so that an old program can read a new one's number:
//!
//! ```text
//! keelson-store format=1 role=state crc32c=0123abcd
//! ```
//!
//! The checksum covers what stands before its own field: a flipped bit is damage and not "a newer version".

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use keelson_store_core::engine::{EngineError, Role};

use crate::error::{corrupt, io_error};
use crate::folder;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "FORMAT";

/// The newest format known here, and the one that is written. It counts changes of what lies in a store as
/// RocksDB sees it: column families, their options, their comparators.
pub(crate) const VERSION: u32 = 1;

/// Writes the file, durably.
pub(crate) fn write(store: &Path, role: Role) -> Result<(), EngineError> {
    folder::write_whole(store, FILE_NAME, line(VERSION, role).as_bytes())
}

/// Refuses a store of a newer format, of another role, or without a readable `FORMAT`.
pub(crate) fn check(store: &Path, role: Role) -> Result<(), EngineError> {
    let path = store.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(corrupt(
                store,
                "it has no FORMAT file, so it is no store, or parts of it are missing",
            ));
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(corrupt(&path, "not text")),
        Err(error) => return Err(io_error("read", &path, &error)),
    };
    let (version, found) =
        parse(&text).ok_or_else(|| corrupt(&path, "not a format line with its checksum"))?;
    if version > VERSION {
        let what = path.display().to_string();
        return Err(EngineError::TooNew { what, found: version, known: VERSION });
    }
    if found != role_name(role) {
        return Err(corrupt(store, format!("a {found} store was opened as a {} store", role_name(role))));
    }
    Ok(())
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
