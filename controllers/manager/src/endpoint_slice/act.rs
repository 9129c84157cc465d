//! Carries out what was planned for the slices of one owner.
//!
//! In: slices to create, to update and to delete. Out: requests, and notes for the tracker of what the server accepted.
//! Every update names the `resourceVersion` and every deletion the uid that was planned on.

use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::ObjectKey;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client};
use tokio::time::Instant;

use super::pack::Changes;
use super::tracker::Tracker;
use crate::pod_control::is_namespace_terminating;
use crate::refusals::is_gone;

/// Writes slices with a controller's own identity.
pub(crate) struct Writer {
    client: Client,
    tracker: Arc<Tracker>,
}

impl Writer {
    /// With the controller's own client; what is written is noted in `tracker`.
    pub(crate) fn new(client: Client, tracker: Arc<Tracker>) -> Self {
        Self { client, tracker }
    }

    /// Creates, then updates, then deletes, until one fails.
    pub(crate) async fn carry_out(&self, owner: &ObjectKey, changes: &Changes) -> Result<(), kube::Error> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &owner.namespace);
        for slice in &changes.create {
            match api.create(&PostParams::default(), slice).await {
                Ok(created) => self.tracker.wrote(owner, &created, Instant::now()),
                // Everything there is about to go.
                Err(error) if is_namespace_terminating(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for slice in &changes.update {
            let name = slice.metadata.name.as_deref().unwrap_or_default();
            let updated = api.replace(name, &PostParams::default(), slice).await?;
            self.tracker.wrote(owner, &updated, Instant::now());
        }
        for slice in &changes.delete {
            self.delete(&api, owner, slice).await?;
        }
        Ok(())
    }

    async fn delete(
        &self,
        api: &Api<EndpointSlice>,
        owner: &ObjectKey,
        slice: &EndpointSlice,
    ) -> Result<(), kube::Error> {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        let preconditions = Preconditions { uid: slice.metadata.uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match api.delete(name, &params).await {
            Ok(_) => self.tracker.deleted(owner, slice, Instant::now()),
            // It has gone, whether or not another one has its name.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fake_api::{Call, fake_api, refusal};

    fn slice(name: &str) -> EndpointSlice {
        let mut slice = EndpointSlice { address_type: "IPv4".into(), ..EndpointSlice::default() };
        slice.metadata.name = (!name.is_empty()).then(|| name.into());
        slice.metadata.uid = Some(format!("{name}-uid"));
        slice
    }

    fn changes() -> Changes {
        Changes { create: vec![slice("")], update: vec![slice("b")], delete: vec![Arc::new(slice("c"))] }
    }

    /// The call's own object, as the server would answer it.
    fn accepted(call: &Call) -> (u16, Value) {
        match call.method.as_str() {
            "DELETE" => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
            _ => {
                let mut object = call.body.clone();
                object["metadata"]["generation"] = json!(7);
                (200, object)
            }
        }
    }

    async fn carried_out(
        answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
    ) -> (Result<(), kube::Error>, Vec<Call>, Arc<Tracker>) {
        let (client, calls) = fake_api(answer);
        let tracker = Arc::new(Tracker::default());
        let writer = Writer::new(client, Arc::clone(&tracker));
        let result = writer.carry_out(&ObjectKey::new("shop", "web"), &changes()).await;
        (result, calls.all(), tracker)
    }

    #[tokio::test]
    async fn all_changes_are_written_and_noted() {
        let (result, calls, tracker) = carried_out(accepted).await;
        result.unwrap();
        let base = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
        let lines: Vec<_> = calls.iter().map(|call| (call.method.as_str(), call.path.as_str())).collect();
        let (b, c) = (format!("{base}/b"), format!("{base}/c"));
        assert_eq!(lines, [("POST", base), ("PUT", b.as_str()), ("DELETE", c.as_str())]);
        assert_eq!(calls[2].body["preconditions"], json!({"uid": "c-uid"}));
        let seen = |generation| {
            let mut slices = ["", "b"].map(slice);
            slices.iter_mut().for_each(|slice| slice.metadata.generation = Some(generation));
            tracker.is_current(&ObjectKey::new("shop", "web"), &slices.map(Arc::new), Instant::now())
        };
        assert!(!seen(6));
        assert!(seen(7));
    }

    #[tokio::test]
    async fn a_namespace_that_ends_is_left_alone() {
        let (result, calls, _) = carried_out(|_| {
            let (code, mut status) = refusal(403, "Forbidden", "it is being terminated");
            status["details"] = json!({"causes": [{"reason": "NamespaceTerminating", "message": "…"}]});
            (code, status)
        })
        .await;
        result.unwrap();
        assert_eq!(calls.len(), 1);
    }

    #[tokio::test]
    async fn what_is_gone_needs_no_deletion_and_an_outdated_update_fails() {
        let gone = |call: &Call| match call.method.as_str() {
            "DELETE" => refusal(404, "NotFound", "gone"),
            _ => accepted(call),
        };
        carried_out(gone).await.0.unwrap();
        let outdated = |call: &Call| match call.method.as_str() {
            "PUT" => refusal(409, "Conflict", "changed"),
            _ => accepted(call),
        };
        let (result, calls, _) = carried_out(outdated).await;
        assert!(result.is_err());
        assert_eq!(calls.len(), 2, "nothing is deleted before the others are written");
    }
}
