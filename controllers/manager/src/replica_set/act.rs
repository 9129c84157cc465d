//! Creates and deletes a ReplicaSet's pods, and writes its status.
//!
//! In: the set, its pods, a plan. Out: requests to the API. What is asked for is expected, so that no second round
//! begins before the cache shows the first; what fails is no longer expected.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::ReplicaSetStatus;
use k8s_openapi::api::core::v1::ObjectReference;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Expectations, ObjectKey, reference_to};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Error;
use super::keeper::Keeper;
use super::status::Attempt;
use crate::pod_control::{
    Deletion, IN_FLIGHT, PodControl, is_namespace_terminating, message_of, pod_from_template, slow_start,
};

/// Acts for one set.
pub(super) struct Actor<'a, K> {
    pub(super) client: &'a Client,
    pub(super) pods: &'a PodControl,
    pub(super) expectations: &'a Expectations,
    pub(super) key: &'a ObjectKey,
    pub(super) set: &'a K,
}

impl<K: Keeper> Actor<'_, K> {
    /// Creates `count` pods.
    pub(super) async fn create(&self, count: usize) -> Result<(), Error> {
        let Some(template) = self.set.template() else {
            return Ok(());
        };
        let (pod, owner) = (&pod_from_template(template, self.set), &reference_to(self.set));
        self.expectations.expect_creations(self.key, count);
        let started = slow_start(count, |_| async move { self.pods.create(owner, pod).await }).await;
        for _ in started.succeeded..count {
            self.expectations.creation_observed(self.key);
        }
        match started.error {
            // Nothing can be done, and nothing needs to be.
            Some(error) if is_namespace_terminating(&error) => Ok(()),
            Some(error) => Err(Error::Create(error)),
            None => Ok(()),
        }
    }

    /// Deletes these pods.
    pub(super) async fn delete(&self, victims: Vec<Arc<Pod>>) -> Result<(), Error> {
        let owner = &reference_to(self.set);
        let uids = victims.iter().filter_map(|pod| pod.metadata.uid.clone());
        self.expectations.expect_deletions(self.key, uids);
        let deletions = stream::iter(victims).map(|pod| async move { self.delete_one(owner, &pod).await });
        let results: Vec<_> = deletions.buffer_unordered(IN_FLIGHT).collect().await;
        results.into_iter().collect()
    }

    async fn delete_one(&self, owner: &ObjectReference, pod: &Pod) -> Result<(), Error> {
        let deletion = self.pods.delete(owner, pod).await;
        match &deletion {
            Ok(Deletion::Accepted(_)) => {}
            Ok(Deletion::WasGone) | Err(_) => {
                let uid = pod.metadata.uid.as_deref().unwrap_or_default();
                self.expectations.deletion_observed(self.key, uid);
            }
        }
        deletion.map(drop).map_err(Error::Delete)
    }

    /// Writes the status, if it says anything new.
    pub(super) async fn tell(&self, status: ReplicaSetStatus) -> Result<(), Error> {
        let status = K::told(status);
        if self.set.own_status() == Some(&status) {
            return Ok(());
        }
        let set = self.set.with_status(status);
        let sets: Api<K> = Api::namespaced(self.client.clone(), &self.key.namespace);
        match sets.replace_status(&self.key.name, &PostParams::default(), &set).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::Status(error)),
        }
    }
}

/// How the status tells of an attempt that has been made.
pub(super) fn attempt(result: &Result<(), Error>) -> Attempt {
    let failed = |reason, message| Attempt::Failed { reason, message };
    match result {
        Ok(()) => Attempt::Succeeded,
        Err(Error::Create(error)) => failed("FailedCreate", message_of(error)),
        Err(Error::Delete(error)) => {
            failed("FailedDelete", format!("unable to delete pods: {}", message_of(error)))
        }
        // Not about the number of pods.
        Err(Error::Claim(_) | Error::Status(_)) => Attempt::None,
    }
}
