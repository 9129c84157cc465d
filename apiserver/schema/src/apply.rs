//! Server-side apply: who manages which field of an object, and what becomes of an object when they differ.
//!
//! In: an object as it is, what a client makes of it or wants of it, and who the client is. Out: the
//! `metadata.managedFields` of the new object, and for an apply the object itself, or the [`Conflicts`] that the client
//! must settle.
//!
//! A field is a path; a [`FieldSet`] is a tree of them. Lists with keys and sets merge item by item, other lists are one
//! field, as the type says ([`place`]). [`compare`] says which fields differ, [`leaves`] which fields a configuration
//! has, [`merge`] puts a configuration into an object, [`prune`] takes out what nobody wants any more, [`check`] refuses
//! what is no configuration, [`managers`] reads and writes the entries, and [`manager`] puts all of it together.
//!
//! An entry of another version of the kind is compared in its own version, into which the caller converts the object
//! ([`Versions`]); an entry of a version that the kind does not have is dropped.
//!
//! Deliberately absent: pruning in other versions. What an applier gives up by applying in another version than before is
//! found by its path, and so is what others protect from that.
//!
//! Source: `sigs.k8s.io/structured-merge-diff`, `k8s.io/apimachinery/pkg/util/managedfields`.

mod check;
mod compare;
mod element;
mod field_set;
mod go_value;
mod last_applied;
mod leaves;
mod manager;
mod managers;
mod merge;
mod place;
mod prune;

pub use field_set::FieldSet;
pub use manager::{ApplyError, FieldManager, Versions};
pub use managers::{Conflict, Conflicts};

#[cfg(test)]
mod tests;
