//! Keeps the policy up with the roles and bindings in the cache.
//!
//! In: changes of the four RBAC resources. Out: a new [`Policy`] for each round of them. An object is parsed once
//! per revision; what a round costs besides is an index over what is there.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use keelson_api_registry::resources::{self, ResourceInfo};
use keelson_store_core::id::Revision;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    Authorizer,
    policy::{Binding, Policy, Role},
};
use crate::storage::ObjectStore;

/// The API group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// Follows the changes for ever. Ends when the cache does.
pub async fn follow(objects: &ObjectStore, authorizer: &Authorizer) {
    let mut roles = [Followed::open(objects, "clusterroles"), Followed::open(objects, "roles")];
    let mut bindings =
        [Followed::open(objects, "clusterrolebindings"), Followed::open(objects, "rolebindings")];
    loop {
        roles.iter_mut().for_each(|followed| followed.refresh(objects, Role::parse));
        bindings.iter_mut().for_each(|followed| followed.refresh(objects, Binding::parse));
        let all_roles = roles.iter().flat_map(Followed::all).cloned();
        let all_bindings = bindings.iter().flat_map(Followed::all).map(|binding| &**binding);
        authorizer.set_policy(Policy::new(all_roles, all_bindings));
        let [cluster_roles, local_roles] = &mut roles;
        let [cluster_bindings, local_bindings] = &mut bindings;
        let changed = tokio::select! {
            changed = cluster_roles.changes.changed() => changed,
            changed = local_roles.changes.changed() => changed,
            changed = cluster_bindings.changes.changed() => changed,
            changed = local_bindings.changes.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// One resource's objects, parsed.
struct Followed<T> {
    resource: &'static ResourceInfo,
    changes: watch::Receiver<Revision>,
    parsed: HashMap<Bytes, (Revision, Arc<T>)>,
}

impl<T> Followed<T> {
    fn open(objects: &ObjectStore, plural: &str) -> Self {
        let resource = resources::find(GROUP, "v1", plural).expect("the table has the resources of RBAC");
        Self { resource, changes: objects.changed(resource), parsed: HashMap::new() }
    }

    /// Takes over what is in the cache.
    fn refresh(&mut self, objects: &ObjectStore, parse: fn(&Value) -> T) {
        // Marked as seen before looking: what changes meanwhile is seen again rather than never.
        self.changes.mark_unchanged();
        let mut before = std::mem::take(&mut self.parsed);
        for object in objects.cached(self.resource) {
            let known = before.remove(&object.key).filter(|(revision, _)| *revision == object.revision);
            let entry = known.unwrap_or_else(|| (object.revision, Arc::new(parse(&object.object().0))));
            self.parsed.insert(object.key.clone(), entry);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.parsed.values().map(|(_, parsed)| parsed)
    }
}
