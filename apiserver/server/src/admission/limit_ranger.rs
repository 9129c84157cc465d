//! Pods and claims are held against the LimitRanges of their namespace, and containers that say nothing get what those
//! have for them.
//!
//! Deliberately absent: what a LimitRange means ([`keelson_api_registry::limits`]).
//!
//! Source: `plugin/pkg/admission/limitranger` of Kubernetes.

use keelson_api_registry::{limits, object::Object};

use super::{Attributes, Mutate, Operation, Validate, Verdict, known};

/// The admission step.
pub(super) struct LimitRanger;

impl Mutate for LimitRanger {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.creates_pod()
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, pod: &'a mut Object) -> Verdict<'a> {
        for range in ranges(write) {
            limits::set_defaults(&range, pod);
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Validate for LimitRanger {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let resource = write.resource;
        match (write.operation, write.subresource) {
            _ if !resource.group.is_empty() => false,
            (Operation::Create, "") => matches!(resource.plural, "pods" | "persistentvolumeclaims"),
            (Operation::Update, "") => resource.plural == "persistentvolumeclaims",
            (Operation::Update, "resize") => resource.plural == "pods",
            (Operation::Create | Operation::Update | Operation::Delete, _) => false,
        }
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a> {
        let judge =
            if write.resource.plural == "pods" { limits::wrong_with_pod } else { limits::wrong_with_claim };
        // What is on its way out has to be let go.
        let object = object.filter(|object| !object.is_being_deleted());
        let wrong = object.and_then(|object| {
            ranges(write).iter().map(|range| judge(range, object)).find(|wrong| !wrong.is_empty())
        });
        let verdict = wrong.map_or(Ok(()), |wrong| Err(write.forbidden(limits::joined(&wrong))));
        Box::pin(std::future::ready(verdict))
    }
}

/// The LimitRanges of the namespace, in the order of their names.
fn ranges(write: &Attributes<'_>) -> Vec<Object> {
    let all = write.server.objects.cached(known("", "limitranges"));
    all.iter().filter(|range| range.namespace == write.namespace).map(|range| range.object()).collect()
}
