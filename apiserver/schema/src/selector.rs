//! Selectors: which objects a LIST, WATCH, deletion or controller means.
//!
//! In: the query parameters `labelSelector` and `fieldSelector`, or a `LabelSelector` of an object. Out: values that
//! match labels and fields, or upstream's message of what is wrong.
//!
//! Deliberately absent: which fields of a kind can be selected, which the resource registry knows.

pub mod field;
pub mod label;

pub use field::FieldSelector;
pub use label::{LabelSelector, Operator, Requirement};
