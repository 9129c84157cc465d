//! A claim grows only if it has a volume, and its class lets volumes grow.
//!
//! Source: `plugin/pkg/admission/storage/persistentvolume/resize` of Kubernetes.

use keelson_api_registry::object::Object;
use keelson_api_schema::quantity::Quantity;
use serde_json::Value;

use super::{Attributes, Operation, Validate, Verdict, known};

const SIZE: [&str; 4] = ["spec", "resources", "requests", "storage"];
const CLASS: [&str; 2] = ["spec", "storageClassName"];

/// The admission step.
pub(super) struct PersistentVolumeClaimResize;

impl Validate for PersistentVolumeClaimResize {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation == Operation::Update && write.is_core("persistentvolumeclaims")
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, claim: Option<&'a Object>) -> Verdict<'a> {
        let why = claim.zip(write.old).filter(|(claim, old)| grows(claim, old));
        let why = why.and_then(|(_, old)| forbidden(write, old));
        Box::pin(std::future::ready(why.map_or(Ok(()), |why| Err(write.forbidden(why)))))
    }
}

fn grows(claim: &Object, old: &Object) -> bool {
    let size = |claim: &Object| Quantity::parse(claim.text(&SIZE)).ok();
    size(claim) > size(old)
}

fn forbidden(write: &Attributes<'_>, old: &Object) -> Option<&'static str> {
    if old.text(&["status", "phase"]) != "Bound" {
        return Some("Only bound persistent volume claims can be expanded");
    }
    let classes = known("storage.k8s.io", "storageclasses");
    let class = write.server.objects.cached_object(classes, "", old.text(&CLASS)).map(|class| class.object());
    let allows = class
        .is_some_and(|class| class.get(&["allowVolumeExpansion"]).and_then(Value::as_bool).unwrap_or(false));
    (!allows).then_some(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support \
         resize",
    )
}
