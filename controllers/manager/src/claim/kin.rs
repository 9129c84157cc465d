//! Who belongs to whom, as the caches show it: found by indexes, so that no owner looks through all objects.
//!
//! In: informers. Out: the candidates for an owner's claim, the owner of an object, the owners that an orphan may
//! find. Deliberately absent: any change of what belongs to whom.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use keelson_controller_runtime::{Informer, ObjectKey, controller_of};
use kube::Resource;
use kube::core::{Selector, SelectorExt};
use serde::de::DeserializeOwned;

/// The index by the uid of the controller.
const BY_CONTROLLER: &str = "controller";

/// The index of what no one controls, by namespace.
const ORPHANS: &str = "orphans";

/// What informers hold.
pub(crate) trait Cached:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
}

impl<K> Cached for K where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
}

/// Makes the objects of an informer findable by their controller. To be called before the other functions here.
pub(crate) fn index<K: Cached>(informer: &Informer<K>) {
    informer.add_index(BY_CONTROLLER, |object| {
        controller_of(object.meta()).map(|owner| owner.uid.clone()).into_iter().collect()
    });
    informer.add_index(ORPHANS, |object| match controller_of(object.meta()) {
        None => object.meta().namespace.clone().into_iter().collect(),
        Some(_) => Vec::new(),
    });
}

/// The objects whose controller has this uid.
pub(crate) fn controlled_by<K: Cached>(informer: &Informer<K>, uid: &str) -> Vec<Arc<K>> {
    informer.by_index(BY_CONTROLLER, uid)
}

/// What `owner` may claim: what it controls, and what nobody controls in its namespace.
pub(crate) fn candidates<K: Cached>(informer: &Informer<K>, owner: &ObjectMeta) -> Vec<Arc<K>> {
    let mut candidates = controlled_by(informer, owner.uid.as_deref().unwrap_or_default());
    candidates.extend(informer.by_index(ORPHANS, owner.namespace.as_deref().unwrap_or_default()));
    candidates
}

/// The controller of the object with this metadata, if it is one of `owners` and the one that is meant.
pub(crate) fn owner_of<O: Cached>(owners: &Informer<O>, object: &ObjectMeta) -> Option<Arc<O>> {
    let reference = controller_of(object)?;
    let group = |api_version: &str| api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
    if reference.kind != O::kind(&()) || group(&reference.api_version) != O::group(&()) {
        return None;
    }
    let key = ObjectKey::new(object.namespace.as_deref().unwrap_or_default(), &*reference.name);
    owners.get(&key).filter(|owner| owner.meta().uid.as_ref() == Some(&reference.uid))
}

/// Those of `owners` that select an orphan.
pub(crate) fn suitors<O: Cached>(
    owners: &Informer<O>,
    orphan: &ObjectMeta,
    selector_of: impl Fn(&O) -> LabelSelector,
) -> Vec<ObjectKey> {
    let Some(labels) = orphan.labels.as_ref().filter(|labels| !labels.is_empty()) else { return Vec::new() };
    let selects = |owner: &O| {
        let selector = Selector::try_from(selector_of(owner));
        selector.is_ok_and(|selector| !selector.selects_all() && selector.matches(labels))
    };
    let owners = owners.in_namespace(orphan.namespace.as_deref().unwrap_or_default());
    owners.iter().filter(|owner| selects(owner)).map(|owner| ObjectKey::of(&**owner)).collect()
}
