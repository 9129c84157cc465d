//! What a DELETE means for an object: pure.
//!
//! In: the object as it is, what the client wishes, the time. Out: a [`Plan`]: nothing to do, the object marked as
//! being deleted, or its removal. Whoever still has something to do first is named by `metadata.finalizers`, by a
//! grace period (the node that runs a pod), and by `spec.finalizers` of a namespace.
//!
//! Source: `k8s.io/apiserver/pkg/registry/rest/delete.go`, `.../registry/generic/registry/store.go`,
//! `pkg/registry/core/namespace/storage` of Kubernetes.

use keelson_api_registry::{object::Object, resources::ResourceInfo, status::ApiError, strategy::Strategy};
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    delete_options::{DeleteOptions, Propagation},
    identity::timestamp,
};

/// The finalizer that keeps an object until the collector has let its dependents go.
const ORPHAN: &str = "orphan";

/// The finalizer that keeps an object until the collector has deleted its dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// What is to be done about a deletion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// Nothing: the object is being deleted already, and no faster.
    Wait,
    /// To write this: the object with marks of its deletion.
    Mark(Object),
    /// To write this, and then to remove it: whoever watches sees that the object had no time left.
    MarkAndRemove(Object),
    /// To remove the object now.
    Remove,
}

/// Decides about a deletion.
///
/// # Errors
/// 409 when the object is not the one that the client means.
pub(crate) fn plan(
    resource: &ResourceInfo,
    object: &Object,
    options: &DeleteOptions,
    now: OffsetDateTime,
) -> Result<Plan, ApiError> {
    if is_namespace(resource) {
        return plan_namespace(resource, object, options, now);
    }
    check_preconditions(resource, object, options)?;
    let mut marked = object.clone();
    let grace = match resource.strategy.grace_period(object, options.grace_period_seconds) {
        None => Grace::None,
        Some(period) => {
            grace(object, &mut marked, period.max(0), options.grace_period_seconds.is_some(), now)
        }
    };
    if grace == Grace::Pending {
        return Ok(Plan::Wait);
    }
    set_finalizers(&mut marked, finalizers(resource.strategy, object, options));
    let awaits_finalizers = marked.finalizers().next().is_some();
    match grace {
        Grace::Begun(seconds) if seconds > 0 || awaits_finalizers => {}
        Grace::Begun(_) => return Ok(Plan::MarkAndRemove(marked)),
        _ if awaits_finalizers => mark(&mut marked, now),
        _ => return Ok(Plan::Remove),
    }
    Ok(if marked == *object { Plan::Wait } else { Plan::Mark(marked) })
}

