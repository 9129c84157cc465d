//! Nothing is created in a namespace that is not there or is going away; some namespaces never go away.
//!
//! Whether a namespace is there is asked linearizably: whoever was told that a namespace is being deleted, by
//! whichever server, creates nothing more in it through any other.
//!
//! Source: `k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle`.

use keelson_api_registry::{
    object::Object,
    status::{ApiError, Cause},
};

use super::{Attributes, Mutate, Operation, Validate, Verdict, known};

/// The namespaces that the cluster cannot be without.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

/// The admission step.
pub(super) struct NamespaceLifecycle;

impl Mutate for NamespaceLifecycle {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation == Operation::Create && !write.namespace.is_empty()
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, _object: &'a mut Object) -> Verdict<'a> {
        Box::pin(async move {
            let namespaces = known("", "namespaces");
            let found = write.server.objects.get(namespaces, "", write.namespace).await?;
            let found = found.ok_or_else(|| ApiError::not_found(namespaces, write.namespace))?;
            match found.object.text(&["status", "phase"]) {
                "Terminating" => Err(terminating(write)),
                _ => Ok(()),
            }
        })
    }
}

impl Validate for NamespaceLifecycle {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation == Operation::Delete && write.is_core("namespaces") && IMMORTAL.contains(&write.name)
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, _object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move { Err(write.forbidden("this namespace may not be deleted")) })
    }
}

fn terminating(write: &Attributes<'_>) -> ApiError {
    let namespace = write.namespace;
    let mut error = write.forbidden(format_args!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    ));
    error.details.causes.push(Cause {
        reason: "NamespaceTerminating",
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".to_owned(),
    });
    error
}
