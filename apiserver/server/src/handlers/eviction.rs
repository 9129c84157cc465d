//! A pod is evicted: POST to `pods/<name>/eviction`.
//!
//! In: an Eviction. Out: the pod is marked and deleted, if a PodDisruptionBudget that covers it has counted it, or none
//! does. A budget is changed by compare-and-set, so two evictions never share one allowance.
//!
//! Deliberately absent: the judgement ([`keelson_api_registry::eviction`]).
//!
//! Source: `pkg/registry/core/pod/storage/eviction.go` of Kubernetes.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{
    eviction::{self, Plan},
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_api_schema::{builtin, decode_value};
use serde_json::json;

use super::Call;
use crate::{
    answer::Response,
    codec,
    selection::Selection,
    server::Server,
    storage::Stored,
    write::{
        Draft, Part, Target, Write,
        body::{self, Wanted},
        delete_options::DeleteOptions,
        identity,
        options::WriteOptions,
    },
};

/// How often an eviction begins anew because the pod or its budget has changed meanwhile.
const ATTEMPTS: usize = 20;

/// An Eviction.
const EVICTION: Wanted<'_> = Wanted { group: "policy", version: "v1", kind: "Eviction" };

pub(super) async fn create(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let options = WriteOptions::parse(&call.info, "CreateOptions")?;
    let encoding = codec::encoding_of_body(&call.headers)?;
    let mut draft = body::read(&call.body, encoding, EVICTION, options.validation)?;
    identity::settle_namespace(&mut draft.object, &call.request.namespace)?;
    if draft.object.name() != call.request.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let wishes = draft.object.get(&["deleteOptions"]).cloned().unwrap_or_else(|| json!({}));
    let mut wishes = DeleteOptions::check(&Object(wishes))?;
    wishes.dry_run |= options.dry_run;
    let eviction = Eviction { server, call, wishes };
    for _ in 0..ATTEMPTS {
        if eviction.attempt().await? == Outcome::Evicted {
            let success = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
            });
            return codec::respond(call, StatusCode::CREATED, &Object(success), &draft.warnings);
        }
    }
    Err(ApiError::stale(pods(), &call.request.name))
}

/// One eviction under way.
struct Eviction<'a> {
    server: &'a Arc<Server>,
    call: &'a Call,
    /// How the pod is to be deleted.
    wishes: DeleteOptions,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Evicted,
    /// The pod or its budget is another one by now: look at them again.
    Overtaken,
}

impl Eviction<'_> {
    async fn attempt(&self) -> Result<Outcome, ApiError> {
        let request = &self.call.request;
        let objects = &self.server.objects;
        let pod = objects.get(pods(), &request.namespace, &request.name).await?;
        let pod = pod.ok_or_else(|| ApiError::not_found(pods(), &request.name))?;
        self.write(pods(), &request.name, "eviction").check_meant(&pod, &self.wishes)?;
        let budgets = objects.list(budgets(), &request.namespace, &Selection::default()).await?;
        let budgets: Vec<Object> = budgets.iter().map(|budget| budget.object()).collect();
        match eviction::plan(&pod.object, &budgets)? {
            Plan::Delete => self.delete(&pod, self.wishes.resource_version.is_some()).await,
            Plan::DeleteUnchanged => self.delete(&pod, true).await,
            Plan::Count(budget) => match self.count(&budget).await? {
                Outcome::Evicted => self.delete(&pod, self.wishes.resource_version.is_some()).await,
                Outcome::Overtaken => Ok(Outcome::Overtaken),
            },
        }
    }

    /// Has the budget count the pod.
    async fn count(&self, budget: &str) -> Result<Outcome, ApiError> {
        let now = identity::timestamp(self.call.now);
        let write = self.write(budgets(), budget, "status");
        let change = |current: &Stored| {
            let counted = eviction::count(&current.object, &self.call.request.name, &now)?;
            canonical(budgets(), counted)
        };
        let counted = write.update(Part::Status, &change).await?;
        Ok(if counted.is_some() { Outcome::Evicted } else { Outcome::Overtaken })
    }

    /// Deletes the pod; if `unchanged`, only as it was looked at.
    async fn delete(&self, pod: &Stored, unchanged: bool) -> Result<Outcome, ApiError> {
        let told = |error: ApiError| {
            let ours = unchanged && self.wishes.resource_version.is_none();
            if ours && error.reason == "Conflict" { Ok(Outcome::Overtaken) } else { Err(error) }
        };
        let revision = match self.mark(pod, unchanged).await {
            Ok(revision) => revision,
            Err(error) => return told(error),
        };
        let resource_version = unchanged.then_some(revision);
        let options = DeleteOptions { resource_version, ..self.wishes.clone() };
        let write = self.write(pods(), &self.call.request.name, "eviction");
        write.delete(&options).await.map(|_| Outcome::Evicted).or_else(told)
    }

    /// Notes in the pod's conditions that it is evicted. The resourceVersion of the pod then.
    async fn mark(&self, pod: &Stored, unchanged: bool) -> Result<String, ApiError> {
        let name = &self.call.request.name;
        if self.wishes.dry_run {
            return Ok(pod.object.resource_version().to_owned());
        }
        let now = identity::timestamp(self.call.now);
        let change = |current: &Stored| {
            let mut marked = eviction::marked(&current.object, &now);
            if unchanged {
                marked.set(&["metadata", "resourceVersion"], pod.object.resource_version());
            }
            canonical(pods(), marked)
        };
        let write = self.write(pods(), name, "eviction");
        let marked = write.update(Part::Binding, &change).await?;
        let marked = marked.ok_or_else(|| ApiError::not_found(pods(), name))?;
        Ok(marked.stored.object.resource_version().to_owned())
    }

    fn write<'w>(
        &'w self,
        resource: &'static ResourceInfo,
        name: &'w str,
        subresource: &'w str,
    ) -> Write<'w> {
        let target = Target { resource, namespace: &self.call.request.namespace, name, subresource };
        Write { server: self.server, call: self.call, target, dry_run: self.wishes.dry_run }
    }
}

fn canonical(resource: &ResourceInfo, object: Object) -> Result<Draft, ApiError> {
    let decoded = decode_value(builtin(), resource.schema(), object.0).map_err(ApiError::internal)?;
    Ok(Draft { object: Object(decoded.value), warnings: Vec::new() })
}

fn pods() -> &'static ResourceInfo {
    resources::find("", "v1", "pods").expect("the table has pods")
}

fn budgets() -> &'static ResourceInfo {
    resources::find("policy", "v1", "poddisruptionbudgets").expect("the table has budgets")
}
