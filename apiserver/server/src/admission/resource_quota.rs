//! Nothing is written that a quota of its namespace has no room for.
//!
//! What is used is written into the quota's status, by compare-and-set, before the object is: two writes never share
//! the same room. An object that is not written after all, and whatever is deleted, is still counted; so before a write
//! is refused, everything is counted anew, linearizably.
//!
//! Deliberately absent: keeping statuses up to date while nobody writes ([`crate::quotas`]); what objects use
//! ([`keelson_api_registry::quota`]).
//!
//! Source: `k8s.io/apiserver/pkg/admission/plugin/resourcequota`.

use keelson_api_registry::{
    object::Object,
    pod_resources::{Amounts, add},
    quota,
    status::ApiError,
};

use super::{Attributes, Operation, Validate, Verdict};
use crate::{
    quotas,
    storage::{ClaimChange, Stored},
};

/// How often a charge begins anew because the quota has changed meanwhile.
const ATTEMPTS: usize = 32;

/// The admission step.
pub(super) struct ResourceQuota;

impl Validate for ResourceQuota {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let (group, plural) = (write.resource.group, write.resource.plural);
        !write.namespace.is_empty()
            && match (write.operation, write.subresource) {
                (Operation::Create, "") => true,
                (Operation::Update, "") => {
                    group.is_empty() && matches!(plural, "persistentvolumeclaims" | "services")
                }
                (Operation::Update, "resize") => group.is_empty() && plural == "pods",
                (Operation::Create | Operation::Update | Operation::Delete, _) => false,
            }
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move {
            let Some(object) = object else { return Ok(()) };
            for name in concerned(write, object) {
                charge(write, &name, object).await?;
            }
            Ok(())
        })
    }
}

/// The names of the quotas that the write may be too much for, as this server knows them.
fn concerned(write: &Attributes<'_>, object: &Object) -> Vec<String> {
    let all = write.server.objects.cached(quotas::resource());
    let own = all.iter().filter(|quota| quota.namespace == write.namespace).map(|quota| quota.object());
    let concerned = own.filter(|quota| {
        quota::concerns(quota, write.resource) && quota::covers(quota, write.resource, object)
    });
    concerned.map(|quota| quota.name().to_owned()).collect()
}

/// Writes into the status of a quota what the write uses more than before.
async fn charge(write: &Attributes<'_>, name: &str, object: &Object) -> Result<(), ApiError> {
    let (objects, resource) = (&write.server.objects, quotas::resource());
    for _ in 0..ATTEMPTS {
        let Some(current) = objects.get(resource, write.namespace, name).await? else { return Ok(()) };
        let quota = &current.object;
        if write.resource.plural == "pods"
            && let Some(why) = quota::unspecified(quota, object)
        {
            return Err(write.forbidden(why));
        }
        let more = more(write, quota, object);
        if more.values().all(|amount| amount.is_zero()) {
            return Ok(());
        }
        let used = room(write, &current, &more).await?;
        if write.dry_run {
            return Ok(());
        }
        let counted = quotas::with_status(quota, &used);
        match objects.replace(resource, &counted, current.revision, ClaimChange::default()).await? {
            Some(_) => return Ok(()),
            // Somebody else has been charged meanwhile.
            None => continue,
        }
    }
    Err(write.forbidden(format_args!("quota {name} is being changed by too many others, please try again")))
}

/// What the write uses more than before.
fn more(write: &Attributes<'_>, quota: &Object, object: &Object) -> Amounts {
    let mut more = quota::usage(write.resource, object);
    let before = write.old.filter(|old| quota::covers(quota, write.resource, old));
    for (name, amount) in before.map(|old| quota::usage(write.resource, old)).unwrap_or_default() {
        add(&mut more, &Amounts::from([(name, -amount)]));
    }
    quota::masked(quota, &more)
}

/// What is used with the write, which there is room for.
async fn room(write: &Attributes<'_>, current: &Stored, more: &Amounts) -> Result<Amounts, ApiError> {
    let quota = &current.object;
    if let Some(used) = quotas::known_usage(quota)
        && let Ok(after) = quota::charge(quota, &used, more)
    {
        return Ok(after);
    }
    // Nobody has counted yet, or somebody may have gone since.
    let used = quotas::count(&write.server.objects, quota).await?;
    quota::charge(quota, &used, more).map_err(|why| write.forbidden(why))
}
