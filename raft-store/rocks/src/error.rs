//! Turns errors of RocksDB and of the operating system into the contract's.
//!
//! In: their messages. Out: an [`EngineError`] that names the file or store and says whether the system
//! refused or the data is damaged.

use std::path::Path;

use keelson_store_core::engine::EngineError;
use rocksdb::ErrorKind;

/// An error of RocksDB, met while doing `action` to the store in `store`.
pub(crate) fn rocks_error(action: &str, store: &Path, error: rocksdb::Error) -> EngineError {
    let is_damage = match error.kind() {
        ErrorKind::Corruption => true,
        ErrorKind::NotFound
        | ErrorKind::NotSupported
        | ErrorKind::InvalidArgument
        | ErrorKind::IOError
        | ErrorKind::MergeInProgress
        | ErrorKind::Incomplete
        | ErrorKind::ShutdownInProgress
        | ErrorKind::TimedOut
        | ErrorKind::Aborted
        | ErrorKind::Busy
        | ErrorKind::Expired
        | ErrorKind::TryAgain
        | ErrorKind::CompactionTooLarge
        | ErrorKind::ColumnFamilyDropped
        | ErrorKind::Unknown => false,
    };
    let message = error.into_string();
    if is_damage {
        EngineError::Corrupt { what: file_in(&message, store), detail: message }
    } else {
        EngineError::Io { what: format!("{action} {}", store.display()), cause: message }
    }
}

/// An error of RocksDB while it opens a store that is complete as far as our own checks go.
///
/// What it then calls an invalid argument or not supported is a column family or a table that this program
/// does not know, or a file that is not there: the store is not as it was left.
pub(crate) fn open_error(store: &Path, error: rocksdb::Error) -> EngineError {
    match error.kind() {
        ErrorKind::InvalidArgument | ErrorKind::NotSupported => {
            EngineError::corrupt(store, error.into_string())
        }
        _ if is_missing_file(error.as_ref()) => EngineError::corrupt(store, error.into_string()),
        _ => rocks_error("open", store, error),
    }
}

fn is_missing_file(message: &str) -> bool {
    message.starts_with("IO error: No such file or directory")
}

/// The file that a message names, else the store.
fn file_in(message: &str, store: &Path) -> String {
    let store = store.display().to_string();
    let words = message.split_whitespace().map(|word| word.trim_end_matches([',', ':', ';']));
    let file = words.filter(|word| word.len() > store.len()).find(|word| word.starts_with(&store));
    file.unwrap_or(&store).to_owned()
}
