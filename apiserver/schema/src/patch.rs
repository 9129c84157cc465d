//! The three kinds of patches that clients send, applied to values.
//!
//! In: an object as a value, and a patch that was read with [`crate::Document::decode_untyped`] (which notes repeated
//! fields). Out: the patched value, which the caller decodes with [`crate::decode_value`], so that unknown fields are
//! found and the form is canonical again. Server-side apply is not a patch of this kind.
//!
//! Work is bounded: JSON patches have limits of their own, the merging ones are linear in object and patch.

pub mod json;
pub mod merge;
pub mod strategic;

/// Why a patch cannot be applied. The messages are upstream's where upstream has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself has a wrong form: 400.
    #[error("{message}")]
    Malformed {
        /// What is wrong.
        message: String,
    },
    /// The patch, or what it would make, is too large: 413.
    #[error("{message}")]
    TooLarge {
        /// Which limit was passed.
        message: String,
    },
    /// The patch does not fit this object, and upstream has no code for that: 500.
    #[error("{message}")]
    Failed {
        /// Why.
        message: String,
    },
    /// The patch does not fit this object: 422.
    #[error("{message}")]
    Unprocessable {
        /// Which operation failed, and why.
        message: String,
    },
}

impl PatchError {
    fn malformed(message: impl Into<String>) -> PatchError {
        PatchError::Malformed { message: message.into() }
    }

    fn too_large(message: impl Into<String>) -> PatchError {
        PatchError::TooLarge { message: message.into() }
    }

    fn failed(message: impl Into<String>) -> PatchError {
        PatchError::Failed { message: message.into() }
    }

    fn unprocessable(message: impl Into<String>) -> PatchError {
        PatchError::Unprocessable { message: message.into() }
    }
}
