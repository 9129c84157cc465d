//! What the cluster as a whole has to say about a write, beside the rules of the object's own kind.
//!
//! In: a write that is about to happen. Out: the object with what the cluster adds to it, or a refusal. Steps that
//! change objects run before the kind's rules, steps that only judge run after them; each in the order of its list.
//!
//! Deliberately absent: webhooks and policies.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use keelson_api_registry::{
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};

use crate::server::{Server, User};

mod certificates;
mod claim_resize;
mod default_class;
mod default_tolerations;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod pod_security;
mod priority;
mod rbac;
mod resource_quota;
mod runtime_class;
mod service_account;
mod service_address;
mod taint_nodes;

use certificates::{CertificateRequests, Signers};
use claim_resize::PersistentVolumeClaimResize;
use default_class::{DefaultIngressClass, DefaultStorageClass};
use default_tolerations::DefaultTolerationSeconds;
use limit_ranger::LimitRanger;
use namespace_lifecycle::NamespaceLifecycle;
use node_restriction::NodeRestriction;
pub(crate) use node_restriction::check_token;
use pod_security::PodSecurity;
use priority::Priority;
use rbac::Escalation;
use resource_quota::ResourceQuota;
use runtime_class::RuntimeClass;
use service_account::ServiceAccount;
use service_address::ServiceAddress;
use taint_nodes::TaintNodesByCondition;

/// What marks a pod that only mirrors one that a node runs by itself.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";

/// Steps that may change the object, in order.
static MUTATING: &[&dyn Mutate] = &[
    &NamespaceLifecycle,
    &LimitRanger,
    &ServiceAccount,
    &TaintNodesByCondition,
    &Priority,
    &DefaultTolerationSeconds,
    &DefaultStorageClass,
    &RuntimeClass,
    &CertificateRequests,
    &DefaultIngressClass,
];

/// Steps that judge what came of it, in order. Quotas are charged when nothing else is against the write.
static VALIDATING: &[&dyn Validate] = &[
    &NamespaceLifecycle,
    &LimitRanger,
    &ServiceAccount,
    &NodeRestriction,
    &PodSecurity,
    &Priority,
    &PersistentVolumeClaimResize,
    &RuntimeClass,
    &Signers,
    &Escalation,
    &ServiceAddress,
    &ResourceQuota,
];

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It makes a new object.
    Create,
    /// It changes one.
    Update,
    /// It deletes one.
    Delete,
}

/// What steps tell the writer that is no refusal.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    /// Tells something.
    fn add(&self, warning: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    /// All of them.
    pub(crate) fn into_inner(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write, as admission sees it.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    /// For lookups.
    pub(crate) server: &'a Server,
    /// What it does.
    pub(crate) operation: Operation,
    /// To which resource.
    pub(crate) resource: &'static ResourceInfo,
    /// To what below the object; empty for the object itself.
    pub(crate) subresource: &'a str,
    /// In which namespace; empty for objects of the cluster.
    pub(crate) namespace: &'a str,
    /// To which object.
    pub(crate) name: &'a str,
    /// Who wants it.
    pub(crate) user: &'a User,
    /// Whether nothing is to come of it.
    pub(crate) dry_run: bool,
    /// For what is to be told besides.
    pub(crate) warnings: &'a Warnings,
    /// The object as it is; `None` on creation and deletion.
    pub(crate) old: Option<&'a Object>,
}

/// A step's answer, when it is there.
pub(crate) type Verdict<'a> = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send + 'a>>;

/// A step that may change the object.
trait Mutate: Sync {
    /// Whether it has anything to do with such a write.
    fn concerns(&self, write: &Attributes<'_>) -> bool;

    /// Changes the object, or refuses it.
    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, object: &'a mut Object) -> Verdict<'a>;
}

/// A step that judges.
trait Validate: Sync {
    /// Whether it has anything to do with such a write.
    fn concerns(&self, write: &Attributes<'_>) -> bool;

    /// Refuses the write, or not. There is no object on deletion.
    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a>;
}

/// Runs the steps that may change the object.
///
/// # Errors
/// The first refusal.
pub(crate) async fn mutate(write: &Attributes<'_>, object: &mut Object) -> Result<(), ApiError> {
    for step in MUTATING.iter().filter(|step| step.concerns(write)) {
        step.mutate(write, object).await?;
    }
    Ok(())
}

/// Runs the steps that judge.
///
/// # Errors
/// The first refusal.
pub(crate) async fn validate(write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    for step in VALIDATING.iter().filter(|step| step.concerns(write)) {
        step.validate(write, object).await?;
    }
    Ok(())
}

impl Attributes<'_> {
    /// Whether it is about objects of this core resource themselves, not about something below them.
    fn is_core(&self, plural: &str) -> bool {
        self.resource.group.is_empty() && self.resource.plural == plural && self.subresource.is_empty()
    }

    /// Whether it makes a pod.
    fn creates_pod(&self) -> bool {
        self.operation == Operation::Create && self.is_core("pods")
    }

    /// A refusal of this write.
    fn forbidden(&self, why: impl std::fmt::Display) -> ApiError {
        ApiError::forbidden_object(self.resource, self.name, why)
    }
}

/// The entry of a resource that admission looks things up in.
fn known(group: &str, plural: &str) -> &'static ResourceInfo {
    resources::find(group, "v1", plural).expect("admission looks up resources of the table only")
}
