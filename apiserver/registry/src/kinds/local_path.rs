//! What is wrong with paths inside volumes and containers.
//!
//! In: a path as text, and where it is. Out: what is wrong with it, in upstream's words.
//!
//! Deliberately absent: what is there; only the node knows.
//!
//! Source: `pkg/apis/core/validation` (`validateLocalDescendingPath`, `ValidateLocalNonReservedPath`).

use crate::{field::FieldError, place::Place};

/// A path inside a volume that no bookkeeping of the volume uses.
pub(super) fn file(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = path.text();
    relative(text, path.path(), errors);
    if text.starts_with("..") && !text.starts_with("../") {
        errors.push(FieldError::invalid(path.path(), text, "must not start with '..'"));
    }
}

/// A path that stays below where it starts.
pub(super) fn relative(text: &str, place: &str, errors: &mut Vec<FieldError>) {
    if text.starts_with('/') {
        errors.push(FieldError::invalid(place, text, "must be a relative path"));
    }
    no_backsteps(text, place, errors);
}

/// A path that never goes up.
pub(super) fn no_backsteps(text: &str, place: &str, errors: &mut Vec<FieldError>) {
    if has_backsteps(text) {
        errors.push(FieldError::invalid(place, text, "must not contain '..'"));
    }
}

/// Whether a path goes up somewhere.
pub(super) fn has_backsteps(path: &str) -> bool {
    path.split('/').any(|step| step == "..")
}
