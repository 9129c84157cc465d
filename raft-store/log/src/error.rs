//! Errors that name the file.

use std::{io, path::Path};

use keelson_store_core::engine::EngineError;

use crate::record::Refusal;

/// An error of the operating system, met while doing `action` to `path`.
pub(crate) fn io_error(action: &str, path: &Path, error: &io::Error) -> EngineError {
    EngineError::Io { what: format!("{action} {}", path.display()), cause: error.to_string() }
}

/// Damage in `path`.
pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> EngineError {
    EngineError::Corrupt { what: path.display().to_string(), detail: detail.into() }
}

/// A batch that is not written, or a read that makes no sense.
pub(crate) fn refused(refusal: Refusal) -> EngineError {
    let cause = match refusal {
        Refusal::Family(family) => format!("a Log store has no family {}", family.name()),
        Refusal::TooLong => "a batch is longer than 4 GiB".to_owned(),
    };
    EngineError::Io { what: "use of a log".to_owned(), cause }
}
