//! Claims and ingresses that name no class get the one that is marked as the default; of several, the youngest.
//!
//! Source: `plugin/pkg/admission/storage/storageclass/setdefault`, `plugin/pkg/admission/network/defaultingressclass`
//! of Kubernetes.

use std::cmp::Reverse;

use keelson_api_registry::{kinds::storage_class, object::Object};

use super::{Attributes, Mutate, Operation, Verdict, known};

/// The annotation of the default class of ingresses.
const DEFAULT_INGRESS_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// The step for claims.
pub(super) struct DefaultStorageClass;

impl Mutate for DefaultStorageClass {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation == Operation::Create && write.is_core("persistentvolumeclaims")
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, claim: &'a mut Object) -> Verdict<'a> {
        const LEGACY: &str = "volume.beta.kubernetes.io/storage-class";
        const CLASS: [&str; 2] = ["spec", "storageClassName"];
        // A class of no name is a wish, too: for a volume that has none.
        let named = claim.get(&CLASS).is_some() || claim.get(&["metadata", "annotations", LEGACY]).is_some();
        if !named
            && let Some(class) =
                youngest(write, "storage.k8s.io", "storageclasses", storage_class::is_default)
        {
            claim.set(&CLASS, class.name());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The step for ingresses.
pub(super) struct DefaultIngressClass;

impl Mutate for DefaultIngressClass {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let is_ingress = write.resource.group == "networking.k8s.io" && write.resource.plural == "ingresses";
        write.operation == Operation::Create && is_ingress && write.subresource.is_empty()
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, ingress: &'a mut Object) -> Verdict<'a> {
        const LEGACY: &str = "kubernetes.io/ingress.class";
        const CLASS: [&str; 2] = ["spec", "ingressClassName"];
        let named =
            ingress.get(&CLASS).is_some() || ingress.get(&["metadata", "annotations", LEGACY]).is_some();
        let is_default =
            |class: &Object| class.text(&["metadata", "annotations", DEFAULT_INGRESS_CLASS]) == "true";
        if !named && let Some(class) = youngest(write, "networking.k8s.io", "ingressclasses", is_default) {
            ingress.set(&CLASS, class.name());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Of the defaults the one that was made last; of those made in the same second the first by name.
fn youngest(
    write: &Attributes<'_>,
    group: &str,
    plural: &str,
    is_default: impl Fn(&Object) -> bool,
) -> Option<Object> {
    let classes = write.server.objects.cached(known(group, plural));
    let defaults = classes.iter().map(|class| class.object()).filter(|class| is_default(class));
    defaults.min_by_key(|class| {
        (Reverse(class.text(&["metadata", "creationTimestamp"]).to_owned()), class.name().to_owned())
    })
}