/// Whether an update took away the last thing that an object waited for on its way out.
pub(crate) fn is_finished(resource: &ResourceInfo, object: &Object, old: &Object) -> bool {
    let grace = old.integer(&["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
    let emptied = !is_namespace(resource) || object.list(&["spec", "finalizers"]).is_empty();
    old.is_being_deleted() && grace == 0 && object.finalizers().next().is_none() && emptied
}

fn is_namespace(resource: &ResourceInfo) -> bool {
    resource.group.is_empty() && resource.plural == "namespaces"
}

/// Where a graceful deletion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// The kind knows none, or it is over.
    None,
    /// It has begun before, and this request does not shorten it.
    Pending,
    /// It begins with this request, or is shortened to so many seconds.
    Begun(i64),
}

fn grace(object: &Object, marked: &mut Object, period: i64, wished: bool, now: OffsetDateTime) -> Grace {
    const SECONDS: [&str; 2] = ["metadata", "deletionGracePeriodSeconds"];
    const AT: [&str; 2] = ["metadata", "deletionTimestamp"];
    if !object.is_being_deleted() {
        marked.set(&AT, timestamp(later(now, period)));
        marked.set(&SECONDS, period);
        grow_generation(marked);
        return Grace::Begun(period);
    }
    let Some(before) = object.integer(&SECONDS) else { return Grace::None };
    if !wished || period >= before {
        return Grace::Pending;
    }
    let begun = OffsetDateTime::parse(object.text(&AT), &Rfc3339).unwrap_or(now);
    marked.set(&AT, timestamp(later(begun, period.saturating_sub(before))));
    marked.set(&SECONDS, period);
    Grace::Begun(period)
}

/// So many seconds later; never beyond what a time can say.
fn later(at: OffsetDateTime, seconds: i64) -> OffsetDateTime {
    /// Three hundred years: nobody waits longer, and RFC 3339 has years of four digits only.
    const FOREVER_SECONDS: i64 = 300 * 365 * 86_400;
    at.saturating_add(Duration::seconds(seconds.clamp(-FOREVER_SECONDS, FOREVER_SECONDS)))
}

/// Marks an object whose kind knows no grace period, or whose is over.
fn mark(object: &mut Object, now: OffsetDateTime) {
    let at = OffsetDateTime::parse(object.text(&["metadata", "deletionTimestamp"]), &Rfc3339);
    if !object.is_being_deleted() {
        grow_generation(object);
    }
    if !at.is_ok_and(|at| at <= now) {
        object.set(&["metadata", "deletionTimestamp"], timestamp(now));
    }
    object.set(&["metadata", "deletionGracePeriodSeconds"], 0);
}

fn grow_generation(object: &mut Object) {
    let generation = object.generation();
    if generation > 0 {
        object.set(&["metadata", "generation"], generation.saturating_add(1));
    }
}

/// The finalizers that an object has once the client's wish about its dependents is noted.
fn finalizers(strategy: &dyn Strategy, object: &Object, options: &DeleteOptions) -> Vec<String> {
    let has = |wanted| object.finalizers().any(|finalizer| finalizer == wanted);
    let propagation = options.propagation().unwrap_or_else(|| match () {
        () if has(ORPHAN) => Propagation::Orphan,
        () if has(FOREGROUND) => Propagation::Foreground,
        () if strategy.orphans_dependents() => Propagation::Orphan,
        () => Propagation::Background,
    });
    let others = object.finalizers().filter(|finalizer| ![ORPHAN, FOREGROUND].contains(finalizer));
    let own = match propagation {
        Propagation::Orphan => Some(ORPHAN),
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Background => None,
    };
    // What is there already keeps its place, so that asking twice changes nothing.
    let kept: Vec<_> = match own {
        Some(own) if has(own) => {
            object.finalizers().filter(|f| *f == own || ![ORPHAN, FOREGROUND].contains(f)).collect()
        }
        own => others.chain(own).collect(),
    };
    kept.into_iter().map(str::to_owned).collect()
}

fn set_finalizers(object: &mut Object, finalizers: Vec<String>) {
    match finalizers.is_empty() {
        true => drop(object.remove(&["metadata", "finalizers"])),
        false => object.set(&["metadata", "finalizers"], Value::from(finalizers)),
    }
}

/// Refuses the deletion of another object than the client means.
///
/// # Errors
/// 409.
pub(super) fn check_preconditions(
    resource: &ResourceInfo,
    object: &Object,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let differs = |wish: &Option<String>, is: &str| wish.as_ref().filter(|wish| *wish != is).cloned();
    let why = if let Some(uid) = differs(&options.uid, object.uid()) {
        format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            object.uid()
        )
    } else if let Some(version) = differs(&options.resource_version, object.resource_version()) {
        format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            object.resource_version()
        )
    } else {
        return Ok(());
    };
    Err(ApiError::conflict_of_kind(resource, object.name(), &why))
}

/// A namespace is emptied before it goes: it turns Terminating, and stays until its `spec.finalizers` are gone.
fn plan_namespace(
    resource: &ResourceInfo,
    namespace: &Object,
    options: &DeleteOptions,
    now: OffsetDateTime,
) -> Result<Plan, ApiError> {
    for (what, wish, is) in [
        ("UID", &options.uid, namespace.uid()),
        ("ResourceVersion", &options.resource_version, namespace.resource_version()),
    ] {
        if let Some(wish) = wish.as_ref().filter(|wish| *wish != is) {
            let why =
                format!("Precondition failed: {what} in precondition: {wish}, {what} in object meta: {is}");
            return Err(ApiError::conflict(resource, namespace.name(), &why));
        }
    }
    if !namespace.is_being_deleted() {
        let mut marked = namespace.clone();
        marked.set(&["metadata", "deletionTimestamp"], timestamp(now));
        marked.set(&["status", "phase"], "Terminating");
        if options.propagation() == Some(Propagation::Orphan) {
            set_finalizers(&mut marked, finalizers(resource.strategy, namespace, options));
        }
        return Ok(Plan::Mark(marked));
    }
    let awaited =
        !namespace.list(&["spec", "finalizers"]).is_empty() || namespace.finalizers().next().is_some();
    Ok(if awaited { Plan::Wait } else { Plan::Remove })
}

#[cfg(test)]
mod tests;
