//! The corridor that every write goes through, in the order in which it happens.
//!
//! decode ([`body`]) → defaults → managed fields → mutating admission → prepare → validate → validating admission →
//! claims → compare and set in the store. What a write replaces is named by its revision; when somebody else was
//! faster, everything after decoding is done again on what is there now.
//!
//! In: a [`Call`] and the object that it brings, or a function that makes one of the object that is there. Out: the
//! object as it was stored. A dry run goes the same way and stops before the store.
//!
//! Deliberately absent: how bodies and patches are read (`handlers`), what kinds allow (the registry's strategies).

use std::sync::Arc;

use keelson_api_registry::{
    field::FieldError, kinds::metadata, object::Object, resources::ResourceInfo, status::ApiError,
};
use keelson_api_schema::{builtin, default, encode};
use keelson_store_core::id::Revision;

use crate::{
    admission::{self, Attributes, Operation, Warnings},
    handlers::Call,
    server::Server,
    storage::Stored,
};

pub(crate) mod body;
pub(crate) mod delete_options;
pub(crate) mod identity;
pub(crate) mod options;

mod admin_access;
mod apply;
mod create;
mod delete;
mod deletion;
mod managed_fields;
mod store;
mod update;

pub(crate) use apply::Outcome;
pub(crate) use body::Draft;
pub(crate) use delete::Deleted;
pub(crate) use managed_fields::refusal as apply_refusal;
pub(crate) use update::Change;

/// How often a write begins anew because somebody else was faster. Each time, somebody else has got ahead.
const ATTEMPTS: usize = 32;

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All that is the client's.
    Main,
    /// The status.
    Status,
    /// The `spec.finalizers` of a namespace.
    Finalize,
    /// What the server itself changes on a client's behalf: a pod's node.
    Binding,
}

/// Where a write goes.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Which resource.
    pub(crate) resource: &'static ResourceInfo,
    /// In which namespace; empty for resources of the cluster.
    pub(crate) namespace: &'a str,
    /// Which object; empty on creation.
    pub(crate) name: &'a str,
    /// As authorization and admission know it; empty for the object itself.
    pub(crate) subresource: &'a str,
}

/// One write under way.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    /// Where it takes place.
    pub(crate) server: &'a Arc<Server>,
    /// Who asked for it, and when.
    pub(crate) call: &'a Call,
    /// Where it goes.
    pub(crate) target: Target<'a>,
    /// Whether everything but the write itself is done.
    pub(crate) dry_run: bool,
}

/// What came of a write.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The object as it is in the store now; after a dry run as it would be.
    pub(crate) stored: Stored,
    /// What to tell the writer besides.
    pub(crate) warnings: Vec<String>,
}

impl<'a> Target<'a> {
    /// What a call's path names.
    pub(crate) fn of(call: &'a Call) -> Self {
        let request = &call.request;
        Self {
            resource: request.resource,
            namespace: &request.namespace,
            name: &request.name,
            subresource: request.subresource.map_or("", |subresource| subresource.name),
        }
    }
}

impl<'a> Write<'a> {
    fn admission<'w>(
        &'w self,
        operation: Operation,
        name: &'w str,
        old: Option<&'w Object>,
        warnings: &'w Warnings,
    ) -> Attributes<'w> {
        let Target { resource, namespace, subresource, .. } = self.target;
        let (server, user) = (self.server.as_ref(), &self.call.user);
        let dry_run = self.dry_run;
        Attributes { server, operation, resource, subresource, namespace, name, user, dry_run, warnings, old }
    }

    /// Everything that a kind leaves out and means.
    fn set_defaults(&self, object: &mut Object) {
        self.target.resource.strategy.default(object);
        default::apply(builtin(), self.target.resource.schema(), &mut object.0);
    }

    fn invalid(&self, object: &Object, errors: &[FieldError]) -> Result<(), ApiError> {
        let resource = self.target.resource;
        match errors.is_empty() {
            true => Ok(()),
            false => Err(ApiError::invalid(resource.group, resource.kind, object.name(), errors)),
        }
    }

    /// The answer to a write that does not reach the store.
    fn as_if_stored(&self, object: Object, revision: Revision) -> Stored {
        let json = encode(builtin(), self.target.resource.schema(), &object.0).into();
        Stored { object, revision, json }
    }

    /// 409 for a write that was always overtaken.
    fn overtaken(&self) -> ApiError {
        ApiError::stale(self.target.resource, self.target.name)
    }
}
