//! What quotas say is used: counted when a write needs to know, and kept up to date when nobody writes.
//!
//! In: ResourceQuotas, and the objects of their namespaces. Out: their statuses, always by compare-and-set.
//!
//! Every server keeps them. Whoever is second finds it done, or is overtaken and looks again.
//!
//! Deliberately absent: what objects use ([`keelson_api_registry::quota`]), and refusing what is too much (admission).

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use keelson_api_registry::{
    object::Object,
    pod_resources::{Amounts, add, amounts},
    quota,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_api_schema::quantity::Quantity;
use keelson_store_core::id::Revision;
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::{
    selection::Selection,
    storage::{ClaimChange, ObjectStore},
};

/// How often statuses are looked at; also how long a quota must have been left alone before less is said to be used: a
/// write that it was charged for may still be under way.
const PERIOD: Duration = Duration::from_secs(1);

/// The entry of quotas.
pub(crate) fn resource() -> &'static ResourceInfo {
    resources::find("", "v1", "resourcequotas").expect("the table has quotas")
}

/// What is used, going by the quota's status; `None` if that is of other limits.
pub(crate) fn known_usage(quota: &Object) -> Option<Amounts> {
    let list = |name: &str| amounts(quota.get(&["status", name]).unwrap_or(&Value::Null));
    let (hard, used) = (list("hard"), list("used"));
    (hard == quota::hard(quota) && hard.keys().all(|name| used.contains_key(name))).then_some(used)
}

/// Counts everything that is there, linearizably.
///
/// # Errors
/// 504 and 503 without a quorum or before the cache is filled.
pub(crate) async fn count(objects: &ObjectStore, quota: &Object) -> Result<Amounts, ApiError> {
    let zero = |(name, amount): (String, Quantity)| (name, Quantity::from_int(0, amount.format()));
    let mut used: Amounts = quota::hard(quota).into_iter().map(zero).collect();
    for resource in concerned(quota) {
        let all = objects.list(resource, quota.namespace(), &Selection::default()).await?;
        for object in all.iter().map(|object| object.object()) {
            if quota::covers(quota, resource, &object) {
                add(&mut used, &quota::masked(quota, &quota::usage(resource, &object)));
            }
        }
    }
    Ok(used)
}

/// The quota with that in its status.
pub(crate) fn with_status(quota: &Object, used: &Amounts) -> Object {
    let texts: Map<String, Value> =
        used.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect();
    let mut counted = quota.clone();
    counted.set(&["status", "hard"], quota.get(&["spec", "hard"]).cloned().unwrap_or_default());
    counted.set(&["status", "used"], texts);
    counted
}

fn concerned(quota: &Object) -> impl Iterator<Item = &'static ResourceInfo> {
    quota::counted().filter(|resource| quota::concerns(quota, resource))
}

/// Keeps statuses up to date as long as it is polled.
pub(crate) async fn keep(objects: &ObjectStore) -> Infallible {
    let mut keeper = Keeper::default();
    loop {
        sleep(PERIOD).await;
        keeper.round(objects).await;
    }
}

/// Where a quota and what it counts stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    quota: Revision,
    /// The last change of anything that it may count.
    counted: Revision,
}

/// What the last round has seen of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It is not known whether its status is right.
    Since(Moment),
    /// It was.
    Right(Moment),
}

/// Looks at quotas once in a while.
#[derive(Default)]
struct Keeper {
    seen: BTreeMap<(String, String), Seen>,
}

impl Keeper {
    async fn round(&mut self, objects: &ObjectStore) {
        let mut before = std::mem::take(&mut self.seen);
        for cached in objects.cached(resource()) {
            let key = (cached.namespace.clone(), cached.name.clone());
            let quota = cached.object();
            let counted = concerned(&quota).map(|resource| *objects.changed(resource).borrow()).max();
            let moment = Moment { quota: cached.revision, counted: counted.unwrap_or(Revision::ZERO) };
            let seen = match before.remove(&key) {
                Some(Seen::Right(same)) if same == moment => Seen::Right(moment),
                Some(Seen::Since(then) | Seen::Right(then)) if then.quota == moment.quota => {
                    settle(objects, &quota, moment).await
                }
                // Nobody is charged on a quota of which nothing is known.
                _ if known_usage(&quota).is_none() => settle(objects, &quota, moment).await,
                _ => Seen::Since(moment),
            };
            self.seen.insert(key, seen);
        }
    }
}

/// Counts, and writes what is not so already. What does not succeed is tried in the next round.
async fn settle(objects: &ObjectStore, quota: &Object, moment: Moment) -> Seen {
    let done = async {
        let used = count(objects, quota).await?;
        if known_usage(quota).as_ref() == Some(&used) {
            return Ok(true);
        }
        let counted = with_status(quota, &used);
        objects.replace(resource(), &counted, moment.quota, ClaimChange::default()).await?;
        // Its new revision is looked at once more.
        Ok(false)
    };
    match done.await {
        Ok(true) => Seen::Right(moment),
        Ok(false) => Seen::Since(moment),
        Err(error) => {
            let error: ApiError = error;
            tracing::debug!(quota = quota.name(), error = error.message, "could not count what is used");
            Seen::Since(moment)
        }
    }
}

#[cfg(test)]
mod tests;
