//! The kinds that have rules of their own, a file each.
//!
//! Source of the rules and texts: `pkg/apis/*/validation` and `pkg/registry/*` of Kubernetes 1.37.

pub mod metadata;

pub mod address;
pub mod config_map;
pub mod deployment;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod ip_address;
pub mod job;
pub mod lease;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod priority_class;
pub mod rbac;
pub mod replica_set;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod service_cidr;
pub mod workload;
