//! The kinds that have rules of their own, a file each.
//!
//! Source of the rules and texts: `pkg/apis/*/validation` and `pkg/registry/*` of Kubernetes 1.37.

pub mod metadata;

pub mod config_map;
pub mod namespace;
pub mod secret;
pub mod service_account;
