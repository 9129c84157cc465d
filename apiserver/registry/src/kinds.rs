//! The kinds that have rules of their own, a file each.
//!
//! Source of the rules and texts: `pkg/apis/*/validation` and `pkg/registry/*` of Kubernetes 1.37.

pub mod metadata;

pub mod address;
pub mod admission_registration;
pub mod certificates;
pub mod component_status;
mod condition;
pub mod config_map;
pub mod controller_revision;
pub mod cron_job;
pub mod csi_driver;
pub mod csi_node;
pub mod csi_storage_capacity;
pub mod daemon_set;
pub mod deployment;
pub mod devices;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod flow_control;
pub mod flow_schema;
pub mod horizontal_pod_autoscaler;
pub mod ingress;
pub mod ingress_class;
pub mod ip_address;
pub mod job;
pub mod lease;
pub mod limit_range;
pub mod namespace;
pub mod network_policy;
pub mod node;
mod node_label;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod pod;
pub mod pod_disruption_budget;
pub mod pod_template;
pub mod priority_class;
pub mod priority_level_configuration;
pub mod rbac;
pub mod replica_set;
pub mod replication_controller;
pub mod resource_quota;
pub mod runtime_class;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod service_cidr;
pub mod stateful_set;
mod storage;
pub mod storage_class;
pub mod storage_version_migration;
pub mod volume_attachment;
pub mod volume_attributes_class;
pub mod workload;
