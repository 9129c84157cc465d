//! Who controls an object: the one owner reference that says `controller: true`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

/// The reference to the controller of the object with this metadata, if it has one.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object with this metadata is controlled by the object with this uid.
pub fn is_controlled_by(meta: &ObjectMeta, uid: &str) -> bool {
    controller_of(meta).is_some_and(|owner| owner.uid == uid)
}

/// The reference with which an object names `owner` as its controller, and holds up the owner's foreground deletion.
pub fn new_controller_ref<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;

    use super::*;

    #[test]
    fn the_controller_is_the_owner_that_says_so() {
        let metadata =
            ObjectMeta { name: Some("web".into()), uid: Some("u1".into()), ..ObjectMeta::default() };
        let set = ReplicaSet { metadata, ..ReplicaSet::default() };
        let controller = new_controller_ref(&set);
        assert_eq!((controller.api_version.as_str(), controller.kind.as_str()), ("apps/v1", "ReplicaSet"));
        let bystander = OwnerReference { uid: "u0".into(), controller: Some(false), ..controller.clone() };
        let meta = ObjectMeta {
            owner_references: Some(vec![bystander.clone(), controller.clone()]),
            ..ObjectMeta::default()
        };
        assert_eq!(controller_of(&meta), Some(&controller));
        assert!(is_controlled_by(&meta, "u1"));
        assert!(!is_controlled_by(&meta, "u0"), "an owner is not a controller");
        let orphan = ObjectMeta { owner_references: Some(vec![bystander]), ..ObjectMeta::default() };
        assert_eq!(controller_of(&orphan), None);
    }
}
