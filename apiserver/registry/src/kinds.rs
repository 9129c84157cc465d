//! The kinds that have rules of their own, a file each.
//!
//! Source of the rules and texts: `pkg/apis/*/validation` and `pkg/registry/*` of Kubernetes 1.37.

pub mod metadata;
