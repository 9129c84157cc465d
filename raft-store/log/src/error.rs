//! What is asked of a log that it has no place for.

use keelson_store_core::engine::EngineError;

use crate::record::Refusal;

/// A batch that is not written, or a read that makes no sense.
pub(crate) fn refused(refusal: Refusal) -> EngineError {
    let cause = match refusal {
        Refusal::Family(family) => format!("a Log store has no family {}", family.name()),
        Refusal::TooLong => "a batch is longer than 4 GiB".to_owned(),
    };
    EngineError::Io { what: "use of a log".to_owned(), cause }
}
