//! `pods/<name>/ephemeralcontainers`: a pod whose other parts stay as they are.
//!
//! In: a call to it. Out: the answer of a call to the pod, by rules of its own.
//!
//! Deliberately absent: those rules ([`EphemeralContainers`]).

use std::sync::{Arc, OnceLock};

use keelson_api_registry::{
    kinds::pod::EphemeralContainers,
    resources::{self, ResourceInfo, Verb},
    status::ApiError,
};

use super::{Call, part};
use crate::{answer::Response, server::Server, write::Part};

pub(super) async fn handle(server: &Arc<Server>, mut call: Call, verb: Verb) -> Result<Response, ApiError> {
    call.request.resource = pods();
    part(server, &call, Part::Main, verb).await
}

/// Pods, but for the rules.
fn pods() -> &'static ResourceInfo {
    static PODS: OnceLock<ResourceInfo> = OnceLock::new();
    PODS.get_or_init(|| {
        let pods = resources::find("", "v1", "pods").expect("the table has pods");
        ResourceInfo { strategy: &EphemeralContainers, ..*pods }
    })
}
