//! Which resources the API has, and the rules of each kind.
//!
//! In: an object, and the one it replaces. Out: the object prepared and defaulted, or what is wrong with it in
//! upstream's words; what a request's path means; what discovery says.
//!
//! [`resources`] is the table from which routes, discovery, OpenAPI, bootstrap roles and tests derive; [`kinds`]
//! has one file per kind with rules. [`status`] is the only place where a failure becomes a `metav1.Status`.
//!
//! Deliberately absent: HTTP, clocks, the store. What depends on them comes in as an argument.

pub mod object;

pub mod field;

pub mod status;

pub mod resources;

pub mod columns;

pub mod place;

pub mod strategy;

pub mod kinds;

pub mod conversion;

pub mod request;

pub mod document;

pub mod pod_streams;

pub mod eviction;

pub mod limits;

pub mod pod_resources;

pub mod pod_security;

pub mod proxy;

pub mod quota;

pub mod discovery;

pub mod openapi;

pub mod bootstrap_roles;

pub mod cidr;
